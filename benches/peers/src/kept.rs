//! Tokens as a user would keep them in a store of their choice: a row under the token's id, with a
//! digest of its secret, whose token it is, what it may do and until when.
//!
//! The secret is long and random, so one round of SHA-256 is enough for it. Ids are numbers in the
//! order of issue, the best that a B-tree can have. Digests are compared as bytes are, faster than
//! in constant time.

use countersign::{Clock as _, SystemClock};
use countersign_benches::Shuffle;
use sha2::{Digest as _, Sha256};

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What every token may do.
pub const SCOPES: &str = "repo:read";

/// A row.
pub struct Row {
    /// The token's number, from 1.
    pub id: i64,
    /// SHA-256 of the secret's text.
    pub digest: [u8; 32],
    /// Whose it is; ten tokens each.
    pub principal: String,
    /// When it ends, in milliseconds.
    pub expires_ms: i64,
}

/// What is read of a text.
pub struct Parsed<'a> {
    /// The row that it is about; also as it stands in the text.
    pub id: i64,
    /// The same, not converted.
    pub key: &'a str,
    secret: &'a str,
}

/// The name of the principal of the entry.
pub fn principal(n: usize) -> String {
    format!("user{:07}", n / 10)
}

/// When all that has an end has it: tomorrow.
pub fn tomorrow_ms() -> u64 {
    now_ms() + 86_400_000
}

/// The clock that the engine reads, so that neither side's is quicker.
pub fn now_ms() -> u64 {
    SystemClock.now().as_millis()
}

/// Rows, each with the text that its user holds.
pub fn rows(many: usize) -> impl Iterator<Item = (String, Row)> {
    let mut shuffle = Shuffle::new();
    let expires_ms = tomorrow_ms().cast_signed();
    (0..many).map(move |n| {
        let secret = secret(&mut shuffle);
        let row = Row {
            id: 1 + i64::try_from(n).unwrap(),
            digest: Sha256::digest(&secret).into(),
            principal: principal(n),
            expires_ms,
        };
        (format!("{:016x}.{secret}", row.id), row)
    })
}

/// As many letters as 32 bytes take.
pub fn secret(shuffle: &mut Shuffle) -> String {
    (0..43)
        .map(|_| char::from(LETTERS[shuffle.below(LETTERS.len())]))
        .collect()
}

/// Reads a text.
pub fn parse(text: &str) -> Option<Parsed<'_>> {
    let (key, secret) = text.split_once('.')?;
    let id = i64::from_str_radix(key, 16).ok()?;
    Some(Parsed { id, key, secret })
}

impl Parsed<'_> {
    /// Judges the text by what its row says.
    pub fn fits(&self, digest: &[u8], expires_ms: i64, principal: &[u8], scopes: &[u8]) -> bool {
        Sha256::digest(self.secret).as_slice() == digest
            && now_ms().cast_signed() < expires_ms
            && principal.len() == 11
            && scopes == SCOPES.as_bytes()
    }
}
