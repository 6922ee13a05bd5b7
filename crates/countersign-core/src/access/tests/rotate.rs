//! Hazard: an old secret that outlives its overlap or a revocation, or a successor that is more
//! than its predecessor was.

use crate::access::{GrantState, Rotation};
use crate::decision::Refusal;
use crate::event::EventKind;
use crate::grant::{EndCause, Expiry};
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key, Purpose};
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, START, World};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// A token of ann's that lives for ten days and is five days old.
fn aged() -> (World, SplitToken) {
    let mut world = World::new();
    let token = world
        .issue("ann", Expiry::At(START.after(DAY.saturating_mul(10))))
        .unwrap();
    world.pass(DAY.saturating_mul(5));
    (world, token)
}

#[test]
fn the_successor_is_the_same_token_with_a_new_secret_and_a_full_life() {
    let (mut world, old) = aged();
    let new = world.rotate(&old, Duration::ZERO).unwrap();
    assert_eq!(
        (world.check(&new), world.check(&old)),
        (Ok(()), Err(Rejection::Revoked))
    );
    let (before, after) = (world.grant(old.selector()), world.grant(new.selector()));
    let (before, after) = (before.unwrap().record, after.unwrap().record);
    assert_eq!(
        (&after.principal, &after.name),
        (&before.principal, &before.name)
    );
    assert_eq!(after.scopes, before.scopes);
    assert_eq!(
        after.expiry,
        Expiry::At(world.now.after(DAY.saturating_mul(10)))
    );
    assert_eq!(after.predecessor, Some(old.selector()));
    assert_eq!(before.end.unwrap().cause, EndCause::Rotated(new.selector()));
    assert_ne!(new.verifier().expose(), old.verifier().expose());
}

#[test]
fn an_overlap_ends_to_the_millisecond_and_then_the_old_secret_is_revoked() {
    let (mut world, old) = aged();
    let new = world.rotate(&old, HOUR).unwrap();
    world.pass(HOUR.saturating_sub(MS));
    assert_eq!((world.check(&old), world.check(&new)), (Ok(()), Ok(())));
    world.pass(MS);
    assert_eq!(
        (world.check(&old), world.check(&new)),
        (Err(Rejection::Revoked), Ok(()))
    );
}

#[test]
fn an_overlap_does_not_outlive_the_token_itself() {
    let (mut world, old) = aged();
    world.rotate(&old, DAY.saturating_mul(7)).unwrap();
    world.pass(DAY.saturating_mul(5).saturating_sub(MS));
    assert_eq!(world.check(&old), Ok(()));
    world.pass(MS);
    assert_eq!(world.check(&old), Err(Rejection::Revoked));
}

#[test]
fn whatever_ends_a_token_ends_its_overlap_at_once() {
    let endings: [fn(&mut World, &SplitToken); 4] = [
        |world, old| assert!(!world.revoke(old)),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
        |world, _| world.set_policy(|draft| draft.access_tokens.max_overlap = Duration::ZERO),
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let (mut world, old) = aged();
        world.rotate(&old, DAY).unwrap();
        world.pass(HOUR);
        assert_eq!(world.check(&old), Ok(()));
        end(&mut world, &old);
        assert_eq!(world.check(&old), Err(Rejection::Revoked), "ending {at}");
    }
}

#[test]
fn a_revocation_in_the_overlap_holds_whatever_policy_and_clock_do() {
    let (mut world, old) = aged();
    world.rotate(&old, DAY).unwrap();
    world.pass(HOUR);
    world.set_policy(|draft| draft.access_tokens.max_overlap = Duration::ZERO);
    assert!(
        !world.revoke(&old),
        "the overlap was cut short by a policy that may be loosened"
    );
    world.set_policy(|draft| draft.access_tokens.max_overlap = DAY);
    assert_eq!(world.check(&old), Err(Rejection::Revoked));
    world.step_back(DAY);
    assert_eq!(world.check(&old), Err(Rejection::Revoked));
}

#[test]
fn an_old_token_in_its_overlap_takes_no_place() {
    let (mut world, old) = aged();
    world.set_policy(|draft| draft.access_tokens.max_live_per_principal = 2);
    world.rotate(&old, DAY).unwrap();
    assert!(world.issue("ann", Expiry::Never).is_ok());
    assert!(world.issue("ann", Expiry::Never).is_err());
    assert_eq!(world.check(&old), Ok(()));
}

#[test]
fn only_a_live_token_of_an_enabled_principal_is_rotated() {
    type Spoil = fn(&mut World, &SplitToken);
    let cases: [(Spoil, Refusal); 8] = [
        (
            |world, _| world.switch(SwitchAction::Off),
            Refusal::SwitchedOff(Subsystem::AccessTokens),
        ),
        (
            |world, _| world.act("ann", PrincipalAction::Disable),
            Refusal::Disabled,
        ),
        (
            |world, old| assert!(!world.revoke(old)),
            Refusal::NotLive(GrantState::Revoked),
        ),
        (
            |world, _| world.act("ann", PrincipalAction::Revoke),
            Refusal::NotLive(GrantState::Revoked),
        ),
        (
            |world, old| drop(world.rotate(old, DAY).unwrap()),
            Refusal::NotLive(GrantState::Rotated),
        ),
        (
            |world, _| world.pass(DAY.saturating_mul(5)),
            Refusal::NotLive(GrantState::Expired),
        ),
        (
            |world, _| drop(world.records.remove(&world.principal_key("ann"))),
            Refusal::NotFound,
        ),
        (
            |world, _| {
                world.records.remove(&world.principal_key("ann"));
                drop(world.issued("ann"));
            },
            Refusal::NotLive(GrantState::Revoked),
        ),
    ];
    for (spoil, refusal) in cases {
        let (mut world, old) = aged();
        spoil(&mut world, &old);
        let before = world.records.clone();
        assert_eq!(world.rotate(&old, Duration::ZERO).unwrap_err(), refusal);
        assert_eq!(world.records, before);
    }
}

#[test]
fn overlap_and_expiry_are_held_to_the_policy() {
    let day = Expiry::At(START.after(DAY.saturating_mul(6)));
    let max = DAY.saturating_mul(365);
    let (hour, too_long) = (HOUR, DAY.saturating_mul(7).saturating_add(MS));
    for (overlap, expiry, expected) in [
        (hour, Some(day), Ok(day)),
        (hour, Some(Expiry::Never), Ok(Expiry::Never)),
        (hour, Some(Expiry::At(START)), Err(Refusal::ExpiryInPast)),
        (
            hour,
            Some(Expiry::At(START.after(DAY.saturating_mul(371)))),
            Err(Refusal::LifetimeTooLong { max }),
        ),
        (
            too_long,
            None,
            Err(Refusal::OverlapTooLong {
                max: DAY.saturating_mul(7),
            }),
        ),
    ] {
        let (mut world, old) = aged();
        let decision = world.decide_rotate(&old, Rotation { overlap, expiry });
        let outcome = decision.map(|decision| decision.outcome.grant.expiry);
        assert_eq!(outcome, expected, "{expiry:?}");
    }
}

#[test]
fn an_expiry_that_was_not_asked_for_is_shortened_to_a_tightened_policy() {
    for (expiry, max) in [(Expiry::Never, HOUR), (Expiry::At(START.after(DAY)), HOUR)] {
        let mut world = World::new();
        let old = world.issue("ann", expiry).unwrap();
        world.set_policy(|draft| {
            draft.access_tokens.allow_never = false;
            draft.access_tokens.max_lifetime = max;
        });
        let new = world.rotate(&old, Duration::ZERO).unwrap();
        let kept = world.grant(new.selector()).unwrap().record.expiry;
        assert_eq!(kept, Expiry::At(START.after(max)));
    }
}

#[test]
fn every_write_expects_just_what_was_decided_upon() {
    let (mut world, old) = aged();
    let versions = (
        world.system().version,
        world.principal("ann").unwrap().version,
        world.grant(old.selector()).unwrap().version,
    );
    let rotation = Rotation {
        overlap: HOUR,
        expiry: None,
    };
    let decision = world.decide_rotate(&old, rotation).unwrap();
    let successor = decision.outcome.token.selector();
    let told = decision.batch.events().next().unwrap().clone();
    assert_eq!(
        (told.kind, told.successor),
        (EventKind::Rotated, Some(successor))
    );
    assert_eq!(told.credential.unwrap().selector, old.selector());
    let expected = [
        (Key::SYSTEM, Expect::Version(versions.0)),
        (world.principal_key("ann"), Expect::Version(versions.1)),
        (Key::grant(old.selector()), Expect::Version(versions.2)),
        (Key::grant(successor), Expect::Absent),
        (Key::event(told.id), Expect::Absent),
    ];
    let writes = decision
        .batch
        .writes
        .iter()
        .map(|write| (write.key, write.expect));
    assert_eq!(writes.collect::<Vec<_>>(), expected);
    assert_eq!(decision.batch.writes[0].change, Change::Keep);
    assert_eq!(decision.batch.purpose, Purpose::Grow);
}

#[test]
fn a_revocation_between_deciding_and_committing_stops_the_rotation() {
    let meanwhile: [fn(&mut World, &SplitToken); 4] = [
        |world, old| assert!(!world.revoke(old)),
        |world, old| drop(world.rotate(old, DAY).unwrap()),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
    ];
    for happen in meanwhile {
        let (mut world, old) = aged();
        let rotation = Rotation {
            overlap: HOUR,
            expiry: None,
        };
        let decision = world.decide_rotate(&old, rotation).unwrap();
        happen(&mut world, &old);
        assert!(!world.holds(&decision.batch));
    }
}

#[test]
fn the_successor_of_a_token_without_an_expiry_has_none_where_policy_allows_it() {
    let mut world = World::new();
    let old = world.issued("ann");
    let new = world.rotate(&old, Duration::ZERO).unwrap();
    let kept = world.grant(new.selector()).unwrap().record.expiry;
    assert_eq!(kept, Expiry::Never);
}
