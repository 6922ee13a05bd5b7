//! How sessions end: four words, and what is told of each end.
//!
//! The table logs nothing: every call that ends a session answers what it ended as a value, and
//! the engine makes events of that.

use crate::owner::Owner;
use core::fmt;
use countersign_core::{Selector, Timestamp};

/// What ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EndedBy {
    /// The principal signed out, here or from a list of their sessions.
    Principal,
    /// A log-in opened another session in its place.
    LogIn,
    /// The principal's credentials changed.
    CredentialsChanged,
    /// An operator, or whoever revoked the remembered device that it was linked to.
    Operator,
    /// A credential of the principal was stolen.
    Theft,
    /// Nobody used it for its idle timeout.
    Idle,
    /// It had lived for its absolute timeout.
    Absolute,
    /// The table was full, or held as many anonymous sessions as it may.
    Room,
    /// The principal opened more sessions than one may have.
    Limit,
}

/// The four words for ends, each an audit event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndWord {
    /// By the principal.
    End,
    /// By an operator, or after theft.
    Revoke,
    /// By time.
    Expire,
    /// For room.
    Evict,
}

impl EndedBy {
    /// Every way.
    pub const ALL: [Self; 9] = [
        Self::Principal,
        Self::LogIn,
        Self::CredentialsChanged,
        Self::Operator,
        Self::Theft,
        Self::Idle,
        Self::Absolute,
        Self::Room,
        Self::Limit,
    ];

    /// Which of the four words it is.
    #[must_use]
    pub const fn word(self) -> EndWord {
        match self {
            Self::Principal | Self::LogIn | Self::CredentialsChanged => EndWord::End,
            Self::Operator | Self::Theft => EndWord::Revoke,
            Self::Idle | Self::Absolute => EndWord::Expire,
            Self::Room | Self::Limit => EndWord::Evict,
        }
    }

    /// Its name in events and lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::LogIn => "log-in",
            Self::CredentialsChanged => "credentials-changed",
            Self::Operator => "operator",
            Self::Theft => "theft",
            Self::Idle => "idle",
            Self::Absolute => "absolute",
            Self::Room => "room",
            Self::Limit => "limit",
        }
    }
}

impl fmt::Display for EndedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A session that has just ended, for the audit log. Told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which it was.
    pub selector: Selector,
    /// Whose it was; `None` for an anonymous one.
    pub owner: Option<Owner>,
    /// What ended it.
    pub by: EndedBy,
    /// When the table ended it; a time that had run out may have done so earlier.
    pub at: Timestamp,
    /// The remember-me series that it was linked to.
    pub series: Option<Selector>,
}

/// A session that is no more, as a late request or form is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What ended it.
    pub by: EndedBy,
    /// When.
    pub at: Timestamp,
}

/// What a call comes to, and the sessions that it ended on the way.
///
/// Any call may find that a session's time is over, or need room: whatever its outcome, refusals
/// included, what it ended stands here once and nowhere else.
#[derive(Debug)]
#[must_use = "what was ended is told here alone"]
pub struct Done<T> {
    /// The outcome.
    pub outcome: T,
    /// What was ended, in that order.
    pub ended: Vec<Ended>,
}

impl<T> Done<T> {
    #[inline]
    pub(crate) fn of(work: impl FnOnce(&mut Vec<Ended>) -> T) -> Self {
        let mut ended = Vec::new();
        let outcome = work(&mut ended);
        Self { outcome, ended }
    }
}

impl<T, E> Done<Result<T, E>> {
    /// The same with something else of what was done.
    #[inline]
    pub(crate) fn map<U>(self, map: impl FnOnce(T) -> U) -> Done<Result<U, E>> {
        Done {
            outcome: self.outcome.map(map),
            ended: self.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_a_name_of_its_own_and_one_of_the_four_words() {
        let names: std::collections::BTreeSet<_> = EndedBy::ALL.map(EndedBy::name).into();
        assert_eq!(names.len(), EndedBy::ALL.len());
        let count = |word| EndedBy::ALL.iter().filter(|by| by.word() == word).count();
        let words = [
            EndWord::End,
            EndWord::Revoke,
            EndWord::Expire,
            EndWord::Evict,
        ];
        assert_eq!(words.map(count), [3, 2, 2, 2]);
    }
}
