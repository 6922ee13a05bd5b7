//! Moving a store's records: out as lines of text, and in again, each line with its keyed tag.
//!
//! ```text
//! {"countersign_export":1}
//! {"table":"grants","key":"<32 hex>","version":7,"record":"<hex of the tagged envelope>"}
//! {"end":true,"records":3,"tag":"<32 hex>"}
//! ```
//! A record leaves as it rests: a keyed hash, never a secret. The tag inside each envelope holds
//! it to its table, key and version, and the last line's tag holds the lines together, so an
//! import under other keys, of an edited file or of half a file is an error and changes nothing
//! but what was whole before it.

use crate::engine::Engine;
use crate::entropy;
use crate::error::Error;
use countersign_core::{
    Batch, Change, Epoch, EventKind, Expect, Key, Keyring, Record, Subsystem, Switch, SystemRecord,
    Table, Version, Versioned, Write,
};
use countersign_store::codec::Sealer;
use countersign_store::error::CommitError;
use countersign_store::store::{KeyRange, Revision};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};
use std::sync::Arc;

/// The longest line that is read: a record of the largest size, in hex, and its frame.
const LINE_MAX: u64 = 256 * 1024;
/// Records that are read or written at once.
const CHUNK: usize = 256;
const FORMAT: u32 = 1;

/// What was written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Records that were written.
    pub records: u64,
    /// Records that did not read back whole and were left out.
    pub damaged: Vec<Key>,
}

/// What was read in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that were filed.
    pub filed: u64,
    /// Records that were there already and were left as they are.
    pub present: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    countersign_export: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    table: String,
    key: String,
    version: u64,
    record: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tail {
    end: bool,
    records: u64,
    tag: String,
}

impl Engine {
    /// Writes every record that is whole as a line of text; `progress` is told how many so far.
    ///
    /// # Errors
    /// When the store cannot be read or `to` cannot be written.
    pub fn export(
        &self,
        to: &mut dyn io::Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ExportReport, Error> {
        let inner = self.inner();
        inner.open()?;
        let sealer = Sealer::new(Arc::clone(&inner.keyring));
        let mut chain = Chain::default();
        let mut report = ExportReport::default();
        put_line(
            to,
            &Head {
                countersign_export: FORMAT,
            },
        )?;
        for table in Table::ALL {
            let mut range = Some(KeyRange::all(table));
            while let Some(next) = range {
                let page = inner.store.scan(next, CHUNK).wait()?;
                report.damaged.extend(page.damaged);
                for (key, found) in page.records {
                    let line = line_of(&sealer, key, &found)?;
                    chain.link(&inner.keyring, &line.record);
                    put_line(to, &line)?;
                    report.records = report.records.saturating_add(1);
                }
                progress(report.records);
                range = page.rest;
            }
        }
        let tag = hex(&chain.0);
        put_line(
            to,
            &Tail {
                end: true,
                records: report.records,
                tag,
            },
        )?;
        to.flush().map_err(io_error)?;
        Ok(report)
    }

    /// Files the records of an export in a store that has none of its own yet.
    ///
    /// Into a store that is in use nothing is imported: its epochs are not those that the records
    /// were issued under, and what was revoked and pruned in it would come back. Until the last
    /// line has been read and fits, the store is closed to everybody, and so it stays if the import
    /// fails: it is begun again with another new store. Open the engine anew afterwards: how its
    /// tokens are written is part of what was imported.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], or the first line that does not read or does not fit its tag, with its
    /// number.
    pub fn import(
        &self,
        from: &mut dyn BufRead,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportReport, Error> {
        let inner = self.inner();
        inner.open()?;
        self.is_unused()?;
        let mut lines = Lines { from, number: 0 };
        let head: Head = lines
            .read()?
            .ok_or_else(|| lines.fault("the file is empty"))?;
        if head.countersign_export != FORMAT {
            return Err(lines.fault("an export of another format"));
        }
        let sealer = Sealer::new(Arc::clone(&inner.keyring));
        let (mut chain, mut report) = (Chain::default(), ImportReport::default());
        let mut chunk = Vec::with_capacity(CHUNK);
        let closed = self.close_off()?;
        let mut system = None;
        loop {
            let text = lines
                .next()?
                .ok_or_else(|| lines.fault("the last line is missing"))?;
            if let Ok(tail) = spelled::<Tail>(&text) {
                let waiting = chunk.len().saturating_add(usize::from(system.is_some()));
                let read = report.filed.saturating_add(report.present);
                let count = read.saturating_add(u64::try_from(waiting).unwrap_or(u64::MAX));
                if !tail.end || tail.records != count || tail.tag != hex(&chain.0) {
                    return Err(lines.fault("the last line does not fit those before it"));
                }
                if lines.next()?.is_some() {
                    return Err(lines.fault("something follows the last line"));
                }
                break;
            }
            let line: Line = spelled(&text).map_err(|error| lines.fault(error))?;
            chain.link(&inner.keyring, &line.record);
            match record_of(&sealer, &line).map_err(|error| lines.fault(error))? {
                (Key::SYSTEM, Record::System(record)) if system.is_none() => system = Some(record),
                other => chunk.push(other),
            }
            if chunk.len() == CHUNK {
                self.file(&mut chunk, &mut report)?;
                progress(report.filed.saturating_add(report.present));
            }
        }
        let system = system.ok_or_else(|| lines.fault("the system record is not among them"))?;
        self.file(&mut chunk, &mut report)?;
        // Last of all: with it the store opens to those whom the export lets in.
        self.put_system(Expect::Version(closed), system)?;
        report.filed = report.filed.saturating_add(1);
        progress(report.filed.saturating_add(report.present));
        self.note(EventKind::Imported).wait()?;
        futures_executor::block_on(inner.policy_now())?;
        Ok(report)
    }

    /// Switches everything off, in epochs that no record was issued under; answers the version of
    /// the system record that says so.
    fn close_off(&self) -> Result<Version, Error> {
        let inner = self.inner();
        let found = futures_executor::block_on(inner.load_system())?;
        let mut system = found.record;
        for subsystem in Subsystem::ALL {
            let random = entropy::bytes(&*inner.entropy)?;
            let epoch = Epoch::begun(inner.now(), random);
            *system.switch_mut(subsystem) = Switch { on: false, epoch };
        }
        self.put_system(Expect::Version(found.version), system)
    }

    fn put_system(&self, expect: Expect, system: SystemRecord) -> Result<Version, Error> {
        let mut batch = Batch::grow();
        batch.put(Key::SYSTEM, expect, Record::System(system));
        let revision = self.inner().store.commit(batch).wait()?;
        Ok(Version::new(revision.0))
    }

    /// Whether nothing was ever issued from the store.
    fn is_unused(&self) -> Result<(), Error> {
        let own = [
            Table::Principals,
            Table::Grants,
            Table::Usage,
            Table::Events,
            Table::Series,
            Table::Attachments,
        ];
        for table in own {
            let page = self.inner().store.scan(KeyRange::all(table), 1).wait()?;
            if !page.records.is_empty() || !page.damaged.is_empty() {
                return Err(Error::NotEmpty {
                    table: table.name(),
                });
            }
        }
        Ok(())
    }

    /// Files those of some records that are not there yet.
    fn file(&self, chunk: &mut Vec<(Key, Record)>, report: &mut ImportReport) -> Result<(), Error> {
        let inner = self.inner();
        while !chunk.is_empty() {
            let keys: Vec<Key> = chunk.iter().map(|(key, _)| *key).collect();
            let found = inner.store.load(&keys).wait()?;
            let mut batch = Batch::grow();
            let mut present = 0u64;
            for ((key, record), found) in chunk.iter().zip(found) {
                if found.is_some() {
                    present = present.saturating_add(1);
                    continue;
                }
                let expect = Expect::as_loaded(found.as_ref());
                let change = Change::Put(record.clone());
                batch.writes.push(Write {
                    key: *key,
                    expect,
                    change,
                });
            }
            let filed = u64::try_from(batch.writes.len()).unwrap_or(u64::MAX);
            let outcome = match filed {
                0 => Ok(()),
                _ => inner.store.commit(batch).wait().map(drop),
            };
            match outcome {
                Ok(()) => {
                    report.filed = report.filed.saturating_add(filed);
                    report.present = report.present.saturating_add(present);
                    chunk.clear();
                }
                // Somebody else filed one of them: look again.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// A tag over all lines so far: each is tagged together with the one before.
#[derive(Default)]
struct Chain([u8; 16]);

impl Chain {
    fn link(&mut self, keyring: &Keyring, record: &str) {
        self.0 = keyring.export_tag(&[&self.0, record.as_bytes()]);
    }
}

fn line_of(sealer: &Sealer, key: Key, found: &Versioned) -> Result<Line, Error> {
    let mut draft = sealer.draft(key, &found.record)?;
    let sealed = sealer.seal(&mut draft, found.version);
    Ok(Line {
        table: key.table.name().to_owned(),
        key: hex(&key.id),
        version: found.version.number(),
        record: hex(sealed),
    })
}

fn record_of(sealer: &Sealer, line: &Line) -> Result<(Key, Record), String> {
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
struct Lines<'a> {
    from: &'a mut dyn BufRead,
    number: u64,
}

impl Lines<'_> {
    fn next(&mut self) -> Result<Option<String>, Error> {
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

    fn read<T: Serialize + DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        let Some(text) = self.next()? else {
            return Ok(None);
        };
        spelled(&text).map(Some).map_err(|error| self.fault(error))
    }

    fn fault(&self, detail: impl std::fmt::Display) -> Error {
        Error::Import {
            line: self.number,
            detail: detail.to_string(),
        }
    }
}

/// Reads a line as it is written out, and in no other spelling that JSON has for it: the last
/// line's tag is over the records' digits alone, and there is one file for the same records.
fn spelled<T: Serialize + DeserializeOwned>(text: &str) -> Result<T, String> {
    let line: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let written = serde_json::to_string(&line).map_err(|error| error.to_string())?;
    match written == text {
        true => Ok(line),
        false => Err("the line is not spelled as an export spells it".to_owned()),
    }
}

fn put_line(to: &mut dyn io::Write, line: &impl Serialize) -> Result<(), Error> {
    let mut text = serde_json::to_string(line).map_err(|error| Error::Io(error.to_string()))?;
    text.push('\n');
    to.write_all(text.as_bytes()).map_err(io_error)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn io_error(error: io::Error) -> Error {
    Error::Io(error.to_string())
}

fn hex(bytes: &[u8]) -> String {
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
