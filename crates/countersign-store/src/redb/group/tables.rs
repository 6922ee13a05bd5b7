//! The tables of a writing transaction, each opened when it is first needed.

use super::super::tables::{Definition, definition, place};
use countersign_core::Table;
use redb::{Error, ReadableTable, WriteTransaction};

/// The tables that a group has touched.
pub(super) struct Tables<'txn> {
    txn: &'txn WriteTransaction,
    open: [Option<OpenTable<'txn>>; Table::ALL.len()],
}

/// One of them.
pub(super) struct OpenTable<'txn> {
    pub rows: redb::Table<'txn, [u8; 16], &'static [u8]>,
    /// No key is higher than this one. New ids begin with the time, so most of what expects to
    /// find nothing lies beyond it, and needs no search of the tree to know.
    highest: Option<[u8; 16]>,
}

impl<'txn> Tables<'txn> {
    pub(super) const fn new(txn: &'txn WriteTransaction) -> Self {
        Self {
            txn,
            open: [const { None }; Table::ALL.len()],
        }
    }

    pub(super) fn open(&mut self, table: Table) -> Result<&mut OpenTable<'txn>, Error> {
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
                Ok(slot.insert(OpenTable { rows, highest }))
            }
        }
    }
}

impl OpenTable<'_> {
    /// Whether `id` is beyond every key, so that nothing can be there.
    pub(super) fn is_past_the_end(&self, id: &[u8; 16]) -> bool {
        self.highest.is_none_or(|highest| *id > highest)
    }

    pub(super) fn insert(&mut self, id: &[u8; 16], bytes: &[u8]) -> Result<(), Error> {
        self.rows.insert(id, bytes)?;
        self.highest = self.highest.max(Some(*id));
        Ok(())
    }
}
