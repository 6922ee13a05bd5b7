//! Nobody is answered while a cache still believes what the answer has made stale.

use super::support::{Listener, Place, options, put, usage};
use crate::redb::RedbStore;
use crate::store::{Store, Watcher};
use core::sync::atomic::{AtomicUsize, Ordering};
use countersign_core::{Expect, Key};
use std::sync::Arc;

fn listener(store: &RedbStore) -> Arc<Listener> {
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    listener
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
