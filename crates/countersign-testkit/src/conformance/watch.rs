//! Watchers: all told of every change in time for their caches to drop it.

use super::{Make, commit, number, put, usage_key, write};
use crate::must::Ending;
use crate::samples;
use core::fmt;
use countersign_core::{Expect, Key};
use countersign_store::Watcher;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Counts the calls that name a key, and keeps all names.
#[derive(Default)]
struct Listener {
    heard: Mutex<Vec<Key>>,
    of_first: AtomicU64,
    resets: AtomicU64,
}

impl Watcher for Listener {
    fn changed(&self, keys: &[Key]) {
        self.heard.lock().extend_from_slice(keys);
        if keys.contains(&usage_key(1)) {
            self.of_first.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

fn listener(store: &super::Specimen) -> Arc<Listener> {
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    listener
}

pub(super) fn the_watcher_is_told_before_the_acknowledgement(make: &Make<'_>) {
    let store = make();
    let listener = listener(&store);
    for n in 1..=50 {
        write(&store, usage_key(n), n);
        let heard = std::mem::take(&mut *listener.heard.lock());
        assert_eq!(heard, [usage_key(n)], "commit {n}");
    }
}

pub(super) fn the_watcher_is_told_only_of_what_can_be_seen(make: &Make<'_>) {
    let store = make();
    let listener = listener(&store);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    // One write at a time, so the count of calls is the number that was written.
                    let told = listener.of_first.load(Ordering::SeqCst);
                    let seen = number(&store, usage_key(1)).unwrap_or(0);
                    assert!(seen >= told, "told of {told}, but {seen} is there");
                }
            });
        }
        let _ending = Ending(&done);
        for n in 1..=200 {
            write(&store, usage_key(1), n);
        }
    });
    assert_eq!(listener.of_first.load(Ordering::SeqCst), 200);
}

pub(super) fn the_watcher_is_not_told_of_what_was_not_applied(make: &Make<'_>) {
    let store = make();
    write(&store, usage_key(1), 1);
    let listener = listener(&store);
    let mut batch = put(usage_key(2), Expect::Absent, samples::usage(2));
    batch.put(usage_key(1), Expect::Absent, samples::usage(2));
    assert!(store.commit(batch).wait().is_err());
    assert!(listener.heard.lock().is_empty());
    // What is kept has not changed either.
    let mut batch = put(usage_key(3), Expect::Absent, samples::usage(3));
    batch.keep(usage_key(1), Expect::Any);
    commit(&store, batch);
    assert_eq!(*listener.heard.lock(), [usage_key(3)]);
}

pub(super) fn every_watcher_is_told_for_as_long_as_it_is_kept(make: &Make<'_>) {
    let store = make();
    let first = listener(&store);
    write(&store, usage_key(1), 1);
    let second = listener(&store);
    write(&store, usage_key(2), 2);
    assert_eq!(*first.heard.lock(), [usage_key(1), usage_key(2)]);
    assert_eq!(*second.heard.lock(), [usage_key(2)]);
    let dropped = Arc::downgrade(&first);
    drop(first);
    assert!(dropped.upgrade().is_none(), "the store keeps nobody alive");
    write(&store, usage_key(3), 3);
    assert_eq!(*second.heard.lock(), [usage_key(2), usage_key(3)]);
}

pub(super) fn a_watcher_that_panics_is_told_to_start_over(make: &Make<'_>) {
    let store = make();
    let odd = Arc::new(Odd::default());
    store.watch(Arc::clone(&odd) as _);
    let other = listener(&store);
    write(&store, usage_key(1), 1);
    assert_eq!(odd.0.load(Ordering::SeqCst), 1);
    assert_eq!(*other.heard.lock(), [usage_key(1)], "no harm to the others");
}

pub(super) fn a_store_that_closes_says_so_to_its_watchers(make: &Make<'_>) {
    let store = make();
    let listener = listener(&store);
    write(&store, usage_key(1), 1);
    assert_eq!(listener.resets.load(Ordering::SeqCst), 0);
    assert_eq!(store.close().wait(), Ok(()));
    assert_eq!(listener.resets.load(Ordering::SeqCst), 1);
}

/// Panics at every change, and counts how often it is told to start over.
#[derive(Default)]
struct Odd(AtomicU64);

impl Watcher for Odd {
    fn changed(&self, _: &[Key]) {
        std::panic::resume_unwind(Box::new("an odd watcher"));
    }

    fn reset(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
