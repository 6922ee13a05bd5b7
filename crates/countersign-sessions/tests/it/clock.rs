//! Hazard: a clock that steps back or jumps ahead, and what was dead comes alive.

use crate::support::{DAY, HOUR, SECOND, START, World, quiet, why};
use countersign_core::Timestamp;
use countersign_sessions::{Method, Privilege};
use std::time::Duration;

#[test]
fn what_was_found_dead_stays_dead() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let unseen = world.log_in("bob");
    world.pass(365 * DAY);
    assert_eq!(why(&world.peek(&opened.token)), "gone: absolute");
    world.set(START);
    assert_eq!(why(&world.touch(&opened.token)), "gone: absolute");
    assert_eq!(world.names("ann"), 0);
    // Nobody had come to see this one while the clock was wrong.
    assert_eq!(why(&world.touch(&unseen.token)), "in");
}

#[test]
fn freshness_that_was_found_over_stays_over() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    world.pass(600 * SECOND);
    assert!(!world.peek(&opened.token).unwrap().is_fresh());
    world.set(START);
    assert!(!world.peek(&opened.token).unwrap().is_fresh());
}

#[test]
fn freshness_of_a_clock_that_was_ahead_is_none() {
    let world = World::new(|_| ());
    world.pass(DAY);
    let opened = world.log_in("ann");
    world.set(START);
    assert!(!world.peek(&opened.token).unwrap().is_fresh());
}

#[test]
fn a_session_of_a_clock_that_was_a_year_ahead_does_not_live_for_that_year() {
    for swept in [false, true] {
        let world = World::new(|_| ());
        let kept = world.log_in("ann");
        world.pass(365 * DAY);
        let (idle, used) = (world.log_in("bob"), world.log_in("cyd"));
        world.sweep_all();
        world.set(START);
        if swept {
            world.sweep_all();
        } else {
            world.touch(&idle.token).unwrap();
            world.touch(&used.token).unwrap();
        }
        for _ in 0..29 * 24 {
            world.pass(HOUR);
            assert_eq!(why(&world.touch(&used.token)), "in");
        }
        assert_eq!(why(&world.touch(&idle.token)), "gone: idle", "{swept}");
        assert!(world.touch(&kept.token).is_err());
        for _ in 0..23 {
            world.pass(HOUR);
            world.touch(&used.token).unwrap();
        }
        world.pass(HOUR);
        assert_eq!(why(&world.touch(&used.token)), "gone: absolute", "{swept}");
    }
}

#[test]
fn a_small_step_back_changes_nothing() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    world.pass(10 * SECOND);
    let before = world.touch(&opened.token).unwrap().last_seen_at();
    for small in [SECOND, 2 * SECOND] {
        world.set(before.before(small));
        assert_eq!(world.touch(&opened.token).unwrap().last_seen_at(), before);
    }
    world.set(before.before(2 * SECOND + Duration::from_millis(1)));
    let after = world.touch(&opened.token).unwrap().last_seen_at();
    assert_eq!(after, world.now(), "that was a step");
}

#[test]
fn the_ends_of_time_panic_nowhere() {
    for now in [
        Timestamp::ZERO,
        Timestamp::MAX,
        Timestamp::from_millis(1 << 48),
    ] {
        let world = World::new(|_| ());
        world.start();
        world.set(now);
        let _opened = world.try_log_in("ann");
        world.set(START);
        let opened = world.log_in("bob");
        world.set(now);
        let live = &opened.session;
        let mut fresh = world.fresh();
        let _renewed = world
            .table
            .renew(&world.moment(), &mut fresh, live, Privilege::Changed);
        let mut fresh = world.fresh();
        let _elevated =
            world
                .table
                .elevate(&world.moment(), &mut fresh, live, Method::Other, 9999 * DAY);
        let _touched = world.touch(&opened.token);
        world.sweep_all();
        let _listed = world.names("bob");
        world.set(START);
        world.sweep_all();
        quiet(
            world
                .table
                .start(&world.moment(), &mut world.fresh(), 0, Default::default()),
        )
        .unwrap();
    }
}
