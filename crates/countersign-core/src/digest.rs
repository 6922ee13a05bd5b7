//! The keyed hash of a credential's secret, and the one place where two of them are compared.
//!
//! Invariant I4: a presented secret is compared here and nowhere else.
//! The comparison is `blake3::Hash`'s, which is constant time by its documentation; the digest
//! has no `Deref` and no `AsRef`, so no other comparison happens by accident.

use crate::kind::CredentialKind;
use crate::secret::{SecretKey, VERIFIER_BYTES, Verifier};
use crate::selector::Selector;
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

/// The one place where a presented secret is compared.
impl PartialEq for Digest {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        #[cfg(test)]
        work::compared();
        self.0 == other.0
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
        input.zeroize();
        digest
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
    fn key_kind_selector_and_verifier_all_count() {
        let base = digest(1, CredentialKind::Access, 1, 1);
        assert_eq!(base, digest(1, CredentialKind::Access, 1, 1));
        assert_ne!(base, digest(2, CredentialKind::Access, 1, 1));
        assert_ne!(base, digest(1, CredentialKind::Remember, 1, 1));
        assert_ne!(base, digest(1, CredentialKind::Access, 2, 1));
        assert_ne!(base, digest(1, CredentialKind::Access, 1, 2));
    }

    #[test]
    fn debug_prints_no_byte() {
        assert_eq!(
            format!("{:?}", digest(1, CredentialKind::Access, 1, 1)),
            "Digest(..)"
        );
    }
}
