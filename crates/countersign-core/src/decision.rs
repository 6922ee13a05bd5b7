//! What every decision is made in, comes to, and may be refused for.

use crate::access::GrantState;
use crate::event::{Event, EventKind};
use crate::keys::Keyring;
use crate::policy::{Policy, format_span};
use crate::record::{Batch, Versioned};
use crate::secret::Fresh;
use crate::selector::{Selector, ShardTag};
use crate::system::{Subsystem, SystemRecord};
use crate::time::Timestamp;
use core::time::Duration;

/// What every decision is made in: the instant, the keys, the policy and the system record.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The instant of the decision.
    pub now: Timestamp,
    /// The keys.
    pub keyring: &'a Keyring,
    /// The policy.
    pub policy: &'a Policy,
    /// The system record, as it was loaded.
    pub system: &'a Versioned<SystemRecord>,
}

/// What a decision comes to: its outcome, and the writes that make it so.
#[derive(Debug)]
pub struct Decision<T> {
    /// The outcome, to be told once the batch is committed.
    pub outcome: T,
    /// The writes.
    pub batch: Batch,
}

/// Why something that was asked for is refused. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The subsystem is off.
    #[error("{}", switched_off(*.0))]
    SwitchedOff(Subsystem),
    /// Image tokens are off, in one of the three ways.
    #[error(
        "image tokens are off: by their switch, by the access tokens' switch, or by an expiry of 0"
    )]
    ImageTokensOff,
    /// Something was ended at this very instant, or by a clock that ran ahead: an image token
    /// that is signed before its epoch's instant could not be ended any more.
    #[error("an epoch begins only at {at}: no image token is signed before")]
    NotYet {
        /// When it may be signed.
        at: Timestamp,
    },
    /// The principal may not have any.
    #[error("the principal is disabled")]
    Disabled,
    /// The principal has as many live tokens as policy allows.
    #[error("the principal has {live} live tokens; at most {max} are allowed: revoke one first")]
    LimitReached {
        /// How many there are.
        live: usize,
        /// How many there may be.
        max: usize,
    },
    /// The principal's list is full of tokens that must be kept.
    #[error("{kept} tokens of the principal are kept; at most {max} are: wait for pruning")]
    ListFull {
        /// How many there are.
        kept: usize,
        /// How many there may be.
        max: usize,
    },
    /// Every token must have an expiry.
    #[error("a token without expiry is not allowed; the longest lifetime is {}", format_span(*max))]
    NeverNotAllowed {
        /// The longest lifetime.
        max: Duration,
    },
    /// It would live too long.
    #[error("the expiry is too far ahead; the longest lifetime is {}", format_span(*max))]
    LifetimeTooLong {
        /// The longest lifetime.
        max: Duration,
    },
    /// It would be dead at once.
    #[error("the expiry is not in the future")]
    ExpiryInPast,
    /// The name is over the policy's bound.
    #[error("the token's name has {chars} characters; at most {max} are allowed")]
    NameTooLong {
        /// How many it has.
        chars: usize,
        /// How many it may have.
        max: usize,
    },
    /// More scopes than policy allows.
    #[error("{count} scopes; at most {max} are allowed")]
    TooManyScopes {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// The overlap of a rotation is too long.
    #[error("the overlap is too long; the longest is {}", format_span(*max))]
    OverlapTooLong {
        /// The longest overlap.
        max: Duration,
    },
    /// There is no such token or device.
    #[error("no credential has this selector")]
    NotFound,
    /// The token is dead already, or has been rotated.
    #[error("the token is {0} and cannot be rotated")]
    NotLive(GrantState),
    /// No more epochs are left for this principal or subsystem.
    #[error("the epoch numbers are used up")]
    EpochsExhausted,
    /// The engine did not hand in enough random bytes: a fault of the caller.
    #[error("not enough random bytes were handed in")]
    NotEnoughRandomness,
}

/// What the operator's command says of a subsystem that is off.
const fn switched_off(subsystem: Subsystem) -> &'static str {
    match subsystem {
        Subsystem::AccessTokens => "access tokens are switched off",
        Subsystem::RememberMe => "remember-me is switched off",
        Subsystem::ImageTokens => "image tokens are switched off",
        Subsystem::Sessions => "sessions are switched off",
    }
}

/// A new audit event of this instant.
pub(crate) fn new_event(
    now: Timestamp,
    fresh: &mut Fresh,
    kind: EventKind,
) -> Result<Event, Refusal> {
    let random = fresh.take().ok_or(Refusal::NotEnoughRandomness)?;
    Ok(Event::new(
        Selector::mint(now, ShardTag::NONE, random),
        now,
        kind,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_switched_off_is_named_to_whoever_is_refused() {
        for subsystem in Subsystem::ALL {
            let told = Refusal::SwitchedOff(subsystem).to_string();
            let named = told.replace(' ', "-").starts_with(subsystem.name());
            assert!(named && told.ends_with(" switched off"), "{told}");
        }
    }
}
