//! The five kinds of credential, and the words that name them on the wire and in records.

use core::fmt;

/// What kind of credential something is.
///
/// The discriminant is part of every digest's input and of stored records: it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum CredentialKind {
    /// A personal access token: `csa_...`.
    Access = 1,
    /// A remember-me token: `csr_...`.
    Remember = 2,
    /// A session token: `css_...`.
    Session = 3,
    /// An image token, a JWT in a link of an e-mail.
    Image = 4,
    /// A form token.
    Csrf = 5,
}

impl CredentialKind {
    /// Every kind, in the order of their discriminants.
    pub const ALL: [Self; 5] = [
        Self::Access,
        Self::Remember,
        Self::Session,
        Self::Image,
        Self::Csrf,
    ];

    /// The byte that stands for the kind in digests and records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind that `code` stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The kind's name in logs and in the operator's command.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Remember => "remember",
            Self::Session => "session",
            Self::Image => "image",
            Self::Csrf => "csrf",
        }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_others_are_refused() {
        for kind in CredentialKind::ALL {
            assert_eq!(CredentialKind::from_code(kind.code()), Some(kind));
        }
        assert_eq!(CredentialKind::from_code(0), None);
        assert_eq!(CredentialKind::from_code(6), None);
    }

    #[test]
    fn a_kind_is_shown_by_its_name_as_wide_as_a_list_asks() {
        for kind in CredentialKind::ALL {
            let name = kind.name();
            assert_eq!(format!("{kind} {kind:<10}|"), format!("{name} {name:<10}|"));
        }
    }
}
