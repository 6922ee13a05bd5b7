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
    /// A blank at either end, which nobody would see.
    #[error("{field} begins or ends with a blank, which is not allowed")]
    Blank {
        /// Which text.
        field: &'static str,
    },
}

/// Checks a text of at most `max` bytes.
pub(crate) fn check(field: &'static str, text: &str, max: usize) -> Result<(), TextError> {
    if text.trim().is_empty() {
        return Err(TextError::Empty { field });
    }
    if text.len() > max {
        return Err(TextError::TooLong {
            field,
            len: text.len(),
            max,
        });
    }
    if text.chars().any(is_harmful) {
        return Err(TextError::Control { field });
    }
    if text.trim().len() != text.len() {
        return Err(TextError::Blank { field });
    }
    Ok(())
}

/// Control characters, and the marks that make a line of text read in another order.
fn is_harmful(c: char) -> bool {
    let reorders = matches!(
        c,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    c.is_control() || reorders
}

macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most bytes it may have.
            pub const MAX_BYTES: usize = $max;

            /// Takes a text.
            ///
            /// # Errors
            /// When it is empty, too long, padded with blanks, or holds control characters.
            pub fn new(text: &str) -> Result<Self, TextError> {
                check($field, text, $max)?;
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
    /// Names this deployment in cookies and image tokens.
    ServerId,
    "the server id",
    64
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
        assert!(matches!(refused(" ci"), TextError::Blank { .. }));
        assert!(matches!(refused("a\nb"), TextError::Control { .. }));
        assert!(matches!(refused("a\u{202e}b"), TextError::Control { .. }));
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
    fn an_error_names_the_field_and_the_bound() {
        let error = Reason::new(&"x".repeat(201)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the reason has 201 bytes; at most 200 are allowed"
        );
    }
}
