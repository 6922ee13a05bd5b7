//! Hazard: a sweep that misses somebody, ends somebody too early, or takes too long (E17).

use crate::support::{DAY, HOUR, SECOND, START, World, by, quiet};
use countersign_sessions::{EndedBy, Timeouts};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_sweep_ends_what_is_due_and_nothing_else() {
    let world = World::new(|_| ());
    let due: Vec<_> = (0..500).map(|n| world.log_in(&format!("p{n}"))).collect();
    let used: Vec<_> = (0..500).map(|n| world.log_in(&format!("q{n}"))).collect();
    world.pass(4 * HOUR);
    for opened in &used {
        world.touch(&opened.token).unwrap();
    }
    assert!(world.sweep_all().is_empty());
    world.pass(HOUR);
    let ended = world.sweep_all();
    assert_eq!(by(&ended), [EndedBy::Idle; 500]);
    assert!(due.iter().all(|opened| world.peek(&opened.token).is_err()));
    assert!(used.iter().all(|opened| world.peek(&opened.token).is_ok()));
    assert_eq!(world.table.len(), (500, 0));
    // Their deadlines are stated anew: nobody is looked at again until they could be due.
    let swept = world.table.sweep(&world.moment(), usize::MAX);
    assert_eq!((swept.looked_at, swept.came_round), (0, true));
}

#[test]
fn every_round_looks_at_every_shard() {
    // Sixteen of them.
    let world = World::new(|policy| {
        (policy.max_sessions, policy.max_anonymous) = (10_000, 10_000);
    });
    for round in 0..4 {
        for n in 0..200 {
            world.log_in(&format!("p{n}"));
        }
        world.pass(5 * HOUR);
        let swept = world.table.sweep(&world.moment(), usize::MAX);
        assert_eq!(
            (swept.ended.len(), swept.came_round),
            (200, true),
            "{round}"
        );
    }
}

#[test]
fn a_piece_of_the_sweep_keeps_to_its_budget_and_the_pieces_come_round() {
    let world = World::new(|_| ());
    for n in 0..2000 {
        world.log_in(&format!("p{}", n / 50));
    }
    world.pass(5 * HOUR);
    let (mut ended, mut pieces) = (0, 0);
    loop {
        let swept = world.table.sweep(&world.moment(), 100);
        assert!(swept.ended.len() <= 100 && swept.looked_at <= 100);
        ended += swept.ended.len();
        pieces += 1;
        if swept.came_round {
            break;
        }
    }
    assert_eq!(ended, 2000);
    assert!((20..100).contains(&pieces), "{pieces}");
    assert_eq!(world.table.len(), (0, 0));
}

#[test]
fn with_the_smallest_budget_it_still_comes_round() {
    let mut world = World::new(|_| ());
    for n in 0..50 {
        world.log_in(&format!("p{n}"));
    }
    // A close look at everybody, one by one.
    let _first = world.table.sweep(&world.moment(), usize::MAX);
    world.policy.idle_timeout = HOUR;
    world.pass(HOUR);
    let mut ended = 0;
    for _ in 0..3 * world.table.pages() {
        let swept = world.table.sweep(&world.moment(), 0);
        assert!(swept.looked_at <= 1);
        ended += swept.ended.len();
    }
    assert_eq!(ended, 50);
}

#[test]
fn everybody_is_looked_at_closely_only_where_deadlines_may_be_too_late() {
    let mut world = World::new(|_| ());
    for n in 0..10 {
        world.log_in(&format!("p{n}"));
    }
    let looked_at = |world: &World| {
        let swept = world.table.sweep(&world.moment(), usize::MAX);
        assert!(swept.came_round && swept.ended.is_empty());
        swept.looked_at
    };
    assert_eq!(looked_at(&world), 0);
    // Several threads that read one clock, and a clock that steps back.
    world.set(world.now().before(2 * SECOND));
    assert_eq!(looked_at(&world), 0);
    world.set(world.now().before(2 * SECOND + MS));
    assert_eq!(looked_at(&world), 10);
    for (idle, absolute, expected) in [
        (6 * HOUR, 30 * DAY, 0),
        (6 * HOUR, 31 * DAY, 0),
        (5 * HOUR, 31 * DAY, 10),
        (5 * HOUR, 31 * DAY, 0),
        (5 * HOUR, 30 * DAY, 10),
    ] {
        (world.policy.idle_timeout, world.policy.absolute_timeout) = (idle, absolute);
        assert_eq!(looked_at(&world), expected, "{idle:?} {absolute:?}");
    }
}

#[test]
fn of_the_sessions_of_one_shard_only_the_due_ones_are_looked_at() {
    let world = World::new(|_| ());
    let anns: Vec<_> = (0..50).map(|_| world.log_in("ann")).collect();
    let selector = anns[20].session.selector();
    let own = Timeouts {
        idle: Some(SECOND),
        absolute: None,
    };
    quiet(world.table.set_timeouts(&world.moment(), selector, own)).unwrap();
    world.pass(SECOND);
    let swept = world.table.sweep(&world.moment(), usize::MAX);
    assert_eq!(
        (swept.looked_at, by(&swept.ended)),
        (1, vec![EndedBy::Idle])
    );
}

#[test]
fn a_sweep_whose_clock_lags_a_little_behind_a_use_shortens_nothing() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let due = START.after(5 * HOUR);
    for used_at in [due.before(SECOND), due.after(SECOND + MS)] {
        world.set(used_at);
        world.touch(&opened.token).unwrap();
    }
    let used_at = world.now();
    world.set(due);
    let swept = world.table.sweep(&world.moment(), usize::MAX);
    assert_eq!((swept.looked_at, swept.ended.len()), (1, 0));
    assert_eq!(world.peek(&opened.token).unwrap().last_seen_at(), used_at);
}
