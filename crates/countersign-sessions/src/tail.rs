//! The last eight bytes of a session's selector: where it lies in the table, and the hint that
//! form tokens carry.
//!
//! The first bytes of a selector are a timestamp. The tail has the two bits `10` of its variant,
//! twelve of a shard tag, sixteen of a row, and 34 random ones.
//!
//! The tag is the keyed hash of the session's principal, so that all sessions of a principal lie
//! in one shard, under one lock; an anonymous session has random bits there. It stands in the
//! tail, and not in the bits that other selectors have for it, so that a hint leads to the shard
//! too. The row is where the session lies in its shard: a request finds it with one look at
//! memory, and no index is kept for the living.
//!
//! Rows are filled from the front, so their numbers would tell every visitor about how many
//! sessions there are. A veil of keyed bits lies over them. It is no cipher: it keeps a guess from
//! being easy, and nothing else depends on it.

use countersign_core::{Keyring, Selector, ShardTag, Timestamp};

/// The last eight bytes of a selector, big-endian. No two sessions of a table share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail(u64);

/// What lies over the rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Veil(u64, u64);

const TAG_SHIFT: u32 = 50;
const TAG_MASK: u64 = 0xfff << TAG_SHIFT;
const ROW_SHIFT: u32 = 34;
const ROW_MASK: u64 = 0xffff << ROW_SHIFT;
const RANDOM_MASK: u64 = (1 << ROW_SHIFT) - 1;

impl Veil {
    pub(crate) const fn new(keyring: &Keyring) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = keyring.session_veil();
        Self(
            u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            // An odd multiplier keeps every bit.
            u64::from_be_bytes([i, j, k, l, m, n, o, p]) | 1,
        )
    }

    /// Sixteen bits over the row of a tail, in their place.
    const fn over(self, tail: u64) -> u64 {
        let mixed = ((tail & RANDOM_MASK) ^ self.0).wrapping_mul(self.1);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(self.1.rotate_left(32) | 1);
        (mixed >> 48) << ROW_SHIFT
    }
}

impl Tail {
    #[inline]
    pub(crate) const fn of(selector: Selector) -> Self {
        let [_, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] = selector.to_bytes();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// As a form token carries it.
    pub(crate) const fn from_hint(hint: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(hint))
    }

    #[inline]
    pub(crate) const fn tag(self) -> ShardTag {
        let [_, _, _, _, _, _, high, low] = (self.0 >> TAG_SHIFT).to_be_bytes();
        ShardTag::from_bits(u16::from_be_bytes([high, low]))
    }

    /// The row where its session lies, unless that was taken.
    #[inline]
    pub(crate) fn row(self, veil: Veil) -> usize {
        let [_, _, _, _, _, _, high, low] =
            ((self.0 ^ veil.over(self.0)) >> ROW_SHIFT).to_be_bytes();
        usize::from(u16::from_be_bytes([high, low]))
    }

    /// Random bits at both ends, where an index looks: the tag is the same for a whole shard.
    /// Tails are minted here or come from a tagged snapshot, so nobody chooses what collides.
    pub(crate) const fn hash(self) -> u64 {
        self.0.rotate_left(32)
    }

    /// A number for choosing where to look, from the random bits.
    pub(crate) const fn seed(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }
}

/// Where a new session is to lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Berth {
    pub(crate) tag: ShardTag,
    pub(crate) row: usize,
}

/// Twelve of some random bits, for a session whose shard does not matter.
pub(crate) const fn any_tag(random: [u8; 8]) -> ShardTag {
    Tail(u64::from_be_bytes(random)).tag()
}

/// A new session's selector.
pub(crate) fn mint(now: Timestamp, berth: Berth, veil: Veil, random: [u8; 8]) -> Selector {
    let random = u64::from_be_bytes(random) & !TAG_MASK & !ROW_MASK;
    let tagged = random | (u64::from(berth.tag.bits()) << TAG_SHIFT);
    // A row past the sixteen bits has none to name it; it is found by the index.
    let row = u64::from(u16::try_from(berth.row).unwrap_or(u16::MAX)) << ROW_SHIFT;
    let tail = tagged | (row ^ veil.over(tagged));
    Selector::mint(now, ShardTag::NONE, tail.to_be_bytes())
}

/// The selector of a session whose tail is not chosen but given. It names no row.
pub(crate) fn given(now: Timestamp, tag: ShardTag, place: [u8; 8]) -> Selector {
    let place = u64::from_be_bytes(place) & !TAG_MASK;
    let tail = place | (u64::from(tag.bits()) << TAG_SHIFT);
    Selector::mint(now, ShardTag::NONE, tail.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::KeyMaterial;

    fn veil(root: u8) -> Veil {
        let material = KeyMaterial::generate(Timestamp::ZERO, [root; 32], [2; 32]);
        Veil::new(&Keyring::new(&material))
    }

    fn berth(row: usize) -> Berth {
        let tag = ShardTag::from_bits(0xabc);
        Berth { tag, row }
    }

    #[test]
    fn tag_and_row_come_back_out_and_the_rest_stays_random() {
        let now = Timestamp::from_millis(1_795_341_296_789);
        for row in [0, 1, 976, 65_534, 65_535] {
            for random in [[0; 8], [0xff; 8], [7; 8]] {
                let selector = mint(now, berth(row), veil(1), random);
                let tail = Tail::of(selector);
                assert_eq!((tail.tag().bits(), tail.row(veil(1))), (0xabc, row));
                assert_eq!(selector.minted_at(), now);
                assert_eq!(selector.shard_tag(), ShardTag::NONE);
                let [.., a, b, c, d] = selector.to_bytes();
                let [.., e, f, g, h] = random;
                assert_eq!([a, b, c, d], [e, f, g, h]);
            }
        }
    }

    #[test]
    fn a_row_is_not_to_be_read_without_the_key() {
        let rows = (0..=255).map(|n: u8| {
            let selector = mint(Timestamp::ZERO, berth(3), veil(1), [n; 8]);
            Tail::of(selector).row(veil(9))
        });
        let distinct: std::collections::BTreeSet<_> = rows.collect();
        assert!(distinct.len() > 200, "{}", distinct.len());
    }

    #[test]
    fn a_hint_leads_to_the_same_tail() {
        let selector = mint(Timestamp::ZERO, berth(5), veil(1), [7; 8]);
        let [_, _, _, _, _, _, _, _, hint @ ..] = selector.to_bytes();
        assert_eq!(Tail::from_hint(hint), Tail::of(selector));
        let tag = Tail::of(selector).tag();
        assert_eq!(tag, any_tag(hint));
    }

    #[test]
    fn a_row_is_veiled_the_same_after_every_restart() {
        // Else each session of a snapshot would lie in a row that its selector does not name.
        let veiled = [1, 2, 3, 4].map(|root| {
            let random = [9, 8, 7, 6, 5, 4, 3, root];
            let selector = mint(Timestamp::ZERO, berth(3), veil(root), random);
            let [_, _, _, _, _, _, _, _, place @ ..] = selector.to_bytes();
            u64::from_be_bytes(place)
        });
        let rows = [
            0xaaf0_2cc6_0504_0301,
            0xaaf3_4c5a_0504_0302,
            0xaaf2_a87a_0504_0303,
            0xaaf2_56ca_0504_0304,
        ];
        assert_eq!(veiled, rows);
    }

    #[test]
    fn the_sessions_of_one_shard_are_spread_over_its_index() {
        let hashes = (0..=255_u8).map(|n| {
            let selector = mint(Timestamp::ZERO, berth(3), veil(1), [n; 8]);
            Tail::of(selector).hash()
        });
        // An index looks at both ends of a hash.
        let ends = hashes.map(|hash| (hash >> 57, hash & 0x7f));
        let distinct: std::collections::BTreeSet<_> = ends.collect();
        assert!(distinct.len() > 200, "{}", distinct.len());
    }

    #[test]
    fn where_to_look_depends_on_the_random_bits_alone() {
        let seed = |tag, row, random| {
            let tag = ShardTag::from_bits(tag);
            let selector = mint(Timestamp::ZERO, Berth { tag, row }, veil(1), random);
            Tail::of(selector).seed()
        };
        assert_eq!(seed(1, 2, [7; 8]), seed(0xfff, 3, [7; 8]));
        assert_ne!(seed(1, 2, [7; 8]), seed(1, 2, [8; 8]));
    }
}
