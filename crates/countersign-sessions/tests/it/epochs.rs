//! Hazard: a session that was to be kept falls with the epoch that ends the others, or one that an
//! earlier epoch had ended is kept.

use crate::support::{World, login, principal, quiet, set, why};
use countersign_core::EpochStamp;
use countersign_sessions::{Denied, EndedBy, LogIn, Opened};

fn stamp(principal: u32) -> EpochStamp {
    EpochStamp {
        subsystem: 3,
        principal,
    }
}

/// A session of ann's from under number 5 of her log-ins, linked to a device, with an attribute.
fn opened(world: &World) -> Opened {
    let ann = principal("ann");
    let login = LogIn {
        stamp: stamp(5),
        series: Some(world.start().session.selector()),
        ..login(&ann)
    };
    let opened = quiet(world.log_in_as(None, &login)).unwrap();
    let selector = opened.session.selector();
    let changes = [set("kept", "x")];
    quiet(world.table.update(&world.moment(), selector, &changes)).unwrap();
    opened
}

#[test]
fn the_one_that_is_kept_moves_on_with_a_new_token_and_without_its_device() {
    let world = World::new(|_| ());
    let first = opened(&world);
    let under = |from, to, live| {
        let (moment, mut fresh) = (world.moment(), world.fresh());
        let renewed = world.table.renew_under(&moment, &mut fresh, live, from, to);
        quiet(renewed)
    };
    let fallen = under(4, 6, &first.session).unwrap_err();
    assert_eq!(fallen, Denied::Fallen);
    assert_eq!(world.touch(&first.token).unwrap().stamp(), stamp(5));
    let second = under(5, 6, &first.session).unwrap();
    assert_eq!(why(&world.touch(&first.token)), "mismatch");
    let live = world.touch(&second.token).unwrap();
    assert_eq!((live.stamp(), live.series()), (stamp(6), None));
    assert_eq!(live.attributes().find("kept"), Some(&"x".into()));
    assert_eq!(under(5, 7, &second.session).unwrap_err(), Denied::Fallen);
    assert_eq!(why(&world.touch(&second.token)), "in");
}

#[test]
fn one_that_was_renewed_meanwhile_moves_on_with_the_token_that_it_has() {
    let world = World::new(|_| ());
    let first = opened(&world);
    let selector = first.session.selector();
    let under = |from, to| quiet(world.table.restamp(&world.moment(), selector, from, to));
    assert_eq!(under(4, 6), Err(Denied::Fallen));
    assert_eq!(under(5, 6), Ok(()));
    let live = world.touch(&first.token).unwrap();
    assert_eq!((live.stamp(), live.series()), (stamp(6), None));
    assert_eq!(under(5, 7), Err(Denied::Fallen));
}

#[test]
fn one_that_has_moved_on_is_not_ended_for_what_it_stood_under_before() {
    let world = World::new(|_| ());
    let first = opened(&world);
    let selector = first.session.selector();
    let (moment, by) = (world.moment(), EndedBy::Operator);
    quiet(world.table.restamp(&moment, selector, 5, 6)).unwrap();
    let late = world.table.end_under(&moment, &first.session, by);
    assert_eq!(quiet(late), Err(Denied::Renewed));
    let live = world.touch(&first.token).unwrap();
    let done = world.table.end_under(&moment, &live, by);
    assert_eq!((done.outcome, done.ended.len()), (Ok(()), 1));
    assert_eq!(why(&world.touch(&first.token)), "gone: operator");
}
