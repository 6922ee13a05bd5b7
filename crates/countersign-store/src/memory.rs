//! The store in memory: the plain model that the durable stores are compared with, and a store
//! for tests. It keeps nothing when it is dropped.

use crate::batch;
use crate::codec;
use crate::error::{CommitError, StoreError};
use crate::lease::Lease;
use crate::pending::Pending;
use crate::recent::Recent;
use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
use crate::watchers::Watchers;
use core::fmt;
use core::time::Duration;
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
    watchers: Watchers,
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
                watchers: Watchers::default(),
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
        let keys = batch::changed_keys(&batch.writes);
        if keys.is_empty() {
            return Ok((self.revision, keys));
        }
        self.revision = Revision(self.revision.0.saturating_add(1));
        let version = Version::new(self.revision.0);
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
        for key in &keys {
            self.recent.note(self.revision, *key);
        }
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
            // Told under the lock, so that watchers hear of commits in their order.
            if !keys.is_empty() {
                state.watchers.changed(keys);
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

    fn lease(&self) -> Option<Arc<Lease>> {
        None
    }

    fn turn(&self, _chore: &'static str, _time: Duration) -> Pending<Result<bool, StoreError>> {
        Pending::ready(self.state.lock().open().map(|()| true))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        let state = self.state.lock();
        if !state.closed {
            state.watchers.add(&watcher);
        }
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        let mut state = self.state.lock();
        state.closed = true;
        state.watchers.let_go();
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

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};
    use countersign_core::{Expect, Selector, ShardTag, Table, Timestamp, Usage};

    fn usage(n: u64) -> (Key, Record) {
        let selector = Selector::mint(Timestamp::from_millis(n), ShardTag::NONE, [1; 8]);
        (Key::usage(selector), Record::Usage(Usage::default()))
    }

    fn put((key, record): (Key, Record), expect: Expect) -> Batch {
        let mut batch = Batch::grow();
        batch.put(key, expect, record);
        batch
    }

    #[test]
    fn a_batch_is_applied_whole_or_not_at_all() {
        let store = MemoryStore::new([usage(1)]);
        let (first, second) = (usage(1), usage(2));
        let mut batch = put(second.clone(), Expect::Absent);
        batch.delete(first.0, Expect::Absent);
        assert_eq!(
            store.commit(batch).wait(),
            Err(CommitError::Conflict(first.0))
        );
        assert_eq!(store.load(&[second.0]).wait(), Ok(vec![None]));
        let mut batch = put(second.clone(), Expect::Absent);
        batch.delete(first.0, Expect::Version(Version::new(1)));
        assert_eq!(store.commit(batch).wait(), Ok(Revision(2)));
        let loaded = store.load(&[first.0, second.0]).wait().unwrap();
        assert_eq!(loaded[0], None);
        assert_eq!(
            loaded[1].as_ref().map(|found| found.version),
            Some(Version::new(2))
        );
        let changed = Changes::Keys(vec![first.0, second.0], Revision(2));
        assert_eq!(store.changes(Revision(1)).wait(), Ok(changed));
    }

    /// Counts what it is told, and panics at every change if it is said so.
    #[derive(Default)]
    struct Listener {
        odd: bool,
        changes: AtomicUsize,
        resets: AtomicUsize,
    }

    impl Watcher for Listener {
        fn changed(&self, keys: &[Key]) {
            assert!(!self.odd, "planted");
            self.changes.fetch_add(keys.len(), Ordering::SeqCst);
        }

        fn reset(&self) {
            self.resets.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn all_who_watch_are_told_and_let_go_with_a_reset() {
        let store = MemoryStore::new([]);
        let odd = Arc::new(Listener {
            odd: true,
            ..Listener::default()
        });
        let all = [odd, Arc::default(), Arc::default()];
        for listener in &all {
            store.watch(Arc::clone(listener) as _);
        }
        store.commit(put(usage(1), Expect::Absent)).wait().unwrap();
        store.close().wait().unwrap();
        let told = |of: fn(&Listener) -> &AtomicUsize| {
            let count = |listener: &Arc<Listener>| of(listener).load(Ordering::SeqCst);
            all.iter().map(count).collect::<Vec<_>>()
        };
        assert_eq!(told(|listener| &listener.changes), [0, 1, 1]);
        assert_eq!(told(|listener| &listener.resets), [2, 1, 1]);
        assert!(all.iter().all(|one| Arc::strong_count(one) == 1));
    }

    #[test]
    fn pages_meet_end_to_end_and_a_closed_store_answers_nothing() {
        let store = MemoryStore::new((0..5).map(usage));
        let page = store.scan(KeyRange::all(Table::Usage), 3).wait().unwrap();
        assert_eq!(page.records.len(), 3);
        let rest = store.scan(page.rest.unwrap(), 3).wait().unwrap();
        assert_eq!((rest.records.len(), rest.rest), (2, None));
        let shown = format!("{store:?}");
        assert_eq!(
            shown,
            "MemoryStore { records: 5, revision: Revision(1), .. }"
        );
        store.close().wait().unwrap();
        assert_eq!(store.load(&[]).wait(), Err(StoreError::Closed));
        let refused = store.commit(put(usage(9), Expect::Any)).wait();
        assert_eq!(refused, Err(CommitError::NotApplied(StoreError::Closed)));
        assert_eq!(store.health(), Health::Closed);
    }
}
