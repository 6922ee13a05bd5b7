//! Secrets that cannot be printed, copied, compared or serialised by accident.
//!
//! Each is wiped when dropped and leaves only by `expose`. Wiping reaches the value itself, not
//! copies that the compiler or a hash function left on the stack: `docs/THREAT_MODEL.md` says so.

use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of a verifier.
pub const VERIFIER_BYTES: usize = 28;

/// The secret half of a split token: 224 random bits, shown once and never stored.
pub struct Verifier([u8; VERIFIER_BYTES]);

impl Verifier {
    /// Takes fresh random bytes, or those of a presented token.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; VERIFIER_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, for hashing and for writing the token's text.
    #[must_use]
    pub const fn expose(&self) -> &[u8; VERIFIER_BYTES] {
        &self.0
    }
}

/// A 32-byte key.
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes key bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for keying a hash and for writing a key file.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A text that holds a secret, such as a token as its owner gets to see it once.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one who may see it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Random bytes for one decision, taken from the caller and used up front to back.
///
/// A decision takes what it needs with [`Fresh::take`]; asking for more than there is gives
/// `None`, never a repeated or a zero byte.
///
/// The bytes stay where they are when it is moved, so that wiping them leaves none behind.
pub struct Fresh {
    bytes: Box<[u8; Self::LEN]>,
    used: usize,
}

impl Fresh {
    /// How many random bytes a decision may use.
    pub const LEN: usize = 96;

    /// Takes [`Fresh::LEN`] bytes from a cryptographic source.
    #[must_use]
    pub fn new(bytes: [u8; Self::LEN]) -> Self {
        Self {
            bytes: Box::new(bytes),
            used: 0,
        }
    }

    /// The same from whoever fills them in place.
    ///
    /// # Errors
    /// What `fill` answers.
    pub fn filled<E>(fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut fresh = Self::new([0; Self::LEN]);
        fill(fresh.bytes.as_mut_slice())?;
        Ok(fresh)
    }

    /// Makes a secret of the next bytes, in place: no copy of it is left on the way.
    pub(crate) fn fill(&mut self, secret: &mut Verifier) -> Option<()> {
        secret.0.copy_from_slice(self.next(VERIFIER_BYTES)?);
        Some(())
    }

    /// The next `N` bytes, or `None` when they have run out.
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.next(N)?.first_chunk().copied()
    }

    fn next(&mut self, len: usize) -> Option<&[u8]> {
        let end = self.used.checked_add(len)?;
        let next = self.bytes.get(self.used..end)?;
        self.used = end;
        Some(next)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for Fresh {}

/// As slices, which are wiped at one go and not byte by byte.
macro_rules! wiped {
    ($($name:ident),*) => {$(
        impl Zeroize for $name {
            #[inline]
            fn zeroize(&mut self) {
                self.0.as_mut_slice().zeroize();
            }
        }

        impl Drop for $name {
            #[inline]
            fn drop(&mut self) {
                self.zeroize();
            }
        }

        impl ZeroizeOnDrop for $name {}
    )*};
}
wiped!(Verifier, SecretKey);

macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(redacted)"))
            }
        }
    )*};
}
redacted!(Verifier, SecretKey, SecretText, Fresh);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_byte_of_the_secret() {
        assert_eq!(
            format!("{:?}", Verifier::from_bytes([7; 28])),
            "Verifier(redacted)"
        );
        assert_eq!(
            format!("{:?}", SecretKey::from_bytes([7; 32])),
            "SecretKey(redacted)"
        );
        assert_eq!(
            format!("{:?}", SecretText::new("hush".into())),
            "SecretText(redacted)"
        );
        assert_eq!(
            format!("{:?}", Fresh::new([7; Fresh::LEN])),
            "Fresh(redacted)"
        );
    }

    #[test]
    fn fresh_bytes_are_used_once_and_run_out() {
        let mut fresh = Fresh::new(core::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(fresh.take::<2>(), Some([0, 1]));
        assert_eq!(fresh.take::<2>(), Some([2, 3]));
        assert!(fresh.take::<93>().is_none(), "only 92 are left");
        assert!(fresh.take::<92>().is_some());
        assert!(fresh.take::<1>().is_none());
    }
}
