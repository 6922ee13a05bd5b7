//! Issuing an access token: the switch, the principal and the limit are held to in one commit.

use super::{Decision, Refusal, Setting, event, live_count};
use crate::event::EventKind;
use crate::grant::{EndCause, Expiry, Grant, GrantEnd};
use crate::kind::CredentialKind;
use crate::policy::AtLimit;
use crate::principal::{CredentialRef, Principal, PrincipalRecord, PrincipalState};
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::scope::ScopeSet;
use crate::secret::{Fresh, Verifier};
use crate::selector::Selector;
use crate::system::Subsystem;
use crate::text::TokenName;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::{epoch::EpochStamp, keys::Keyring};

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// For whom.
    pub principal: Principal,
    /// What they call it.
    pub name: TokenName,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it dies by itself.
    pub expiry: Expiry,
}

/// A token that was issued: its secret, for its owner alone, and the grant behind it.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: SplitToken,
    /// The record that was written.
    pub grant: Grant,
}

/// Which grants a decision to issue needs besides the principal's record: those it may evict or
/// prune to make room.
#[must_use]
pub fn keys_to_issue(setting: &Setting<'_>, principal: &PrincipalRecord) -> Vec<Key> {
    let (evicted, pruned) = displaced(setting, principal);
    evicted
        .into_iter()
        .chain(pruned)
        .map(|entry| Key::grant(entry.selector))
        .collect()
}

/// Issues a token, if switch, principal, limit and policy allow it.
///
/// `displaced_grants` are what was found under [`keys_to_issue`], in that order.
///
/// # Errors
/// Why it is refused.
pub fn issue(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: Option<&Versioned<PrincipalRecord>>,
    displaced_grants: &[Option<Versioned<Grant>>],
    request: &NewToken,
) -> Result<Decision<Issued>, Refusal> {
    allowed(setting, request)?;
    let mut record = match principal {
        Some(found) => found.record.clone(),
        None => PrincipalRecord::new(request.principal.clone()),
    };
    if record.state == PrincipalState::Disabled {
        return Err(Refusal::Disabled);
    }

    let mut batch = Batch::grow();
    batch.keep(Key::SYSTEM, Expect::Version(setting.system.version));
    make_room(setting, fresh, &mut batch, &mut record, displaced_grants)?;

    let issued = mint(setting, fresh, &record, request)?;
    let selector = issued.token.selector();
    record.credentials.push(CredentialRef {
        kind: CredentialKind::Access,
        selector,
        ends_at: super::end_of(setting.policy, &issued.grant),
    });
    let filed = Key::principal(setting.keyring.principal_key(&request.principal));
    batch.put(
        filed,
        Expect::as_loaded(principal),
        Record::Principal(record),
    );
    batch.put(
        Key::grant(selector),
        Expect::Absent,
        Record::Grant(issued.grant.clone()),
    );
    batch.record_event(event(
        setting,
        fresh,
        EventKind::Issued,
        selector,
        &issued.grant,
    )?);
    Ok(Decision {
        outcome: issued,
        batch,
    })
}

/// What switch and policy say to a request.
fn allowed(setting: &Setting<'_>, request: &NewToken) -> Result<(), Refusal> {
    let policy = setting.policy.access_tokens();
    if !setting.system.record.is_on(Subsystem::AccessTokens) {
        return Err(Refusal::SwitchedOff);
    }
    let chars = request.name.as_str().chars().count();
    if chars > policy.max_name_chars as usize {
        return Err(Refusal::NameTooLong {
            chars,
            max: policy.max_name_chars as usize,
        });
    }
    let count = request.scopes.len();
    if count > policy.max_scopes as usize {
        return Err(Refusal::TooManyScopes {
            count,
            max: policy.max_scopes as usize,
        });
    }
    let max = policy.max_lifetime;
    match request.expiry {
        Expiry::Never if !policy.allow_never => Err(Refusal::NeverNotAllowed { max }),
        Expiry::At(at) if at <= setting.now => Err(Refusal::ExpiryInPast),
        Expiry::At(at) if at > setting.now.after(max) => Err(Refusal::LifetimeTooLong { max }),
        _ => Ok(()),
    }
}

/// The credentials that must end, and those that must go, for one more to fit.
fn displaced<'a>(
    setting: &Setting<'_>,
    principal: &'a PrincipalRecord,
) -> (Vec<&'a CredentialRef>, Vec<&'a CredentialRef>) {
    let policy = setting.policy.access_tokens();
    let live = live_count(setting, principal);
    let (max_live, max_kept) = (
        policy.max_live_per_principal as usize,
        policy.max_kept_per_principal as usize,
    );
    let over = |count: usize, max: usize| count.saturating_add(1).saturating_sub(max);

    let to_evict = match policy.at_limit {
        AtLimit::EvictOldest => over(live, max_live),
        AtLimit::Deny => 0,
    };
    let is_live = |entry: &&CredentialRef| entry.ends_at > setting.now;
    let of_kind = || principal.of_kind(CredentialKind::Access);
    let evicted: Vec<_> = of_kind().filter(is_live).take(to_evict).collect();
    let to_prune = over(of_kind().count(), max_kept);
    let pruned = of_kind()
        .filter(|entry| !is_live(entry))
        .take(to_prune)
        .collect();
    (evicted, pruned)
}

/// Evicts and prunes until one more token fits, or refuses.
fn make_room(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    batch: &mut Batch,
    record: &mut PrincipalRecord,
    grants: &[Option<Versioned<Grant>>],
) -> Result<(), Refusal> {
    let policy = setting.policy.access_tokens();
    let live = live_count(setting, record);
    let max = policy.max_live_per_principal as usize;
    if live >= max && policy.at_limit == AtLimit::Deny {
        return Err(Refusal::LimitReached { live, max });
    }

    let (evicted, pruned) = displaced(setting, record);
    let evicted: Vec<Selector> = evicted.iter().map(|entry| entry.selector).collect();
    let pruned: Vec<Selector> = pruned.iter().map(|entry| entry.selector).collect();
    let mut grants = grants.iter();
    for selector in evicted {
        record.note_end(selector, setting.now);
        // A grant that is not there any more needs no ending.
        if let Some(found) = grants.next().and_then(Option::as_ref) {
            evict(setting, fresh, batch, selector, found)?;
        }
    }
    for selector in pruned {
        record.forget(selector);
        let expect = Expect::as_loaded(grants.next().and_then(Option::as_ref));
        batch.delete(Key::grant(selector), expect);
        batch.delete(Key::usage(selector), Expect::Any);
    }

    let kept = record.of_kind(CredentialKind::Access).count();
    let max = policy.max_kept_per_principal as usize;
    if kept >= max {
        Err(Refusal::ListFull { kept, max })
    } else {
        Ok(())
    }
}

fn evict(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    batch: &mut Batch,
    selector: Selector,
    found: &Versioned<Grant>,
) -> Result<(), Refusal> {
    let mut grant = found.record.clone();
    grant.end = Some(GrantEnd {
        at: setting.now,
        cause: EndCause::Evicted,
    });
    batch.record_event(event(setting, fresh, EventKind::Evicted, selector, &grant)?);
    batch.put(
        Key::grant(selector),
        Expect::Version(found.version),
        Record::Grant(grant),
    );
    Ok(())
}

/// Makes the token and its grant.
pub(super) fn mint(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &PrincipalRecord,
    request: &NewToken,
) -> Result<Issued, Refusal> {
    let now = setting.now;
    let tag = setting.keyring.shard_tag(&request.principal);
    let selector = Selector::mint(now, tag, fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let verifier = Verifier::from_bytes(fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let grant = Grant {
        principal: request.principal.clone(),
        name: request.name.clone(),
        scopes: request.scopes.clone(),
        key_id: setting.keyring.current(),
        digest: digest(setting.keyring, selector, &verifier),
        created_at: now,
        expiry: request.expiry,
        stamp: stamp(setting, principal),
        predecessor: None,
        end: None,
    };
    Ok(Issued {
        token: SplitToken::new(CredentialKind::Access, selector, verifier),
        grant,
    })
}

fn digest(keyring: &Keyring, selector: Selector, verifier: &Verifier) -> crate::digest::Digest {
    keyring.digest(
        Some(keyring.current()),
        CredentialKind::Access,
        selector,
        verifier,
    )
}

fn stamp(setting: &Setting<'_>, principal: &PrincipalRecord) -> EpochStamp {
    EpochStamp {
        subsystem: setting
            .system
            .record
            .switch(Subsystem::AccessTokens)
            .epoch
            .number(),
        principal: principal.epoch.number(),
    }
}

/// The lifetime that is left to a token, for its successor.
pub(super) fn expiry_of_successor(
    setting: &Setting<'_>,
    grant: &Grant,
    asked: Option<Expiry>,
) -> Expiry {
    let kept = match grant.expiry {
        Expiry::Never => Expiry::Never,
        // As long as the old one was meant to live, counted from now.
        Expiry::At(at) => Expiry::At(setting.now.after(at.since(grant.created_at))),
    };
    let expiry = asked.unwrap_or(kept);
    match expiry {
        Expiry::At(at) if at == Timestamp::MAX => Expiry::Never,
        other => other,
    }
}
