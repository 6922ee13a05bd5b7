//! The tables of the file, and a snapshot of them to read from.

use super::meta::{RawRows, Row};
use crate::codec::Sealer;
use crate::error::StoreError;
use crate::store::{Capabilities, KeyRange, Loaded, Page, Revision};
use countersign_core::{Key, Table, Versioned};
use redb::{Error, ReadOnlyTable, ReadTransaction, TableDefinition};

/// Every table maps 16 bytes to bytes: redb has no key type of its own to decode.
pub(super) type Definition = TableDefinition<'static, [u8; 16], &'static [u8]>;
type Rows = ReadOnlyTable<[u8; 16], &'static [u8]>;

/// What the store says about itself.
pub(super) const META: Definition = TableDefinition::new("meta");

/// The definition of a table of records.
pub(super) const fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

/// Where a table stands in arrays of all tables.
pub(super) fn place(table: Table) -> usize {
    usize::from(table.code()).saturating_sub(1)
}

/// The tables as one commit left them. Holding it holds the pages; dropping it lets them go.
pub(super) struct Snapshot {
    pub revision: Revision,
    /// Which opening of the file this belongs to, so that a fault is laid to the right one.
    pub generation: u64,
    tables: Vec<Rows>,
}

impl Snapshot {
    /// Opens the tables in `txn`, which stands at `revision`.
    pub(super) fn take(
        txn: &ReadTransaction,
        revision: Revision,
        generation: u64,
    ) -> Result<Self, Error> {
        let open = |table| txn.open_table(definition(table)).map_err(Error::from);
        let tables = Table::ALL.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            revision,
            generation,
            tables,
        })
    }

    /// One table.
    pub(super) fn table(&self, table: Table) -> Result<&Rows, Error> {
        let rows = self.tables.get(place(table));
        rows.ok_or_else(|| Error::TableDoesNotExist(table.name().to_owned()))
    }

    /// One record; the inner error is about it alone, the outer one about the file.
    pub(super) fn record(
        &self,
        sealer: &Sealer,
        key: Key,
    ) -> Result<Result<Option<Versioned>, StoreError>, Error> {
        let Some(row) = self.table(key.table)?.get(&key.id)? else {
            return Ok(Ok(None));
        };
        Ok(sealer.open(key, row.value(), self.revision).map(Some))
    }

    /// The records of `keys`, in their order.
    pub(super) fn records(
        &self,
        sealer: &Sealer,
        keys: &[Key],
    ) -> Result<Result<Loaded, StoreError>, Error> {
        let mut loaded = Vec::with_capacity(keys.len());
        for key in keys {
            match self.record(sealer, *key)? {
                Ok(record) => loaded.push(record),
                Err(damaged) => return Ok(Err(damaged)),
            }
        }
        Ok(Ok(loaded))
    }

    /// At most `limit` records of a range. What is damaged is listed and counts as one.
    pub(super) fn page(
        &self,
        sealer: &Sealer,
        range: KeyRange,
        limit: usize,
    ) -> Result<Page, Error> {
        let mut page = Page::default();
        if range.from > range.to {
            return Ok(page);
        }
        let limit = limit.clamp(1, Capabilities::EMBEDDED.max_page);
        for row in self.table(range.table)?.range(range.from..=range.to)? {
            let (id, bytes) = row?;
            let key = Key {
                table: range.table,
                id: id.value(),
            };
            if page.records.len().saturating_add(page.damaged.len()) >= limit {
                page.rest = Some(KeyRange {
                    from: key.id,
                    ..range
                });
                break;
            }
            match sealer.open(key, bytes.value(), self.revision) {
                Ok(record) => page.records.push((key, record)),
                Err(_) => page.damaged.push(key),
            }
        }
        Ok(page)
    }
}

/// The rows that the store says about itself, unbelieved.
pub(super) fn meta_rows(txn: &ReadTransaction) -> Result<RawRows, Error> {
    let table = txn.open_table(META)?;
    let row = |row: Row| -> Result<Option<Vec<u8>>, Error> {
        Ok(table.get(&row.key())?.map(|bytes| bytes.value().to_vec()))
    };
    let [header, counter, peppers, identity] = Row::ALL;
    Ok([row(header)?, row(counter)?, row(peppers)?, row(identity)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_place_of_its_own() {
        let places: Vec<usize> = Table::ALL.into_iter().map(place).collect();
        assert_eq!(places, [0, 1, 2, 3, 4, 5, 6]);
    }
}
