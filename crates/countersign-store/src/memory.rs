//! The store in memory: the plain model that the durable stores are compared with, and a store
//! for tests. It keeps nothing when it is dropped.

use crate::batch;
use crate::codec;
use crate::error::{CommitError, StoreError};
use crate::pending::Pending;
use crate::recent::Recent;
use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
use core::fmt;
use countersign_core::{Batch, Change, Key, Record, Version, Versioned};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records in a map under one lock.
pub struct MemoryStore {
    state: Mutex<State>,
}

struct State {
    records: BTreeMap<Key, Versioned>,
    revision: Revision,
    recent: Recent,
    watcher: Option<Arc<dyn Watcher>>,
    closed: bool,
}

impl MemoryStore {
    /// A store that holds `initial`, all of version 1.
    #[must_use]
    pub fn new(initial: impl IntoIterator<Item = (Key, Record)>) -> Self {
        let first = Revision(1);
        let version = Version::new(first.0);
        let records = initial
            .into_iter()
            .map(|(key, record)| (key, Versioned { version, record }));
        Self {
            state: Mutex::new(State {
                records: records.collect(),
                revision: first,
                recent: Recent::starting_at(first),
                watcher: None,
                closed: false,
            }),
        }
    }
}

impl State {
    fn apply(&mut self, batch: Batch) -> Result<(Revision, Vec<Key>), CommitError> {
        if self.closed {
            return Err(CommitError::NotApplied(StoreError::Closed));
        }
        batch::check(&batch, Capabilities::EMBEDDED).map_err(CommitError::NotApplied)?;
        check_bytes(&batch).map_err(CommitError::NotApplied)?;
        for write in &batch.writes {
            let found = self
                .records
                .get(&write.key)
                .map(|versioned| versioned.version);
            if !write.expect.holds(found) {
                return Err(CommitError::Conflict(write.key));
            }
        }
        self.revision = Revision(self.revision.0.saturating_add(1));
        let version = Version::new(self.revision.0);
        let keys = batch::changed_keys(&batch.writes);
        for write in batch.writes {
            match write.change {
                Change::Keep => {}
                Change::Put(record) => {
                    self.records
                        .insert(write.key, Versioned { version, record });
                }
                Change::Delete => {
                    self.records.remove(&write.key);
                }
            }
        }
        self.recent.note(self.revision, keys.clone());
        Ok((self.revision, keys))
    }

    fn page(&self, range: KeyRange, limit: usize) -> Page {
        let mut page = Page::default();
        if range.from > range.to {
            return page;
        }
        let key = |id| Key {
            table: range.table,
            id,
        };
        let limit = limit.clamp(1, Capabilities::EMBEDDED.max_page);
        for (&key, versioned) in self.records.range(key(range.from)..=key(range.to)) {
            if page.records.len() == limit {
                page.rest = Some(KeyRange {
                    from: key.id,
                    ..range
                });
                break;
            }
            page.records.push((key, versioned.clone()));
        }
        page
    }

    const fn open(&self) -> Result<(), StoreError> {
        if self.closed {
            Err(StoreError::Closed)
        } else {
            Ok(())
        }
    }
}

/// Holds a batch to the bounds of the stores that encode it.
fn check_bytes(batch: &Batch) -> Result<(), StoreError> {
    let mut total = 0usize;
    for write in &batch.writes {
        if let Change::Put(record) = &write.change {
            total = total.saturating_add(codec::encoded_len(record)?);
        }
    }
    if total > batch::BATCH_BYTES_MAX {
        return Err(StoreError::Invalid(
            "its records have more bytes than a batch may have",
        ));
    }
    Ok(())
}

impl Store for MemoryStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::EMBEDDED
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let state = self.state.lock();
        let loaded = || {
            keys.iter()
                .map(|key| state.records.get(key).cloned())
                .collect()
        };
        Pending::ready(state.open().map(|()| loaded()))
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        let mut state = self.state.lock();
        Pending::ready(state.apply(batch).map(|(revision, keys)| {
            // Told under the lock, so that the watcher hears of commits in their order.
            if let Some(watcher) = &state.watcher {
                watcher.changed(&keys);
            }
            revision
        }))
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        let state = self.state.lock();
        Pending::ready(state.open().map(|()| state.page(range, limit)))
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        let state = self.state.lock();
        Pending::ready(state.open().map(|()| state.recent.since(since)))
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        let state = self.state.lock();
        Pending::ready(state.open().map(|()| state.revision))
    }

    fn health(&self) -> Health {
        if self.state.lock().closed {
            Health::Closed
        } else {
            Health::Healthy
        }
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.state.lock().watcher = Some(watcher);
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        let mut state = self.state.lock();
        state.closed = true;
        state.watcher = None;
        Pending::ready(Ok(()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("MemoryStore")
            .field("records", &state.records.len())
            .field("revision", &state.revision)
            .finish_non_exhaustive()
    }
}
