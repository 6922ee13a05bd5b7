//! Why a presented credential was refused. A refusal is a value, not an error.

use crate::token::MalformedToken;
use core::fmt;

/// Why a credential did not let its bearer in.
///
/// This is for the host, its logs and its operators; a stranger is told only that it was refused,
/// and every reason past parsing costs the same work to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// Longer than anything that is looked at.
    TooLong,
    /// No credential of this deployment by its form.
    Malformed,
    /// The form fits but the checksum does not: mistyped or cut.
    Checksum,
    /// No record has this selector, or a record that it needs is missing.
    Unknown,
    /// The secret is wrong.
    Mismatch,
    /// The subsystem is switched off.
    SwitchedOff,
    /// The principal is disabled.
    Disabled,
    /// It was revoked, evicted or rotated away, or an epoch has moved on.
    Revoked,
    /// Its time is over.
    Expired,
    /// It is good, but does not cover the scope that was required.
    Scope,
    /// A replaced secret came back.
    Reused,
    /// It names an instant that has not come: the clock has stepped back behind its signing.
    NotYet,
}

impl Rejection {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::TooLong,
        Self::Malformed,
        Self::Checksum,
        Self::Unknown,
        Self::Mismatch,
        Self::SwitchedOff,
        Self::Disabled,
        Self::Revoked,
        Self::Expired,
        Self::Scope,
        Self::Reused,
        Self::NotYet,
    ];

    /// The word that scripts rely on.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Checksum => "checksum",
            Self::Unknown => "unknown",
            Self::Mismatch => "mismatch",
            Self::SwitchedOff => "switched_off",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Scope => "scope",
            Self::Reused => "reused",
            Self::NotYet => "not_yet",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.reason())
    }
}

impl From<MalformedToken> for Rejection {
    fn from(fault: MalformedToken) -> Self {
        match fault {
            MalformedToken::Checksum => Self::Checksum,
            _ => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_token_is_told_from_what_is_no_token_at_all() {
        for (fault, reason) in [
            (MalformedToken::Length, Rejection::Malformed),
            (MalformedToken::Prefix, Rejection::Malformed),
            (MalformedToken::Digit, Rejection::Malformed),
            (MalformedToken::Overflow, Rejection::Malformed),
            (MalformedToken::Checksum, Rejection::Checksum),
            (MalformedToken::Version, Rejection::Malformed),
        ] {
            assert_eq!(Rejection::from(fault), reason, "{fault}");
        }
    }
}
