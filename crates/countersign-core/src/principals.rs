//! Decisions about a principal as a whole: enable, disable, and end everything they hold.

use crate::decision::{Decision, Refusal, Setting, new_event};
use crate::epoch::Epoch;
use crate::event::EventKind;
use crate::keys::Keyring;
use crate::kind::CredentialKind;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::text::Reason;

/// What is to be done with a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalAction {
    /// Let them in again.
    Enable,
    /// Accept no credential of theirs and issue none.
    Disable,
    /// End everything that was issued to them; they may get new ones.
    Revoke,
    /// End what their log-ins opened, sessions and remembered devices: their credentials changed.
    /// Access tokens and image tokens, which outlive log-ins, stay.
    CredentialsChanged,
}

impl PrincipalAction {
    const fn event(self) -> EventKind {
        match self {
            Self::Enable => EventKind::PrincipalEnabled,
            Self::Disable => EventKind::PrincipalDisabled,
            Self::Revoke => EventKind::PrincipalRevoked,
            Self::CredentialsChanged => EventKind::CredentialsChanged,
        }
    }

    /// Whether it shuts somebody out.
    #[must_use]
    pub const fn denies(self) -> bool {
        !matches!(self, Self::Enable)
    }
}

/// Carries out an action on a principal, known or not.
///
/// A principal without a record gets one, so that disabling somebody holds before their first
/// credential.
///
/// # Errors
/// When epoch numbers or randomness run out.
pub fn act(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &Principal,
    found: Option<&Versioned<PrincipalRecord>>,
    action: PrincipalAction,
    reason: Option<&Reason>,
) -> Result<Decision<PrincipalRecord>, Refusal> {
    let known = found.map(|found| found.record.clone());
    let mut record = match &known {
        Some(record) => record.clone(),
        None => begun(setting, fresh, principal)?,
    };
    match action {
        PrincipalAction::Enable => record.state = PrincipalState::Enabled,
        PrincipalAction::Disable => record.state = PrincipalState::Disabled,
        PrincipalAction::Revoke => {
            record.epoch = next(record.epoch, setting)?;
            record.logins = next(record.logins, setting)?;
            for entry in &mut record.credentials {
                entry.ends_at = entry.ends_at.min(setting.now);
            }
        }
        PrincipalAction::CredentialsChanged => {
            record.logins = next(record.logins, setting)?;
            let devices = record.credentials.iter_mut();
            for entry in devices.filter(|entry| entry.kind == CredentialKind::Remember) {
                entry.ends_at = entry.ends_at.min(setting.now);
            }
        }
    }

    let mut batch = if action.denies() {
        Batch::deny()
    } else {
        Batch::grow()
    };
    if known.as_ref() != Some(&record) {
        let mut told = new_event(setting.now, fresh, action.event())?;
        told.principal = Some(principal.clone());
        told.reason = reason.cloned();
        let key = Key::principal(setting.keyring.principal_key(principal));
        batch.put(
            key,
            Expect::as_loaded(found),
            Record::Principal(record.clone()),
        );
        batch.record_event(told);
    }
    Ok(Decision {
        outcome: record,
        batch,
    })
}

fn next(epoch: Epoch, setting: &Setting<'_>) -> Result<Epoch, Refusal> {
    epoch.advanced(setting.now).ok_or(Refusal::EpochsExhausted)
}

/// Writes a principal's record if the change makes a difference to it.
pub(crate) fn rewrite_list(
    keyring: &Keyring,
    batch: &mut Batch,
    found: &Versioned<PrincipalRecord>,
    change: impl FnOnce(&mut PrincipalRecord),
) {
    let mut record = found.record.clone();
    change(&mut record);
    if record != found.record {
        let key = Key::principal(keyring.principal_key(&record.principal));
        let expect = Expect::Version(found.version);
        batch.put(key, expect, Record::Principal(record));
    }
}

/// The record of a principal that has none.
pub(crate) fn begun(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &Principal,
) -> Result<PrincipalRecord, Refusal> {
    let random = fresh.take().ok_or(Refusal::NotEnoughRandomness)?;
    Ok(PrincipalRecord::begun(
        principal.clone(),
        setting.now,
        random,
    ))
}

#[cfg(test)]
mod tests;
