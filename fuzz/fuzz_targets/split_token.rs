//! Hazard: two texts for one token, or a text that hurts the parser of split tokens (E18).
//!
//! Texts with a good checksum are rare in here; `split_token_built` starts from them.
#![no_main]

use std::sync::LazyLock;

use countersign_core::{CredentialKind, TokenFormat};
use libfuzzer_sys::fuzz_target;

static FORMATS: LazyLock<[TokenFormat; 2]> =
    LazyLock::new(|| [None, Some("acme")].map(|word| TokenFormat::new(word).expect("a word")));

fuzz_target!(|input: &[u8]| {
    for format in &*FORMATS {
        check(format, input);
    }
});

/// `parse(x) = Ok(t)` implies that the text of `t` is `x`, and all ways of asking agree.
fn check(format: &TokenFormat, input: &[u8]) {
    let any = format.parse_any(input);
    if let Ok(token) = &any {
        let text = format.text(token).expect("a kind of split token");
        assert_eq!(
            text.expose().as_bytes(),
            input,
            "a second text for one token"
        );
    }
    for kind in [
        CredentialKind::Access,
        CredentialKind::Remember,
        CredentialKind::Session,
    ] {
        let one = format.parse(kind, input);
        let expected = any.as_ref().is_ok_and(|token| token.kind() == kind);
        assert_eq!(one.is_ok(), expected, "asked for {kind:?} and for any kind");
    }
    for kind in [CredentialKind::Image, CredentialKind::Csrf] {
        assert!(
            format.parse(kind, input).is_err(),
            "{kind:?} is no split token"
        );
    }
}
