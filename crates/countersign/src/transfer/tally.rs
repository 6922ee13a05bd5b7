//! What records come to, table by table: how many there are, and one tag over all of them.

use super::CHUNK;
use super::lines::Chain;
use crate::error::Error;
use crate::inner::Inner;
use countersign_core::{Key, Keyring, Record, Table, Version};
use countersign_store::codec::Sealer;
use countersign_store::store::KeyRange;
use std::sync::Arc;

/// How many records there are of each table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u64; Table::ALL.len()]);

impl Tally {
    /// The tables with their counts, in the order of an export.
    pub fn iter(&self) -> impl Iterator<Item = (Table, u64)> {
        Table::ALL.into_iter().zip(self.0)
    }

    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, one| sum.saturating_add(*one))
    }

    pub(super) fn add(&mut self, table: Table) {
        let counts = Table::ALL.into_iter().zip(&mut self.0);
        for (_, count) in counts.filter(|(other, _)| *other == table) {
            *count = count.saturating_add(1);
        }
    }
}

/// Adds records up, in the ascending order of their keys.
///
/// Versions are not in it, since each store counts its own; nor is the system record, which an
/// import files last.
pub(super) struct Sums {
    keyring: Arc<Keyring>,
    sealer: Sealer,
    tally: Tally,
    chains: [Chain; Table::ALL.len()],
}

impl Sums {
    pub(super) fn new(keyring: &Arc<Keyring>) -> Self {
        Self {
            keyring: Arc::clone(keyring),
            sealer: Sealer::new(Arc::clone(keyring)),
            tally: Tally::default(),
            chains: [Chain::default(); Table::ALL.len()],
        }
    }

    pub(super) fn add(&mut self, key: Key, record: &Record) -> Result<(), Error> {
        if key == Key::SYSTEM {
            return Ok(());
        }
        let mut draft = self.sealer.draft(key, record)?;
        let sealed = self.sealer.seal(&mut draft, Version::new(0));
        let chains = Table::ALL.into_iter().zip(&mut self.chains);
        for (_, chain) in chains.filter(|(table, _)| *table == key.table) {
            chain.link(&self.keyring, sealed);
        }
        self.tally.add(key.table);
        Ok(())
    }

    /// What is in the store.
    pub(super) fn of_store(inner: &Inner) -> Result<Self, Error> {
        let mut sums = Self::new(&inner.keyring);
        for table in Table::ALL {
            let mut range = Some(KeyRange::all(table));
            while let Some(next) = range {
                let page = inner.store.scan(next, CHUNK).wait()?;
                for (key, found) in &page.records {
                    sums.add(*key, &found.record)?;
                }
                range = page.rest;
            }
        }
        Ok(sums)
    }

    /// The first table in which a store does not hold what an export says, with how many records
    /// of it the export and the store have.
    ///
    /// A store may have events of its own besides.
    pub(super) fn difference(&self, store: &Self) -> Option<(Table, u64, u64)> {
        let counts = self.tally.iter().zip(store.tally.0);
        let chains = self.chains.iter().zip(&store.chains);
        let mut both = counts.zip(chains);
        let found = both.find(|(((table, read), there), (of_read, of_there))| {
            let more = *table == Table::Events && there > read;
            !more && (read != there || of_read != of_there)
        });
        found.map(|(((table, read), there), _)| (table, read, there))
    }
}
