//! The record codec: how a record becomes the bytes that a store keeps, and how those are believed.
//!
//! ```text
//! envelope version  1   always 1
//! record kind       1   what the payload is; says which table it may be filed in
//! record format     1   how the payload is laid out; 1, and 2 for an event of an attachment
//! version           8   the revision of the commit that wrote it, big-endian
//! payload           n   bincode, legacy configuration
//! tag              16   keyed hash over (table code and key) and all of the bytes above
//! ```
//!
//! The tag is checked first, so nothing that was not sealed under this root key, for this key of
//! this table, is ever decoded. What is decoded is then parsed into types that cannot be wrong.
//! This module alone knows bincode; it knows nothing of any store.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(test)]
pub(crate) use tests::Dice;

use crate::batch;
use crate::error::StoreError;
use crate::store::Revision;
use core::fmt;
use countersign_core::{Key, Keyring, OLDER_MAX, Record, Table, Version, Versioned};
use std::sync::Arc;

/// The most bytes of one payload.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

const ENVELOPE_VERSION: u8 = 1;
const FORMAT_V1: u8 = 1;
/// Of events alone: the layout of the first format, and an attachment behind it.
const FORMAT_V2: u8 = 2;
const HEAD_BYTES: usize = 11;
const TAG_BYTES: usize = 16;
/// The bytes of an envelope around its payload.
pub const ENVELOPE_BYTES: usize = HEAD_BYTES + TAG_BYTES;

/// What a payload is. The codes are stored and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    System = 1,
    Policy = 2,
    Principal = 3,
    Grant = 4,
    Usage = 5,
    Event = 6,
    Series = 7,
    Attachment = 8,
}

impl Kind {
    const ALL: [Self; 8] = [
        Self::System,
        Self::Policy,
        Self::Principal,
        Self::Grant,
        Self::Usage,
        Self::Event,
        Self::Series,
        Self::Attachment,
    ];

    const fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether a payload of this kind may be laid out so.
    const fn has_format(self, format: u8) -> bool {
        match self {
            Self::Event | Self::Principal => matches!(format, FORMAT_V1 | FORMAT_V2),
            _ => format == FORMAT_V1,
        }
    }

    /// Whether a record of this kind may be filed under `key`.
    fn belongs(self, key: Key) -> bool {
        match self {
            Self::System => key == Key::SYSTEM,
            Self::Policy => key == Key::POLICY,
            Self::Principal => key.table == Table::Principals,
            Self::Grant => key.table == Table::Grants,
            Self::Usage => key.table == Table::Usage,
            Self::Event => key.table == Table::Events,
            Self::Series => key.table == Table::Series,
            Self::Attachment => key.table == Table::Attachments,
        }
    }
}

/// Seals records under a keyring, and opens what was sealed.
#[derive(Clone)]
pub struct Sealer {
    keyring: Arc<Keyring>,
}

/// An encoded record that waits for its version and its tag.
#[derive(Clone, Debug)]
pub struct Draft {
    key: Key,
    /// The envelope, with a version of zero until it is sealed.
    bytes: Vec<u8>,
    /// Where its tag begins.
    body: usize,
}

impl Sealer {
    /// Seals under this keyring's root key, which never changes for a store.
    #[must_use]
    pub const fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring }
    }

    /// Encodes a record and leaves its version open, so that the work is done before the commit.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the record is too large, or does not belong under `key`.
    pub fn draft(&self, key: Key, record: &Record) -> Result<Draft, StoreError> {
        self.is_placed(key, record)?;
        let mut bytes = vec![ENVELOPE_VERSION, 0, FORMAT_V1, 0, 0, 0, 0, 0, 0, 0, 0];
        let (kind, format) = encode::payload(record, &mut bytes)?;
        if let Some(place) = bytes.get_mut(1..3) {
            place.copy_from_slice(&[kind.code(), format]);
        }
        bytes.reserve_exact(TAG_BYTES);
        let body = bytes.len();
        Ok(Draft { key, bytes, body })
    }

    /// Whether a record may be filed under `key`: a principal and an attachment lie where their
    /// names say.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it belongs elsewhere.
    pub fn is_placed(&self, key: Key, record: &Record) -> Result<(), StoreError> {
        if let Record::Principal(principal) = record
            && Key::principal(self.keyring.principal_key(&principal.principal)) != key
        {
            return Err(StoreError::Invalid(
                "a principal is filed under another one's key",
            ));
        }
        if let Record::Attachment(opened) = record
            && Key::attachment(self.keyring.attachment_key(&opened.attachment)) != key
        {
            return Err(StoreError::Invalid(
                "an attachment is filed under another one's key",
            ));
        }
        // The check for what belongs where is shared with the stores that encode nothing.
        if !batch::belongs(key, record) {
            return Err(StoreError::Invalid(
                "a record is filed where it does not belong",
            ));
        }
        Ok(())
    }

    /// Gives a draft its version and its tag; doing it again gives it others.
    pub fn seal<'a>(&self, draft: &'a mut Draft, version: Version) -> &'a [u8] {
        draft.bytes.truncate(draft.body);
        if let Some(place) = draft.bytes.get_mut(3..HEAD_BYTES) {
            place.copy_from_slice(&version.number().to_be_bytes());
        }
        let tag = self.tag(draft.key, &draft.bytes);
        draft.bytes.extend_from_slice(&tag);
        &draft.bytes
    }

    /// Reads a record back, believing nothing: neither its tag, nor its place, nor its fields.
    ///
    /// `newest` is the store's revision: a record of a later version was not written by it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what does not fit.
    pub fn open(&self, key: Key, bytes: &[u8], newest: Revision) -> Result<Versioned, StoreError> {
        let damaged = |detail| StoreError::Damaged { key, detail };
        let parts = self.parts(key, bytes, newest).map_err(damaged)?;
        let record =
            decode::payload(parts.kind, parts.format, key, parts.payload).map_err(damaged)?;
        Ok(Versioned {
            version: parts.version,
            record,
        })
    }

    /// The version of a record whose tag and place are checked, but which is not decoded.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what does not fit.
    pub fn version(&self, key: Key, bytes: &[u8], newest: Revision) -> Result<Version, StoreError> {
        let parts = self.parts(key, bytes, newest);
        parts
            .map(|parts| parts.version)
            .map_err(|detail| StoreError::Damaged { key, detail })
    }

    fn parts<'a>(
        &self,
        key: Key,
        bytes: &'a [u8],
        newest: Revision,
    ) -> Result<Parts<'a>, &'static str> {
        let (sealed, tag) = bytes
            .split_last_chunk::<TAG_BYTES>()
            .ok_or("it is too short")?;
        // Compared as hashes are, though a tag guards against damage and tells no secret.
        if !same_tag(&self.tag(key, sealed), tag) {
            return Err("its tag does not fit");
        }
        let (&[envelope, kind, format], rest) =
            sealed.split_first_chunk::<3>().ok_or("it is too short")?;
        let (version, payload) = rest.split_first_chunk::<8>().ok_or("it is too short")?;
        if envelope != ENVELOPE_VERSION {
            return Err("its format is not known");
        }
        let kind = Kind::from_code(kind).ok_or("its kind is not known")?;
        if !kind.has_format(format) {
            return Err("its format is not known");
        }
        if !kind.belongs(key) {
            return Err("it does not belong in this table");
        }
        let version = Version::new(u64::from_be_bytes(*version));
        if version.number() > newest.0 {
            return Err("it is newer than the store");
        }
        Ok(Parts {
            kind,
            format,
            version,
            payload,
        })
    }

    fn tag(&self, key: Key, sealed: &[u8]) -> [u8; TAG_BYTES] {
        let mut place = [0; 17];
        if let Some((table, id)) = place.split_first_mut() {
            *table = key.table.code();
            id.copy_from_slice(&key.id);
        }
        self.keyring.record_tag(&[&place, sealed])
    }
}

struct Parts<'a> {
    kind: Kind,
    format: u8,
    version: Version,
    payload: &'a [u8],
}

impl Draft {
    /// Where the record is filed.
    #[must_use]
    pub const fn key(&self) -> Key {
        self.key
    }

    /// How many bytes it will have.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.body.saturating_add(TAG_BYTES)
    }

    /// Never: an envelope has a head and a tag.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// How many older digests a series has: each rotation leaves one, and the oldest are dropped.
fn older_digests(generation: u32) -> usize {
    let rotations = usize::try_from(generation).unwrap_or(usize::MAX);
    rotations.min(OLDER_MAX)
}

/// How many bytes a record would have in a store.
///
/// # Errors
/// [`StoreError::Invalid`] when it is too large for any.
pub(crate) fn encoded_len(record: &Record) -> Result<usize, StoreError> {
    let mut bytes = Vec::new();
    encode::payload(record, &mut bytes)?;
    Ok(bytes.len().saturating_add(ENVELOPE_BYTES))
}

/// Compares two tags without stopping at the first difference.
pub(crate) fn same_tag(a: &[u8; TAG_BYTES], b: &[u8; TAG_BYTES]) -> bool {
    u128::from_ne_bytes(*a) ^ u128::from_ne_bytes(*b) == 0
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealer").field(&self.keyring).finish()
    }
}
