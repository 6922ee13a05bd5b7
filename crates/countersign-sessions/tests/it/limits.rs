//! Hazard: more sessions than there may be, or the wrong one ended for room.

use crate::support::{HOUR, SECOND, START, World, by, login, principal, quiet, why};
use countersign_core::policy::AtLimit;
use countersign_core::{EpochStamp, Selector, ShardTag};
use countersign_sessions::{Denied, EndedBy, LogIn, Method};

#[test]
fn a_principal_at_the_limit_loses_the_oldest() {
    let world = World::new(|policy| policy.max_per_principal = 3);
    let tokens: Vec<_> = (0..3)
        .map(|_| {
            world.pass(SECOND);
            world.log_in("ann")
        })
        .collect();
    let other = world.log_in("bob");
    world.pass(SECOND);
    // The oldest one, however lately it was used.
    world.touch(&tokens[0].token).unwrap();
    let done = world.try_log_in("ann");
    assert_eq!(by(&done.ended), [EndedBy::Limit]);
    assert_eq!(done.ended[0].selector, tokens[0].session.selector());
    assert_eq!(world.names("ann"), 3);
    assert_eq!(why(&world.touch(&tokens[0].token)), "gone: limit");
    assert_eq!(why(&world.touch(&other.token)), "in");
}

#[test]
fn what_a_device_has_opened_in_vain_goes_before_what_is_in_use() {
    let world = World::new(|policy| policy.max_per_principal = 4);
    let ann = principal("ann");
    let by_device = |number: u8| {
        let login = LogIn {
            method: Method::RememberMe,
            series: Some(Selector::mint(START, ShardTag::NONE, [number; 8])),
            ..login(&ann)
        };
        world.pass(SECOND);
        let done = world.log_in_as(None, &login);
        world.pass(SECOND);
        done
    };
    let oldest = world.log_in("ann");
    let used = quiet(by_device(1)).unwrap();
    world.touch(&used.token).unwrap();
    let wasted = [(); 2].map(|()| quiet(by_device(1)).unwrap());
    // A client that keeps no session cookie takes from none but itself.
    let mut last = Vec::from(wasted);
    for _ in 0..20 {
        let done = by_device(1);
        assert_eq!(by(&done.ended), [EndedBy::Limit]);
        assert_eq!(done.ended[0].selector, last.remove(0).session.selector());
        last.push(done.outcome.unwrap());
    }
    for token in [&oldest.token, &used.token] {
        assert_eq!(why(&world.peek(token)), "in");
    }
    // For another device, or a log-in, the oldest one goes as ever.
    let other = by_device(2);
    assert_eq!(other.ended[0].selector, oldest.session.selector());
    let done = world.try_log_in("ann");
    assert_eq!(done.ended[0].selector, used.session.selector());
}

#[test]
fn or_is_denied_another_one_and_loses_nothing() {
    let world = World::new(|policy| {
        policy.max_per_principal = 2;
        policy.at_limit = AtLimit::Deny;
    });
    let first = world.log_in("ann");
    let anonymous = world.start();
    world.log_in("ann");
    let denied = Denied::LimitReached { live: 2, max: 2 };
    assert_eq!(quiet(world.try_log_in("ann")).unwrap_err(), denied);
    let ann = principal("ann");
    let from = world.log_in_as(Some(&anonymous.session), &login(&ann));
    assert_eq!(quiet(from).unwrap_err(), denied);
    assert_eq!(
        why(&world.touch(&anonymous.token)),
        "in",
        "its own session is still there"
    );
    assert_eq!(world.table.len(), (3, 1), "no place is lost over it");

    // Logging in again from one of them does not count that one.
    let again = world.log_in_as(Some(&first.session), &login(&ann));
    assert_eq!(by(&again.ended), [EndedBy::LogIn]);
    again.outcome.unwrap();

    // Whose time is over does not count either.
    world.pass(5 * HOUR);
    let done = world.try_log_in("ann");
    assert_eq!(by(&done.ended), [EndedBy::Idle; 2]);
    done.outcome.unwrap();
}

#[test]
fn a_lowered_limit_holds_with_the_next_log_in() {
    let mut world = World::new(|_| ());
    for _ in 0..10 {
        world.pass(SECOND);
        world.log_in("ann");
    }
    world.policy.max_per_principal = 4;
    let done = world.try_log_in("ann");
    assert_eq!(by(&done.ended), [EndedBy::Limit; 7]);
    assert_eq!(world.names("ann"), 4);
}

#[test]
fn idle_anonymous_sessions_make_way_and_busy_ones_do_not() {
    let world = World::new(|policy| {
        policy.max_sessions = 2000;
        policy.max_anonymous = 1000;
    });
    let opened: Vec<_> = (0..1000).map(|_| world.start()).collect();
    world.pass(SECOND);
    let (busy, idle) = opened.split_at(500);
    for opened in busy {
        world.touch(&opened.token).unwrap();
    }
    world.pass(SECOND);
    for _ in 0..100 {
        let done = world.try_start();
        assert_eq!(by(&done.ended), [EndedBy::Room]);
        done.outcome.unwrap();
    }
    assert_eq!(world.table.len(), (1000, 1000));
    let lost = |of: &[countersign_sessions::Opened]| {
        of.iter()
            .filter(|opened| world.peek(&opened.token).is_err())
            .count()
    };
    assert_eq!((lost(busy), lost(idle)), (0, 100));
}

#[test]
fn principals_sessions_never_make_way_for_others() {
    let world = World::new(|policy| {
        policy.max_sessions = 5;
        policy.max_anonymous = 2;
    });
    let kept: Vec<_> = (0..5).map(|n| world.log_in(&format!("p{n}"))).collect();
    assert_eq!(quiet(world.try_log_in("late")).unwrap_err(), Denied::Full);
    assert_eq!(quiet(world.try_start()).unwrap_err(), Denied::Full);
    for opened in &kept {
        assert_eq!(why(&world.touch(&opened.token)), "in");
    }
    // But logging in anew from one of them takes no more room.
    let p0 = principal("p0");
    let again = world.log_in_as(Some(&kept[0].session), &login(&p0));
    assert_eq!(by(&again.ended), [EndedBy::LogIn]);
    assert_eq!(world.table.len(), (5, 0));
    // And whose time is over makes way without waiting for the sweep.
    world.pass(5 * HOUR);
    let done = world.try_log_in("late");
    assert!(by(&done.ended).iter().all(|by| *by == EndedBy::Idle));
    done.outcome.unwrap();
}

#[test]
fn no_anonymous_sessions_at_all() {
    let world = World::new(|policy| policy.max_anonymous = 0);
    assert_eq!(quiet(world.try_start()).unwrap_err(), Denied::Full);
    world.log_in("ann");
}

#[test]
fn ending_reaches_exactly_those_it_is_meant_for() {
    let world = World::new(|_| ());
    let long = "a-principal-with-a-name-that-does-not-fit-in-place@example.com";
    for who in ["ann", long] {
        let kept = world.log_in(who);
        let others: Vec<Selector> = (0..5)
            .map(|_| world.log_in(who).session.selector())
            .collect();
        let bystander = world.log_in("bob");
        let anonymous = world.start();
        let (moment, who) = (world.moment(), principal(who));
        let keep = kept.session.selector();
        let cause = EndedBy::CredentialsChanged;
        let ended = world.table.end_others(&moment, &who, keep, cause);
        let mut selectors: Vec<Selector> = ended.iter().map(|ended| ended.selector).collect();
        selectors.sort_unstable();
        let mut expected = others.clone();
        expected.sort_unstable();
        assert_eq!(selectors, expected);
        assert!(ended.iter().all(|ended| ended.by == cause));
        assert!(
            ended
                .iter()
                .all(|ended| ended.owner.as_ref().is_some_and(|o| *o == who))
        );
        assert_eq!(world.names(who.as_str()), 1);
        assert_eq!(
            by(&world.table.end_all(&moment, &who, EndedBy::Theft)),
            [EndedBy::Theft]
        );
        assert_eq!(why(&world.touch(&kept.token)), "gone: theft");
        for left in [bystander, anonymous] {
            assert_eq!(why(&world.touch(&left.token)), "in");
        }
    }
}

#[test]
fn everything_ends_and_is_told_one_by_one() {
    let world = World::new(|_| ());
    let opened: Vec<_> = (0..200).map(|n| world.log_in(&format!("p{n}"))).collect();
    let anonymous = world.start();
    let mut told = Vec::new();
    let tell = |ended| told.push(ended);
    let count = world
        .table
        .end_everything(&world.moment(), EndedBy::Operator, tell);
    assert_eq!((count, told.len()), (201, 201));
    assert_eq!(world.table.len(), (0, 0));
    for opened in opened.iter().chain([&anonymous]) {
        assert_eq!(why(&world.touch(&opened.token)), "gone: operator");
    }
}

#[test]
fn a_session_knows_the_epochs_it_was_opened_under() {
    let world = World::new(|_| ());
    let ann = principal("ann");
    let mut wanted = login(&ann);
    wanted.stamp = EpochStamp {
        subsystem: 7,
        principal: 9,
    };
    let opened = quiet(world.log_in_as(None, &wanted)).unwrap();
    assert_eq!(world.touch(&opened.token).unwrap().stamp(), wanted.stamp);
    let anonymous = world
        .table
        .start(&world.moment(), &mut world.fresh(), 7, Default::default());
    assert_eq!(quiet(anonymous).unwrap().session.stamp().subsystem, 7);
}
