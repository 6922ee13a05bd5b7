//! Hazard: pairs in a cookie that grow without bound, have two texts, or hurt their reader (S12).
//!
//! The input is a cookie's value; its lines are pairs to be set as well.
#![no_main]

use countersign_core::presentation::{COOKIE_TEXT_MAX, PAIRS_BYTES_MAX, PAIRS_MAX, Pairs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut pairs = match Pairs::parse(input) {
        Ok(pairs) => {
            assert_eq!(
                pairs.text().as_bytes(),
                input,
                "a second text for the same pairs"
            );
            pairs
        }
        Err(_) => Pairs::new(),
    };
    check(&pairs);
    for line in input.split(|&byte| byte == b'\n').take(16) {
        let Some((name, value)) = core::str::from_utf8(line)
            .ok()
            .and_then(|l| l.split_once('='))
        else {
            continue;
        };
        let before = pairs.clone();
        match pairs.set(name, value) {
            Ok(()) => assert_eq!(pairs.iter().last(), Some((name, value))),
            Err(_) => assert_eq!(pairs, before),
        }
        check(&pairs);
    }
});

fn check(pairs: &Pairs) {
    let text = pairs.text();
    assert!(pairs.len() <= PAIRS_MAX && text.len() <= PAIRS_BYTES_MAX);
    assert_eq!(Pairs::parse(text.as_bytes()).as_ref(), Ok(pairs));
    for (name, value) in pairs.iter() {
        assert!(name.len() <= COOKIE_TEXT_MAX && value.len() <= COOKIE_TEXT_MAX);
        assert_eq!(pairs.value(name), Some(value), "a name stands there twice");
    }
}
