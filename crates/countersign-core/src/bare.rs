//! Bare ids: a session's credential of 16 bytes that is name and secret in one.
//!
//! Other libraries give a session a single random number, which their cookie carries. There is no
//! selector in it to find the session by, and none may be kept beside it in clear: whoever reads
//! memory, a dump or a snapshot must not be able to log in with what they find. So where its
//! session lies, and the verifier that is compared, are keyed hashes of it under keys of the root
//! key; the session's row keeps the digest of that verifier, as every other row does.
//!
//! All sessions of a principal lie in one shard, which a hash of the id cannot know. Its last
//! twelve bits are therefore the shard tag under a veil, which is a keyed hash of the others: who
//! has the root key reads the tag off, and to everybody else all 128 bits are random ones.

use crate::keys::Keyring;
use crate::secret::{VERIFIER_BYTES, Verifier};
use crate::selector::ShardTag;
#[cfg(test)]
use crate::work;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The bits of the last two bytes that are the veiled shard tag.
const TAG_BITS: u16 = 0x0fff;
/// In front of what the veil is a hash of.
const VEIL: u8 = 1;
/// In front of what a whole id is a hash of.
const WHOLE: u8 = 2;

/// A session's credential without a selector: 128 bits, random to everybody without the root key.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BareId([u8; Self::LEN]);

/// What a bare id stands for: where its session lies, and the secret that is compared.
#[derive(Debug)]
pub struct Unveiled {
    /// The shard of its session.
    pub tag: ShardTag,
    /// What the rest of its session's place is taken from; no secret.
    pub place: [u8; 8],
    /// The secret half of the session's token.
    pub verifier: Verifier,
}

impl BareId {
    /// How many bytes it has.
    pub const LEN: usize = 16;

    /// Takes the bytes of a presented id. Any bytes are one; only those that were minted open
    /// anything.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever sends them to the browser.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The first 116 bits, with zeros for the others; and the others.
    const fn halves(&self) -> ([u8; Self::LEN], u16) {
        let mut random = self.0;
        let [.., high, low] = &mut random;
        let last = u16::from_be_bytes([*high, *low]);
        [*high, *low] = (last & !TAG_BITS).to_be_bytes();
        (random, last & TAG_BITS)
    }
}

impl fmt::Debug for BareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BareId(redacted)")
    }
}

impl Keyring {
    /// A new bare id of `random` bytes, for a session in the shard of `tag`.
    ///
    /// The last twelve of the random bits make way for the tag: 116 remain secret to who has the
    /// root key, all 128 to everybody else.
    #[must_use]
    pub fn mint_bare(&self, tag: ShardTag, random: [u8; BareId::LEN]) -> BareId {
        let (mut bytes, _) = BareId(random).halves();
        let veiled = tag.bits() ^ self.veil_of(&bytes);
        let [.., high, low] = &mut bytes;
        let [veiled_high, veiled_low] = (veiled & TAG_BITS).to_be_bytes();
        *high |= veiled_high;
        *low |= veiled_low;
        BareId(bytes)
    }

    /// What a presented bare id stands for. The work is the same for every id.
    #[must_use]
    pub fn unveil(&self, id: &BareId) -> Unveiled {
        let (mut random, veiled) = id.halves();
        let tag = ShardTag::from_bits(veiled ^ self.veil_of(&random));
        random.zeroize();
        let mut derived = [0; VERIFIER_BYTES + 8];
        let mut hasher = blake3::Hasher::new_keyed(self.bare_key().expose());
        hasher.update(&[WHOLE]).update(&id.0);
        hasher.finalize_xof().fill(&mut derived);
        hasher.zeroize();
        #[cfg(test)]
        work::hashed();
        let (mut verifier, mut place) = ([0; VERIFIER_BYTES], [0; 8]);
        let (secret, public) = derived.split_at(VERIFIER_BYTES);
        verifier.copy_from_slice(secret);
        place.copy_from_slice(public);
        derived.zeroize();
        let unveiled = Unveiled {
            tag,
            place,
            verifier: Verifier::from_bytes(verifier),
        };
        verifier.zeroize();
        unveiled
    }

    fn veil_of(&self, random: &[u8; BareId::LEN]) -> u16 {
        let mut hasher = blake3::Hasher::new_keyed(self.bare_key().expose());
        hasher.update(&[VEIL]).update(random);
        let hash = hasher.finalize();
        hasher.zeroize();
        #[cfg(test)]
        work::hashed();
        let [high, low, ..] = hash.as_bytes();
        u16::from_be_bytes([*high, *low]) & TAG_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyMaterial;
    use crate::time::Timestamp;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn keyring(root: u8) -> Keyring {
        Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [root; 32], [2; 32]))
    }

    #[test]
    fn debug_prints_no_byte_of_it() {
        let id = BareId::from_bytes([7; 16]);
        assert_eq!(format!("{id:?}"), "BareId(redacted)");
        let unveiled = format!("{:?}", keyring(1).unveil(&id));
        assert!(unveiled.contains("Verifier(redacted)"), "{unveiled}");
    }

    #[test]
    fn ids_of_one_shard_do_not_show_it() {
        let keyring = keyring(1);
        let tag = ShardTag::from_bits(0xabc);
        let last = (0..=255).map(|n: u8| {
            let [.., high, low] = *keyring.mint_bare(tag, [n; 16]).expose();
            u16::from_be_bytes([high, low]) & TAG_BITS
        });
        let distinct: BTreeSet<u16> = last.collect();
        assert!(distinct.len() > 200, "{}", distinct.len());
    }

    #[test]
    fn every_bit_counts_and_so_does_the_root_key() {
        let mut seen = BTreeSet::new();
        let mut note = |root: u8, bytes: [u8; 16]| {
            let unveiled = keyring(root).unveil(&BareId::from_bytes(bytes));
            assert!(seen.insert(*unveiled.verifier.expose()));
            assert!(seen.insert(core::array::from_fn(|n| {
                unveiled.place.get(n).copied().unwrap_or(0)
            })));
        };
        note(1, [5; 16]);
        note(2, [5; 16]);
        for bit in 0..128_usize {
            let mut bytes = [5; 16];
            bytes[bit / 8] ^= 1 << (bit % 8);
            note(1, bytes);
        }
    }

    #[test]
    fn a_known_id_stands_for_the_same_after_every_restart() {
        let unveiled = keyring(1).unveil(&BareId::from_bytes([9; 16]));
        let place = u64::from_be_bytes(unveiled.place);
        assert_eq!((unveiled.tag.bits(), place), (3065, 0x4117_4b15_e87c_dd87));
    }

    proptest! {
        #[test]
        fn the_tag_that_was_put_in_comes_out(tag: u16, random: [u8; 16], root: u8) {
            let (keyring, tag) = (keyring(root), ShardTag::from_bits(tag));
            let id = keyring.mint_bare(tag, random);
            prop_assert_eq!(keyring.unveil(&id).tag, tag);
            let (minted, _) = id.halves();
            prop_assert_eq!(minted, BareId(random).halves().0);
        }
    }
}
