//! Decisions about a subsystem as a whole: switch it on or off, and end everything it issued.

use crate::decision::{Decision, Refusal, Setting, new_event};
use crate::event::EventKind;
use crate::record::{Batch, Expect, Key, Record};
use crate::secret::Fresh;
use crate::system::{Subsystem, SystemRecord};
use crate::text::Reason;

/// What is to be done with a subsystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchAction {
    /// Accept and issue again. Nothing that was issued before it was switched off comes back.
    On,
    /// Accept and issue nothing; everything issued so far is dead for good.
    Off,
    /// End everything issued so far, and go on issuing.
    RevokeAll,
}

impl SwitchAction {
    const fn event(self) -> EventKind {
        match self {
            Self::On => EventKind::SwitchedOn,
            Self::Off => EventKind::SwitchedOff,
            Self::RevokeAll => EventKind::SubsystemRevoked,
        }
    }

    /// Whether it shuts somebody out.
    #[must_use]
    pub const fn denies(self) -> bool {
        !matches!(self, Self::On)
    }
}

/// Carries out an action on a subsystem. Switching on what is on, or off what is off, writes
/// nothing.
///
/// # Errors
/// When epoch numbers or randomness run out.
pub fn act(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    subsystem: Subsystem,
    action: SwitchAction,
    reason: Option<&Reason>,
) -> Result<Decision<SystemRecord>, Refusal> {
    let mut record = setting.system.record.clone();
    let switch = record.switch_mut(subsystem);
    let advanced = switch
        .epoch
        .advanced(setting.now)
        .ok_or(Refusal::EpochsExhausted);
    match action {
        SwitchAction::On => switch.on = true,
        SwitchAction::Off if !switch.on => {}
        SwitchAction::Off => (switch.on, switch.epoch) = (false, advanced?),
        SwitchAction::RevokeAll => switch.epoch = advanced?,
    }

    let mut batch = if action.denies() {
        Batch::deny()
    } else {
        Batch::grow()
    };
    if record != setting.system.record {
        let mut told = new_event(setting.now, fresh, action.event())?;
        told.subsystem = Some(subsystem);
        told.reason = reason.cloned();
        let expect = Expect::Version(setting.system.version);
        batch.put(Key::SYSTEM, expect, Record::System(record.clone()));
        batch.record_event(told);
    }
    Ok(Decision {
        outcome: record,
        batch,
    })
}

#[cfg(test)]
mod tests;
