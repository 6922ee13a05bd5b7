//! Hazard: two texts for one selector, or bytes taken for one that are none.
#![no_main]

use countersign_core::{Selector, ShardTag, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = core::str::from_utf8(input)
        && let Ok(selector) = text.parse::<Selector>()
    {
        assert_eq!(selector.to_string(), text, "a second text for one selector");
        check(selector);
    }
    if let Ok(bytes) = <[u8; 16]>::try_from(input) {
        let is_uuid_v7 = bytes[6] >> 4 == 7 && bytes[8] >> 6 == 2;
        let selector = Selector::from_bytes(bytes);
        assert_eq!(selector.is_some(), is_uuid_v7);
        selector.into_iter().for_each(check);
    }
    if let Some((time, rest)) = input.split_first_chunk::<8>()
        && let Some((tag, rest)) = rest.split_first_chunk::<2>()
        && let Some((random, _)) = rest.split_first_chunk::<8>()
    {
        let now = Timestamp::from_millis(u64::from_be_bytes(*time));
        let tag = ShardTag::from_bits(u16::from_be_bytes(*tag));
        let minted = Selector::mint(now, tag, *random);
        assert_eq!(minted.shard_tag(), tag);
        let last = Timestamp::from_millis((1 << 48) - 1);
        assert_eq!(minted.minted_at(), now.min(last));
        check(minted);
    }
});

/// A selector is its bytes and its text, and either gives it back.
fn check(selector: Selector) {
    assert_eq!(Selector::from_bytes(selector.to_bytes()), Some(selector));
    assert_eq!(selector.to_string().parse(), Ok(selector));
}
