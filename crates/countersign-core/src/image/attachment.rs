//! Attachments: what an image token opens, and the record that can end all tokens of one.

use crate::epoch::Epoch;
use crate::text::{TextError, bounded_text, check};
use crate::time::Timestamp;
use core::fmt;
use std::sync::Arc;

bounded_text!(
    /// The name of an attachment, as the host knows it: a numeric id, a UUID, a path.
    AttachmentId,
    "the attachment",
    128
);

/// Where an attachment's record is filed: a keyed hash of its name, as for principals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentKey([u8; 16]);

impl AttachmentKey {
    /// Takes 16 bytes that a keyring made, or that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// What is stored for an attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachmentRecord {
    /// The name, which must be the one that was asked for: keys are hashes.
    pub attachment: AttachmentId,
    /// Tokens from before its instant are dead.
    pub epoch: Epoch,
}

impl AttachmentRecord {
    /// The record of an attachment that has none, because it is new or because it got lost.
    ///
    /// It begins now, so that no token of a lost record stands again.
    #[must_use]
    pub fn begun(attachment: AttachmentId, now: Timestamp, random: [u8; 4]) -> Self {
        Self {
            attachment,
            epoch: Epoch::begun(now, random),
        }
    }
}
