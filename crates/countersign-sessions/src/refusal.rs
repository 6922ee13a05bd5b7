//! Why a presented session token is refused, and why a change to a session is not made.
//!
//! Both are values: an everyday outcome is no failure of the table, which has none.

use crate::attribute::AttributeFault;
use crate::ended::Gone;
use countersign_core::Rejection;

/// Why a presented session token did not let its bearer in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No session has its selector, or its secret is wrong, or it is no session token.
    #[error("{0}")]
    Rejected(Rejection),
    /// It was a session's, which has ended; told only to whoever presents its secret.
    #[error("the session has ended: {}", .0.by)]
    Gone(Gone),
}

/// Why something that was asked of the table is not done. Nothing was changed, except that
/// sessions whose time was over may have been found to be so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// No session has this selector, nor is one remembered that had it.
    #[error("no session has this selector")]
    Unknown,
    /// The session has ended and does not come back.
    #[error("the session has ended: {}", .0.by)]
    Gone(Gone),
    /// Another request gave the session a new token in the meantime.
    #[error("another request has renewed the session")]
    Renewed,
    /// The epochs that it was opened under have moved on by more than what it outlives.
    #[error("the session is over: what it was opened under was revoked")]
    Fallen,
    /// The table is full of sessions that must not make way.
    #[error("there are as many sessions as there may be")]
    Full,
    /// The principal has as many sessions as policy allows.
    #[error("the principal has {live} sessions; at most {max} are allowed: end one first")]
    LimitReached {
        /// How many there are.
        live: usize,
        /// How many there may be.
        max: usize,
    },
    /// A remember-me credential is no fresh authentication.
    #[error("a remember-me credential does not count as fresh authentication")]
    NotPresent,
    /// Nobody is logged in.
    #[error("the session is anonymous")]
    Anonymous,
    /// The change does not fit the session's attributes.
    #[error(transparent)]
    Attributes(#[from] AttributeFault),
    /// The session's privilege has changed as often as it can.
    #[error("the session's privilege cannot change again: log in anew")]
    Exhausted,
    /// The random bytes met those of another session, once in 2^40 times: draw others.
    #[error("the selector is taken: draw again")]
    Collision,
    /// The caller did not hand in enough random bytes: a fault of the caller.
    #[error("not enough random bytes were handed in")]
    NotEnoughRandomness,
}
