//! A store that this call cannot change, however it was opened.
//!
//! Commands that only read open the store exclusively where they can, for then its integrity is
//! checked; this keeps them, and `--now`, from leaving a trace in it. Judging a credential here
//! is no use of it, so its last use stays as it was.

use countersign::Pending;
use countersign::core::{Batch, Key};
use countersign::store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, Page, Revision, Store,
    StoreError, Watcher,
};
use std::sync::Arc;
use std::time::Duration;

/// The store behind a command that only reads.
pub(crate) struct Reading(pub(crate) Arc<dyn Store>);

impl Store for Reading {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.0.capabilities();
        capabilities.writable = false;
        // Where others write, a short call is better off without what it has in memory.
        capabilities.watched &= !capabilities.shared;
        capabilities
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        self.0.load(keys)
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        drop(batch);
        Pending::ready(Err(CommitError::NotApplied(StoreError::ReadOnly)))
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        self.0.scan(range, limit)
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        self.0.changes(since)
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        Pending::ready(Err(StoreError::ReadOnly))
    }

    fn health(&self) -> Health {
        self.0.health()
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        self.0.lease()
    }

    fn turn(&self, _chore: &'static str, _time: Duration) -> Pending<Result<bool, StoreError>> {
        // It changes nothing, so it has no chores.
        Pending::ready(Ok(false))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.0.watch(watcher);
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        self.0.close()
    }
}
