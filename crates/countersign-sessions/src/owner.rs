//! The principal of a session as the table keeps it: a short name lies in the session itself.
//!
//! A shared text would cost another line of memory on every request, and its counter another
//! write; most names are short enough to be copied instead.

use core::fmt;
use countersign_core::{Keyring, Principal, PrincipalKey};

/// The longest name that is kept in place, in bytes.
const SHORT_MAX: usize = 22;

/// Whose session it is: the principal's name, cheap to copy where it is short.
#[derive(Clone, PartialEq, Eq)]
pub struct Owner(Name);

#[derive(Clone, PartialEq, Eq)]
enum Name {
    /// At most [`SHORT_MAX`] bytes; those past the length are zero.
    Short {
        len: u8,
        bytes: [u8; SHORT_MAX],
    },
    Long(Principal),
}

impl Owner {
    /// The name of `principal`.
    #[must_use]
    pub fn new(principal: &Principal) -> Self {
        let name = principal.as_str().as_bytes();
        let mut bytes = [0; SHORT_MAX];
        match (u8::try_from(name.len()), bytes.get_mut(..name.len())) {
            (Ok(len), Some(place)) => {
                place.copy_from_slice(name);
                Self(Name::Short { len, bytes })
            }
            _ => Self(Name::Long(principal.clone())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Short { len, bytes } => {
                let name = bytes.get(..usize::from(*len)).unwrap_or_default();
                // It was copied from a text, whole.
                core::str::from_utf8(name).unwrap_or_default()
            }
            Name::Long(principal) => principal.as_str(),
        }
    }

    /// The key under which the principal's record is filed.
    #[must_use]
    pub fn key(&self, keyring: &Keyring) -> PrincipalKey {
        keyring.principal_key_of(self.as_str())
    }

    /// The principal; `None` does not happen, since the name was a principal's.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        match &self.0 {
            Name::Short { .. } => Principal::new(self.as_str()).ok(),
            Name::Long(principal) => Some(principal.clone()),
        }
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<Principal> for Owner {
    fn eq(&self, principal: &Principal) -> bool {
        self.as_str() == principal.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        for len in [1, 21, 22, 23, 255] {
            let principal = Principal::new(&"n".repeat(len)).unwrap();
            let owner = Owner::new(&principal);
            assert_eq!(owner.as_str(), principal.as_str());
            assert_eq!(owner.principal(), Some(principal.clone()));
            assert!(owner == principal && owner == Owner::new(&principal));
            assert!(owner != Principal::new("somebody else").unwrap());
            let shown = principal.as_str();
            assert_eq!(format!("{owner} {owner:?}"), format!("{shown} {shown:?}"));
        }
        let wide = Principal::new("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}").unwrap();
        assert_eq!(Owner::new(&wide).as_str(), wide.as_str());
    }
}
