//! The public half of a split token: a UUIDv7 that finds the record and is safe to log.
//!
//! Rows whose keys begin with a timestamp append to a B-tree instead of scattering over it, and
//! an operator sees a standard id. The twelve `rand_a` bits carry the shard tag: a keyed hash of
//! the principal, so that a token and its principal's rows can share a shard one day.

use crate::time::Timestamp;
use core::fmt;
use core::str::FromStr;
use uuid::Uuid;

/// Names one credential, event or session. Public: it may be logged and stored in clear.
///
/// Display and parsing use the hyphenated lower-case form of RFC 9562.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    // The big-endian halves of the UUID, so that their order is that of its bytes. As words, since
    // sixteen bytes of which some are looked at one by one are carried about in small pieces.
    high: u64,
    low: u64,
}

/// Twelve bits that put the rows of one principal on one shard; zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardTag(u16);

impl ShardTag {
    /// For what belongs to no principal.
    pub const NONE: Self = Self(0);

    /// The tag held in the low twelve bits of `bits`.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x0fff)
    }

    /// The twelve bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl Selector {
    /// A new selector of the instant `now`, with 62 of the 64 `random` bits.
    #[must_use]
    pub fn mint(now: Timestamp, tag: ShardTag, random: [u8; 8]) -> Self {
        let ms = now.as_millis().min(0xffff_ffff_ffff);
        let random = u64::from_be_bytes(random);
        Self {
            high: (ms << 16) | VERSION | u64::from(tag.bits()),
            low: VARIANT | (random & !VARIANT_BITS),
        }
    }

    /// Takes 16 bytes that are a UUID of version 7 and RFC variant, and nothing else.
    #[must_use]
    #[inline]
    pub const fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
        Self::from_halves([
            u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            u64::from_be_bytes(rest),
        ])
    }

    /// The same from its two big-endian halves.
    #[must_use]
    #[inline]
    pub const fn from_halves([high, low]: [u64; 2]) -> Option<Self> {
        if high & VERSION_BITS == VERSION && low & VARIANT_BITS == VARIANT {
            Some(Self { high, low })
        } else {
            None
        }
    }

    /// The 16 bytes.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.high.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = self.low.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// When the selector was made, to the millisecond.
    #[must_use]
    #[inline]
    pub const fn minted_at(self) -> Timestamp {
        Timestamp::from_millis(self.high >> 16)
    }

    /// The shard tag it carries.
    #[must_use]
    pub const fn shard_tag(self) -> ShardTag {
        let [.., high, low] = self.high.to_be_bytes();
        ShardTag::from_bits(u16::from_be_bytes([high, low]))
    }
}

/// Where the version lies in the upper half, and the version 7.
const VERSION_BITS: u64 = 0xf000;
const VERSION: u64 = 0x7000;
/// Where the variant lies in the lower half, and the variant of the RFC.
const VARIANT_BITS: u64 = 0xc000_0000_0000_0000;
const VARIANT: u64 = 0x8000_0000_0000_0000;

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.to_bytes()).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({self})")
    }
}

/// A text that is no selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a selector is a UUIDv7 in lower-case hyphenated form, such as {EXAMPLE}")]
pub struct NotASelector;

const EXAMPLE: &str = "01934f3c-8a00-7abc-8def-0123456789ab";

impl FromStr for Selector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let uuid = Uuid::try_parse(text).map_err(|_| NotASelector)?;
        let selector = Self::from_bytes(uuid.into_bytes()).ok_or(NotASelector)?;
        // The library takes several spellings; one text for each selector is enough.
        if selector.to_string() == text {
            Ok(selector)
        } else {
            Err(NotASelector)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_come_back_out() {
        let now = Timestamp::from_millis(1_795_341_296_789);
        let selector = Selector::mint(now, ShardTag::from_bits(0xabc), [0xff; 8]);
        assert_eq!(selector.minted_at(), now);
        assert_eq!(selector.shard_tag().bits(), 0xabc);
        assert_eq!(Selector::from_bytes(selector.to_bytes()), Some(selector));
        assert_eq!(selector.to_string().parse(), Ok(selector));
    }

    #[test]
    fn a_log_shows_a_selector_by_the_text_that_finds_it_again() {
        let selector: Selector = EXAMPLE.parse().unwrap();
        let shown = format!("{selector} {selector:?}");
        assert_eq!(shown, format!("{EXAMPLE} Selector({EXAMPLE})"));
    }

    #[test]
    fn other_uuids_and_other_spellings_are_refused() {
        assert_eq!(Selector::from_bytes([0; 16]), None);
        assert_eq!(Selector::from_bytes([0xff; 16]), None);
        for text in [
            "",
            "01934f3c8a007abc8def0123456789ab",
            "{01934f3c-8a00-7abc-8def-0123456789ab}",
            "01934F3C-8A00-7ABC-8DEF-0123456789AB",
            "01934f3c-8a00-4abc-8def-0123456789ab",
        ] {
            assert_eq!(text.parse::<Selector>(), Err(NotASelector), "{text}");
        }
        assert!(EXAMPLE.parse::<Selector>().is_ok());
    }

    #[test]
    fn the_order_of_selectors_is_the_order_of_time() {
        let early = Selector::mint(Timestamp::from_millis(1), ShardTag::NONE, [0xff; 8]);
        let late = Selector::mint(Timestamp::from_millis(2), ShardTag::NONE, [0; 8]);
        assert!(early < late);
    }

    proptest! {
        #[test]
        fn a_text_that_reads_is_the_one_text(text in "[0-9a-fA-F{}-]{0,40}|\\PC{0,40}") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string(), text);
            }
        }

        #[test]
        fn whatever_is_minted_reads_back_from_text_and_bytes(ms: u64, tag: u16, random: [u8; 8]) {
            let (at, shard) = (Timestamp::from_millis(ms), ShardTag::from_bits(tag));
            let minted = Selector::mint(at, shard, random);
            prop_assert_eq!(minted.to_string().parse(), Ok(minted));
            prop_assert_eq!(Selector::from_bytes(minted.to_bytes()), Some(minted));
            prop_assert_eq!(minted.shard_tag().bits(), tag & 0xfff);
        }
    }
}
