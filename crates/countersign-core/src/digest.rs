//! The keyed hash of a credential's secret, and the one place where two of them are compared.
//!
//! Invariant I4: a presented secret is compared here and nowhere else.
//! The comparison is `blake3::Hash`'s, which is constant time by its documentation; neither the
//! digest nor the MAC has `Deref` or `AsRef`, so no other comparison happens by accident.

use crate::kind::CredentialKind;
use crate::secret::{SecretKey, VERIFIER_BYTES, Verifier};
use crate::selector::Selector;
use crate::told::told;
#[cfg(test)]
use crate::work;
use core::fmt;
use zeroize::Zeroize;

/// Bytes of a digest.
pub const DIGEST_BYTES: usize = 32;
/// Bytes that go into one: kind, selector, verifier. They fit one block of the hash.
const INPUT_BYTES: usize = 1 + 16 + VERIFIER_BYTES;

/// A stored keyed hash of (kind, selector, verifier).
///
/// Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Eq)]
pub struct Digest(blake3::Hash);

/// Where a presented secret is compared, and nowhere else.
impl PartialEq for Digest {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::compared();
        told(self.0 == other.0)
    }
}

impl Digest {
    /// Takes stored bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    /// The bytes, for the record codec.
    #[must_use]
    pub const fn expose(&self) -> &[u8; DIGEST_BYTES] {
        self.0.as_bytes()
    }

    /// Hashes a credential under `key`.
    #[must_use]
    pub(crate) fn compute(
        key: &SecretKey,
        kind: CredentialKind,
        selector: Selector,
        verifier: &Verifier,
    ) -> Self {
        #[cfg(test)]
        work::hashed();
        let mut input = [0u8; INPUT_BYTES];
        let (head, tail) = input.split_at_mut(17);
        if let Some((first, rest)) = head.split_first_mut() {
            *first = kind.code();
            rest.copy_from_slice(&selector.to_bytes());
        }
        tail.copy_from_slice(verifier.expose());
        let digest = Self(blake3::keyed_hash(key.expose(), &input));
        // As a slice, which is wiped at one go.
        input.as_mut_slice().zeroize();
        digest
    }
}

/// The code of a form token or the signature of an image token: computed here, or presented.
///
/// Comparing two takes the same time wherever they differ.
#[derive(Clone, Copy, Eq)]
pub(crate) struct Mac(blake3::Hash);

/// Where a presented code or signature is compared, and nowhere else.
impl PartialEq for Mac {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::compared();
        told(self.0 == other.0)
    }
}

impl Mac {
    /// Takes the 32 bytes of a signature.
    pub(crate) const fn from_32(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    /// Takes the 16 bytes of a form token's code.
    pub(crate) fn from_16(bytes: [u8; 16]) -> Self {
        let mut padded = [0; 32];
        let (front, _) = padded.split_at_mut(16);
        front.copy_from_slice(&bytes);
        Self::from_32(padded)
    }

    /// The bytes, for writing a token; those of a form token are followed by zeros.
    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl Zeroize for Mac {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// Good for a request, until somebody else has it.
impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(redacted)")
    }
}

/// A digest is not secret, but neither is it for logs: two equal ones would show in them.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::ShardTag;
    use crate::time::Timestamp;

    fn digest(key: u8, kind: CredentialKind, ms: u64, verifier: u8) -> Digest {
        let selector = Selector::mint(Timestamp::from_millis(ms), ShardTag::NONE, [0; 8]);
        let verifier = Verifier::from_bytes([verifier; VERIFIER_BYTES]);
        Digest::compute(&SecretKey::from_bytes([key; 32]), kind, selector, &verifier)
    }

    #[test]
    fn a_tag_that_is_wiped_is_nobodys() {
        let mut mac = Mac::from_32([7; 32]);
        mac.zeroize();
        assert_eq!(mac.expose(), &[0; 32]);
    }

    #[test]
    fn key_kind_selector_and_verifier_all_count() {
        let base = digest(1, CredentialKind::Access, 1, 1);
        assert_eq!(base, digest(1, CredentialKind::Access, 1, 1));
        assert_ne!(base, digest(2, CredentialKind::Access, 1, 1));
        assert_ne!(base, digest(1, CredentialKind::Remember, 1, 1));
        assert_ne!(base, digest(1, CredentialKind::Access, 2, 1));
        assert_ne!(base, digest(1, CredentialKind::Access, 1, 2));
    }

    #[test]
    fn every_byte_of_a_mac_counts() {
        let long: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        for place in 0..32 {
            let mut other = long;
            other[place] ^= 0x80;
            assert_ne!(Mac::from_32(long), Mac::from_32(other), "{place}");
        }
        let short: [u8; 16] = core::array::from_fn(|i| u8::try_from(i).unwrap());
        for place in 0..16 {
            let mut other = short;
            other[place] ^= 1;
            assert_ne!(Mac::from_16(short), Mac::from_16(other), "{place}");
        }
        assert_eq!(Mac::from_16(short), Mac::from_16(short));
        assert_eq!(format!("{:?}", Mac::from_16(short)), "Mac(redacted)");
    }

    #[test]
    fn debug_prints_no_byte() {
        assert_eq!(
            format!("{:?}", digest(1, CredentialKind::Access, 1, 1)),
            "Digest(..)"
        );
    }
}
