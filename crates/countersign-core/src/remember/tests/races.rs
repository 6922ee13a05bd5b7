//! Hazard: requests that present the same secret at the same time, of which one is let in and the
//! others are taken for thieves; or which each mint a successor of their own.

use super::device::{Outcome, Told, handed, told};
use crate::decision::Decision;
use crate::event::EventKind;
use crate::record::{Change, Expect, Key, Purpose};
use crate::token::SplitToken;
use crate::world::{DAY, HOUR, SECOND, World, copy};
use core::time::Duration;

const AGE: Duration = Duration::from_secs(300);
const GRACE: Duration = Duration::from_secs(60);

/// Commits a decision, or makes it again and again until it holds.
fn settle(world: &mut World, token: &SplitToken, mut decision: Decision<Outcome>) -> Outcome {
    for _ in 0..4 {
        if world.holds(&decision.batch) {
            world.commit(decision.batch);
            return decision.outcome;
        }
        decision = world.decide_present(token);
    }
    panic!("it never settles")
}

fn secret(token: &SplitToken) -> [u8; 28] {
    *token.verifier().expose()
}

#[test]
fn of_64_that_present_the_same_secret_one_rotates_and_all_get_the_same_successor() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(AGE);
    let decisions: Vec<_> = (0..64).map(|_| world.decide_present(&token)).collect();
    let mut successors = Vec::new();
    let mut outcomes = Vec::new();
    for decision in decisions {
        let outcome = settle(&mut world, &token, decision);
        outcomes.push(told(&outcome));
        successors.push(secret(&handed(outcome).unwrap()));
    }
    assert_eq!(outcomes[0], Told::Rotated);
    assert!(outcomes[1..].iter().all(|told| *told == Told::Again));
    assert!(successors.iter().all(|other| *other == successors[0]));
    let series = world.series(token.selector()).unwrap().record;
    assert_eq!((series.generation, series.older.len()), (1, 1));
    let rotations = world.records.values().filter(|found| {
        matches!(&found.record, crate::record::Record::Event(event)
            if event.kind == EventKind::Rotated)
    });
    assert_eq!(rotations.count(), 1);
}

#[test]
fn three_tabs_with_answers_in_any_order_stay_in() {
    // Which tab's answer arrives when: the others go on with what they had.
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut world = World::new();
        let first = world.started("ann");
        let mut tabs = [copy(&first), copy(&first), copy(&first)];
        for round in 0..5 {
            world.pass(AGE.saturating_add(GRACE));
            let mut given = None;
            for tab in order {
                let outcome = world.present(&tabs[tab]);
                assert!(
                    outcome.is_ok(),
                    "{order:?}, round {round}, tab {tab}: {outcome:?}"
                );
                if let Some(next) = handed(outcome) {
                    let known: [u8; 28] = *given.get_or_insert(secret(&next));
                    assert_eq!(known, secret(&next), "a successor of its own");
                    tabs[tab] = next;
                }
                world.pass(SECOND);
            }
        }
    }
}

#[test]
fn a_restart_between_rotation_and_retry_changes_nothing() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(AGE);
    let lost = secret(&world.rotated(&token));
    // All that is left are the records and the keys.
    let mut restarted = World::new();
    restarted.records = world.records.clone();
    restarted.now = world.now.after(DAY);
    let outcome = restarted.present(&token);
    assert_eq!(told(&outcome), Told::Again);
    assert_eq!(secret(&handed(outcome).unwrap()), lost);
}

#[test]
fn a_successor_handed_out_again_after_long_is_not_replaced_while_others_are_on_the_way() {
    for (late, expected) in [(AGE, Told::Again), (DAY, Told::Again)] {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(AGE);
        drop(world.rotated(&token));
        // The answer was lost. Later two requests are under way, and one of them arrives first.
        world.pass(late);
        let successor = handed(world.present(&token)).unwrap();
        world.pass(SECOND);
        assert_eq!(world.shows(&successor), Told::In);
        world.pass(GRACE.saturating_sub(SECOND.saturating_mul(2)));
        assert_eq!(world.shows(&token), expected, "{late:?}");
    }
}

#[test]
fn a_rotation_never_cuts_a_grace_short() {
    let mut world = World::with_policy(|draft| {
        draft.remember_me.rotate_after = SECOND;
        draft.remember_me.grace = DAY;
    });
    let token = world.started("ann");
    world.pass(SECOND);
    let successor = world.rotated(&token);
    assert_eq!(world.shows(&successor), Told::In);
    for _ in 0..23 {
        world.pass(HOUR);
        assert_eq!(world.shows(&successor), Told::In);
        assert_eq!(world.shows(&token), Told::Again);
    }
    world.pass(HOUR.saturating_sub(SECOND));
    assert_eq!(world.shows(&token), Told::Again);
    world.pass(SECOND);
    assert_eq!(world.shows(&successor), Told::Rotated);
}

#[test]
fn every_write_expects_just_what_was_decided_upon() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(AGE);
    let (system, owner) = (
        world.system().version,
        world.principal("ann").unwrap().version,
    );
    let series = world.series(token.selector()).unwrap().version;
    let decision = world.decide_present(&token);
    let event = decision.batch.events().next().unwrap().clone();
    assert_eq!(event.kind, EventKind::Rotated);
    assert_eq!(event.credential.unwrap().selector, token.selector());
    assert_eq!(event.principal.unwrap().as_str(), "ann");
    let writes: Vec<_> = decision
        .batch
        .writes
        .iter()
        .map(|w| (w.key, w.expect))
        .collect();
    let expected = [
        (Key::SYSTEM, Expect::Version(system)),
        (world.principal_key("ann"), Expect::Version(owner)),
        (Key::series(token.selector()), Expect::Version(series)),
        (Key::event(event.id), Expect::Absent),
    ];
    assert_eq!(writes, expected);
    assert_eq!(decision.batch.purpose, Purpose::Grow);
    assert!(
        decision.batch.writes[..2]
            .iter()
            .all(|write| write.change == Change::Keep)
    );
}

#[test]
fn whatever_happens_between_deciding_and_committing_stops_the_rotation() {
    use crate::principals::PrincipalAction;
    use crate::switches::SwitchAction;
    let meanwhile: [fn(&mut World, &SplitToken); 5] = [
        |world, token| drop(world.rotated(token)),
        |world, token| assert!(!world.end_series(token).already),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.act("ann", PrincipalAction::Disable),
        |world, _| world.switch_remember_me(SwitchAction::Off),
    ];
    for (at, happen) in meanwhile.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(AGE);
        let decision = world.decide_present(&token);
        happen(&mut world, &token);
        assert!(!world.holds(&decision.batch), "{at}");
    }
}
