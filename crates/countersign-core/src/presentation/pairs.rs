//! Key-value pairs in one cookie: `name=value|name=value`, the least recently set first.
//!
//! A browser sends back whatever somebody wrote there, so the number of pairs, the length of each
//! part and the whole are bounded, and a value that breaks a bound is refused as a whole. Setting
//! a pair never fails for room: the ones that were set longest ago make way.

use super::value::{COOKIE_TEXT_MAX, is_cookie_octet};

/// The most pairs.
pub const PAIRS_MAX: usize = 64;
/// The most bytes of all pairs with what stands between them.
pub const PAIRS_BYTES_MAX: usize = 2048;

/// Pairs of a name and a value, each name once, in the order in which they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(Vec<(String, String)>);

/// Why a text is no list of pairs; the checks stand in the order of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedPairs {
    /// Over the bound of the whole.
    #[error("pairs have at most {PAIRS_BYTES_MAX} bytes together")]
    TooLong,
    /// Over the bound of their number.
    #[error("there are at most {PAIRS_MAX} pairs")]
    TooMany,
    /// A piece without a name and a value.
    #[error("a pair is `name=value`")]
    Shape,
    /// A name that is none.
    #[error("a name has 1 to {COOKIE_TEXT_MAX} characters of a cookie's text without `=` and `|`")]
    Name,
    /// A value that is none.
    #[error(
        "a value has up to {COOKIE_TEXT_MAX} characters of a cookie's text without `=` and `|`"
    )]
    Value,
    /// A name twice.
    #[error("a name stands there twice")]
    Twice,
}

impl Pairs {
    /// No pairs.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Reads a cookie's value, all of it.
    ///
    /// # Errors
    /// The first fault, in the order of [`MalformedPairs`]'s variants.
    pub fn parse(text: &[u8]) -> Result<Self, MalformedPairs> {
        if text.len() > PAIRS_BYTES_MAX {
            return Err(MalformedPairs::TooLong);
        }
        let mut pairs = Self::new();
        if text.is_empty() {
            return Ok(pairs);
        }
        if text.iter().filter(|&&byte| byte == b'|').count() >= PAIRS_MAX {
            return Err(MalformedPairs::TooMany);
        }
        for piece in text.split(|&byte| byte == b'|') {
            let at = piece.iter().position(|&byte| byte == b'=');
            let (name, value) = piece.split_at(at.ok_or(MalformedPairs::Shape)?);
            let value = value.strip_prefix(b"=").ok_or(MalformedPairs::Shape)?;
            let name = part(name, 1).ok_or(MalformedPairs::Name)?;
            let value = part(value, 0).ok_or(MalformedPairs::Value)?;
            if pairs.value(name).is_some() {
                return Err(MalformedPairs::Twice);
            }
            pairs.0.push((name.to_owned(), value.to_owned()));
        }
        Ok(pairs)
    }

    /// The value of a name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Sets a name's value. It becomes the latest pair; the oldest ones go where room is short.
    ///
    /// # Errors
    /// [`MalformedPairs::Name`] or [`MalformedPairs::Value`].
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), MalformedPairs> {
        part(name.as_bytes(), 1).ok_or(MalformedPairs::Name)?;
        part(value.as_bytes(), 0).ok_or(MalformedPairs::Value)?;
        self.remove(name);
        self.0.push((name.to_owned(), value.to_owned()));
        while self.0.len() > PAIRS_MAX || self.text_len() > PAIRS_BYTES_MAX {
            self.0.remove(0);
        }
        Ok(())
    }

    /// Takes a name and its value away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// The pairs, the least recently set first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The cookie's value.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.text_len());
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.push('|');
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        }
        text
    }

    fn text_len(&self) -> usize {
        let parts = self.0.iter().map(|(name, value)| {
            // With `=` and, for all but the first, `|`.
            name.len().saturating_add(value.len()).saturating_add(2)
        });
        parts.sum::<usize>().saturating_sub(1)
    }
}

/// A name or a value: so many characters at least, and at most as many as a cookie's text has.
fn part(bytes: &[u8], at_least: usize) -> Option<&str> {
    let fits = (at_least..=COOKIE_TEXT_MAX).contains(&bytes.len());
    let allowed = |&byte: &u8| is_cookie_octet(byte) && !matches!(byte, b'=' | b'|');
    let good = fits && bytes.iter().all(allowed);
    good.then(|| core::str::from_utf8(bytes).ok()).flatten()
}
