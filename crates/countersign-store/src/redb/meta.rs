//! What a store says about itself: rows of the table `meta`, tagged as records are.
//!
//! ```text
//! 1 header    format 4 (first in every format there will be), store id 16, root key check 16
//! 2 counter   revision 8
//! 3 peppers   (id 2, check 16) for each, ascending
//! 4 identity  flags 1, inode 8, birth seconds 8, birth nanoseconds 4
//! ```
//!
//! All integers are big-endian and each row ends in its tag. The format and the root key check are
//! looked at before the tag, since a newer format or another key explains a tag that does not fit.

use super::identity::Identity;
use crate::codec::same_tag;
use crate::store::Revision;
use countersign_core::keys::KeyCheck;
use countersign_core::{KeyId, Keyring};

/// The format that this version writes, and the newest that it reads.
pub(super) const FORMAT: u32 = 1;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Row {
    Header = 1,
    Counter = 2,
    Peppers = 3,
    Identity = 4,
}

impl Row {
    pub(super) const ALL: [Self; 4] = [Self::Header, Self::Counter, Self::Peppers, Self::Identity];

    pub(super) const fn key(self) -> [u8; 16] {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self as u8]
    }
}

/// The rows as they were read, in the order of [`Row::ALL`].
pub(super) type RawRows = [Option<Vec<u8>>; 4];

/// Everything that a store says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub store_id: [u8; 16],
    pub revision: Revision,
    pub peppers: Vec<(KeyId, KeyCheck)>,
    pub identity: Identity,
}

/// Why a store and a keyring do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    NotAStore(&'static str),
    NewerFormat(u32),
    OlderFormat(u32),
    WrongKey,
    MissingPepper(KeyId),
    Damaged(&'static str),
}

impl Meta {
    /// Believes the rows of a store of format `current`, if they fit `keyring`.
    pub(super) fn parse(rows: &RawRows, keyring: &Keyring, current: u32) -> Result<Self, Unfit> {
        let [header, counter, peppers, identity] = rows;
        let header = header
            .as_deref()
            .ok_or(Unfit::NotAStore("it has no header"))?;
        let store_id = parse_header(header, keyring, current)?;
        let row = |row: Row, bytes: &'_ Option<Vec<u8>>| {
            let bytes = bytes
                .as_deref()
                .ok_or(Unfit::Damaged("a row of its head is missing"))?;
            untag(keyring, row, bytes).map(<[u8]>::to_vec)
        };
        let counter = row(Row::Counter, counter)?;
        let counter = counter
            .try_into()
            .map_err(|_| Unfit::Damaged("its counter is not one"))?;
        Ok(Self {
            store_id,
            revision: Revision(u64::from_be_bytes(counter)),
            peppers: parse_peppers(&row(Row::Peppers, peppers)?)?,
            identity: Identity::from_bytes(&row(Row::Identity, identity)?)
                .ok_or(Unfit::Damaged("its identity is not one"))?,
        })
    }

    /// The peppers that are not noted yet.
    ///
    /// # Errors
    /// When a noted one is missing from the keyring, or is another one there.
    pub(super) fn new_peppers(&self, keyring: &Keyring) -> Result<Vec<(KeyId, KeyCheck)>, Unfit> {
        for (id, check) in &self.peppers {
            match keyring.pepper_checks().find(|(held, _)| held == id) {
                None => return Err(Unfit::MissingPepper(*id)),
                Some((_, held)) if held != *check => return Err(Unfit::WrongKey),
                Some(_) => {}
            }
        }
        let noted = |id: KeyId| self.peppers.iter().any(|(known, _)| *known == id);
        Ok(keyring
            .pepper_checks()
            .filter(|(id, _)| !noted(*id))
            .collect())
    }
}

/// The tagged bytes of the header.
pub(super) fn header_row(keyring: &Keyring, format: u32, store_id: [u8; 16]) -> Vec<u8> {
    let mut bytes = format.to_be_bytes().to_vec();
    bytes.extend_from_slice(&store_id);
    bytes.extend_from_slice(&keyring.root_check());
    tagged(keyring, Row::Header, bytes)
}

/// The tagged bytes of the commit counter.
pub(super) fn counter_row(keyring: &Keyring, revision: Revision) -> Vec<u8> {
    tagged(keyring, Row::Counter, revision.0.to_be_bytes().to_vec())
}

/// The tagged bytes of the list of peppers.
pub(super) fn peppers_row(keyring: &Keyring, peppers: &[(KeyId, KeyCheck)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (id, check) in peppers {
        bytes.extend_from_slice(&id.number().to_be_bytes());
        bytes.extend_from_slice(check);
    }
    tagged(keyring, Row::Peppers, bytes)
}

/// The tagged bytes of the file's identity.
pub(super) fn identity_row(keyring: &Keyring, identity: Identity) -> Vec<u8> {
    tagged(keyring, Row::Identity, identity.to_bytes().to_vec())
}

/// The revision in a counter's row, if it reads back whole.
pub(super) fn parse_counter(keyring: &Keyring, bytes: &[u8]) -> Option<Revision> {
    let payload = untag(keyring, Row::Counter, bytes).ok()?;
    payload
        .try_into()
        .ok()
        .map(u64::from_be_bytes)
        .map(Revision)
}

fn parse_header(bytes: &[u8], keyring: &Keyring, current: u32) -> Result<[u8; 16], Unfit> {
    let (format, _) = bytes
        .split_first_chunk()
        .ok_or(Unfit::NotAStore("it has no format"))?;
    match u32::from_be_bytes(*format) {
        0 => return Err(Unfit::Damaged("its format is not one")),
        newer if newer > current => return Err(Unfit::NewerFormat(newer)),
        older if older < current => return Err(Unfit::OlderFormat(older)),
        _ => {}
    }
    let body: &[u8; 52] = bytes
        .try_into()
        .map_err(|_| Unfit::Damaged("its header is not one"))?;
    let check = body.get(20..36).and_then(|check| check.first_chunk::<16>());
    if check != Some(&keyring.root_check()) {
        return Err(Unfit::WrongKey);
    }
    let body = untag(keyring, Row::Header, bytes)?;
    let store_id = body.get(4..20).and_then(|id| id.first_chunk::<16>());
    store_id
        .copied()
        .ok_or(Unfit::Damaged("its header is not one"))
}

fn parse_peppers(bytes: &[u8]) -> Result<Vec<(KeyId, KeyCheck)>, Unfit> {
    let (rows, rest) = bytes.as_chunks::<18>();
    let parse = |row: &[u8; 18]| {
        let (id, check) = row.split_first_chunk::<2>()?;
        Some((
            KeyId::new(u16::from_be_bytes(*id))?,
            *check.first_chunk::<16>()?,
        ))
    };
    let peppers: Option<Vec<_>> = rows.iter().map(parse).collect();
    peppers
        .filter(|_| rest.is_empty())
        .ok_or(Unfit::Damaged("its list of peppers is not one"))
}

fn tagged(keyring: &Keyring, row: Row, mut bytes: Vec<u8>) -> Vec<u8> {
    let tag = tag(keyring, row, &bytes);
    bytes.extend_from_slice(&tag);
    bytes
}

fn untag<'a>(keyring: &Keyring, row: Row, bytes: &'a [u8]) -> Result<&'a [u8], Unfit> {
    let (payload, found) = bytes
        .split_last_chunk::<16>()
        .ok_or(Unfit::Damaged("a row of its head is too short"))?;
    if same_tag(&tag(keyring, row, payload), found) {
        Ok(payload)
    } else {
        Err(Unfit::Damaged(
            "a row of its head has a tag that does not fit",
        ))
    }
}

/// As for records, with table code 0, which no table of records has.
fn tag(keyring: &Keyring, row: Row, payload: &[u8]) -> [u8; 16] {
    keyring.record_tag(&[&[0], &row.key(), payload])
}

#[cfg(test)]
mod tests;
