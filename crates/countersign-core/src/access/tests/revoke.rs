//! Hazard: a revocation that does not hold, is told twice, or is turned away for want of room.

use crate::event::EventKind;
use crate::grant::{EndCause, Expiry, GrantEnd};
use crate::principals::PrincipalAction;
use crate::record::{Expect, Key, Purpose};
use crate::text::Reason;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, START, World};
use core::time::Duration;

#[test]
fn it_holds_at_once_with_its_reason_in_grant_and_event() {
    let mut world = World::new();
    let token = world.issued("ann");
    let reason = Reason::new("laptop stolen").unwrap();
    let decision = world.decide_revoke(&token, Some(&reason));
    let told = decision.batch.events().next().unwrap().clone();
    assert_eq!(
        (told.kind, told.reason.as_ref()),
        (EventKind::Revoked, Some(&reason))
    );
    assert_eq!(told.credential.unwrap().selector, token.selector());
    assert_eq!(told.principal.unwrap().as_str(), "ann");
    assert!(!decision.outcome.already);
    let cause = EndCause::Revoked(Some(reason));
    let end = Some(GrantEnd {
        at: world.now,
        cause,
    });
    assert_eq!(decision.outcome.grant.end, end);
    world.commit(decision.batch);
    assert_eq!(world.check(&token), Err(Rejection::Revoked));
    assert_eq!(world.list("ann")[0].ends_at, world.now);
}

#[test]
fn a_second_one_writes_nothing_and_keeps_the_first_ones_reason_and_time() {
    let mut world = World::new();
    let token = world.issued("ann");
    let reason = Reason::new("first").unwrap();
    let decision = world.decide_revoke(&token, Some(&reason));
    world.commit(decision.batch);
    for moment in [START, START.after(DAY), START.before(DAY)] {
        world.now = moment;
        let again = world.decide_revoke(&token, Some(&Reason::new("second").unwrap()));
        assert!(
            again.outcome.already && again.batch.writes.is_empty(),
            "{moment}"
        );
        assert_eq!(again.outcome.grant.end.unwrap().at, START);
    }
    assert_eq!(world.cause(&token), Some(EndCause::Revoked(Some(reason))));
}

#[test]
fn what_time_ended_can_be_ended_for_good() {
    for sweep in [false, true] {
        let mut world = World::new();
        let token = world.issue("ann", Expiry::At(START.after(HOUR))).unwrap();
        world.pass(HOUR);
        if sweep {
            world.prune(&token).unwrap();
        }
        assert!(!world.revoke(&token), "swept: {sweep}");
        world.step_back(HOUR);
        assert_eq!(
            world.check(&token),
            Err(Rejection::Revoked),
            "swept: {sweep}"
        );
    }
}

#[test]
fn room_is_kept_for_it_and_every_write_expects_what_was_loaded() {
    let mut world = World::new();
    let token = world.issued("ann");
    let grant = world.grant(token.selector()).unwrap().version;
    let ann = world.principal("ann").unwrap().version;
    let decision = world.decide_revoke(&token, None);
    let event = decision.batch.events().next().unwrap().id;
    assert_eq!(decision.batch.purpose, Purpose::Deny);
    let expected = [
        (Key::grant(token.selector()), Expect::Version(grant)),
        (world.principal_key("ann"), Expect::Version(ann)),
        (Key::event(event), Expect::Absent),
    ];
    let writes = decision
        .batch
        .writes
        .iter()
        .map(|write| (write.key, write.expect));
    assert_eq!(writes.collect::<Vec<_>>(), expected);
}

#[test]
fn it_needs_neither_the_switch_nor_an_enabled_principal_nor_their_record() {
    let mut world = World::new();
    let tokens: Vec<_> = (0..3).map(|_| world.issued("ann")).collect();
    world.act("ann", PrincipalAction::Disable);
    world.revoke(&tokens[0]);
    world.switch(crate::switches::SwitchAction::Off);
    world.revoke(&tokens[1]);
    world.records.remove(&world.principal_key("ann"));
    world.revoke(&tokens[2]);
    for token in &tokens {
        assert_eq!(world.cause(token), Some(EndCause::Revoked(None)));
    }
}

#[test]
fn ending_a_successor_leaves_its_predecessor_as_it_is() {
    // Two tokens, two decisions: an overlap that must end is ended by its own selector.
    let mut world = World::new();
    let old = world.issued("ann");
    let new = world.rotate(&old, DAY).unwrap();
    world.revoke(&new);
    assert_eq!(
        (world.check(&old), world.check(&new)),
        (Ok(()), Err(Rejection::Revoked))
    );
    world.pass(DAY.saturating_sub(Duration::from_millis(1)));
    assert_eq!(world.check(&old), Ok(()));
}
