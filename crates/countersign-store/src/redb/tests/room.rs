//! A full disk stops what lets somebody in, and never what shuts somebody out.

use super::support::{Faults, Place, deny, grant, keyring, options, put, usage, wait_for};
use crate::error::{CommitError, StoreError};
use crate::redb::RedbStore;
use crate::store::{Health, Store};
use core::sync::atomic::{AtomicU64, Ordering};
use countersign_core::{Batch, Expect};
use std::sync::Arc;

struct Rig {
    place: Place,
    faults: Arc<Faults>,
    free: Arc<AtomicU64>,
    store: RedbStore,
}

const PLENTY: u64 = 1 << 40;

fn rig() -> Rig {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let free = Arc::new(AtomicU64::new(PLENTY));
    let probe = Arc::clone(&free);
    let options = options()
        .backend(faults.hook())
        .room(Arc::new(move |_| Ok(probe.load(Ordering::SeqCst))));
    let store = place.create(&options);
    *faults.ballast.lock() = Some(place.dir.path().join("state.redb.ballast"));
    // Grants to revoke.
    let mut batch = Batch::grow();
    for n in 2..102 {
        let (key, record) = grant("ada", n);
        batch.put(key, Expect::Absent, record);
    }
    store.commit(batch).wait().unwrap();
    Rig {
        place,
        faults,
        free,
        store,
    }
}

/// Issues until there is no room for more.
fn fill(store: &RedbStore, from: u64) {
    for n in (from..).take(2000) {
        match store.commit(put(usage(n, n), Expect::Any)).wait() {
            Ok(_) => {}
            Err(CommitError::NotApplied(StoreError::NoRoom(_))) => return,
            other => panic!("{other:?}"),
        }
    }
    panic!("there is no end of room");
}

fn no_room(store: &RedbStore, n: u64) {
    let result = store.commit(put(usage(n, n), Expect::Absent)).wait();
    assert!(
        matches!(result, Err(CommitError::NotApplied(StoreError::NoRoom(_)))),
        "{result:?}"
    );
}

#[test]
fn issues_are_refused_before_the_disk_is_full() {
    let rig = rig();
    let Rig {
        free,
        store,
        faults,
        ..
    } = &rig;
    free.store(1000, Ordering::SeqCst);
    let writes = faults.writes.load(Ordering::SeqCst);
    no_room(store, 1);
    assert_eq!(
        faults.writes.load(Ordering::SeqCst),
        writes,
        "nothing was even tried"
    );
    wait_for(store, Health::NoRoom);
    store.commit(deny(grant("ada", 2).0, 500)).wait().unwrap();
    assert!(store.attest().wait().is_ok());
    free.store(PLENTY, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    store
        .commit(put(usage(1, 1), Expect::Absent))
        .wait()
        .unwrap();
}

#[test]
fn on_a_full_disk_the_ballast_is_given_up_for_revocations() {
    let rig = rig();
    let Rig {
        place,
        free,
        store,
        faults,
    } = &rig;
    let ballast = place.dir.path().join("state.redb.ballast");
    assert!(ballast.exists());
    // The probe does not see it, as with a quota.
    faults.full.store(true, Ordering::SeqCst);
    fill(store, 1000);
    assert!(ballast.exists(), "it is not for what can be turned away");
    free.store(0, Ordering::SeqCst);
    wait_for(store, Health::NoRoom);
    assert!(store.load_one(grant("ada", 2).0).unwrap().is_some());
    for n in 2..102 {
        store
            .commit(deny(grant("ada", n).0, 500 + n))
            .wait()
            .unwrap();
        assert_eq!(store.load_one(grant("ada", n).0), Ok(None));
    }
    assert!(!ballast.exists() && store.health() == Health::NoRoom);
    no_room(store, 2);
    // Room again: the ballast comes back first, then issues.
    faults.full.store(false, Ordering::SeqCst);
    free.store(PLENTY, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert!(ballast.exists());
    store
        .commit(put(usage(1, 1), Expect::Absent))
        .wait()
        .unwrap();
}

#[test]
fn of_a_group_that_meets_a_full_disk_only_the_revocations_go_through() {
    let rig = rig();
    let Rig { store, faults, .. } = &rig;
    let gate = faults.gate.lock();
    let first = store.commit(put(usage(0, 0), Expect::Absent));
    std::thread::sleep(core::time::Duration::from_millis(50));
    // Large enough to need blocks that the file does not have.
    let mut large = Batch::grow();
    for n in 1000..4000 {
        let (key, record) = usage(n, n);
        large.put(key, Expect::Absent, record);
    }
    let issue = store.commit(large);
    let revocation = store.commit(deny(grant("ada", 6).0, 506));
    drop(gate);
    faults.full.store(true, Ordering::SeqCst);
    // Whether the first one still made it is another matter; it is told what is true.
    let made_it = first.wait().is_ok();
    let issued = issue.wait();
    assert!(
        matches!(issued, Err(CommitError::NotApplied(StoreError::NoRoom(_)))),
        "{issued:?}"
    );
    revocation.wait().unwrap();
    assert_eq!(store.load_one(grant("ada", 6).0), Ok(None));
    assert_eq!(store.load_one(usage(0, 0).0).unwrap().is_some(), made_it);
    assert_eq!(store.load_one(usage(1000, 0).0), Ok(None));
}

#[test]
fn a_disk_that_is_full_for_good_is_told_and_passes() {
    let rig = rig();
    let Rig { store, faults, .. } = &rig;
    // Not even the ballast helps.
    *faults.ballast.lock() = None;
    faults.full.store(true, Ordering::SeqCst);
    let result = store.commit(deny(grant("ada", 7).0, 507)).wait();
    assert!(result.is_err(), "{result:?}");
    faults.full.store(false, Ordering::SeqCst);
    for _ in 0..200 {
        if matches!(store.health(), Health::Healthy) {
            break;
        }
        std::thread::sleep(core::time::Duration::from_millis(10));
    }
    store.commit(deny(grant("ada", 7).0, 508)).wait().unwrap();
    assert_eq!(store.load_one(grant("ada", 7).0), Ok(None));
}

#[test]
fn a_file_that_may_not_grow_takes_issues_again_after_a_removal() {
    let rig = rig();
    let Rig { store, faults, .. } = &rig;
    faults.file_limit.store(true, Ordering::SeqCst);
    faults.full.store(true, Ordering::SeqCst);
    fill(store, 1000);
    faults.full.store(false, Ordering::SeqCst);
    no_room(store, 3);
    store.commit(deny(grant("ada", 8).0, 508)).wait().unwrap();
    store
        .commit(put(usage(4, 4), Expect::Absent))
        .wait()
        .unwrap();
}

#[test]
fn a_store_opens_on_a_full_disk_by_giving_up_its_ballast() {
    let rig = rig();
    let Rig {
        place,
        store,
        faults,
        ..
    } = &rig;
    store.close().wait().unwrap();
    faults.copies_on_write.store(true, Ordering::SeqCst);
    faults.full.store(true, Ordering::SeqCst);
    let options = options().backend(faults.hook()).room(Arc::new(|_| Ok(0)));
    let store = options.open(place.path(), keyring()).unwrap();
    assert!(store.load_one(grant("ada", 2).0).unwrap().is_some());
}

#[test]
fn a_store_comes_back_on_a_full_disk_by_giving_up_its_ballast() {
    let rig = rig();
    let Rig {
        place,
        store,
        faults,
        ..
    } = &rig;
    // The probe sees nothing of it, as with a quota.
    faults.copies_on_write.store(true, Ordering::SeqCst);
    faults.full.store(true, Ordering::SeqCst);
    no_room(store, 1);
    assert!(store.load_one(grant("ada", 2).0).unwrap().is_some());
    faults.full.store(false, Ordering::SeqCst);
    wait_for(store, Health::Healthy);
    assert!(place.dir.path().join("state.redb.ballast").exists());
}

#[test]
fn a_commit_that_is_there_after_all_is_not_made_twice() {
    // A commit has two syncs, and the fault comes with either of them.
    for sync in [1, 2] {
        let rig = rig();
        let Rig { store, faults, .. } = &rig;
        faults.lying_sync.store(sync, Ordering::SeqCst);
        let batch = deny(grant("ada", 9).0, 509);
        let event = batch.writes[1].key;
        let revision = store.commit(batch).wait().unwrap();
        assert_eq!(store.load_one(grant("ada", 9).0), Ok(None), "sync {sync}");
        let found = store.load_one(event).unwrap().unwrap();
        assert_eq!(found.version.number(), revision.0);
    }
}
