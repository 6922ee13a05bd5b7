//! How and when a session was authenticated, and until when that counts as fresh.
//!
//! NIST SP 800-63B calls the renewal of it reauthentication. A remember-me credential proves that
//! a device was signed in once, not that its holder is here now: it never counts as fresh.

use core::fmt;
use countersign_core::Timestamp;

/// How somebody was authenticated. The codes stand in snapshots and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Method {
    /// A password, given just then.
    Password = 1,
    /// Another party's word: single sign-on.
    Federated = 2,
    /// More than one factor, given just then.
    MultiFactor = 3,
    /// A remember-me credential: nobody gave anything.
    RememberMe = 4,
    /// Something that the host knows how to judge.
    Other = 5,
}

impl Method {
    /// Every method, in the order of their codes.
    pub const ALL: [Self; 5] = [
        Self::Password,
        Self::Federated,
        Self::MultiFactor,
        Self::RememberMe,
        Self::Other,
    ];

    /// The byte that stands for it in a snapshot.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The method that `code` stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }

    /// Its name in lists and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Federated => "federated",
            Self::MultiFactor => "multi-factor",
            Self::RememberMe => "remember-me",
            Self::Other => "other",
        }
    }

    /// Whether whoever used it was there at that moment.
    #[must_use]
    pub const fn is_presence(self) -> bool {
        !matches!(self, Self::RememberMe)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The last authentication of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// How.
    pub method: Method,
    /// When.
    pub at: Timestamp,
    /// Until when it counts as fresh, if it still does.
    pub fresh_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_only_remember_me_is_no_presence() {
        for method in Method::ALL {
            assert_eq!(Method::from_code(method.code()), Some(method));
            assert_eq!(method.is_presence(), method.name() != "remember-me");
            assert_eq!(format!("{method:>12}").trim(), method.name());
        }
        assert_eq!(Method::from_code(0), None);
        assert_eq!(Method::from_code(6), None);
    }
}
