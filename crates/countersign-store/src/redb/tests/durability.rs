//! What was acknowledged is there after a crash; what may be lost is lost whole.

use super::support::{Faults, Place, keyring, options, put, usage};
use crate::redb::RedbOptions;
use crate::store::{Revision, Store};
use core::sync::atomic::Ordering;
use countersign_core::{Batch, Durability, Expect, Key};
use std::path::Path;
use std::sync::Arc;

fn deferred(n: u64) -> Batch {
    Batch {
        durability: Durability::Deferred,
        ..put(usage(n, n), Expect::Any)
    }
}

/// What somebody would find who opened a copy of the file as it is now.
fn found_after_a_crash(path: &Path, key: Key) -> bool {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    let adopting: RedbOptions = options().ballast_bytes(0).adopt(Some(crate::Adopt::Keep));
    let found = adopting
        .open(&copy, keyring())
        .unwrap()
        .load_one(key)
        .unwrap()
        .is_some();
    std::fs::remove_file(copy).unwrap();
    found
}

#[test]
fn a_deferred_commit_is_visible_at_once_and_durable_with_the_next_immediate_one() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    let syncs = || faults.syncs.load(Ordering::SeqCst);
    // A new file grows, which takes syncs of its own.
    for value in 10..30 {
        store
            .commit(put(usage(9, value), Expect::Any))
            .wait()
            .unwrap();
    }
    let before = syncs();
    let deferred = store.commit(deferred(1)).wait();
    assert_eq!(deferred, Ok(Revision(22)));
    assert_eq!(syncs(), before, "nothing was synced");
    assert!(store.load_one(usage(1, 1).0).unwrap().is_some());
    assert!(!found_after_a_crash(&place.path(), usage(1, 1).0));
    store.commit(put(usage(2, 2), Expect::Any)).wait().unwrap();
    // One for what was deferred, and two for what was not.
    assert_eq!(syncs(), before + 3);
    assert!(found_after_a_crash(&place.path(), usage(1, 1).0));
}

#[test]
fn an_immediate_batch_that_changes_nothing_makes_what_was_deferred_durable() {
    let place = Place::new();
    let store = place.create(&options());
    store.commit(deferred(1)).wait().unwrap();
    store.commit(Batch::grow()).wait().unwrap();
    assert!(found_after_a_crash(&place.path(), usage(1, 1).0));
}

#[test]
fn a_batch_that_changes_nothing_writes_nothing_where_nothing_waits_for_it() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    let done = || {
        (
            faults.syncs.load(Ordering::SeqCst),
            faults.writes.load(Ordering::SeqCst),
        )
    };
    store.commit(put(usage(1, 1), Expect::Any)).wait().unwrap();
    let before = done();
    store.commit(Batch::grow()).wait().unwrap();
    assert_eq!(done(), before);
}

#[test]
fn deferred_commits_do_not_wait_in_memory_for_ever() {
    let place = Place::new();
    let store = place.create(&options());
    for first in [100, 200] {
        let last = first + 64;
        for n in first..last {
            store.commit(deferred(n)).wait().unwrap();
        }
        let oldest = usage(first, 0).0;
        assert!(!found_after_a_crash(&place.path(), oldest), "so many may");
        store.commit(deferred(last)).wait().unwrap();
        for n in [first, last] {
            let key = usage(n, n).0;
            assert!(found_after_a_crash(&place.path(), key), "{n} of {last}");
        }
    }
}

#[test]
fn closing_and_dropping_make_durable_what_was_deferred() {
    let place = Place::new();
    let store = place.create(&options());
    store.commit(deferred(1)).wait().unwrap();
    store.close().wait().unwrap();
    store.close().wait().unwrap();
    let reopened = options().open(place.path(), keyring()).unwrap();
    assert!(reopened.load_one(usage(1, 1).0).unwrap().is_some());
    reopened.commit(deferred(2)).wait().unwrap();
    drop(reopened);
    let again = options().open(place.path(), keyring()).unwrap();
    assert!(again.load_one(usage(2, 2).0).unwrap().is_some());
    assert_eq!(again.attest().wait(), Ok(Revision(3)));
}

#[test]
fn what_was_queued_before_closing_is_committed_and_nothing_after() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    let gate = faults.gate.lock();
    let queued: Vec<_> = (0..10)
        .map(|n| store.commit(put(usage(n, n), Expect::Any)))
        .collect();
    let closed = store.close();
    drop(gate);
    for pending in queued {
        pending.wait().unwrap();
    }
    closed.wait().unwrap();
    let refused = store.commit(put(usage(11, 11), Expect::Any)).wait();
    assert_eq!(
        refused,
        Err(crate::CommitError::NotApplied(crate::StoreError::Closed))
    );
    assert_eq!(store.load(&[]).wait(), Err(crate::StoreError::Closed));
    assert_eq!(store.health(), crate::Health::Closed);
}

#[test]
fn the_error_that_only_closing_tells_is_told() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    faults.unsynced.store(true, Ordering::SeqCst);
    let closed = store.close().wait();
    assert!(matches!(&closed, Err(crate::StoreError::Unavailable(why)) if why.contains("planted")));
}
