//! A fault keeps everybody out who is not known, and passes by itself.

use super::support::{
    Faults, Listener, Place, STORE_ID, deny, grant, keyring, material, options, put, usage,
    wait_for,
};
use crate::codec::Sealer;
use crate::error::{CommitError, StoreError};
use crate::redb::RedbStore;
use crate::redb::open::open;
use crate::redb::shared::Shared;
use crate::redb::tables::Snapshot;
use crate::store::{Changes, Health, Revision, Store};
use core::sync::atomic::Ordering;
use countersign_core::{Batch, Durability, Expect, Key, Keyring, Timestamp};
use redb::ReadableDatabase;
use std::sync::Arc;

struct Rig {
    place: Place,
    faults: Arc<Faults>,
    listener: Arc<Listener>,
    store: RedbStore,
}

fn rig() -> Rig {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    // A cache of nothing, so that reads really read.
    let store = place.create(&options().cache_bytes(0).backend(faults.hook()));
    // Enough records that a read has to go beyond the root, which a snapshot holds.
    let mut batch = Batch::grow();
    for n in 1000..2000 {
        let (key, record) = usage(n, n);
        batch.put(key, Expect::Absent, record);
    }
    store.commit(batch).wait().unwrap();
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    Rig {
        place,
        faults,
        listener,
        store,
    }
}

/// Waits until a store that does not come back says why, at most for five seconds.
fn wait_for_trouble(store: &RedbStore, why: &str) {
    for _ in 0..500 {
        if store.trouble().is_some_and(|trouble| trouble.contains(why)) {
            return;
        }
        std::thread::sleep(core::time::Duration::from_millis(10));
    }
    panic!("{why}: it is {:?}: {:?}", store.health(), store.trouble());
}

#[test]
fn a_commit_that_failed_before_it_was_made_durable_was_not_applied() {
    let rig = rig();
    let Rig {
        faults,
        store,
        listener,
        ..
    } = &rig;
    faults.broken.store(true, Ordering::SeqCst);
    let result = store.commit(put(usage(1, 1), Expect::Absent)).wait();
    assert!(
        matches!(
            result,
            Err(CommitError::NotApplied(StoreError::Unavailable(_)) | CommitError::Unknown(_))
        ),
        "{result:?}"
    );
    wait_for(store, Health::Degraded);
    let loaded = store.load_one(grant("ada", 1).0);
    assert!(
        matches!(loaded, Err(StoreError::Unavailable(_))),
        "{loaded:?}"
    );
    assert!(matches!(
        store.attest().wait(),
        Err(StoreError::Unavailable(_))
    ));
    let refused = store.commit(deny(grant("ada", 1).0, 5)).wait();
    assert!(matches!(
        refused,
        Err(CommitError::NotApplied(StoreError::Unavailable(_)))
    ));
    assert!(store.trouble().is_some());
    assert_eq!(listener.resets.load(Ordering::SeqCst), 0);

    faults.broken.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert_eq!(store.load_one(usage(1, 1).0).unwrap(), None);
    assert_eq!(listener.resets.load(Ordering::SeqCst), 1);
    assert_eq!(store.trouble(), None);
    assert!(store.load_one(grant("ada", 1).0).unwrap().is_some());
    store
        .commit(put(usage(2, 2), Expect::Absent))
        .wait()
        .unwrap();
}

#[test]
fn a_commit_that_failed_on_its_way_to_the_medium_is_unknown() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    faults.unsynced.store(true, Ordering::SeqCst);
    let result = store.commit(put(usage(1, 1), Expect::Absent)).wait();
    assert!(matches!(result, Err(CommitError::Unknown(_))), "{result:?}");
    faults.unsynced.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    // No number is given out twice, whatever became of it.
    assert!(
        store
            .commit(put(usage(2, 2), Expect::Absent))
            .wait()
            .unwrap()
            >= Revision(4)
    );
}

#[test]
fn a_fault_that_a_reader_meets_brings_the_store_back_too() {
    let rig = rig();
    let Rig {
        faults,
        store,
        listener,
        ..
    } = &rig;
    faults.broken.store(true, Ordering::SeqCst);
    let loaded = store.load_one(usage(1500, 0).0);
    assert!(
        matches!(loaded, Err(StoreError::Unavailable(_))),
        "{loaded:?}"
    );
    assert_ne!(store.health(), Health::Healthy);
    faults.broken.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert_eq!(listener.resets.load(Ordering::SeqCst), 1);
    assert!(store.load_one(usage(1500, 0).0).unwrap().is_some());
}

#[test]
fn a_long_read_does_not_keep_the_store_from_coming_back() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    let crate::redb::Side::Writing { shared, .. } = &store.side else {
        panic!("it writes")
    };
    // It holds the failed file's pages, and its descriptor with them.
    let held = shared.snapshot().unwrap();
    faults.broken.store(true, Ordering::SeqCst);
    store
        .commit(put(usage(1, 1), Expect::Absent))
        .wait()
        .unwrap_err();
    faults.broken.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    let stale = held.record(&shared.sealer, usage(1500, 0).0);
    assert!(
        !matches!(stale, Ok(Ok(Some(_)))),
        "what it held can be read no more"
    );
    // That it met a fault says nothing of the file that is open now.
    assert!(!shared.fail(held.generation, "late"));
    assert_eq!((store.health(), store.trouble()), (Health::Healthy, None));
    assert!(store.load_one(usage(1500, 0).0).unwrap().is_some());
}

#[test]
fn a_panic_inside_the_database_is_an_error_outside() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    faults.panics.store(true, Ordering::SeqCst);
    let loaded = store.load_one(usage(1500, 0).0);
    assert!(matches!(&loaded, Err(StoreError::Unavailable(why)) if why.contains("planted panic")));
    let committed = store.commit(put(usage(1, 1), Expect::Absent)).wait();
    assert!(committed.is_err());
    faults.panics.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert!(store.load_one(usage(1500, 0).0).unwrap().is_some());
    store.commit(put(usage(1, 1), Expect::Any)).wait().unwrap();
}

#[test]
fn nothing_more_is_written_to_a_file_after_a_fault() {
    let rig = rig();
    let Rig {
        place,
        faults,
        store,
        ..
    } = &rig;
    let deferred = Batch {
        durability: Durability::Deferred,
        ..put(usage(1, 1), Expect::Absent)
    };
    store.commit(deferred).wait().unwrap();
    // Out of the way, so that it is not opened again and only let go.
    let aside = place.dir.path().join("aside.redb");
    std::fs::rename(place.path(), &aside).unwrap();
    let before = std::fs::read(&aside).unwrap();
    faults.panics_once.store(true, Ordering::SeqCst);
    let loaded = store.load_one(usage(1500, 0).0);
    assert!(matches!(&loaded, Err(StoreError::Unavailable(why)) if why.contains("planted panic")));
    std::thread::sleep(core::time::Duration::from_millis(200));
    assert!(store.trouble().unwrap().contains("no store"));
    assert!(
        std::fs::read(&aside).unwrap() == before,
        "it was written to"
    );
    std::fs::rename(&aside, place.path()).unwrap();
    wait_for(store, Health::Healthy);
}

#[test]
fn healthy_again_within_a_second_of_the_faults_end() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    faults.broken.store(true, Ordering::SeqCst);
    let _ = store.load_one(usage(1500, 0).0);
    // Long enough for the pauses to have grown to their bound.
    std::thread::sleep(core::time::Duration::from_millis(1500));
    faults.broken.store(false, Ordering::SeqCst);
    let start = now();
    wait_for(store, Health::Healthy);
    assert!(start.elapsed() < core::time::Duration::from_secs(1));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test measures how long the store takes"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

#[test]
fn a_revision_is_not_given_out_twice_when_a_deferred_commit_is_lost() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    let deferred = Batch {
        durability: Durability::Deferred,
        ..put(usage(1, 1), Expect::Absent)
    };
    assert_eq!(store.commit(deferred).wait(), Ok(Revision(3)));
    // The next commit fails, and the deferred one is lost with it.
    faults.broken.store(true, Ordering::SeqCst);
    store
        .commit(put(usage(2, 2), Expect::Absent))
        .wait()
        .unwrap_err();
    faults.broken.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert_eq!(
        store.changes(Revision(3)).wait(),
        Ok(Changes::Reset(Revision(2)))
    );
    let next = store.commit(put(usage(1, 9), Expect::Any)).wait().unwrap();
    assert!(next > Revision(3), "{next:?}");
    let found = store.load_one(usage(1, 1).0).unwrap().unwrap();
    assert_eq!(found.version.number(), next.0);
}

#[test]
fn a_job_does_not_make_durable_what_was_lost_before_it() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    let fail = || {
        faults.broken.store(true, Ordering::SeqCst);
        let failed = store.commit(put(usage(2, 2), Expect::Absent)).wait();
        failed.unwrap_err();
        faults.broken.store(false, Ordering::SeqCst);
        wait_for(store, Health::Healthy);
    };
    let deferred = Batch {
        durability: Durability::Deferred,
        ..put(usage(1, 1), Expect::Absent)
    };
    assert_eq!(store.commit(deferred).wait(), Ok(Revision(3)));
    fail();
    store.renew_keyring(rotated()).wait().unwrap();
    // The file is as old as it was, and is the right one.
    fail();
    assert!(store.load_one(grant("ada", 1).0).unwrap().is_some());
}

#[test]
fn a_commit_is_not_shown_from_a_file_that_has_failed() {
    let place = Place::new();
    drop(place.create(&options()));
    let opened = open(&place.path(), &options(), &keyring(), 1).unwrap();
    let take = |revision, generation| {
        let taken = opened
            .handle
            .with(|db| Snapshot::take(&db.begin_read()?, Revision(revision), generation));
        taken.unwrap()
    };
    let sealer = Sealer::new(keyring());
    let shared = Shared::new(sealer, opened.snapshot, &opened.meta, 1);
    let shown = || shared.snapshot().map(|shown| shown.revision);
    shared.publish(take(2, 1), &[]);
    assert_eq!(shown(), Ok(Revision(2)));
    // Taken from another opening than the present one.
    shared.publish(take(3, 0), &[]);
    assert_eq!(shown(), Ok(Revision(2)));
    assert!(shared.fail(1, "first") && !shared.fail(1, "second"));
    shared.publish(take(4, 1), &[]);
    assert_eq!(shown(), Err(StoreError::Unavailable("first".to_owned())));
}

#[test]
fn a_file_that_was_replaced_or_removed_meanwhile_is_not_taken_up() {
    for other in [None, Some([8; 16]), Some(STORE_ID)] {
        let rig = rig();
        let Rig {
            place,
            faults,
            store,
            ..
        } = &rig;
        let aside = place.dir.path().join("aside.redb");
        std::fs::rename(place.path(), &aside).unwrap();
        if let Some(id) = other {
            let records = vec![super::support::system()];
            let other = options().create(place.path(), keyring(), id, records);
            drop(other.unwrap());
        }
        faults.broken.store(true, Ordering::SeqCst);
        let _ = store.load_one(usage(1500, 0).0);
        faults.broken.store(false, Ordering::SeqCst);
        let expected = match other {
            None => "no store",
            Some(_) => "another file has taken its place",
        };
        wait_for_trouble(store, expected);
        assert_ne!(store.health(), Health::Healthy);
        // Put back, it is taken up again.
        let _ = std::fs::remove_file(place.path());
        std::fs::rename(&aside, place.path()).unwrap();
        wait_for(store, Health::Healthy);
    }
}

#[test]
fn an_older_file_that_was_put_back_meanwhile_is_not_taken_up() {
    older_file_is_not_taken_up(|store, key| {
        store.commit(deny(key, 5)).wait().unwrap();
    });
}

#[test]
fn nor_is_a_file_from_before_what_a_job_made_durable() {
    older_file_is_not_taken_up(|store, key| {
        let deferred = Batch {
            durability: Durability::Deferred,
            ..deny(key, 5)
        };
        store.commit(deferred).wait().unwrap();
        store.renew_keyring(rotated()).wait().unwrap();
    });
}

/// A keyring of this store with one pepper more.
fn rotated() -> Arc<Keyring> {
    let material = material().rotated(Timestamp::ZERO, [5; 32]).unwrap();
    Arc::new(Keyring::new(&material))
}

/// Puts a file back that is older than a revocation which `revoke` has made durable.
fn older_file_is_not_taken_up(revoke: impl FnOnce(&RedbStore, Key)) {
    let rig = rig();
    let Rig {
        place,
        faults,
        store,
        ..
    } = &rig;
    let older = std::fs::read(place.path()).unwrap();
    let key = grant("ada", 1).0;
    revoke(store, key);
    faults.broken.store(true, Ordering::SeqCst);
    let _ = store.load_one(usage(1500, 0).0);
    wait_for(store, Health::Degraded);
    let newer = std::fs::read(place.path()).unwrap();
    // Its bytes over the present ones: the same file to the operating system.
    std::fs::write(place.path(), older).unwrap();
    faults.broken.store(false, Ordering::SeqCst);
    wait_for_trouble(store, "older");
    assert_ne!(store.health(), Health::Healthy);
    assert!(store.load_one(key).is_err(), "what was revoked is not back");
    // Not while it is being looked at.
    faults.broken.store(true, Ordering::SeqCst);
    std::thread::sleep(core::time::Duration::from_millis(50));
    std::fs::write(place.path(), newer).unwrap();
    faults.broken.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert_eq!(store.load_one(key), Ok(None));
}

#[test]
fn a_copy_that_took_its_place_is_not_adopted_on_the_way_back() {
    let place = Place::new();
    drop(place.create(&options()));
    let faults = Arc::new(Faults::default());
    let adopting = options()
        .backend(faults.hook())
        .adopt(Some(crate::Adopt::Keep));
    let store = adopting.open(place.path(), keyring()).unwrap();
    let aside = place.dir.path().join("aside.redb");
    std::fs::rename(place.path(), &aside).unwrap();
    std::fs::copy(&aside, place.path()).unwrap();
    faults.broken.store(true, Ordering::SeqCst);
    store
        .commit(put(usage(1, 1), Expect::Absent))
        .wait()
        .unwrap_err();
    faults.broken.store(false, Ordering::SeqCst);
    std::thread::sleep(core::time::Duration::from_millis(200));
    assert!(
        store.trouble().unwrap().contains("copy"),
        "{:?}",
        store.trouble()
    );
    drop(store);
    let opened = options().open(place.path(), keyring());
    assert_eq!(opened.unwrap_err(), crate::OpenError::Cloned(place.path()));
}

#[test]
fn a_file_that_came_back_damaged_is_reported_and_kept() {
    let rig = rig();
    let Rig {
        place,
        faults,
        store,
        ..
    } = &rig;
    faults.broken.store(true, Ordering::SeqCst);
    let _ = store.load_one(usage(1500, 0).0);
    let whole = std::fs::read(place.path()).unwrap();
    let mut damaged = whole;
    // The middle of the file, where its pages are; both heads stay.
    for byte in &mut damaged[4096..] {
        *byte ^= 0x55;
    }
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &damaged, 0).unwrap();
    faults.broken.store(false, Ordering::SeqCst);
    std::thread::sleep(core::time::Duration::from_millis(300));
    assert!(matches!(
        store.health(),
        Health::Degraded | Health::Reopening
    ));
    assert!(
        store.trouble().unwrap().contains("damaged"),
        "{:?}",
        store.trouble()
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), damaged);
    let closed = store.close().wait();
    assert!(matches!(closed, Err(StoreError::Unavailable(_))));
}

#[test]
fn a_store_that_is_broken_for_good_closes_without_hanging() {
    let rig = rig();
    let Rig { faults, store, .. } = &rig;
    faults.broken.store(true, Ordering::SeqCst);
    let _ = store.load_one(usage(1500, 0).0);
    drop(rig);
}

#[test]
fn a_watcher_that_panics_or_lets_go_of_the_store_does_no_harm() {
    struct Odd(parking_lot::Mutex<Option<Arc<RedbStore>>>);
    impl crate::Watcher for Odd {
        fn changed(&self, _: &[Key]) {
            let last = self.0.lock().take();
            drop(last);
            panic!("planted");
        }
        fn reset(&self) {}
    }
    let Rig { store, place, .. } = rig();
    let store = Arc::new(store);
    let odd = Arc::new(Odd(parking_lot::Mutex::new(Some(Arc::clone(&store)))));
    store.watch(Arc::clone(&odd) as _);
    let pending = store.commit(put(usage(1, 1), Expect::Absent));
    drop(store);
    assert!(pending.wait().is_ok());
    // The thread ends by itself and lets go of the file.
    for _ in 0..100 {
        if options().open(place.path(), keyring()).is_ok() {
            return;
        }
        std::thread::sleep(core::time::Duration::from_millis(20));
    }
    panic!("the file was not let go");
}
