//! Hazard: a snapshot of sessions that is cut short, lost, or kept by two nodes at once.

use crate::support::{BOUND, PATIENCE, make, options};
use countersign_postgres::{PostgresError, PostgresOptions, PostgresPlace, PostgresStore};
use countersign_store::{Health, SnapshotPlace, Store as _, Unread};
use countersign_testkit::{samples, wait_until};
use std::thread;
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
    let error = place.read(len - 1).unwrap_err();
    assert!(matches!(error, Unread::Unusable(_)), "{error:?}");
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

/// The place of a node's own sessions, with some in it.
fn with_sessions(store: &PostgresStore, name: &str) -> PostgresPlace {
    let place = store.session_place(name).unwrap();
    place.claim().unwrap();
    place.put(b"sessions").unwrap();
    place
}

/// The places that a node finds to be silent.
fn silent(store: &PostgresStore, time: Duration) -> Vec<PostgresPlace> {
    store.silent_places(time).wait().unwrap()
}

fn names(places: &[PostgresPlace]) -> Vec<String> {
    places.iter().map(SnapshotPlace::name).collect()
}

/// The place of a node that is gone, once it is found.
fn found(store: &PostgresStore, name: &str, time: Duration) -> PostgresPlace {
    let mut found = None;
    let is_found = || {
        let mut places = silent(store, time).into_iter();
        found = places.find(|place| place.name().contains(name));
        found.is_some()
    };
    assert!(wait_until(PATIENCE, is_found), "{name} is not silent");
    found.unwrap()
}

#[test]
fn who_is_opened_under_a_name_shuts_out_the_node_that_has_it() {
    let Some(options) = options() else { return };
    let (first, second) = (open(&options), open(&options));
    let theirs = first.session_place("web-1").unwrap();
    theirs.claim().unwrap();
    theirs.claim().unwrap();
    theirs.put(b"sessions").unwrap();
    // It has another one besides.
    first.session_place("web-9").unwrap().claim().unwrap();
    assert!(first.attest().wait().is_ok());
    let taken = second.session_place("web-1").unwrap();
    taken.claim().unwrap();
    // From here on nothing that the first one has in memory is to be believed.
    let lease = first.lease().unwrap();
    assert!(!lease.term().holds());
    let lying = |place: &PostgresPlace| place.read(PLENTY).unwrap();
    assert_eq!(lying(&taken).as_deref(), Some(&b"sessions"[..]));
    assert!(theirs.put(b"later").is_err());
    assert!(theirs.clear().is_err());
    assert!(theirs.vacate().is_err());
    assert_eq!(lying(&taken).as_deref(), Some(&b"sessions"[..]));
    assert!(first.attest().wait().is_err());
    assert!(wait_until(PATIENCE, || first.health() == Health::Fenced));
    let error = make(&first, 1).unwrap_err().to_string();
    assert!(error.contains("opened anew"), "{error}");
    // It claims nothing, does no chore, and says so at once.
    assert!(first.session_place("web-3").unwrap().claim().is_err());
    assert_eq!(first.turn("chore", PATIENCE).wait(), Ok(false));
    assert!(first.attest().wait().is_err());
    // The one that has it now is well.
    assert!(second.attest().wait().is_ok());
    make(&second, 1).unwrap();
    taken.put(b"own").unwrap();
    // Opened anew it is another node, which has its name again.
    let third = open(&options);
    third.session_place("web-1").unwrap().claim().unwrap();
    assert!(wait_until(PATIENCE, || second.health() == Health::Fenced));
    assert!(third.attest().wait().is_ok());
}

/// Each claim waits for the lease of whoever had the place, also where somebody else has struck
/// that one off, and where the first try to wait was cut short.
#[test]
fn nobody_has_a_place_before_the_lease_of_its_node_is_over() {
    let Some(options) = options() else { return };
    // Longer than the others' own.
    let longer = options.clone().staleness(Duration::from_secs(3));
    let first = longer.open(samples::keyring()).unwrap();
    let (second, third) = (open(&options), open(&options));
    for name in ["web-1", "web-9"] {
        with_sessions(&first, name);
    }
    assert!(first.attest().wait().is_ok());
    let lease = first.lease().unwrap();
    thread::scope(|scope| {
        for (store, name) in [(&second, "web-1"), (&third, "web-9"), (&second, "web-1")] {
            let lease = &lease;
            scope.spawn(move || {
                let place = store.session_place(name).unwrap();
                place.claim().unwrap();
                assert!(!lease.term().holds(), "{name} is had too soon");
            });
        }
    });
}

#[test]
fn a_place_is_taken_from_a_silent_node_alone_and_given_back() {
    let Some(options) = options() else { return };
    let short = Duration::from_millis(700);
    let [first, second, third] = [(); 3].map(|()| open(&options));
    let own = with_sessions(&first, "web-1");
    assert_eq!(names(&silent(&second, short)), Vec::<String>::new());
    // It closes as a node does, and is not taken for gone at once: it may be started anew.
    own.release().unwrap();
    first.close().wait().unwrap();
    assert_eq!(names(&silent(&second, PATIENCE * 3)), Vec::<String>::new());
    let taken = found(&second, "web-1", short);
    let late = found(&third, "web-1", short);
    // Meanwhile it is back: it keeps its own.
    let again = open(&options);
    let back = again.session_place("web-1").unwrap();
    back.claim().unwrap();
    assert!(again.attest().wait().is_ok());
    let error = taken.claim().unwrap_err().to_string();
    assert!(error.contains("heard of lately"), "{error}");
    assert_eq!(again.health(), Health::Healthy);

    // Gone for good, it is one node's, and the other finds nothing.
    drop((back, again));
    assert!(wait_until(PATIENCE, || taken.claim().is_ok()));
    assert_eq!(
        taken.read(PLENTY).unwrap().as_deref(),
        Some(&b"sessions"[..])
    );
    let error = late.claim().unwrap_err().to_string();
    assert!(error.contains("heard of lately"), "{error}");
    assert_eq!(second.health(), Health::Healthy);
    // Started anew, it waits for who is taking its sessions over, and shuts nobody out.
    let anew = open(&options);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| anew.session_place("web-1").unwrap().claim());
        thread::sleep(short);
        assert!(!waiting.is_finished());
        taken.vacate().unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(
        anew.session_place("web-1").unwrap().read(PLENTY).unwrap(),
        None
    );
    assert!(second.attest().wait().is_ok());
    assert!(late.claim().is_err());
    taken.vacate().unwrap();
    assert!(taken.put(b"late").is_err());
}

/// Two that take the same over, at once or one after the other, are not shut out by one another.
#[test]
fn of_two_that_take_over_one_does_and_both_live() {
    let Some(options) = options() else { return };
    let short = Duration::from_millis(700);
    let [first, second, third] = [(); 3].map(|()| open(&options));
    let own = with_sessions(&first, "web-1");
    drop((own, first));
    let places = [
        found(&second, "web-1", short),
        found(&third, "web-1", short),
    ];
    let claimed: Vec<bool> = thread::scope(|scope| {
        let claims = places
            .each_ref()
            .map(|place| scope.spawn(|| place.claim().is_ok()));
        claims.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 1);
    for (place, claimed) in places.iter().zip(claimed) {
        assert_eq!(place.vacate().is_ok() && claimed, claimed);
    }
    for place in &places {
        assert!(place.claim().is_err(), "there is nothing left");
    }
    for (store, number) in [(&second, 1), (&third, 2)] {
        assert!(store.attest().wait().is_ok());
        make(store, number).unwrap();
    }
}

#[test]
fn a_node_that_was_cut_off_itself_tells_nobody_that_others_are_gone() {
    let Some(options) = options() else { return };
    let short = Duration::from_millis(700);
    let [first, second] = [(); 2].map(|()| open(&options));
    let own = with_sessions(&first, "web-1");
    drop((own, first));
    let taken = found(&second, "web-1", short);
    // Everybody was silent for long, as after an outage of the database.
    let long = Duration::from_secs(3600);
    assert_eq!(names(&silent(&second, long)), Vec::<String>::new());
    let third = open(&options);
    assert_eq!(names(&silent(&third, short)), Vec::<String>::new());
    assert_eq!(names(&[found(&third, "web-1", short)]), names(&[taken]));
}

#[test]
fn what_cannot_be_used_is_put_out_of_the_way_and_a_copy_is_bound_to_another_place() {
    let Some(options) = options() else { return };
    let store = open(&options);
    let [one, other] = ["web-1", "web-2"].map(|name| store.session_place(name).unwrap());
    assert_ne!(one.binding(), other.binding());
    assert_eq!(
        one.binding(),
        store.session_place("web-1").unwrap().binding()
    );
    assert_eq!(one.set_aside(), None, "it is nobody's");
    one.claim().unwrap();
    for bytes in [&b"broken"[..], b"broken again"] {
        one.put(bytes).unwrap();
        let aside = one.set_aside().unwrap();
        assert_eq!(aside, "sessions of web-1 (damaged) in the database");
        assert_eq!(one.read(PLENTY).unwrap(), None);
    }
    one.release().unwrap();
    assert_eq!(names(&silent(&store, Duration::ZERO)), Vec::<String>::new());
}
