//! Hazard: an `Authorization` header that two readers cut in two ways, a token that lets somebody
//! in out of a text that holds two, or bytes that hurt the reader (RFC 6750, section 2.1).
//!
//! The grammar is written down a second time here, with other means. A `$` in the input stands for
//! the text of a token, which no mutation would hit upon.
#![no_main]

use countersign_core::header::{Presented, bearer, presented};
use libfuzzer_sys::fuzz_target;

const TOKEN: &[u8] = b"csa_08gsfFk6ncRBlR0enSSqQj001IYT0XLWR0glqewhlWlr1NWOlQOzi1H24GwrxTJZk5";

fuzz_target!(|input: &[u8]| {
    let value: Vec<u8> = input
        .iter()
        .flat_map(|byte| match byte {
            b'$' => TOKEN,
            byte => core::slice::from_ref(byte),
        })
        .copied()
        .collect();
    let expected = by_the_grammar(&value);
    assert_eq!(bearer(&value).ok(), expected, "cut in two ways");
    lines(&value);
});

/// `bearer 1*SP b64token`, the first word in any case, and nothing around it.
fn by_the_grammar(value: &[u8]) -> Option<&[u8]> {
    let text = core::str::from_utf8(value).ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let body = token.trim_end_matches('=');
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    let is_one = scheme.to_lowercase() == "bearer" && !body.is_empty() && body.chars().all(fits);
    is_one.then_some(token.as_bytes())
}

/// The same value within a line, as somebody copies it out of a log.
fn lines(value: &[u8]) {
    match presented(value) {
        Presented::Malformed => {}
        Presented::Credential(text) => {
            assert!(!text.is_empty());
            let bare = text == value;
            assert!(
                bare || value.trim_ascii_end().ends_with(text),
                "put together"
            );
        }
        Presented::Cookies(pairs) => assert!(value.ends_with(pairs)),
    }
    let line = [b"Authorization: ", value].concat();
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let from = value
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(value.len());
    let upto = value
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(from, |last| last + 1);
    let expected = match by_the_grammar(&value[from..upto]) {
        Some(token) => Presented::Credential(token),
        None => Presented::Malformed,
    };
    assert_eq!(presented(&line), expected);
}
