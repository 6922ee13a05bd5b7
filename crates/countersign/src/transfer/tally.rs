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

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::{
        Event, EventKind, KeyMaterial, Principal, PrincipalRecord, PrincipalState, Selector,
        ShardTag, Timestamp,
    };

    fn person(name: &str, state: PrincipalState) -> Record {
        let mut record = PrincipalRecord::new(Principal::new(name).unwrap());
        record.state = state;
        Record::Principal(record)
    }

    #[test]
    fn a_store_holds_what_an_export_says_if_it_holds_that_and_besides_it_events_at_most() {
        let keys = KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]);
        let keyring = Arc::new(Keyring::new(&keys));
        let (enabled, disabled) = (PrincipalState::Enabled, PrincipalState::Disabled);
        let key_of = |record: &Record| match record {
            Record::Principal(of) => Key::principal(keyring.principal_key(&of.principal)),
            Record::Event(of) => Key::event(of.id),
            record => panic!("{record:?}"),
        };
        let event = |kind| {
            let id = Selector::mint(Timestamp::ZERO, ShardTag::NONE, [0; 8]);
            Record::Event(Event::new(id, Timestamp::ZERO, kind))
        };
        let sums = |records: &[Record]| {
            let mut sums = Sums::new(&keyring);
            for record in records {
                sums.add(key_of(record), record).unwrap();
            }
            sums
        };
        let [ann, bob] = ["ann", "bob"].map(|name| person(name, enabled));
        let [came, went] = [EventKind::Issued, EventKind::Revoked].map(event);
        let read = sums(&[ann.clone(), bob.clone(), came.clone()]);
        let differs = |store: &[Record]| read.difference(&sums(store));
        let people = |there| Some((Table::Principals, 2, there));
        let events = |there| Some((Table::Events, 1, there));
        for (store, expected) in [
            (vec![ann.clone(), bob.clone(), came.clone()], None),
            (
                vec![ann.clone(), bob.clone(), came.clone(), went.clone()],
                None,
            ),
            (vec![ann.clone(), bob.clone(), went.clone()], events(1)),
            (vec![ann.clone(), bob.clone()], events(0)),
            (vec![ann.clone(), came.clone()], people(1)),
            (
                vec![ann.clone(), bob, person("cid", enabled), came.clone()],
                people(3),
            ),
            (vec![ann, person("bob", disabled), came], people(2)),
        ] {
            assert_eq!(differs(&store), expected, "{store:?}");
        }
    }
}
