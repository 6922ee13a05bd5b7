//! Issuing an access token: the switch, the principal and the limit are held to in one commit.

use super::life::age_of_new;
use super::room::make_room;
use super::{Decision, Refusal, Setting, event};
use crate::epoch::EpochStamp;
use crate::event::EventKind;
use crate::grant::{Expiry, Grant};
use crate::kind::CredentialKind;
use crate::principal::{CredentialRef, Principal, PrincipalRecord, PrincipalState};
use crate::principals::begun;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::scope::ScopeSet;
use crate::secret::Fresh;
use crate::selector::Selector;
use crate::system::Subsystem;
use crate::text::TokenName;
use crate::token::SplitToken;

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
    pub token: Box<SplitToken>,
    /// The record that was written.
    pub grant: Grant,
}

/// Issues a token, if switch, principal, limit and policy allow it.
///
/// `displaced_grants` are what was found under the keys that
/// [`keys_to_issue`](super::keys_to_issue) names in the same setting, in that order.
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
        None => begun(setting, fresh, &request.principal)?,
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
        ends_at: request.expiry.instant(),
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
        return Err(Refusal::SwitchedOff(Subsystem::AccessTokens));
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
    within_policy(setting, request.expiry)
}

/// Whether a new token may have this expiry.
pub(super) fn within_policy(setting: &Setting<'_>, expiry: Expiry) -> Result<(), Refusal> {
    let policy = setting.policy.access_tokens();
    let max = policy.max_lifetime;
    match expiry {
        Expiry::Never if !policy.allow_never => Err(Refusal::NeverNotAllowed { max }),
        Expiry::At(at) if at <= setting.now => Err(Refusal::ExpiryInPast),
        Expiry::At(at) if at > setting.now.after(max) => Err(Refusal::LifetimeTooLong { max }),
        _ => Ok(()),
    }
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
    let age = age_of_new(setting, principal);
    let selector = Selector::mint(age, tag, fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let token = SplitToken::mint(CredentialKind::Access, selector, fresh);
    let token = token.ok_or(Refusal::NotEnoughRandomness)?;
    let grant = Grant {
        principal: request.principal.clone(),
        name: request.name.clone(),
        scopes: request.scopes.clone(),
        key_id: setting.keyring.current(),
        digest: setting.keyring.digest_new(&token),
        created_at: now,
        expiry: request.expiry,
        stamp: stamp(setting, principal),
        predecessor: None,
        end: None,
    };
    Ok(Issued { token, grant })
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
