//! The lines of an export: how each is spelled, and reading them with a bound.

use crate::error::Error;
use countersign_core::{Key, Keyring, Record, Table, Version, Versioned};
use countersign_store::codec::Sealer;
use countersign_store::store::Revision;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};

/// The longest line that is read: a record of the largest size, in hex, and its frame.
const LINE_MAX: u64 = 256 * 1024;
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    countersign_export: u32,
}

impl Head {
    pub(super) const OURS: Self = Self {
        countersign_export: FORMAT,
    };
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    table: String,
    key: String,
    version: u64,
    pub(super) record: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tail {
    end: bool,
    records: u64,
    tag: String,
}

impl Tail {
    pub(super) fn new(records: u64, chain: &Chain) -> Self {
        Self {
            end: true,
            records,
            tag: hex(&chain.0),
        }
    }

    /// Whether it is the last line after so many records with these tags.
    pub(super) fn fits(&self, records: u64, chain: &Chain) -> bool {
        self.end && self.records == records && self.tag == hex(&chain.0)
    }
}

/// A tag over all records so far: each is tagged together with the one before.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chain([u8; 16]);

impl Chain {
    pub(super) fn link(&mut self, keyring: &Keyring, record: &[u8]) {
        self.0 = keyring.export_tag(&[&self.0, record]);
    }
}

pub(super) fn line_of(sealer: &Sealer, key: Key, found: &Versioned) -> Result<Line, Error> {
    let mut draft = sealer.draft(key, &found.record)?;
    let sealed = sealer.seal(&mut draft, found.version);
    Ok(Line {
        table: key.table.name().to_owned(),
        key: hex(&key.id),
        version: found.version.number(),
        record: hex(sealed),
    })
}

pub(super) fn record_of(sealer: &Sealer, line: &Line) -> Result<(Key, Record), String> {
    let table = Table::ALL
        .into_iter()
        .find(|table| table.name() == line.table);
    let table = table.ok_or("no table has this name")?;
    let id = unhex(&line.key).and_then(|bytes| bytes.try_into().ok());
    let key = Key {
        table,
        id: id.ok_or("the key is not 32 hex digits")?,
    };
    let sealed = unhex(&line.record).ok_or("the record is not hex")?;
    // Versions are those of the store that was exported, whose newest one is not known here.
    let newest = Revision(u64::MAX);
    let found = sealer
        .open(key, &sealed, newest)
        .map_err(|error| error.to_string())?;
    if found.version != Version::new(line.version) {
        return Err("the version is not the record's".to_owned());
    }
    // Not every store would ask.
    sealer
        .is_placed(key, &found.record)
        .map_err(|error| error.to_string())?;
    Ok((key, found.record))
}

/// Reads lines with a bound on their length, and knows where it is.
pub(super) struct Lines<'a> {
    from: &'a mut dyn BufRead,
    number: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(from: &'a mut dyn BufRead) -> Self {
        Self { from, number: 0 }
    }

    /// The first line.
    pub(super) fn head(&mut self) -> Result<(), Error> {
        let text = self
            .next()?
            .ok_or_else(|| self.fault("the file is empty"))?;
        let head: Head = spelled(&text).map_err(|error| self.fault(error))?;
        match head.countersign_export == FORMAT {
            true => Ok(()),
            false => Err(self.fault("an export of another format")),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<String>, Error> {
        self.number = self.number.saturating_add(1);
        let mut line = Vec::new();
        let mut bounded = io::Read::take(&mut *self.from, LINE_MAX);
        bounded.read_until(b'\n', &mut line).map_err(io_error)?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.pop() != Some(b'\n') {
            return Err(self.fault("the line is cut or too long"));
        }
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| self.fault("the line is not UTF-8"))
    }

    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn fault(&self, detail: impl std::fmt::Display) -> Error {
        Error::Import {
            line: self.number,
            detail: detail.to_string(),
        }
    }
}

/// Reads a line as it is written out, and in no other spelling that JSON has for it: the last
/// line's tag is over the records' digits alone, and there is one file for the same records.
pub(super) fn spelled<T: Serialize + DeserializeOwned>(text: &str) -> Result<T, String> {
    let line: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let written = serde_json::to_string(&line).map_err(|error| error.to_string())?;
    match written == text {
        true => Ok(line),
        false => Err("the line is not spelled as an export spells it".to_owned()),
    }
}

pub(super) fn put_line(to: &mut dyn io::Write, line: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_string(line).map_err(|error| Error::Io(error.to_string()))?;
    text.push('\n');
    to.write_all(text.as_bytes()).map_err(io_error)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
pub(super) fn io_error(error: io::Error) -> Error {
    Error::Io(error.to_string())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let value = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .filter(|_| !digit.is_ascii_uppercase())
    };
    let byte = |[high, low]: &[u8; 2]| u8::try_from((value(*high)? << 4) | value(*low)?).ok();
    pairs.iter().map(byte).collect()
}
