//! Hazard: a sweep that changes a verdict, removes too early, or never removes.

use crate::access::Pruned;
use crate::event::EventKind;
use crate::grant::{EndCause, Expiry};
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key, Purpose, Record, Versioned};
use crate::switches::SwitchAction;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, START, World};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);
const PRUNE_AFTER: Duration = Duration::from_secs(30 * 86_400);

fn expiring() -> (World, SplitToken) {
    let mut world = World::new();
    let token = world.issue("ann", Expiry::At(START.after(HOUR))).unwrap();
    (world, token)
}

#[test]
fn an_expiry_is_noted_once_and_told_once() {
    let (mut world, token) = expiring();
    world.pass(HOUR.saturating_sub(MS));
    assert_eq!(world.prune(&token), None, "not dead yet");
    world.pass(MS);
    let (grant, ann) = (world.grant(token.selector()), world.principal("ann"));
    let decision = world.decide_prune(&token).unwrap();
    assert_eq!(decision.outcome, Pruned::Expired);
    assert_eq!(decision.batch.purpose, Purpose::Deny);
    assert_eq!(
        decision.batch.events().next().unwrap().kind,
        EventKind::Expired
    );
    let expect = Expect::Version(grant.unwrap().version);
    assert!(
        decision
            .batch
            .writes
            .iter()
            .any(|write| write.expect == expect)
    );
    world.commit(decision.batch);
    assert_eq!(world.principal("ann"), ann, "the list knew it already");
    assert_eq!(world.cause(&token), Some(EndCause::Expired));
    assert_eq!(world.check(&token), Err(Rejection::Expired));
    world.pass(DAY);
    assert_eq!(world.prune(&token), None);
}

#[test]
fn dead_for_long_enough_it_is_removed_with_its_use_and_its_place_in_the_list() {
    for noted in [false, true] {
        let (mut world, token) = expiring();
        world.pass(HOUR);
        if noted {
            assert_eq!(world.prune(&token), Some(Pruned::Expired));
        }
        world.pass(PRUNE_AFTER.saturating_sub(MS));
        let early = world.prune(&token);
        assert_eq!(
            early,
            (!noted).then_some(Pruned::Expired),
            "one millisecond early"
        );
        world.pass(MS);
        let usage = Key::usage(token.selector());
        let record = Record::Usage(crate::grant::Usage::default());
        let version = world.system().version;
        world.records.insert(usage, Versioned { version, record });
        assert_eq!(world.prune(&token), Some(Pruned::Removed));
        assert!(world.list("ann").is_empty() && world.grant(token.selector()).is_none());
        assert!(!world.records.contains_key(&usage));
        assert!(world.principal("ann").is_some(), "a principal stays");
        assert_eq!(world.check(&token), Err(Rejection::Unknown));
    }
}

#[test]
fn whatever_ended_it_counts_from_then_on() {
    let endings: [fn(&mut World, &SplitToken); 5] = [
        |world, token| assert!(!world.revoke(token)),
        |world, token| drop(world.rotate(token, Duration::ZERO).unwrap()),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
        |world, _| {
            world.switch(SwitchAction::Off);
            world.switch(SwitchAction::On);
        },
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.issued("ann");
        world.pass(DAY);
        assert_eq!(world.prune(&token), None);
        end(&mut world, &token);
        world.pass(PRUNE_AFTER.saturating_sub(MS));
        assert_eq!(world.prune(&token), None, "ending {at}");
        // An epoch begins a millisecond after what it ends.
        world.pass(MS.saturating_mul(2));
        assert_eq!(world.prune(&token), Some(Pruned::Removed), "ending {at}");
    }
}

#[test]
fn an_overlap_is_dead_only_when_it_is_over() {
    let mut world = World::with_policy(|draft| draft.access_tokens.prune_after = Duration::ZERO);
    let old = world.issued("ann");
    world.rotate(&old, DAY).unwrap();
    world.pass(DAY.saturating_sub(MS));
    assert_eq!((world.prune(&old), world.check(&old)), (None, Ok(())));
    world.pass(MS);
    assert_eq!(world.prune(&old), Some(Pruned::Removed));
}

#[test]
fn what_an_epoch_ended_is_not_told_as_expired() {
    let endings: [fn(&mut World); 2] = [
        |world| world.act("ann", PrincipalAction::Revoke),
        |world| world.switch(SwitchAction::RevokeAll),
    ];
    for end in endings {
        let (mut world, token) = expiring();
        end(&mut world);
        world.pass(DAY);
        assert_eq!(world.prune(&token), None);
    }
}

#[test]
fn a_grant_without_a_principal_is_removed_after_its_own_end() {
    let (mut world, token) = expiring();
    world.records.remove(&world.principal_key("ann"));
    world.pass(HOUR);
    assert_eq!(world.prune(&token), None);
    world.pass(PRUNE_AFTER);
    let decision = world.decide_prune(&token).unwrap();
    assert_eq!(decision.outcome, Pruned::Removed);
    let changes = decision.batch.writes.iter().map(|write| &write.change);
    assert!(changes.into_iter().all(|change| *change == Change::Delete));
    world.commit(decision.batch);
    assert!(world.grant(token.selector()).is_none());
}

#[test]
fn a_living_token_is_never_touched() {
    let mut world = World::with_policy(|draft| draft.access_tokens.prune_after = Duration::ZERO);
    let token = world.issued("ann");
    for _ in 0..400 {
        assert_eq!(world.prune(&token), None);
        world.pass(DAY);
    }
    assert_eq!(world.check(&token), Ok(()));
}

#[test]
fn an_issue_in_the_same_moment_stops_the_removal_from_dropping_it_from_the_list() {
    let (mut world, token) = expiring();
    world.pass(HOUR.saturating_add(PRUNE_AFTER));
    let decision = world.decide_prune(&token).unwrap();
    world.issued("ann");
    assert!(!world.holds(&decision.batch));
}
