//! Hazard: a token whose text does not read back, or a changed text taken for the one it was.
//!
//! The input is a choice of format, the halves of a token, and changes to make to its text:
//! so the fuzzer works behind the checksum, which it would hardly ever guess.
#![no_main]

use std::sync::LazyLock;

use countersign_core::{
    CredentialKind, Selector, SplitToken, TokenFormat, VERIFIER_BYTES, Verifier,
};
use libfuzzer_sys::fuzz_target;

const KINDS: [CredentialKind; 3] = [
    CredentialKind::Access,
    CredentialKind::Remember,
    CredentialKind::Session,
];

static FORMATS: LazyLock<[TokenFormat; 2]> =
    LazyLock::new(|| [None, Some("acme")].map(|word| TokenFormat::new(word).expect("a word")));

fuzz_target!(|input: &[u8]| {
    let Some((&[choice], rest)) = input.split_first_chunk::<1>() else {
        return;
    };
    let Some((selector, rest)) = rest.split_first_chunk::<16>() else {
        return;
    };
    let Some((verifier, changes)) = rest.split_first_chunk::<VERIFIER_BYTES>() else {
        return;
    };
    let choice = usize::from(choice);
    let kind = KINDS[choice % KINDS.len()];
    let format = &FORMATS[choice / KINDS.len() % FORMATS.len()];

    let selector = Selector::from_bytes(as_uuid_v7(*selector)).expect("a UUIDv7 is a selector");
    let token = SplitToken::new(kind, selector, Verifier::from_bytes(*verifier));
    let text = format.text(&token).expect("a kind of split token");
    let text = text.expose().as_bytes();

    let back = format.parse_any(text).expect("what was written reads back");
    assert_eq!((back.kind(), back.selector()), (kind, selector));
    assert_eq!(back.verifier().expose(), verifier);

    let changed = changed(text, changes);
    if let Ok(other) = format.parse_any(&changed) {
        let again = format.text(&other).expect("a kind of split token");
        assert_eq!(
            again.expose().as_bytes(),
            changed,
            "a second text for one token"
        );
    }
});

/// The text with bytes replaced, by pairs of place and byte.
fn changed(text: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) % text.len();
        text[at] = change[1];
    }
    text
}

/// Version and variant bits as RFC 9562 has them; the others stay.
fn as_uuid_v7(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | 0x70;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}
