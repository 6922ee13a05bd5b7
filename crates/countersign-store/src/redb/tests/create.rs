//! A store's file is whole or not there, private, and never put in the place of another.

use super::support::{Faults, Place, STORE_ID, keyring, options, principal, system, usage};
use crate::error::OpenError;
use crate::store::{Health, Store};
use core::sync::atomic::Ordering;
use countersign_core::{Key, Record};
use std::sync::Arc;

#[test]
fn what_was_there_first_is_never_overwritten() {
    let place = Place::new();
    std::fs::write(place.path(), b"precious").unwrap();
    let faults = Arc::new(Faults::default());
    let options = options().backend(faults.hook());
    let created = options.create(place.path(), keyring(), STORE_ID, vec![system()]);
    assert_eq!(created.unwrap_err(), OpenError::Exists(place.path()));
    assert_eq!(
        faults.writes.load(Ordering::SeqCst),
        0,
        "nothing was built in vain"
    );
    assert_eq!(std::fs::read(place.path()).unwrap(), b"precious");
    assert_eq!(place.names(), ["state.redb"]);
}

#[test]
fn a_new_store_is_private_and_alone_with_its_ballast() {
    let place = Place::new();
    let store = place.create(&options());
    assert_eq!(store.health(), Health::Healthy);
    assert_eq!(store.store_id(), STORE_ID);
    assert_eq!(place.names(), ["state.redb", "state.redb.ballast"]);
    #[cfg(unix)]
    for name in place.names() {
        use std::os::unix::fs::PermissionsExt;
        let mode = place
            .dir
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_creation_that_fails_leaves_nothing_behind_wherever_it_fails() {
    for after in 0..12 {
        let place = Place::new();
        let faults = Arc::new(Faults::default());
        let counter = Arc::clone(&faults);
        // The backend of this hook breaks once so many syncs are done.
        let inner = faults.hook();
        let hook = Arc::new(move |path: &std::path::Path, file| {
            if counter.syncs.load(Ordering::SeqCst) >= after {
                counter.broken.store(true, Ordering::SeqCst);
            }
            inner(path, file)
        });
        faults.unsynced.store(after % 2 == 0, Ordering::SeqCst);
        let options = options().backend(hook);
        match options.create(place.path(), keyring(), STORE_ID, vec![system()]) {
            // Published whole, and what failed was only the opening that follows.
            Err(_) if place.path().exists() => {
                faults.broken.store(false, Ordering::SeqCst);
                faults.unsynced.store(false, Ordering::SeqCst);
                super::support::options()
                    .open(place.path(), keyring())
                    .unwrap();
            }
            Err(_) => assert_eq!(place.names(), Vec::<String>::new(), "after {after} syncs"),
            Ok(store) => drop(store),
        }
    }
}

#[test]
fn what_a_crashed_creation_left_is_in_nobodys_way() {
    let place = Place::new();
    let mark = u128::from_be_bytes(STORE_ID);
    let stale = place
        .dir
        .path()
        .join(format!("state.redb.new-{mark:032x}-0"));
    std::fs::write(&stale, b"half a store").unwrap();
    drop(place.create(&options()));
    drop(options().open(place.path(), keyring()).unwrap());
    assert_eq!(std::fs::read(stale).unwrap(), b"half a store");
}

#[test]
fn records_that_do_not_belong_make_no_store() {
    let place = Place::new();
    let (_, record) = principal("ada", &[]);
    for wrong in [
        (Key::SYSTEM, Record::Policy(String::new())),
        (super::support::principal_key("bob"), record),
        (Key::POLICY, usage(1, 1).1),
    ] {
        let created = options().create(place.path(), keyring(), STORE_ID, vec![wrong]);
        assert!(
            matches!(created, Err(OpenError::Invalid { .. })),
            "{created:?}"
        );
        assert!(place.names().is_empty());
    }
}

#[test]
fn a_missing_directory_is_said_to_be_missing() {
    let place = Place::new();
    let path = place.dir.path().join("nowhere/state.redb");
    let error = options()
        .create(path, keyring(), STORE_ID, vec![system()])
        .unwrap_err();
    assert!(
        error.to_string().contains("directory does not exist"),
        "{error}"
    );
}
