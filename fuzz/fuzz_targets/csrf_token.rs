//! Hazard: two texts for one form token, a token that another session or action accepts, or a text
//! that hurts the reader.
//!
//! Tokens that verify are rare among texts, so most inputs are made into one first, and what is
//! left of the input changes its digits.
#![no_main]

use countersign_core::csrf::{CsrfToken, FormAction, SessionHint, read};
use countersign_core::{SecretKey, Selector, ServerId, ShardTag, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    check(input);
    let server = ServerId::new("tracker").expect("a server id");
    if let Ok(token) = read(&server, Some(input)) {
        let bare = token.text().expose().as_bytes() == input;
        assert!(bare || input.contains(&b'|'), "read, and not as it stands");
    }
    if let Some((head, rest)) = input.split_first_chunk::<18>() {
        built(head, rest);
    }
});

/// `parse(x) = Ok(t)` implies that the text of `t` is `x`.
fn check(input: &[u8]) {
    if let Ok(token) = CsrfToken::parse(input) {
        assert_eq!(token.text().expose().as_bytes(), input, "a second text");
        assert_eq!(token.hint().to_bytes()[0] >> 6, 2, "no UUID ends like this");
    }
}

fn built(head: &[u8; 18], rest: &[u8]) {
    let [random @ .., key, len] = head;
    let (hint, nonce) = random.split_at(8);
    let (hint, nonce) = (to_8(hint), to_8(nonce));
    let session = Selector::mint(Timestamp::ZERO, ShardTag::NONE, hint);
    let secret = SecretKey::from_bytes([*key; 32]);
    let (action, changes) = rest.split_at(rest.len().min(usize::from(*len)));
    let action = core::str::from_utf8(action).unwrap_or_default();
    let action = FormAction::new(action).ok();

    let token = CsrfToken::mint_masked(session, &secret, action, nonce);
    assert!(!token.is_stable() && token.hint() == SessionHint::of(session));
    let text = token.text();
    let text = text.expose().as_bytes();
    let back = CsrfToken::parse(text).expect("what was written reads back");
    assert!(back.verify(&secret, action));
    assert!(!back.verify(&SecretKey::from_bytes([key.wrapping_add(1); 32]), action));
    let other = FormAction::new("another").ok();
    assert_eq!(back.verify(&secret, other), action == other);

    let mut changed = text.to_vec();
    for change in changes.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] = change[1];
    }
    if changed != text {
        let read = CsrfToken::parse(&changed);
        assert!(
            !read.is_ok_and(|token| token.verify(&secret, action)),
            "forged"
        );
    }
}

fn to_8(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().expect("eight of sixteen")
}
