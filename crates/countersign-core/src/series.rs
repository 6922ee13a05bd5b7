//! The record behind a remembered device.
//!
//! One series is one device. Its selector stays for good; its secret is replaced time and again,
//! and the record keeps keyed hashes of the current one and of a few before it, never a secret.

use crate::digest::Digest;
use crate::epoch::EpochStamp;
use crate::keys::KeyId;
use crate::principal::Principal;
use crate::text::{Reason, TextError, bounded_text, check, is_harmful};
use crate::time::Timestamp;
use core::fmt;
use std::sync::Arc;

/// The most replaced secrets that a series still recognises. What is older is as good as a guess.
pub const OLDER_MAX: usize = 4;

bounded_text!(
    /// What a remembered device is called in lists, such as the name of a browser.
    Label,
    "the label",
    120
);

impl Label {
    /// What of a text can be a label, such as of a `User-Agent` header: without control characters
    /// and blanks at its ends, and cut to what fits. `None` where nothing is left.
    #[must_use]
    pub fn fitting(text: &str) -> Option<Self> {
        let plain: String = text.chars().filter(|&c| !is_harmful(c)).collect();
        let plain = plain.trim();
        let cut = plain.floor_char_boundary(Self::MAX_BYTES);
        Self::new(plain.get(..cut)?.trim_end()).ok()
    }
}

/// A digest, and the pepper that it was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyedDigest {
    /// The pepper.
    pub key_id: KeyId,
    /// The keyed hash of a secret.
    pub digest: Digest,
}

/// What ended a series. Every end is final, one by time as well: no clock that steps back and no
/// policy that is loosened gives the device back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeriesEndCause {
    /// By its owner or an operator.
    Revoked(Option<Reason>),
    /// For room, when its principal had too many.
    Evicted,
    /// By time, noted when it was presented or swept.
    Expired,
    /// A replaced secret came back after its grace: two parties hold this device's secrets.
    Reused,
}

/// When and why a series ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesEnd {
    /// When it ended.
    pub at: Timestamp,
    /// Why.
    pub cause: SeriesEndCause,
}

/// What is stored for a remembered device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRecord {
    /// Whose it is. The principal of a request comes from here and nowhere else.
    pub principal: Principal,
    /// What its owner calls the device.
    pub label: Label,
    /// When its owner last said who they are and had the device remembered.
    pub created_at: Timestamp,
    /// When it ends by itself, as promised at its start; a tightened policy ends it sooner.
    pub expires_at: Timestamp,
    /// The epochs it was started under.
    pub stamp: EpochStamp,
    /// How many times its secret was replaced.
    pub generation: u32,
    /// What the current secret was derived with; zeros as long as it is the first one.
    pub salt: [u8; 16],
    /// The current secret.
    pub current: KeyedDigest,
    /// Those before it, newest first, at most [`OLDER_MAX`]; none in the first generation alone.
    pub older: Vec<KeyedDigest>,
    /// When the current secret was last handed out to whoever still had the previous one.
    pub rotated_at: Timestamp,
    /// When the current secret was first presented, which begins the grace of the previous one.
    pub successor_seen_at: Option<Timestamp>,
    /// What ended it, once something has.
    pub end: Option<SeriesEnd>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_fits_of_a_text() {
        for (text, label) in [
            ("Firefox", Some("Firefox")),
            (" \tFire\u{202e}fox\n ", Some("Firefox")),
            (" \u{a0}\r\n", None),
            ("", None),
        ] {
            let fitting = Label::fitting(text);
            assert_eq!(fitting.as_ref().map(Label::as_str), label, "{text:?}");
        }
        for long in [
            "x".repeat(500),
            "\u{e9}".repeat(500),
            format!("{} y", "x".repeat(119)),
        ] {
            let label = Label::fitting(&long).unwrap();
            assert!((119..=120).contains(&label.as_str().len()), "{label}");
            assert!(long.starts_with(label.as_str()));
        }
    }
}
