//! The `Store` trait on a redb file: reads from the shared snapshot, commits through the queue.

use super::group::Prepared;
use super::queue::Job;
use super::{RedbStore, Side};
use crate::error::{CommitError, StoreError};
use crate::lease::Lease;
use crate::pending::Pending;
use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
use countersign_core::{Batch, Key};
use std::sync::Arc;
use std::time::Duration;

impl Store for RedbStore {
    fn capabilities(&self) -> Capabilities {
        let writable = matches!(self.side, Side::Writing { .. });
        Capabilities {
            writable,
            watched: writable,
            ..Capabilities::EMBEDDED
        }
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let loaded = self.read(|snapshot, sealer| snapshot.records(sealer, keys));
        Pending::ready(loaded.and_then(|records| records))
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        let not_applied = |error| Pending::ready(Err(CommitError::NotApplied(error)));
        let Side::Writing { shared, .. } = &self.side else {
            return not_applied(StoreError::ReadOnly);
        };
        if !matches!(shared.health(), Health::Healthy | Health::NoRoom) {
            return not_applied(shared.unavailable());
        }
        let prepared = match Prepared::new(&shared.sealer, &batch) {
            Ok(prepared) => prepared,
            Err(error) => return not_applied(error),
        };
        drop(batch);
        let (answer, pending) =
            Pending::waiting(|| Err(CommitError::Unknown("the store's thread ended".to_owned())));
        match shared.queue.push(prepared, answer) {
            Ok(()) => pending,
            Err(error) => not_applied(error),
        }
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        Pending::ready(self.read(|snapshot, sealer| snapshot.page(sealer, range, limit)))
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        Pending::ready(match &self.side {
            Side::Writing { shared, .. } => shared.changes(since),
            Side::Reading(reader) => reader.changes(since),
        })
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        let Side::Writing { shared, .. } = &self.side else {
            return Pending::ready(Err(StoreError::ReadOnly));
        };
        Pending::ready(match shared.health() {
            // Without room, what shuts somebody out is acknowledged all the same.
            Health::Healthy | Health::NoRoom => Ok(shared.revision()),
            _ => Err(shared.unavailable()),
        })
    }

    fn health(&self) -> Health {
        match &self.side {
            Side::Writing { shared, .. } => shared.health(),
            Side::Reading(reader) => reader.health(),
        }
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        None
    }

    fn turn(&self, _chore: &'static str, _time: Duration) -> Pending<Result<bool, StoreError>> {
        Pending::ready(match &self.side {
            Side::Writing { shared, .. } if shared.health() == Health::Closed => {
                Err(StoreError::Closed)
            }
            Side::Writing { .. } => Ok(true),
            // It changes nothing, so it has no chores.
            Side::Reading(_) => Ok(false),
        })
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        // A handle for reading learns of changes only by asking.
        if let Side::Writing { shared, .. } = &self.side
            && shared.health() != Health::Closed
        {
            shared.watchers.add(&watcher);
        }
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        match &self.side {
            Side::Writing { .. } => match self.job(Job::Close).try_ready() {
                // It was closed before.
                Ok(_) => Pending::ready(Ok(())),
                Err(pending) => pending,
            },
            Side::Reading(reader) => {
                reader.close();
                Pending::ready(Ok(()))
            }
        }
    }
}
