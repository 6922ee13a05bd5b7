//! Hazard: a session that outlives its time, or dies before it (S3, E12).

use crate::support::{DAY, HOUR, SECOND, START, World, by, principal, quiet, why};
use countersign_sessions::{Denied, EndedBy, Gone, Refused, Timeouts};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn the_idle_timeout_is_five_hours_in_seconds_and_holds_to_the_millisecond() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    world.pass(Duration::from_secs(18_000) - MS);
    assert_eq!(why(&world.peek(&opened.token)), "in");
    world.pass(MS);
    let done = world.table.peek(&world.moment(), &opened.token);
    assert_eq!(
        by(&done.ended),
        [EndedBy::Idle],
        "it is told once, by whoever finds it"
    );
    let gone = Gone {
        by: EndedBy::Idle,
        at: world.now(),
    };
    assert_eq!(done.outcome.unwrap_err(), Refused::Gone(gone));
    let again = world.table.touch(&world.moment(), &opened.token);
    assert!(again.ended.is_empty() && again.outcome.is_err());
    assert_eq!(world.table.len(), (0, 0));
}

#[test]
fn use_keeps_a_session_alive_and_looking_does_not() {
    let world = World::new(|_| ());
    let (used, watched) = (world.log_in("ann"), world.log_in("bob"));
    for _ in 0..10 {
        world.pass(HOUR);
        assert_eq!(why(&world.touch(&used.token)), "in");
        let _seen = world.peek(&watched.token);
    }
    assert_eq!(why(&world.touch(&watched.token)), "gone: idle");
}

#[test]
fn no_use_puts_off_the_absolute_timeout() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    for _ in 0..30 * 24 - 1 {
        world.pass(HOUR);
        assert_eq!(why(&world.touch(&opened.token)), "in");
    }
    world.pass(HOUR);
    assert_eq!(why(&world.touch(&opened.token)), "gone: absolute");
}

#[test]
fn a_session_may_have_timeouts_of_its_own() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let selector = opened.session.selector();
    let own = Timeouts {
        idle: Some(10 * SECOND),
        absolute: Some(60 * DAY),
    };
    quiet(world.table.set_timeouts(&world.moment(), selector, own)).unwrap();
    let shown = quiet(world.table.describe(&world.moment(), selector)).unwrap();
    assert_eq!(shown.max_inactive_s(), 10);
    assert_eq!(shown.ends_at, shown.created_at.after(60 * DAY));
    world.pass(10 * SECOND);
    // The sweep finds it as well: its deadline came nearer.
    assert_eq!(by(&world.sweep_all()), [EndedBy::Idle]);
}

#[test]
fn a_session_that_gave_its_own_timeouts_back_follows_the_policy_again() {
    let mut world = World::new(|_| ());
    let opened = world.log_in("ann");
    let selector = opened.session.selector();
    let own = Timeouts {
        idle: Some(4 * HOUR),
        absolute: Some(60 * DAY),
    };
    for timeouts in [own, Timeouts::default()] {
        let set = world
            .table
            .set_timeouts(&world.moment(), selector, timeouts);
        quiet(set).unwrap();
    }
    world.policy.idle_timeout = HOUR;
    world.policy.absolute_timeout = DAY;
    let shown = quiet(world.table.describe(&world.moment(), selector)).unwrap();
    assert_eq!(shown.idle_timeout, HOUR);
    assert_eq!(shown.ends_at, shown.created_at.after(DAY));
}

#[test]
fn a_use_within_the_second_of_the_last_one_writes_nothing() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let seen = |after| {
        world.set(START.after(after));
        world.touch(&opened.token).unwrap().last_seen_at()
    };
    // The start lies 789 ms into its second.
    assert_eq!(seen(210 * MS), START);
    assert_eq!(seen(211 * MS), START.after(211 * MS));
}

#[test]
fn a_stricter_policy_applies_at_once_and_a_looser_one_does_not_reach_back() {
    let mut world = World::new(|_| ());
    let (followed, own) = (world.log_in("ann"), world.log_in("bob"));
    let timeouts = Timeouts {
        idle: Some(4 * HOUR),
        absolute: None,
    };
    let selector = own.session.selector();
    quiet(
        world
            .table
            .set_timeouts(&world.moment(), selector, timeouts),
    )
    .unwrap();
    world.sweep_all();
    world.policy.idle_timeout = HOUR;
    world.pass(HOUR);
    let swept = world.sweep_all();
    assert_eq!(
        by(&swept),
        [EndedBy::Idle],
        "though its column says five hours"
    );
    assert_eq!(swept[0].selector, followed.session.selector());
    assert_eq!(
        why(&world.peek(&own.token)),
        "in",
        "its host asked for four hours"
    );

    world.policy.idle_timeout = DAY;
    let late = world.log_in("cyd");
    world.policy.idle_timeout = 2 * DAY;
    world.pass(DAY);
    assert_eq!(why(&world.touch(&late.token)), "gone: idle");
}

#[test]
fn every_call_finds_that_the_time_is_over() {
    type Call = fn(&World, &countersign_sessions::Opened) -> Vec<EndedBy>;
    let calls: [(&str, Call); 8] = [
        ("touch", |w, o| {
            by(&w.table.touch(&w.moment(), &o.token).ended)
        }),
        ("update", |w, o| {
            let selector = o.session.selector();
            by(&w.table.update(&w.moment(), selector, &[]).ended)
        }),
        ("end", |w, o| {
            by(&w.end(&o.session, EndedBy::Principal).ended)
        }),
        ("list", |w, _| {
            by(&w.table.list(&w.moment(), &principal("ann")).ended)
        }),
        ("form", |w, o| {
            let found = w.table.form_session(&w.moment(), o.session.hint());
            assert_eq!(found.outcome.unwrap().gone.unwrap().by, EndedBy::Idle);
            by(&found.ended)
        }),
        ("end all", |w, _| {
            by(&w
                .table
                .end_all(&w.moment(), &principal("ann"), EndedBy::Operator))
        }),
        ("log in", |w, o| {
            let ann = principal("ann");
            by(&w
                .log_in_as(Some(&o.session), &crate::support::login(&ann))
                .ended)
        }),
        ("page", |w, _| {
            let pages = 0..w.table.pages();
            pages
                .flat_map(|page| by(&w.table.page(&w.moment(), page).ended))
                .collect()
        }),
    ];
    for (name, call) in calls {
        let world = World::new(|_| ());
        let opened = world.log_in("ann");
        world.pass(5 * HOUR);
        assert_eq!(call(&world, &opened), [EndedBy::Idle], "{name}");
        let dead = world
            .table
            .update(&world.moment(), opened.session.selector(), &[]);
        let dead = quiet(dead).unwrap_err();
        assert!(
            matches!(
                dead,
                Denied::Gone(Gone {
                    by: EndedBy::Idle,
                    ..
                })
            ),
            "{name}"
        );
    }
}
