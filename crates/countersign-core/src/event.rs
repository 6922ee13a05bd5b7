//! Audit events: what happened to whom and why, written in the same commit as the thing itself.
//!
//! Events carry selectors, never verifiers (invariant I3).

use crate::image::AttachmentId;
use crate::kind::CredentialKind;
use crate::principal::Principal;
use crate::selector::Selector;
use crate::system::Subsystem;
use crate::text::Reason;
use crate::time::Timestamp;
use core::fmt;
use core::str::FromStr;

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// What happened. The codes are stored and never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum EventKind { $($(#[$doc])* $name = $code,)* }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in lists and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

event_kinds! {
    /// A credential was issued.
    Issued = 1, "issued";
    /// A credential was replaced by its successor.
    Rotated = 2, "rotated";
    /// A credential was ended by its owner or an operator.
    Revoked = 3, "revoked";
    /// A credential ended by time, as the sweep noted.
    Expired = 4, "expired";
    /// A credential was ended for room.
    Evicted = 5, "evicted";
    /// An old credential came back: theft or a lost race.
    Reused = 6, "reused";
    /// A principal was enabled.
    PrincipalEnabled = 10, "principal-enabled";
    /// A principal was disabled.
    PrincipalDisabled = 11, "principal-disabled";
    /// Everything issued to a principal was ended.
    PrincipalRevoked = 12, "principal-revoked";
    /// A principal's credentials changed: their sessions and remembered devices were ended.
    CredentialsChanged = 13, "credentials-changed";
    /// A subsystem was switched on.
    SwitchedOn = 20, "switched-on";
    /// A subsystem was switched off, which ends everything it had issued.
    SwitchedOff = 21, "switched-off";
    /// Everything a subsystem had issued was ended.
    SubsystemRevoked = 22, "subsystem-revoked";
    /// Every image token of an attachment was ended.
    AttachmentRevoked = 40, "attachment-revoked";
    /// The policy in the store was replaced.
    PolicySet = 30, "policy-set";
    /// A new pepper became current.
    KeysRotated = 31, "keys-rotated";
    /// A copied store was adopted.
    Adopted = 32, "adopted";
    /// Records were imported.
    Imported = 33, "imported";
}

impl EventKind {
    /// The byte that stands for it in records.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind that `code` stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of event has this name")]
pub struct NotAnEventKind;

impl FromStr for EventKind {
    type Err = NotAnEventKind;

    fn from_str(text: &str) -> Result<Self, NotAnEventKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.name() == text)
            .ok_or(NotAnEventKind)
    }
}

/// Which credential an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialName {
    /// What it is.
    pub kind: CredentialKind,
    /// Which it is.
    pub selector: Selector,
}

/// One line of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its own id, in the order of time.
    pub id: Selector,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// To whom, where it is about somebody.
    pub principal: Option<Principal>,
    /// To which credential, where it is about one.
    pub credential: Option<CredentialName>,
    /// To which subsystem, where it is about one.
    pub subsystem: Option<Subsystem>,
    /// The successor of a rotation.
    pub successor: Option<Selector>,
    /// What an operator gave as the reason.
    pub reason: Option<Reason>,
    /// To which attachment, where it is about one.
    pub attachment: Option<AttachmentId>,
}

impl Event {
    /// An event about nobody and nothing in particular yet.
    #[must_use]
    pub const fn new(id: Selector, at: Timestamp, kind: EventKind) -> Self {
        Self {
            id,
            at,
            kind,
            principal: None,
            credential: None,
            subsystem: None,
            successor: None,
            reason: None,
            attachment: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_distinct_and_round_trip() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::from_code(kind.code()), Some(kind));
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(format!("{kind:>20}").trim(), kind.name());
        }
        assert_eq!(EventKind::from_code(0), None);
    }
}
