//! Hazard: sessions of a node that is gone, or in a snapshot that could not be written, are at two
//! nodes, or at none.
//!
//! Places here are in memory, so that they can refuse; those of PostgreSQL are in
//! `tests/postgres/sessions.rs`.

use crate::session_help::{Elsewhere, lets_in, log_in};
use crate::support::{SECOND, builder, keys, principal};
use countersign::store::place::SnapshotPlace as _;
use countersign::store::{MemoryStore, Store};
use countersign::{EndedBy, Engine};
use countersign_testkit::ManualClock;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn node(clock: &ManualClock, store: &Arc<dyn Store>, place: &Arc<Elsewhere>) -> Engine {
    builder(clock)
        .session_snapshot_in(Arc::clone(place) as _)
        .open_store(Arc::clone(store), &keys())
        .unwrap()
}

fn shared() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new([]))
}

#[test]
fn sessions_of_a_node_that_is_gone_go_on_at_another_and_lie_in_its_place_alone() {
    let (clock, store) = (ManualClock::default(), shared());
    let [first, second] = ["first", "second"].map(Elsewhere::named);
    let gone = node(&clock, &store, &first);
    let ann = log_in(&gone, "ann");
    // The last that is heard of it.
    clock.advance(gone.policy().sessions().snapshot_interval);
    gone.maintain().wait().unwrap();
    let engine = node(&clock, &store, &second);
    let own = engine.sessions().take_over(Arc::clone(&second) as _);
    let fault = own.wait().unwrap_err().to_string();
    assert!(fault.contains("this engine's own"), "{fault}");
    assert!(!lets_in(&engine, &ann));

    let released = first.released.load(SeqCst);
    let taken = engine.sessions().take_over(Arc::clone(&first) as _);
    let report = taken.wait().unwrap();
    assert_eq!((report.place.as_str(), report.set_aside), ("first", None));
    assert_eq!(report.outcome.unwrap().living, 1);
    assert!(lets_in(&engine, &ann));
    assert!(first.bytes().is_none() && second.bytes().is_some());
    assert_eq!(first.released.load(SeqCst), released, "it was vacated");
    // Nothing is left to take.
    let again = engine.sessions().take_over(Arc::clone(&first) as _);
    assert_eq!(again.wait().unwrap().outcome.unwrap().living, 0);
    assert_eq!(first.released.load(SeqCst), released + 1);
}

#[test]
fn what_lies_in_another_s_place_and_cannot_be_used_is_set_aside_and_the_place_let_go_of() {
    let (clock, store) = (ManualClock::default(), shared());
    let [first, second] = ["first", "second"].map(Elsewhere::named);
    first.put(b"damaged").unwrap();
    let engine = node(&clock, &store, &second);
    let bob = log_in(&engine, "bob");
    let taken = engine.sessions().take_over(Arc::clone(&first) as _);
    let report = taken.wait().unwrap();
    assert!(report.outcome.is_err(), "{report:?}");
    assert_eq!(report.set_aside.as_deref(), Some("aside"));
    assert_eq!(first.released.load(SeqCst), 1);
    assert!(lets_in(&engine, &bob));
}

#[test]
fn a_snapshot_that_failed_is_tried_again_at_once_where_it_was_asked_for_and_else_when_it_is_due() {
    let (clock, place) = (ManualClock::default(), Elsewhere::named("full"));
    let engine = node(&clock, &shared(), &place);
    let (ann, _bob) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
    let tries = |after: Duration| {
        clock.advance(after);
        engine.maintain().wait().unwrap();
        place.tried.swap(0, SeqCst)
    };
    let interval = engine.policy().sessions().snapshot_interval;
    place.is_full.store(true, SeqCst);
    assert_eq!((tries(interval), tries(SECOND)), (1, 0), "when it is due");
    let bob = engine
        .sessions()
        .end_all(&principal("bob"), EndedBy::Operator);
    assert_eq!(bob.wait().unwrap(), 1);
    assert_eq!((tries(SECOND), tries(SECOND)), (1, 1), "at once, and again");
    place.is_full.store(false, SeqCst);
    assert_eq!((tries(SECOND), tries(SECOND)), (1, 0), "until it is done");
    assert!(lets_in(&engine, &ann));
}
