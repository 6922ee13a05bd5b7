//! What the cases share: keys, tokens with their secret half marked, and the part that is watched.

use crate::marks;
use countersign::core::{
    CredentialKind, Keyring, Selector, ShardTag, SplitToken, Timestamp, VERIFIER_BYTES, Verifier,
};
use countersign::{KeyMaterial, TokenFormat};
use std::hint::black_box;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// Digits of a split token from its secret half on: four groups of eleven, of which the last one
/// holds the checksum too.
const SECRET_DIGITS: usize = 44;

/// How a presented secret differs from the right one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presents {
    Right,
    /// Its first byte is another.
    WrongFirst,
    /// Its last byte is another.
    WrongLast,
    /// A digit is another, so that the checksum does not fit.
    Mistyped,
}

/// Runs what is watched, and nothing besides.
pub(crate) fn watched(work: impl FnOnce()) {
    marks::look();
    work();
    marks::look_away();
}

/// Keys that nothing may depend on.
pub(crate) fn secret_keys() -> KeyMaterial {
    let (mut root, mut pepper) = ([1; 32], [2; 32]);
    marks::secret(&mut root);
    marks::secret(&mut pepper);
    KeyMaterial::generate(NOW, root, pepper)
}

pub(crate) fn secret_keyring() -> Keyring {
    Keyring::new(&secret_keys())
}

/// The bytes of a text, with so many at its end marked as secret and the others as public.
pub(crate) fn marked(text: &str, secret: usize) -> Vec<u8> {
    // What is written with a secret key has a length that was counted digit by digit.
    let length = text.len();
    marks::public(&length);
    let length = *black_box(&length);
    let mut bytes = vec![0; length];
    bytes.copy_from_slice(&text.as_bytes()[..length]);
    let (front, back) = bytes.split_at_mut(length - secret);
    marks::public(front);
    marks::secret(back);
    bytes
}

/// The same between two other texts.
pub(crate) fn framed(before: &str, marked: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), marked, after.as_bytes()].concat()
}

/// A token's text as it is presented, its secret half marked.
pub(crate) fn presented(text: &str, presents: Presents) -> Vec<u8> {
    marked(&differing(text, presents), SECRET_DIGITS)
}

/// A token of a fixed selector and secret.
pub(crate) fn token(kind: CredentialKind) -> SplitToken {
    let selector = Selector::mint(NOW, ShardTag::NONE, [3; 8]);
    SplitToken::new(kind, selector, Verifier::from_bytes([4; VERIFIER_BYTES]))
}

pub(crate) fn format() -> TokenFormat {
    TokenFormat::new(None).expect("no word is a word")
}

/// The text of a token that differs from this one as is told, the checksum fitting but where it is
/// mistyped.
fn differing(text: &str, presents: Presents) -> String {
    let at = match presents {
        Presents::Right => return text.to_owned(),
        Presents::Mistyped => return mistyped(text),
        Presents::WrongFirst => 0,
        Presents::WrongLast => VERIFIER_BYTES - 1,
    };
    let token = format().parse_any(text.as_bytes()).expect("a token");
    let mut bytes = *token.verifier().expose();
    bytes[at] ^= 1;
    let other = SplitToken::new(token.kind(), token.selector(), Verifier::from_bytes(bytes));
    let text = format().text(&other).expect("a kind with a text");
    text.expose().to_owned()
}

fn mistyped(text: &str) -> String {
    let other = if text.ends_with('0') { "1" } else { "0" };
    format!("{}{other}", &text[..text.len() - 1])
}
