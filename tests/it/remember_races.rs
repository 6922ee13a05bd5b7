//! Hazard: requests that race with one remembered secret, or an answer that is lost, forget the
//! device, hand out two chains, or are taken for theft (E1).

use crate::support::{Ears, Home, MINUTE, forgotten, handed, present, remember};
use countersign::{Engine, EventKind, EventQuery, Recall, Rejection, Selector};
use std::sync::Barrier;
use std::thread;

const THREADS: usize = 64;

/// Old enough for its secret to be replaced, whatever grace there was.
fn grow_old(home: &Home) {
    home.clock.advance(MINUTE * 10);
}

fn generation(engine: &Engine, selector: Selector) -> u32 {
    let shown = engine.remember().show(selector).wait().unwrap().unwrap();
    shown.generation
}

/// Presents one secret from so many threads at once; answers what each was handed.
fn at_once(engine: &Engine, text: &str) -> Vec<Option<String>> {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    handed(engine, text)
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    })
}

/// `Rotated` events of a series in the log on the disk.
fn rotations(engine: &Engine, selector: Selector) -> usize {
    let mut query = EventQuery::default();
    query.selector = Some(selector);
    query.kind = Some(EventKind::Rotated);
    query.limit = 1000;
    engine.audit().list(query).wait().unwrap().events.len()
}

#[test]
fn of_sixty_four_at_once_one_rotates_and_all_get_the_same_successor() {
    let (home, ears) = (Home::new(), Ears::default());
    let engine = home
        .builder()
        .observer(ears.clone())
        .open(home.path())
        .unwrap();
    let started = remember(&engine, "ann");
    let selector = started.selector;
    let mut text = started.token.expose().to_owned();
    for round in 1..=4u32 {
        grow_old(&home);
        let mut all = at_once(&engine, &text);
        all.dedup();
        let [Some(successor)] = &all[..] else {
            panic!("round {round}: {all:?}")
        };
        assert_ne!(*successor, text);
        assert_eq!(generation(&engine, selector), round);
        assert_eq!(rotations(&engine, selector), round as usize);
        text = successor.clone();
        assert_eq!(handed(&engine, &text), None, "it is current, and young");
    }
    let events = ears.events.lock().unwrap();
    let told = |kind| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!(told(EventKind::Rotated), 4);
    assert_eq!(told(EventKind::Reused), 0);
    assert_eq!(events.len(), 5, "and the one of its start");
}

#[test]
fn an_answer_that_is_lost_is_given_again() {
    let home = Home::new();
    let engine = home.open();
    let started = remember(&engine, "ann");
    let old = started.token.expose();
    grow_old(&home);
    let lost = handed(&engine, old).unwrap();
    for _ in 0..3 {
        assert_eq!(handed(&engine, old), Some(lost.clone()));
        grow_old(&home);
    }
    // A week later still, as long as the successor was never seen.
    home.clock.advance(MINUTE * 60 * 24 * 7);
    assert_eq!(handed(&engine, old), Some(lost.clone()));
    assert_eq!(generation(&engine, started.selector), 1);
    assert_eq!(handed(&engine, &lost), None);
}

#[test]
fn three_tabs_that_were_open_all_along_come_in_one_after_the_other() {
    let home = Home::new();
    let engine = home.open();
    let started = remember(&engine, "ann");
    let old = started.token.expose();
    grow_old(&home);
    let successor = handed(&engine, old).unwrap();
    assert_eq!(handed(&engine, &successor), None, "the first tab goes on");
    for _ in 0..2 {
        home.clock.advance(MINUTE / 4);
        assert_eq!(handed(&engine, old), Some(successor.clone()));
    }
    home.clock.advance(MINUTE / 4);
    assert_eq!(handed(&engine, &successor), None);
    assert_eq!(generation(&engine, started.selector), 1);
}

#[test]
fn a_restart_between_rotation_and_retry_changes_nothing() {
    let home = Home::new();
    let engine = home.open();
    let started = remember(&engine, "ann");
    let old = started.token.expose();
    grow_old(&home);
    let lost = handed(&engine, old).unwrap();
    engine.close().wait().unwrap();

    let engine = home.open();
    assert_eq!(handed(&engine, old), Some(lost.clone()));
    assert_eq!(generation(&engine, started.selector), 1);
    assert_eq!(handed(&engine, &lost), None);
    engine.close().wait().unwrap();

    // And theft shows over a restart as well.
    let engine = home.open();
    home.clock.advance(MINUTE * 2);
    assert_eq!(forgotten(&engine, old), Rejection::Reused);
    engine.close().wait().unwrap();
    assert_eq!(forgotten(&home.open(), &lost), Rejection::Reused);
}

#[test]
fn a_race_with_a_revocation_ends_with_the_device_forgotten() {
    let home = Home::new();
    let engine = home.open();
    for _ in 0..20 {
        let started = remember(&engine, "ann");
        let (old, selector) = (started.token.expose(), started.selector);
        grow_old(&home);
        let barrier = Barrier::new(5);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    if let Recall::Refused(reason) = present(&engine, old) {
                        assert_eq!(reason, Rejection::Revoked);
                    }
                });
            }
            barrier.wait();
            let revoked = engine.remember().revoke(selector, None).wait().unwrap();
            assert!(revoked.durable && !revoked.already);
            assert_eq!(forgotten(&engine, old), Rejection::Revoked);
        });
    }
}
