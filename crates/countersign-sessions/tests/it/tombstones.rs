//! Hazard: a request in flight brings an ended session back (E10), or nobody remembers that it
//! was there. rack-session CVE-2025-46336 was the former.

use crate::support::{HOUR, World, by, login, principal, quiet, set, why};
use countersign_sessions::{Denied, EndedBy, Gone, Owner, Privilege, Timeouts};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn no_call_with_what_was_read_before_the_end_brings_the_session_back() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let in_flight = world.touch(&opened.token).unwrap();
    world
        .end(&opened.session, EndedBy::Principal)
        .outcome
        .unwrap();
    let (moment, selector) = (world.moment(), in_flight.selector());
    let gone = Gone {
        by: EndedBy::Principal,
        at: world.now(),
    };
    let expected = || Denied::Gone(gone);
    let update = world.table.update(&moment, selector, &[set("a", "b")]);
    assert_eq!(quiet(update).unwrap_err(), expected());
    let mut fresh = world.fresh();
    let renewed = world
        .table
        .renew(&moment, &mut fresh, &in_flight, Privilege::Same);
    assert_eq!(quiet(renewed).unwrap_err(), expected());
    let timeouts = world
        .table
        .set_timeouts(&moment, selector, Timeouts::default());
    assert_eq!(quiet(timeouts).unwrap_err(), expected());
    let end = world.end(&in_flight, EndedBy::Operator);
    assert_eq!(quiet(end).unwrap_err(), expected(), "what ended it stands");
    assert_eq!(
        quiet(world.table.describe(&moment, selector)).unwrap_err(),
        expected()
    );
    assert_eq!(world.table.len(), (0, 0));
}

#[test]
fn many_requests_at_once_do_not_either() {
    for round in 0..50 {
        let world = World::new(|_| ());
        let opened = world.log_in("ann");
        let selector = opened.session.selector();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for n in 0..3 {
                let (world, over, token) = (&world, &over, &opened.token);
                scope.spawn(move || {
                    loop {
                        let was_over = over.load(Ordering::Acquire);
                        let update = world.table.update(&world.moment(), selector, &[]);
                        let touched = world.touch(token);
                        if was_over {
                            assert!(update.outcome.is_err() && touched.is_err(), "{round} {n}");
                            return;
                        }
                    }
                });
            }
            thread::yield_now();
            let ended = world
                .table
                .end_all(&world.moment(), &principal("ann"), EndedBy::Theft);
            assert_eq!(by(&ended), [EndedBy::Theft]);
            over.store(true, Ordering::Release);
        });
        assert_eq!(world.table.len(), (0, 0));
    }
}

#[test]
fn the_ended_are_remembered_up_to_a_bound_and_forgotten_without_trace() {
    // 32 for principals' sessions and as many anonymous ones, over sixteen shards.
    let world = World::new(|policy| {
        (policy.max_sessions, policy.max_anonymous) = (10_000, 10_000);
        policy.max_ended = 64 * 16;
    });
    let mut sessions = Vec::new();
    for _ in 0..100 {
        let opened = world.log_in("ann");
        world
            .end(&opened.session, EndedBy::Principal)
            .outcome
            .unwrap();
        sessions.push(opened);
    }
    assert_eq!(world.table.remembered(), 32);
    let (forgotten, remembered) = sessions.split_at(100 - 32);
    for opened in forgotten {
        assert_eq!(why(&world.touch(&opened.token)), "unknown");
        let late = world
            .table
            .update(&world.moment(), opened.session.selector(), &[]);
        assert_eq!(quiet(late).unwrap_err(), Denied::Unknown);
    }
    for opened in remembered {
        assert_eq!(why(&world.touch(&opened.token)), "gone: principal");
    }
    // A flood of anonymous ones does not make them forgotten.
    for _ in 0..3000 {
        let opened = world.start();
        world.end(&opened.session, EndedBy::Room).outcome.unwrap();
    }
    for opened in remembered {
        assert_eq!(why(&world.touch(&opened.token)), "gone: principal");
    }
    assert!(world.table.remembered() <= 64 * 16);
}

#[test]
fn nothing_is_remembered_where_policy_says_so() {
    let world = World::new(|policy| policy.max_ended = 0);
    for _ in 0..10 {
        let opened = world.log_in("ann");
        world
            .end(&opened.session, EndedBy::Principal)
            .outcome
            .unwrap();
        assert_eq!(why(&world.touch(&opened.token)), "unknown");
    }
    assert_eq!(world.table.remembered(), 0);
    assert_eq!(world.table.len(), (0, 0));
}

#[test]
fn an_end_is_told_with_all_that_a_log_needs() {
    let world = World::new(|_| ());
    let ann = principal("ann");
    let series = world.start().session.selector();
    let mut wanted = login(&ann);
    wanted.series = Some(series);
    let opened = quiet(world.log_in_as(None, &wanted)).unwrap();
    assert_eq!(world.touch(&opened.token).unwrap().series(), Some(series));
    world.pass(HOUR);
    let done = world.end(&opened.session, EndedBy::Operator);
    let ended = &done.ended[0];
    assert_eq!(ended.selector, opened.session.selector());
    assert_eq!(
        ended.owner.as_ref().and_then(Owner::principal),
        Some(ann.clone())
    );
    assert_eq!((ended.by, ended.at), (EndedBy::Operator, world.now()));
    assert_eq!(ended.series, Some(series));
}
