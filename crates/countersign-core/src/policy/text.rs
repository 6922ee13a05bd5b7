//! A policy as TOML: read with the line of every fault, written with every value.

use super::{Draft, Policy, PolicyError};
use core::ops::Range;
use toml::de::DeTable;

/// The longest policy that is read: a little under what a record of a store can hold.
pub const POLICY_TEXT_MAX: usize = 63 * 1024;

/// As much of a reader's message is told: it may quote a key of any length.
const MESSAGE_CHARS_MAX: usize = 512;

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyTextError {
    /// Longer than any policy.
    #[error("a policy has at most {POLICY_TEXT_MAX} bytes")]
    TooLong,
    /// No TOML, an unknown key, or a value of the wrong type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value out of its bound.
    #[error("line {line}: {error}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// Which value, and what is allowed.
        error: PolicyError,
    },
}

impl Policy {
    /// Reads a policy from TOML; what it leaves out has its default.
    ///
    /// # Errors
    /// The first fault, with its line. Unknown keys are faults.
    pub fn from_toml(text: &str) -> Result<Self, PolicyTextError> {
        if text.len() > POLICY_TEXT_MAX {
            return Err(PolicyTextError::TooLong);
        }
        let draft: Draft = toml::from_str(text).map_err(|error| PolicyTextError::Syntax {
            line: line_of(text, error.span()),
            message: printable(error.message()),
        })?;
        draft.build().map_err(|error| {
            let line = line_of(text, place_of(text, error.field));
            PolicyTextError::Value { line, error }
        })
    }

    /// Writes every value as TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // Sections of numbers, texts and booleans always have a TOML form.
        toml::to_string(&self.0).unwrap_or_default()
    }
}

/// Where `section.field` stands in the text; a default that clashes stands nowhere.
fn place_of(text: &str, field: &str) -> Option<Range<usize>> {
    let (section, field) = field.split_once('.')?;
    let document = DeTable::parse(text).ok()?;
    let (heading, value) = document.get_ref().get_key_value(section)?;
    let entry = value
        .get_ref()
        .as_table()
        .and_then(|table| table.get_key_value(field));
    Some(entry.map_or_else(|| heading.span(), |(key, _)| key.span()))
}

/// The reader's message may quote the text, which may hold anything: a terminal must bear it.
fn printable(message: &str) -> String {
    let cut = message.chars().take(MESSAGE_CHARS_MAX);
    let escaped = |c: char| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.into()
        }
    };
    cut.map(escaped).collect()
}

fn line_of(text: &str, place: Option<Range<usize>>) -> usize {
    let before = place
        .and_then(|place| text.get(..place.start))
        .unwrap_or_default();
    before
        .bytes()
        .filter(|&c| c == b'\n')
        .count()
        .saturating_add(1)
}
