//! Hazard: a sweep that ends what lives, removes too early, or never removes.

use super::device::Told;
use crate::event::EventKind;
use crate::principals::PrincipalAction;
use crate::record::{Key, Purpose, Record, Versioned};
use crate::remember::Pruned;
use crate::series::SeriesEndCause;
use crate::switches::SwitchAction;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, World};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);
const MAX_AGE: Duration = Duration::from_secs(14 * 86_400);
const PRUNE_AFTER: Duration = Duration::from_secs(30 * 86_400);

#[test]
fn an_expiry_is_noted_once_and_told_once() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(MAX_AGE.saturating_sub(MS));
    assert_eq!(world.sweep(&token), None, "not dead yet");
    world.pass(MS);
    let ann = world.principal("ann");
    let decision = world.decide_sweep(&token).unwrap();
    assert_eq!(
        (decision.outcome, decision.batch.purpose),
        (Pruned::Expired, Purpose::Deny)
    );
    assert_eq!(
        decision.batch.events().next().unwrap().kind,
        EventKind::Expired
    );
    world.commit(decision.batch);
    assert_eq!(world.principal("ann"), ann, "the list knew it already");
    assert_eq!(world.end_cause(&token), Some(SeriesEndCause::Expired));
    world.pass(DAY);
    assert_eq!(world.sweep(&token), None);
}

#[test]
fn dead_for_long_enough_it_is_removed_with_its_use_and_its_place_in_the_list() {
    for noted in [false, true] {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(MAX_AGE);
        if noted {
            assert_eq!(world.sweep(&token), Some(Pruned::Expired));
        }
        world.pass(PRUNE_AFTER.saturating_sub(MS));
        assert_eq!(world.sweep(&token), (!noted).then_some(Pruned::Expired));
        world.pass(MS);
        let usage = Key::usage(token.selector());
        let record = Record::Usage(crate::grant::Usage::default());
        let version = world.system().version;
        world.records.insert(usage, Versioned { version, record });
        assert_eq!(world.sweep(&token), Some(Pruned::Removed));
        assert!(world.list("ann").is_empty() && world.series(token.selector()).is_none());
        assert!(!world.records.contains_key(&usage));
        assert_eq!(world.shows(&token), Told::No(Rejection::Unknown));
    }
}

#[test]
fn whatever_ended_it_counts_from_then_on() {
    let endings: [fn(&mut World, &SplitToken); 4] = [
        |world, token| drop(world.end_series(token)),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch_remember_me(SwitchAction::RevokeAll),
        |world, _| world.switch_remember_me(SwitchAction::Off),
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(DAY);
        end(&mut world, &token);
        // An end by an epoch is not told as one by time, however much of it passes.
        world.pass(PRUNE_AFTER.saturating_sub(MS));
        assert_eq!(world.sweep(&token), None, "ending {at}");
        world.pass(MS.saturating_mul(2));
        assert_eq!(world.sweep(&token), Some(Pruned::Removed), "ending {at}");
    }
}

#[test]
fn a_series_without_a_principal_is_removed_after_its_own_end() {
    let mut world = World::new();
    let token = world.started("ann");
    world.records.remove(&world.principal_key("ann"));
    world.pass(MAX_AGE);
    assert_eq!(world.sweep(&token), None);
    world.pass(PRUNE_AFTER);
    assert_eq!(world.sweep(&token), Some(Pruned::Removed));
}

#[test]
fn a_living_series_is_never_touched() {
    let mut world = World::with_policy(|draft| draft.remember_me.prune_after = Duration::ZERO);
    let mut token = world.started("ann");
    for _ in 0..13 {
        world.pass(DAY);
        assert_eq!(world.sweep(&token), None);
        token = world.rotated(&token);
    }
}

#[test]
fn a_rotation_in_the_same_moment_stops_the_sweep() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(MAX_AGE);
    let decision = world.decide_sweep(&token).unwrap();
    world.step_back(HOUR);
    drop(world.rotated(&token));
    assert!(!world.holds(&decision.batch));
}
