//! What an operator asks of a store: is it whole, how large is it, copy it, pack it.

use super::tables::Snapshot;
use crate::store::Revision;
use countersign_core::{Key, Selector, Table};
use redb::{Error, ReadableTableMetadata};

/// How many faults of a kind a report lists one by one.
pub const LISTED_MAX: usize = 1000;

/// What checking a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// What the check of the file's pages found.
    pub pages: PageCheck,
    /// The store's revision.
    pub revision: Revision,
    /// How many records each table has, in the order of [`Table::ALL`].
    pub records: Vec<(Table, u64)>,
    /// How many records did not read back whole.
    pub damaged_count: u64,
    /// The first of them, with what does not fit.
    pub damaged: Vec<(Key, String)>,
    /// How many entries of principals, grants and series do not agree.
    pub mismatch_count: u64,
    /// The first of them.
    pub mismatches: Vec<Mismatch>,
    /// What could not be read at all.
    pub unreadable: Vec<String>,
}

/// What the check of a file's pages found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PageCheck {
    /// Not checked: the store is in use.
    #[default]
    Skipped,
    /// Every checksum fits.
    Whole,
    /// Not so, and this is what was found.
    Damaged(String),
}

/// Where the list of a principal's credentials and the records of those do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// A principal lists an access token or a device that has no record of its kind, or one of
    /// another principal.
    NoRecord {
        /// The principal's record.
        principal: Key,
        /// The credential.
        selector: Selector,
    },
    /// A grant or a series whose principal does not list it, or has no record.
    NotListed {
        /// The grant or the series.
        record: Key,
    },
}

impl CheckReport {
    /// Whether nothing at all was found.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !matches!(self.pages, PageCheck::Damaged(_))
            && self.damaged_count == 0
            && self.mismatch_count == 0
            && self.unreadable.is_empty()
    }
}

/// How large a store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStats {
    /// The store's revision.
    pub revision: Revision,
    /// Each table, in the order of [`Table::ALL`].
    pub tables: Vec<TableStats>,
    /// Bytes of keys and records in all tables.
    pub stored_bytes: u64,
    /// Bytes of the trees around them.
    pub metadata_bytes: u64,
    /// Bytes of half-filled pages; compaction wins some of them back.
    pub fragmented_bytes: u64,
    /// Bytes of the file; what is in none of the above is free for later records.
    pub file_bytes: u64,
}

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableStats {
    /// The table.
    pub table: Table,
    /// How many records it has.
    pub records: u64,
    /// Bytes of its keys and records.
    pub stored_bytes: u64,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// The revision that it stands at.
    pub revision: Revision,
    /// How many records were copied.
    pub records: u64,
    /// How many of them were damaged in the store already, and are so in the backup.
    pub damaged_count: u64,
    /// The first of those.
    pub damaged: Vec<Key>,
    /// Bytes of the backup.
    pub file_bytes: u64,
}

/// What compaction won.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Bytes of the file before.
    pub before_bytes: u64,
    /// Bytes of the file after.
    pub after_bytes: u64,
}

/// Told how far a check has come: how many records of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Measures the tables of a snapshot.
pub(super) fn stats(snapshot: &Snapshot) -> Result<StoreStats, Error> {
    let mut stats = StoreStats {
        revision: snapshot.revision,
        ..StoreStats::default()
    };
    for table in Table::ALL {
        let rows = snapshot.table(table)?;
        let found = rows.stats()?;
        let stored_bytes = found.stored_bytes();
        stats.tables.push(TableStats {
            table,
            records: rows.len()?,
            stored_bytes,
        });
        stats.stored_bytes = stats.stored_bytes.saturating_add(stored_bytes);
        stats.metadata_bytes = stats.metadata_bytes.saturating_add(found.metadata_bytes());
        stats.fragmented_bytes = stats
            .fragmented_bytes
            .saturating_add(found.fragmented_bytes());
    }
    Ok(stats)
}
