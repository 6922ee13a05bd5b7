//! Hazard: a snapshot of sessions that is cut short, lost, or kept by two nodes at once.

use crate::support::{BOUND, PATIENCE, make, options};
use countersign_postgres::{PostgresError, PostgresOptions, PostgresStore};
use countersign_store::{Health, SnapshotPlace as _, Store as _};
use countersign_testkit::{samples, wait_until};
use std::time::Duration;

const PLENTY: u64 = 1 << 30;

fn open(options: &PostgresOptions) -> PostgresStore {
    let options = options.clone().staleness(BOUND);
    options.open(samples::keyring()).unwrap()
}

#[test]
fn what_was_put_is_read_back_whole_replaced_and_cleared() {
    let Some(options) = options() else { return };
    let store = open(&options);
    let place = store.session_place("web-1").unwrap();
    assert!(place.put(b"early").is_err(), "nobody has claimed it");
    place.claim().unwrap();
    assert_eq!(place.read(PLENTY).unwrap(), None);
    // More than two parts, with one that is not full.
    let large: Vec<u8> = (0..(2 << 20) + 77)
        .map(|at: u32| (at % 251) as u8)
        .collect();
    for bytes in [&large[..], b"short", &large[..]] {
        place.put(bytes).unwrap();
        assert!(place.read(PLENTY).unwrap().as_deref() == Some(bytes));
    }
    let len = large.len() as u64;
    assert!(place.read(len).is_ok());
    let error = place.read(len - 1).unwrap_err().to_string();
    assert!(error.contains("larger"), "{error}");
    // Another place is another one's affair, and a fault leaves the connection well.
    let other = store.session_place("web-2").unwrap();
    other.claim().unwrap();
    assert_eq!(other.read(PLENTY).unwrap(), None);
    place.clear().unwrap();
    assert_eq!(place.read(PLENTY).unwrap(), None);
    assert_eq!(place.name(), "sessions of web-1 in the database");
}

#[test]
fn a_name_is_bounded_and_a_closed_store_has_no_places() {
    let Some(options) = options() else { return };
    let store = open(&options);
    let place = store.session_place("web-1").unwrap();
    for bad in ["", &"x".repeat(256)] {
        let error = store.session_place(bad).map(drop).unwrap_err();
        assert!(matches!(error, PostgresError::Option { .. }), "{error}");
    }
    place.claim().unwrap();
    store.close().wait().unwrap();
    assert_eq!(
        store.session_place("web-1").map(drop).unwrap_err(),
        PostgresError::Closed
    );
    drop(store);
    assert!(place.read(PLENTY).is_err());
}

#[test]
fn who_claims_a_place_shuts_out_the_node_that_had_it() {
    let Some(options) = options() else { return };
    let (first, second) = (open(&options), open(&options));
    let theirs = first.session_place("web-1").unwrap();
    theirs.claim().unwrap();
    theirs.claim().unwrap();
    theirs.put(b"sessions").unwrap();
    assert!(first.attest().wait().is_ok());
    let taken = second.session_place("web-1").unwrap();
    taken.claim().unwrap();
    // From here on nothing that the first one has in memory is to be believed.
    let lease = first.lease().unwrap();
    assert!(!lease.term().holds());
    assert_eq!(
        taken.read(PLENTY).unwrap().as_deref(),
        Some(&b"sessions"[..])
    );
    assert!(theirs.put(b"later").is_err());
    assert!(theirs.clear().is_err());
    assert_eq!(
        taken.read(PLENTY).unwrap().as_deref(),
        Some(&b"sessions"[..])
    );
    assert!(first.attest().wait().is_err());
    assert_eq!(first.health(), Health::Degraded);
    assert!(make(&first, 1).is_err());
    // The one that has it now is well.
    assert!(second.attest().wait().is_ok());
    make(&second, 1).unwrap();
    taken.put(b"own").unwrap();
    // Opened anew it is another node, which may claim its place again.
    let third = open(&options);
    third.session_place("web-2").unwrap().claim().unwrap();
    assert!(second.attest().wait().is_ok());
}

#[test]
fn places_of_nodes_that_are_gone_are_told_of() {
    let Some(options) = options() else { return };
    let stores = [(); 3].map(|()| open(&options));
    for (store, name) in stores.iter().zip(["web-1", "web-2", "web-3"]) {
        let place = store.session_place(name).unwrap();
        place.claim().unwrap();
        if name != "web-3" {
            place.put(name.as_bytes()).unwrap();
        }
    }
    let silent = |store: &PostgresStore, ms| {
        let silent = store.silent_places(Duration::from_millis(ms));
        silent.wait().unwrap()
    };
    let [first, second, third] = stores;
    assert_eq!(silent(&second, 60_000), Vec::<String>::new());
    // One that closes is gone at once, and one that was killed once it has been silent.
    first.close().wait().unwrap();
    assert_eq!(silent(&second, 60_000), ["web-1"]);
    third.close().wait().unwrap();
    assert_eq!(silent(&second, 60_000), ["web-1"], "there is nothing in it");
    let killed = open(&options);
    let place = killed.session_place("web-4").unwrap();
    place.claim().unwrap();
    place.put(b"some").unwrap();
    drop((killed, place));
    assert_eq!(silent(&second, 600_000), ["web-1"]);
    let gone = || silent(&second, 1000) == ["web-1", "web-4"];
    assert!(wait_until(PATIENCE, gone), "{:?}", silent(&second, 1000));
}
