//! Filing what is imported: the lines and the store side by side, both ascending by key.
//!
//! So every record of the store is met as well, also one that the export has not, and nothing but
//! a page of either is in memory.

use super::lines::hex;
use super::{CHUNK, ImportReport};
use crate::error::Error;
use crate::inner::Inner;
use countersign_core::{Batch, Expect, Key, Record, Table, Versioned};
use countersign_store::error::{CommitError, StoreError};
use countersign_store::store::KeyRange;
use std::collections::BTreeMap;

/// Which side is right where the store has something else than the export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wins {
    /// None: it is an error.
    Nobody,
    /// The export.
    Export,
}

/// A record with the number of its line.
pub(super) struct Read {
    pub(super) key: Key,
    pub(super) record: Record,
    pub(super) line: u64,
}

/// How far an import has come through the store.
pub(super) struct Filing<'a> {
    inner: &'a Inner,
    wins: Wins,
    /// The table that is being filled.
    table: Table,
    /// The first of its keys that was not looked at; none once all were.
    from: Option<[u8; 16]>,
    /// The tables behind it.
    ahead: &'static [Table],
    waiting: Vec<Read>,
    pub(super) report: ImportReport,
}

impl<'a> Filing<'a> {
    pub(super) fn new(inner: &'a Inner, wins: Wins) -> Self {
        let [table, ahead @ ..] = &Table::ALL;
        Self {
            inner,
            wins,
            table: *table,
            from: Some([0; 16]),
            ahead,
            waiting: Vec::with_capacity(CHUNK),
            report: ImportReport::default(),
        }
    }

    /// Takes the next record; whether some were filed.
    pub(super) fn take(&mut self, next: Read) -> Result<bool, Error> {
        let full = self.waiting.len() >= CHUNK;
        if full && let Some(Key { table, id }) = self.waiting.last().map(|read| read.key) {
            while self.table != table && !self.ahead.is_empty() {
                self.end_table(next.line)?;
            }
            self.cover(id, next.line)?;
        }
        self.waiting.push(next);
        Ok(full)
    }

    /// Files what waits, and goes through what is left of the store.
    pub(super) fn finish(mut self, line: u64) -> Result<ImportReport, Error> {
        while !self.ahead.is_empty() {
            self.end_table(line)?;
        }
        self.cover([0xff; 16], line)?;
        Ok(self.report)
    }

    fn end_table(&mut self, line: u64) -> Result<(), Error> {
        self.cover([0xff; 16], line)?;
        if let [table, ahead @ ..] = self.ahead {
            (self.table, self.ahead) = (*table, ahead);
        }
        self.from = Some([0; 16]);
        Ok(())
    }

    /// Makes the store what the export is, from where it was left up to and with `to`.
    fn cover(&mut self, to: [u8; 16], line: u64) -> Result<(), Error> {
        let table = self.table;
        let mut left = self.from.map(|from| KeyRange { table, from, to });
        while let Some(range) = left {
            let page = self.inner.store.scan(range, CHUNK).wait()?;
            if let Some(key) = page.damaged.first() {
                let (key, detail) = (*key, "it is in the way of the import");
                return Err(StoreError::Damaged { key, detail }.into());
            }
            // A page says nothing of what lies behind it.
            let count = self.waiting.partition_point(|read| {
                let before = |rest: KeyRange| read.key.id < rest.from;
                read.key.table == table && page.rest.is_none_or(before)
            });
            let reads = self.waiting.get(..count).unwrap_or_default();
            let step = Step::new(reads, page.records, self.wins, line)?;
            match step.commit(self.inner, &mut self.report) {
                Ok(()) => {
                    self.waiting.drain(..count);
                    left = page.rest;
                }
                // Somebody else changed one of them: look again.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.from = u128::from_be_bytes(to)
            .checked_add(1)
            .map(u128::to_be_bytes);
        Ok(())
    }
}

/// What a page of the store is short of.
struct Step {
    batch: Batch,
    filed: u64,
    present: u64,
    replaced: u64,
    removed: u64,
}

impl Step {
    fn new(
        reads: &[Read],
        page: Vec<(Key, Versioned)>,
        wins: Wins,
        line: u64,
    ) -> Result<Self, Error> {
        let mut there: BTreeMap<Key, Versioned> = page.into_iter().collect();
        // It is filed last of all.
        there.remove(&Key::SYSTEM);
        let mut step = Self {
            batch: Batch::grow(),
            filed: 0,
            present: 0,
            replaced: 0,
            removed: 0,
        };
        for Read { key, record, line } in reads {
            let found = there.remove(key);
            let count = match &found {
                Some(found) if found.record == *record => {
                    step.present = step.present.saturating_add(1);
                    continue;
                }
                Some(_) if wins == Wins::Nobody => {
                    return Err(clash(*line, *key, "is in the store already, and differs"));
                }
                Some(_) => &mut step.replaced,
                None => &mut step.filed,
            };
            *count = count.saturating_add(1);
            let expect = Expect::as_loaded(found.as_ref());
            step.batch.put(*key, expect, record.clone());
        }
        // Events let nobody in, and tell what happened here: they stay.
        there.retain(|key, _| key.table != Table::Events);
        for (key, found) in there {
            if wins == Wins::Nobody {
                return Err(clash(line, key, "is in the store, and not in the export"));
            }
            step.removed = step.removed.saturating_add(1);
            step.batch.delete(key, Expect::Version(found.version));
        }
        Ok(step)
    }

    fn commit(self, inner: &Inner, report: &mut ImportReport) -> Result<(), CommitError> {
        if !self.batch.writes.is_empty() {
            inner.store.commit(self.batch).wait()?;
        }
        report.filed = report.filed.saturating_add(self.filed);
        report.present = report.present.saturating_add(self.present);
        report.replaced = report.replaced.saturating_add(self.replaced);
        report.removed = report.removed.saturating_add(self.removed);
        Ok(())
    }
}

fn clash(line: u64, key: Key, what: &str) -> Error {
    let detail = format!("the record {} of {} {what}", hex(&key.id), key.table.name());
    Error::Import { line, detail }
}
