//! Attributes of a session: bounded names, typed values, and what can be done to them.
//!
//! A session is a handful of key-value pairs (row S2). Their values may be anything that the host
//! wants kept, so none of them is printed: `Debug` tells type and size.

use core::fmt;
use serde::de::IgnoredAny;
use std::sync::Arc;

/// The longest name of an attribute, in bytes.
pub const ATTRIBUTE_NAME_MAX: usize = 64;

/// The name of an attribute: 1 to 64 printable ASCII characters without blanks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeName(Arc<str>);

/// A text that is no attribute's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an attribute's name has 1 to {ATTRIBUTE_NAME_MAX} printable ASCII characters, no blanks")]
pub struct NotAnAttributeName;

impl AttributeName {
    /// Takes a name.
    ///
    /// # Errors
    /// When it is empty, too long, or holds anything but printable ASCII.
    pub fn new(name: &str) -> Result<Self, NotAnAttributeName> {
        let fits = (1..=ATTRIBUTE_NAME_MAX).contains(&name.len())
            && name.bytes().all(|c| c.is_ascii_graphic());
        fits.then(|| Self(name.into())).ok_or(NotAnAttributeName)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is one JSON value, kept as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonText(Arc<str>);

/// As deep as `serde_json` reads.
const JSON_LEVELS_MAX: usize = 127;

/// How deep arrays and objects are nested in a text that is JSON.
fn levels(json: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'[' | b'{' => open = open.saturating_add(1),
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// A text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not one JSON value, or is nested too deeply")]
pub struct NotJson;

impl JsonText {
    /// Takes a text.
    ///
    /// # Errors
    /// When it is not one JSON value, or is nested more than 127 levels deep.
    pub fn new(text: &str) -> Result<Self, NotJson> {
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| NotJson)?;
        // What is not looked at is skipped at any depth, but nobody could read it afterwards.
        if levels(text) > JSON_LEVELS_MAX {
            return Err(NotJson);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The value of an attribute. A copy shares its bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(Arc<str>),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// Bytes of any kind.
    Bytes(Arc<[u8]>),
    /// A JSON value as text.
    Json(JsonText),
}

/// The type of a value. The codes stand in snapshots and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ValueKind {
    /// A text.
    Text = 1,
    /// A whole number.
    Integer = 2,
    /// Yes or no.
    Boolean = 3,
    /// Bytes of any kind.
    Bytes = 4,
    /// A JSON value.
    Json = 5,
}

impl ValueKind {
    /// Its name in a dump.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Bytes => "bytes",
            Self::Json => "json",
        }
    }
}

impl Value {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> ValueKind {
        match self {
            Self::Text(_) => ValueKind::Text,
            Self::Integer(_) => ValueKind::Integer,
            Self::Boolean(_) => ValueKind::Boolean,
            Self::Bytes(_) => ValueKind::Bytes,
            Self::Json(_) => ValueKind::Json,
        }
    }

    /// How many bytes it counts for: those of a text, eight for a number, one for yes or no.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) => 8,
            Self::Boolean(_) => 1,
            Self::Bytes(bytes) => bytes.len(),
            Self::Json(json) => json.0.len(),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// What it holds is the host's business and not a log's.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({} bytes)", self.kind().name(), self.bytes())
    }
}

/// Type and size, never the text.
impl fmt::Debug for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonText({} bytes)", self.0.len())
    }
}

/// One change to a session's attributes. A list of them happens whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeChange {
    /// Sets an attribute, whether or not it was there.
    Set(AttributeName, Value),
    /// Adds to a whole number; one that is not there counts as zero.
    Add(AttributeName, i64),
    /// Takes an attribute away, if it is there.
    Remove(AttributeName),
    /// Takes every attribute away.
    Clear,
}

/// Why changes to attributes are refused, all of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttributeFault {
    /// More attributes than policy allows.
    #[error("the session would have {count} attributes; at most {max} are allowed")]
    TooMany {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// More bytes than policy allows, names included.
    #[error("the session's attributes would have {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// How many there would be.
        bytes: usize,
        /// How many there may be.
        max: usize,
    },
    /// Something was to be added to what is no whole number.
    #[error("the attribute {0} is not a whole number")]
    NotAnInteger(AttributeName),
    /// The sum does not fit.
    #[error("the attribute {0} cannot hold the sum")]
    Overflow(AttributeName),
    /// The list of changes is longer than anything it could lead to.
    #[error("{count} changes at once; at most {max} are taken")]
    TooManyChanges {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_json_are_checked_when_they_are_made() {
        for name in ["", "a b", "a\n", "\u{e9}", &"x".repeat(65)] {
            assert_eq!(AttributeName::new(name), Err(NotAnAttributeName), "{name}");
        }
        assert_eq!(
            AttributeName::new("cart.items").unwrap().as_str(),
            "cart.items"
        );
        for text in ["", "{", "1 2", "nul", &"[".repeat(100_000)] {
            assert_eq!(JsonText::new(text), Err(NotJson));
        }
        let nested = |levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
        assert!(JsonText::new(&nested(127)).is_ok() && read(&nested(127)));
        assert!(JsonText::new(&nested(128)).is_err() && !read(&nested(128)));
        let text = format!("[\"{}\\\"{}\", {{}}]", "[".repeat(200), "{".repeat(200));
        assert!(JsonText::new(&text).is_ok() && read(&text), "{text}");
        let beside = format!("[{}[]]", "[], {}, ".repeat(100));
        assert!(JsonText::new(&beside).is_ok() && read(&beside), "{beside}");
        let json = JsonText::new("{\"a\": [1, 2.50]}").unwrap();
        assert_eq!(json.as_str(), "{\"a\": [1, 2.50]}");
    }

    #[test]
    fn no_value_is_printed() {
        let json = JsonText::new("\"hush\"").unwrap();
        let values = [
            Value::from("hush"),
            Value::Bytes(b"hush"[..].into()),
            Value::Json(json),
            Value::Integer(4242),
            Value::Boolean(true),
        ];
        let name = AttributeName::new("note").unwrap();
        for value in values {
            let text = format!("{:?}", AttributeChange::Set(name.clone(), value));
            assert!(text.contains("note"), "{text}");
            for leak in ["hush", "104", "4242", "true"] {
                assert!(!text.contains(leak), "{text}");
            }
        }
    }

    #[test]
    fn a_dump_tells_the_type_and_the_size_of_a_value() {
        let json = JsonText::new("\"hush\"").unwrap();
        assert_eq!(format!("{json:?}"), "JsonText(6 bytes)");
        for (value, shown) in [
            (Value::from("hush"), "text(4 bytes)"),
            (Value::Integer(4242), "integer(8 bytes)"),
            (Value::Boolean(true), "boolean(1 bytes)"),
            (Value::Bytes(b"hush"[..].into()), "bytes(4 bytes)"),
            (Value::Json(json), "json(6 bytes)"),
        ] {
            assert_eq!(format!("{value:?}"), shown);
        }
    }
}
