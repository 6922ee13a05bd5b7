//! Hazard: a commit and the thread that writes it meet in an order in which a commit is
//! acknowledged that is not there, or is never answered. Modelled with shuttle on the store itself,
//! with a real file: each call into redb is one step, and everything around it is explored.

use super::support::{Place, deny, grant, keyring, options, put, usage};
use crate::error::{CommitError, StoreError};
use crate::redb::{RedbOptions, RedbStore};
use crate::store::{Health, Revision, Store, Watcher};
use crate::sync::model;
use countersign_core::{Batch, Expect, Key, Version};
use shuttle::thread::{self, JoinHandle};
use std::sync::{Arc, Mutex, Weak};

/// How many orders each model runs in, at random and as many bent.
const ORDERS: usize = 50;

type Answered = Result<Revision, CommitError>;

struct World {
    /// Kept for as long as the store.
    place: Place,
    store: Arc<RedbStore>,
}

impl World {
    fn new(change: impl FnOnce(RedbOptions) -> RedbOptions) -> Self {
        let place = Place::new();
        let store = Arc::new(place.create(&change(options())));
        Self { place, store }
    }

    fn commit(&self, batch: Batch) -> JoinHandle<Answered> {
        let store = Arc::clone(&self.store);
        thread::spawn(move || store.commit(batch).wait())
    }

    fn is_there(&self, n: u64) -> bool {
        self.store.load_one(usage(n, n).0).unwrap().is_some()
    }

    /// Lets go of the store and opens its file again.
    fn reopened(self) -> Self {
        let Self { place, store } = self;
        assert_eq!(Arc::strong_count(&store), 1, "dropping it ends its thread");
        drop(store);
        let store = options().open(place.path(), keyring()).unwrap();
        let store = Arc::new(store);
        Self { place, store }
    }
}

fn new(n: u64) -> Batch {
    put(usage(n, n), Expect::Absent)
}

/// A watcher that reads what it is told of.
struct Reads {
    store: Mutex<Weak<RedbStore>>,
    seen: Mutex<Vec<Key>>,
}

impl Watcher for Reads {
    fn changed(&self, keys: &[Key]) {
        let store = self.store.lock().unwrap().upgrade();
        for key in keys {
            let found = store.as_ref().map(|store| store.load_one(*key));
            if let Some(Ok(Some(_))) = found {
                self.seen.lock().unwrap().push(*key);
            }
        }
    }

    fn reset(&self) {}
}

#[test]
fn a_commit_is_acknowledged_once_it_can_be_read_and_whoever_watches_has_been_told() {
    model::check(ORDERS, || {
        let world = World::new(|options| options);
        let watcher = Arc::new(Reads {
            store: Mutex::new(Arc::downgrade(&world.store)),
            seen: Mutex::default(),
        });
        world.store.watch(Arc::clone(&watcher) as Arc<dyn Watcher>);
        let committing = [1, 2].map(|n| {
            let (store, watcher) = (Arc::clone(&world.store), Arc::clone(&watcher));
            thread::spawn(move || {
                let key = usage(n, n).0;
                let revision = store.commit(new(n)).wait().unwrap();
                let found = store.load_one(key).unwrap();
                let found = found.expect("it was acknowledged");
                assert_eq!(found.version, Version::new(revision.0));
                assert!(store.attest().wait().unwrap() >= revision);
                let seen = watcher.seen.lock().unwrap();
                assert!(seen.contains(&key), "the watcher could read it");
                revision
            })
        });
        let [one, two] = committing.map(|thread| thread.join().unwrap());
        assert_ne!(one, two, "each has a revision of its own");
    });
}

#[test]
fn a_full_queue_says_so_and_what_it_took_is_there_and_a_revocation_finds_room() {
    model::check(ORDERS, || {
        let world = World::new(|options| options.queue_depth(1));
        let growing = [1, 2, 3].map(|n| (n, world.commit(new(n))));
        let revoking = world.commit(deny(grant("ada", 1).0, 9));
        for (n, thread) in growing {
            match thread.join().unwrap() {
                Ok(_) => assert!(world.is_there(n)),
                Err(CommitError::NotApplied(StoreError::Busy)) => assert!(!world.is_there(n)),
                other => panic!("{other:?}"),
            }
        }
        assert!(revoking.join().unwrap().is_ok());
        assert_eq!(world.store.load_one(grant("ada", 1).0), Ok(None));
    });
}

#[test]
fn of_two_that_expect_the_same_one_is_told_of_the_conflict() {
    model::check(ORDERS, || {
        let world = World::new(|options| options);
        let committing = [1, 2].map(|at| world.commit(put(usage(1, at), Expect::Absent)));
        let answers = committing.map(|thread| thread.join().unwrap());
        let conflict = Err(CommitError::Conflict(usage(1, 1).0));
        let refused = answers.iter().filter(|answer| **answer == conflict).count();
        let applied = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!((applied, refused), (1, 1));
    });
}

#[test]
fn closing_answers_everybody_with_the_truth() {
    model::check(ORDERS, || {
        let world = World::new(|options| options);
        let committing = [1, 2].map(|n| (n, world.commit(new(n))));
        let closing = {
            let store = Arc::clone(&world.store);
            thread::spawn(move || store.close().wait())
        };
        let answers = committing.map(|(n, thread)| (n, thread.join().unwrap()));
        assert_eq!(closing.join().unwrap(), Ok(()));
        assert_eq!(world.store.health(), Health::Closed);
        assert!(world.store.commit(new(3)).wait().is_err());
        let world = world.reopened();
        for (n, answer) in answers {
            match answer {
                Ok(_) => assert!(world.is_there(n), "it was acknowledged"),
                Err(CommitError::NotApplied(StoreError::Closed)) => assert!(!world.is_there(n)),
                other => panic!("{other:?}"),
            }
        }
    });
}

#[test]
fn an_answer_that_nobody_waits_for_leaves_nothing_half_done() {
    model::check(ORDERS, || {
        let world = World::new(|options| options);
        let leaving = {
            let store = Arc::clone(&world.store);
            thread::spawn(move || {
                drop(store.commit(new(1)));
                // What was asked for later is done later.
                store.commit(new(2)).wait().unwrap();
                assert!(store.load_one(usage(1, 1).0).unwrap().is_some());
                drop(store.commit(new(3)));
            })
        };
        let meanwhile = world.commit(new(4));
        leaving.join().unwrap();
        assert!(meanwhile.join().unwrap().is_ok());
        // Dropping the store sees through what is queued.
        let world = world.reopened();
        assert!([1, 2, 3, 4].into_iter().all(|n| world.is_there(n)));
    });
}

#[test]
fn what_was_read_once_is_not_taken_back() {
    model::check(ORDERS, || {
        let world = World::new(|options| options);
        let reading = {
            let store = Arc::clone(&world.store);
            thread::spawn(move || {
                let seen = [(); 3].map(|()| {
                    thread::yield_now();
                    let found = store.load_one(usage(1, 1).0).unwrap();
                    found.map(|found| found.version)
                });
                assert!(seen.is_sorted(), "{seen:?}");
            })
        };
        for at in 1..=2 {
            world
                .store
                .commit(put(usage(1, at), Expect::Any))
                .wait()
                .unwrap();
        }
        reading.join().unwrap();
    });
}
