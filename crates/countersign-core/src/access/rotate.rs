//! Rotating an access token: a new secret for the same name and scopes.
//!
//! The successor is a token of its own that names its predecessor. The old secret dies at once,
//! or after an overlap in which both work, so that a deployment can change over; an old token in
//! its overlap does not count against the limit.

use super::issue::{Issued, NewToken, mint, within_policy};
use super::life::end_of;
use super::room::make_room_unseen;
use super::{Decision, FiledGrant, GrantState, Refusal, Setting, event, state_of};
use crate::event::EventKind;
use crate::grant::{EndCause, Expiry, Grant, GrantEnd};
use crate::kind::CredentialKind;
use crate::principal::{CredentialRef, PrincipalRecord, PrincipalState};
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::system::Subsystem;
use core::time::Duration;

/// How a token is to be rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// How long the old secret still works.
    pub overlap: Duration,
    /// When the successor dies; without it, it lives as long as the old one was meant to, within
    /// the policy of today.
    pub expiry: Option<Expiry>,
}

/// Replaces a live token.
///
/// # Errors
/// Why it is refused.
pub fn rotate(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    old: FiledGrant<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
    rotation: Rotation,
) -> Result<Decision<Issued>, Refusal> {
    let principal = principal.ok_or(Refusal::NotFound)?;
    may_rotate(setting, old, &principal.record, rotation)?;

    let request = NewToken {
        principal: old.grant.principal.clone(),
        name: old.grant.name.clone(),
        scopes: old.grant.scopes.clone(),
        expiry: rotation
            .expiry
            .unwrap_or_else(|| kept_expiry(setting, old.grant)),
    };
    within_policy(setting, request.expiry)?;
    let mut batch = Batch::grow();
    batch.keep(Key::SYSTEM, Expect::Version(setting.system.version));
    let mut record = principal.record.clone();
    make_room_unseen(setting, &mut batch, &mut record)?;

    let mut issued = mint(setting, fresh, &principal.record, &request)?;
    issued.grant.predecessor = Some(old.selector);
    let successor = issued.token.selector();

    let mut replaced = old.grant.clone();
    let dies_at = setting.now.after(rotation.overlap);
    let dies_at = dies_at.min(end_of(setting.policy, old.grant));
    replaced.end = Some(GrantEnd {
        at: dies_at,
        cause: EndCause::Rotated(successor),
    });

    // Off the count at once: its overlap must not cost its owner a place.
    record.note_end(old.selector, setting.now);
    record.credentials.push(CredentialRef {
        kind: CredentialKind::Access,
        selector: successor,
        ends_at: request.expiry.instant(),
    });

    let mut told = event(setting, fresh, EventKind::Rotated, old.selector, old.grant)?;
    told.successor = Some(successor);
    let filed = Key::principal(setting.keyring.principal_key(&old.grant.principal));
    batch.put(
        filed,
        Expect::Version(principal.version),
        Record::Principal(record),
    );
    let key = Key::grant(old.selector);
    batch.put(key, Expect::Version(old.version), Record::Grant(replaced));
    batch.put(
        Key::grant(successor),
        Expect::Absent,
        Record::Grant(issued.grant.clone()),
    );
    batch.record_event(told);
    Ok(Decision {
        outcome: issued,
        batch,
    })
}

fn may_rotate(
    setting: &Setting<'_>,
    old: FiledGrant<'_>,
    principal: &PrincipalRecord,
    rotation: Rotation,
) -> Result<(), Refusal> {
    if !setting.system.record.is_on(Subsystem::AccessTokens) {
        return Err(Refusal::SwitchedOff(Subsystem::AccessTokens));
    }
    if principal.state == PrincipalState::Disabled {
        return Err(Refusal::Disabled);
    }
    let state = state_of(setting, old.grant, Some(principal));
    if state != GrantState::Live {
        return Err(Refusal::NotLive(state));
    }
    let max = setting.policy.access_tokens().max_overlap;
    if rotation.overlap > max {
        return Err(Refusal::OverlapTooLong { max });
    }
    Ok(())
}

/// The expiry of a successor for which none was asked: as long as the old token was meant to
/// live, counted from now, or as long as the policy of today allows.
fn kept_expiry(setting: &Setting<'_>, grant: &Grant) -> Expiry {
    let policy = setting.policy.access_tokens();
    let span = match grant.expiry {
        Expiry::Never if policy.allow_never => return Expiry::Never,
        Expiry::Never => policy.max_lifetime,
        Expiry::At(at) => at.since(grant.created_at).min(policy.max_lifetime),
    };
    Expiry::At(setting.now.after(span))
}
