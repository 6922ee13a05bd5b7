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

mod filing;
mod lines;
mod tally;

pub use self::tally::Tally;

use self::filing::{Filing, Read, Wins};
use self::lines::{
    Chain, Head, Line, Lines, Tail, io_error, line_of, put_line, record_of, spelled,
};
use self::tally::Sums;
use crate::engine::Engine;
use crate::error::Error;
use countersign_core::{
    Batch, Epoch, EventKind, Expect, Key, KeyMaterial, Keyring, Record, Subsystem, Switch,
    SystemRecord, Table, Timestamp, Version,
};
use countersign_store::codec::Sealer;
use countersign_store::store::KeyRange;
use std::io::{self, BufRead};
use std::sync::Arc;

/// Records that are read or written at once.
const CHUNK: usize = 256;

/// What was written out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Records that were written.
    pub records: u64,
    /// How many of each table.
    pub tally: Tally,
    /// Records that did not read back whole and were left out.
    pub damaged: Vec<Key>,
}

/// What was read in. Read back from the store it was the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Records that were filed.
    pub filed: u64,
    /// Records that were there already, the same.
    pub present: u64,
    /// Records in whose place there was another.
    pub replaced: u64,
    /// Records that the store had and the export has not, and that were removed.
    pub removed: u64,
    /// How many records of each table were read.
    pub tally: Tally,
}

/// Whether an export that begins with these lines was made under these keys, as far as its first
/// record tells.
///
/// # Errors
/// The line that does not read, or whose tag does not fit.
pub fn export_is_of(keys: &KeyMaterial, start: &mut dyn BufRead) -> Result<(), Error> {
    let sealer = Sealer::new(Arc::new(Keyring::new(keys)));
    let mut lines = Lines::new(start);
    lines.head()?;
    let text = lines
        .next()?
        .ok_or_else(|| lines.fault("the last line is missing"))?;
    let line: Line = spelled(&text).map_err(|error| lines.fault(error))?;
    record_of(&sealer, &line).map_err(|error| lines.fault(error))?;
    Ok(())
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
        put_line(to, &Head::OURS)?;
        for table in Table::ALL {
            let mut range = Some(KeyRange::all(table));
            while let Some(next) = range {
                let page = inner.store.scan(next, CHUNK).wait()?;
                report.damaged.extend(page.damaged);
                for (key, found) in page.records {
                    let line = line_of(&sealer, key, &found)?;
                    chain.link(&inner.keyring, line.record.as_bytes());
                    put_line(to, &line)?;
                    report.tally.add(key.table);
                    report.records = report.records.saturating_add(1);
                }
                progress(report.records);
                range = page.rest;
            }
        }
        put_line(to, &Tail::new(report.records, &chain))?;
        to.flush().map_err(io_error)?;
        Ok(report)
    }

    /// Files the records of an export in a store that has none of its own yet.
    ///
    /// Into a store that is in use nothing is imported: its epochs are not those that the records
    /// were issued under, and what was revoked and pruned in it would come back. Until the last
    /// line has been read and fits, and all was read back from the store, the store is closed to
    /// everybody, and so it stays if the import fails or is cut off. Such an import goes on when
    /// it is begun again with the same export: what is there already is left, and a record that
    /// differs, or that the export has not, is an error. Open the engine anew afterwards: how its
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
        self.inner().open()?;
        if !self.is_importing()? {
            self.is_unused()?;
        }
        self.take_in(from, Wins::Nobody, progress)
    }

    /// Makes of a store what an export says, whatever is in it.
    ///
    /// A record that differs is replaced, and one that the export has not is removed, but for the
    /// audit log's events, which stay. What was revoked since the export was made is valid again:
    /// this is for a store that takes another one's place, and for the newest export of that one.
    /// As with [`Engine::import`] the store is closed to everybody until all is there.
    ///
    /// # Errors
    /// The first line that does not read or does not fit its tag, with its number.
    pub fn import_over(
        &self,
        from: &mut dyn BufRead,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportReport, Error> {
        self.inner().open()?;
        self.take_in(from, Wins::Export, progress)
    }

    fn take_in(
        &self,
        from: &mut dyn BufRead,
        wins: Wins,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ImportReport, Error> {
        let inner = self.inner();
        let mut lines = Lines::new(from);
        lines.head()?;
        let sealer = Sealer::new(Arc::clone(&inner.keyring));
        let (mut chain, mut sums) = (Chain::default(), Sums::new(&inner.keyring));
        let (mut tally, mut last, mut system) = (Tally::default(), None, None);
        let closed = self.close_off()?;
        let mut filing = Filing::new(inner, wins);
        loop {
            let text = lines
                .next()?
                .ok_or_else(|| lines.fault("the last line is missing"))?;
            if let Ok(tail) = spelled::<Tail>(&text) {
                if !tail.fits(tally.total(), &chain) {
                    return Err(lines.fault("the last line does not fit those before it"));
                }
                if lines.next()?.is_some() {
                    return Err(lines.fault("something follows the last line"));
                }
                break;
            }
            let line: Line = spelled(&text).map_err(|error| lines.fault(error))?;
            chain.link(&inner.keyring, line.record.as_bytes());
            let (key, record) = record_of(&sealer, &line).map_err(|error| lines.fault(error))?;
            if last.replace(key) >= Some(key) {
                return Err(lines.fault("the record does not come after the one before it"));
            }
            tally.add(key.table);
            sums.add(key, &record)?;
            let line = lines.number();
            match record {
                Record::System(record) if key == Key::SYSTEM => system = Some(record),
                record => {
                    if filing.take(Read { key, record, line })? {
                        progress(tally.total());
                    }
                }
            }
        }
        let system = system.ok_or_else(|| lines.fault("the system record is not among them"))?;
        let mut report = filing.finish(lines.number())?;
        report.tally = tally;
        if let Some((table, read, there)) = sums.difference(&Sums::of_store(inner)?) {
            return Err(lines.fault(format_args!(
                "read back, the store's {table} are not those of the export: {there} of {read}",
                table = table.name()
            )));
        }
        // Last of all: with it the store opens to those whom the export lets in.
        self.open_up(closed, system)?;
        report.filed = report.filed.saturating_add(1);
        progress(tally.total());
        futures_executor::block_on(inner.policy_now())?;
        Ok(report)
    }

    /// Whether an import was begun in the store and did not come to its end.
    fn is_importing(&self) -> Result<bool, Error> {
        let inner = self.inner();
        let found = futures_executor::block_on(inner.load_system())?.record;
        let marked = |subsystem| {
            let Switch { on, epoch } = found.switch(subsystem);
            !on && epoch == marked_epoch(&inner.keyring, subsystem, epoch.since())
        };
        Ok(Subsystem::ALL.into_iter().all(marked))
    }

    /// Switches everything off, in epochs that no record was issued under and that tell what is
    /// under way; answers the version of the system record that says so.
    fn close_off(&self) -> Result<Version, Error> {
        let inner = self.inner();
        let found = futures_executor::block_on(inner.load_system())?;
        let mut system = found.record;
        for subsystem in Subsystem::ALL {
            let epoch = marked_epoch(&inner.keyring, subsystem, inner.now());
            *system.switch_mut(subsystem) = Switch { on: false, epoch };
        }
        let mut batch = Batch::grow();
        batch.put(
            Key::SYSTEM,
            Expect::Version(found.version),
            Record::System(system),
        );
        let revision = inner.store.commit(batch).wait()?;
        Ok(Version::new(revision.0))
    }

    /// Files the system record, and with it that there was an import: whoever finds the one finds
    /// the other.
    fn open_up(&self, closed: Version, system: SystemRecord) -> Result<(), Error> {
        let inner = self.inner();
        let mut batch = Batch::grow();
        batch.put(Key::SYSTEM, Expect::Version(closed), Record::System(system));
        batch.record_event(inner.new_event(EventKind::Imported)?);
        Ok(futures_executor::block_on(inner.commit(batch))?)
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
}

/// The epoch of a subsystem while an import is under way that began at an instant.
fn marked_epoch(keyring: &Keyring, subsystem: Subsystem, since: Timestamp) -> Epoch {
    Epoch::begun(since, keyring.import_mark(subsystem, since))
}
