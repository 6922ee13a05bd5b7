//! Bounded texts that people choose: a token's name, an operator's reason, a server's id.
//!
//! All are trimmed-free, printable and short, so that they can be shown in a list, a log line and
//! a terminal without harm. Names of principals are in `principal.rs`.

use core::fmt;
use std::sync::Arc;

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// Nothing, or nothing but blanks.
    #[error("{field} is empty")]
    Empty {
        /// Which text.
        field: &'static str,
    },
    /// Over its bound.
    #[error("{field} has {len} bytes; at most {max} are allowed")]
    TooLong {
        /// Which text.
        field: &'static str,
        /// How long it is, in bytes.
        len: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
    /// A line break, another control character, or one that changes the direction of writing.
    #[error("{field} holds a control character, which is not allowed")]
    Control {
        /// Which text.
        field: &'static str,
    },
    /// One that the text's place on the wire does not allow.
    #[error("{field} holds a character other than {allowed}")]
    Character {
        /// Which text.
        field: &'static str,
        /// What it may hold.
        allowed: &'static str,
    },
    /// A blank at either end, which nobody would see.
    #[error("{field} begins or ends with a blank, which is not allowed")]
    Blank {
        /// Which text.
        field: &'static str,
    },
}

/// Checks a text of at most `max` bytes.
pub(crate) fn check(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.chars().all(char::is_whitespace) {
        return Err(TextError::Empty { field });
    }
    if text.len() > max {
        return Err(TextError::TooLong {
            field,
            len: text.len(),
            max,
        });
    }
    let (harmful, padded) = match text.is_ascii() {
        // Most texts are plain, and some are read with each request.
        true => (
            text.bytes().any(|byte| byte.is_ascii_control()),
            text.starts_with(' ') || text.ends_with(' '),
        ),
        false => (
            text.chars().any(is_harmful),
            text.trim().len() != text.len(),
        ),
    };
    match (harmful, padded) {
        (true, _) => Err(TextError::Control { field }),
        (false, true) => Err(TextError::Blank { field }),
        (false, false) => Ok(()),
    }
}

/// What a server id may hold: it stands in cookies, in front of a `|`, and in JSON without escapes.
const IN_SERVER_ID: &str = "letters, digits and -._~:/@+";

/// Checks a text of at most `max` bytes that stands in cookies.
fn check_wire(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    check(field, text, max)?;
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/@+".contains(&c);
    if text.bytes().all(allowed) {
        return Ok(());
    }
    Err(TextError::Character {
        field,
        allowed: IN_SERVER_ID,
    })
}

/// Control characters, and the marks that make a line of text read in another order.
pub(crate) fn is_harmful(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    );
    c.is_control() || reorders
}

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        bounded_text!($(#[$doc])* $name, $field, $max, check);
    };
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most bytes it may have.
            pub const MAX_BYTES: usize = $max;

            /// Takes a text.
            ///
            /// # Errors
            /// When it is empty, too long, padded with blanks, or holds characters that it may not.
            pub fn new(text: &str) -> Result<Self, TextError> {
                $check($field, text, $max)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl core::str::FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }
    };
}
pub(crate) use bounded_text;

bounded_text!(
    /// What its owner calls an access token: shown in lists, bounded further by policy.
    TokenName,
    "the token's name",
    255
);

bounded_text!(
    /// Why an operator did something, for the audit log.
    Reason,
    "the reason",
    200
);

bounded_text!(
    /// Names this deployment in cookies and image tokens: letters, digits and `-._~:/@+`.
    ServerId,
    "the server id",
    64,
    check_wire
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_confuse_a_reader_is_refused() {
        assert_eq!(TokenName::new("ci \u{e9}").unwrap().as_str(), "ci \u{e9}");
        let refused = |text: &str| TokenName::new(text).unwrap_err();
        assert!(matches!(refused(""), TextError::Empty { .. }));
        assert!(matches!(refused("  "), TextError::Empty { .. }));
        for padded in [" ci", "ci ", "\u{a0}ci", "ci\u{3000}", "\u{e9} ", " \u{e9}"] {
            assert!(
                matches!(refused(padded), TextError::Blank { .. }),
                "{padded:?}"
            );
        }
        for control in ["\tci", "ci\n", "c\u{7f}i", "\u{e9}\r", "\u{85}ci"] {
            let why = refused(control);
            assert!(matches!(why, TextError::Control { .. }), "{control:?}");
        }
        assert!(matches!(refused("a\nb"), TextError::Control { .. }));
        // Every character that Unicode gives the property `Bidi_Control`.
        let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
        let embeddings = '\u{202a}'..='\u{202e}';
        let isolates = '\u{2066}'..='\u{2069}';
        for mark in marks.into_iter().chain(embeddings).chain(isolates) {
            let why = refused(&format!("a{mark}b"));
            assert!(matches!(why, TextError::Control { .. }), "{mark:?}");
        }
        assert!(matches!(
            refused(&"x".repeat(256)),
            TextError::TooLong {
                len: 256,
                max: 255,
                ..
            }
        ));
    }

    #[test]
    fn a_server_id_needs_no_escape_in_a_cookie_or_in_json() {
        for text in [
            "BXY3-1F2Z",
            "https://tracker.example.org:8443/x",
            "a_b@c+d~e",
        ] {
            assert!(ServerId::new(text).is_ok(), "{text}");
        }
        for text in [
            "a|b", "a;b", "a,b", "a\"b", "a\\b", "a b", "a=b", "a%b", "\u{e9}",
        ] {
            let refused = ServerId::new(text);
            assert!(
                matches!(refused, Err(TextError::Character { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn an_error_names_the_field_and_the_bound() {
        let error = Reason::new(&"x".repeat(201)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the reason has 201 bytes; at most 200 are allowed"
        );
    }
}
