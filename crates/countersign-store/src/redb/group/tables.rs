//! The tables of a writing transaction, each opened when it is first needed, and what a group is
//! going to leave in them.
//!
//! Records are written at the end of the group, each once and in the order of their keys: ids of
//! one moment come in any order, and only what is appended in order fills its pages; and what
//! many batches of a group change, as a principal's record, is sealed and written once.

use super::super::tables::{Definition, definition, place};
use crate::codec::{Draft, Sealer};
use crate::error::StoreError;
use crate::store::Revision;
use countersign_core::{Key, Table, Version};
use redb::{Error, ReadableTable, WriteTransaction};
use std::collections::BTreeMap;

/// The tables that a group has touched.
pub(super) struct Tables<'txn, 'group> {
    txn: &'txn WriteTransaction,
    open: [Option<OpenTable<'txn, 'group>>; Table::ALL.len()],
}

/// One of them.
pub(super) struct OpenTable<'txn, 'group> {
    rows: redb::Table<'txn, [u8; 16], &'static [u8]>,
    /// No key of a row is higher than this one. New ids begin with the time, so most of what
    /// expects to find nothing lies beyond it, and needs no search of the tree to know.
    highest: Option<[u8; 16]>,
    /// What the group leaves of the records that it changes.
    left: BTreeMap<[u8; 16], Left<'group>>,
}

/// What is left of a record.
enum Left<'group> {
    Draft(&'group mut Draft, Version),
    Nothing,
}

impl<'txn, 'group> Tables<'txn, 'group> {
    pub(super) const fn new(txn: &'txn WriteTransaction) -> Self {
        Self {
            txn,
            open: [const { None }; Table::ALL.len()],
        }
    }

    pub(super) fn open(&mut self, table: Table) -> Result<&mut OpenTable<'txn, 'group>, Error> {
        let txn = self.txn;
        let wanted: Definition = definition(table);
        let Some(slot) = self.open.get_mut(place(table)) else {
            return Err(Error::TableDoesNotExist(table.name().to_owned()));
        };
        match slot {
            Some(open) => Ok(open),
            None => {
                let rows = txn.open_table(wanted)?;
                let highest = rows.last()?.map(|(key, _)| key.value());
                Ok(slot.insert(OpenTable {
                    rows,
                    highest,
                    left: BTreeMap::new(),
                }))
            }
        }
    }

    /// Writes what the group leaves.
    pub(super) fn write(self, sealer: &Sealer) -> Result<(), Error> {
        for mut table in self.open.into_iter().flatten() {
            for (id, left) in table.left {
                match left {
                    Left::Draft(draft, version) => {
                        table.rows.insert(&id, sealer.seal(draft, version))?;
                    }
                    Left::Nothing => {
                        table.rows.remove(&id)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'group> OpenTable<'_, 'group> {
    /// The version of what is there after the batches so far; the inner error is about the record.
    pub(super) fn version(
        &self,
        sealer: &Sealer,
        key: Key,
        newest: Revision,
    ) -> Result<Result<Option<Version>, StoreError>, Error> {
        match self.left.get(&key.id) {
            Some(Left::Draft(_, version)) => return Ok(Ok(Some(*version))),
            Some(Left::Nothing) => return Ok(Ok(None)),
            // Nothing can be where no key has come yet, which is where new ids go.
            None if self.highest.is_none_or(|highest| key.id > highest) => return Ok(Ok(None)),
            None => {}
        }
        let row = self.rows.get(&key.id)?;
        let version = row.map(|row| sealer.version(key, row.value(), newest));
        Ok(version.transpose())
    }

    pub(super) fn put(&mut self, id: [u8; 16], draft: &'group mut Draft, version: Version) {
        self.left.insert(id, Left::Draft(draft, version));
    }

    pub(super) fn delete(&mut self, id: [u8; 16]) {
        self.left.insert(id, Left::Nothing);
    }
}
