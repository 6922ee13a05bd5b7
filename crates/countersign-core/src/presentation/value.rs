//! The values of presentation cookies and their grammars.

use super::pairs::Pairs;
use crate::csrf::CsrfCookie;
use core::fmt;

/// The most bytes of one text in a value: fewer than the shortest token has.
pub const COOKIE_TEXT_MAX: usize = 64;

/// A short text that stands in a cookie as it is: 1 to 64 of the characters that RFC 6265 allows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CookieText(String);

/// A text that cannot stand in a cookie as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cookie's text has 1 to {COOKIE_TEXT_MAX} printable ASCII characters without blanks, quotes, \
     commas, semicolons and backslashes"
)]
pub struct NotCookieText;

impl CookieText {
    /// Takes a text.
    ///
    /// # Errors
    /// When it is empty, too long, or holds another character.
    pub fn new(text: &str) -> Result<Self, NotCookieText> {
        let fits = (1..=COOKIE_TEXT_MAX).contains(&text.len());
        if fits && text.bytes().all(is_cookie_octet) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotCookieText)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CookieText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// `cookie-octet` of RFC 6265, section 4.1.1.
pub(super) const fn is_cookie_octet(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// What values a cookie may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// One of these texts.
    OneOf(Vec<CookieText>),
    /// Any short text.
    Text,
    /// Key-value pairs.
    Pairs,
    /// The form token for scripts.
    FormToken,
}

/// A value that was read by its grammar, or is to be written.
#[derive(Debug)]
pub enum Value {
    /// A short text.
    Text(CookieText),
    /// Key-value pairs.
    Pairs(Pairs),
    /// The form token for scripts.
    FormToken(CsrfCookie),
}

impl Grammar {
    /// Reads a value, all of it.
    pub(super) fn read(&self, value: &[u8]) -> Option<Value> {
        match self {
            Self::OneOf(_) | Self::Text => {
                let text = CookieText::new(core::str::from_utf8(value).ok()?).ok()?;
                let value = Value::Text(text);
                self.takes(&value).then_some(value)
            }
            Self::Pairs => Pairs::parse(value).ok().map(Value::Pairs),
            Self::FormToken => CsrfCookie::parse(value).ok().map(Value::FormToken),
        }
    }

    /// Whether a value is one of this grammar.
    pub(super) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::OneOf(allowed), Value::Text(text)) => allowed.contains(text),
            (Self::Text, Value::Text(_))
            | (Self::Pairs, Value::Pairs(_))
            | (Self::FormToken, Value::FormToken(_)) => true,
            _ => false,
        }
    }
}

impl Value {
    /// The value's one text; `None` for a form token that is none for scripts.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.as_str().to_owned()),
            Self::Pairs(pairs) => Some(pairs.text()),
            Self::FormToken(cookie) => Some(cookie.text()?.expose().to_owned()),
        }
    }
}
