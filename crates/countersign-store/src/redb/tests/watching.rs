//! Nobody is answered while a cache still believes what the answer has made stale.

use super::support::{Faults, Listener, Place, deny, grant, options, put, usage, wait_for};
use crate::error::CommitError;
use crate::redb::RedbStore;
use crate::store::{Health, Store, Watcher};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use countersign_core::{Batch, Expect, Key};
use std::sync::Arc;

fn listener(store: &RedbStore) -> Arc<Listener> {
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    listener
}

fn resets(listener: &Listener) -> usize {
    listener.resets.load(Ordering::SeqCst)
}

#[test]
fn whatever_fails_after_a_commit_it_is_told_before_it_is_acknowledged() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    // A cache of nothing, so that reads really read.
    let store = place.create(&options().cache_bytes(0).backend(faults.hook()));
    let mut batch = Batch::grow();
    for n in 1000..2000 {
        let (key, record) = usage(n, n);
        batch.put(key, Expect::Absent, record);
    }
    store.commit(batch).wait().unwrap();
    let listener = listener(&store);
    let mut unreadable = 0;
    // Every read of the commit, and every one after it, is the first of those that fail.
    for reads in 0..200 {
        let key = usage(1000 + reads, 0).0;
        let before = resets(&listener);
        listener.keys.lock().clear();
        faults.allow_reads(reads);
        let answer = store.commit(deny(key, 5000 + reads)).wait();
        let healthy = store.health() == Health::Healthy;
        if answer.is_ok() {
            let told = listener.keys.lock().contains(&key) || resets(&listener) > before;
            assert!(
                told,
                "with {reads} reads it was acknowledged, and nobody told"
            );
            unreadable += usize::from(!healthy);
        }
        faults.allow_reads(u64::MAX);
        wait_for(&store, Health::Healthy);
        if answer.is_ok() && healthy {
            assert!(unreadable > 0, "no snapshot failed after its commit");
            return;
        }
    }
    panic!("no commit came through");
}

/// Panics when it is told what changed.
#[derive(Default)]
struct Odd(AtomicUsize);

impl Watcher for Odd {
    fn changed(&self, _: &[Key]) {
        panic!("planted");
    }

    fn reset(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_watcher_that_lost_track_is_told_that_anything_may_have_changed() {
    let place = Place::new();
    let store = place.create(&options());
    let odd = Arc::new(Odd::default());
    store.watch(Arc::clone(&odd) as _);
    let listener = listener(&store);
    let (key, record) = usage(1, 1);
    store
        .commit(put((key, record), Expect::Absent))
        .wait()
        .unwrap();
    assert_eq!(odd.0.load(Ordering::SeqCst), 1);
    assert_eq!(
        *listener.keys.lock(),
        [key],
        "the others hear it all the same"
    );
}

#[test]
fn all_who_watch_are_told_for_as_long_as_they_are_there() {
    let place = Place::new();
    let store = place.create(&options());
    let (first, second) = (listener(&store), listener(&store));
    let write = |n| {
        store
            .commit(put(usage(n, n), Expect::Absent))
            .wait()
            .unwrap();
        usage(n, n).0
    };
    let one = write(1);
    assert_eq!(*first.keys.lock(), [one]);
    assert_eq!(*second.keys.lock(), [one]);
    assert_eq!(Arc::strong_count(&first), 1, "a store keeps no cache alive");
    drop(first);
    let two = write(2);
    assert_eq!(*second.keys.lock(), [one, two]);
}

#[test]
fn who_watches_a_store_that_closes_is_told_before_it_is_let_go() {
    let place = Place::new();
    let store = place.create(&options());
    let listener = listener(&store);
    store.close().wait().unwrap();
    assert_eq!(resets(&listener), 1);
    drop(store);
    assert_eq!(resets(&listener), 1);
}

#[test]
fn who_watches_a_store_that_gives_up_is_told_too() {
    let place = Place::new();
    let broken = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&broken);
    let room = move |_: &std::path::Path| {
        assert!(!asked.load(Ordering::SeqCst), "planted");
        Ok(u64::MAX)
    };
    let store = place.create(&options().room(Arc::new(room)));
    let listener = listener(&store);
    broken.store(true, Ordering::SeqCst);
    let answer = store.commit(put(grant("ada", 2), Expect::Absent)).wait();
    assert!(matches!(answer, Err(CommitError::Unknown(_))), "{answer:?}");
    for _ in 0..500 {
        if resets(&listener) == 1 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("its thread ended and nobody was told");
}
