//! Hazard: a device remembered against switch or principal, a limit that does not hold, or room
//! that is made at the cost of a device that must stay.

use super::device::Told;
use crate::decision::Refusal;
use crate::event::EventKind;
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key, Purpose};
use crate::remember::{self, kept_max};
use crate::secret::Fresh;
use crate::series::SeriesEndCause;
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, SECOND, World};

fn world(max: u32) -> World {
    World::with_policy(|draft| draft.remember_me.max_series_per_principal = max)
}

/// Remembers so many devices of ann's, an hour apart.
fn start_many(world: &mut World, count: usize) -> Vec<SplitToken> {
    let mut one = || {
        world.pass(HOUR);
        world.started("ann")
    };
    (0..count).map(|_| one()).collect()
}

/// How many of the devices are let in, without a change.
fn remembered(world: &mut World, tokens: &[SplitToken]) -> usize {
    let is_in = |token: &&SplitToken| world.decide_present(token).outcome.is_ok();
    tokens.iter().filter(is_in).count()
}

#[test]
fn switch_and_principal_are_held_to_in_the_same_commit() {
    type Spoil = fn(&mut World);
    let spoils: [(Spoil, Refusal); 2] = [
        (
            |world| world.switch_remember_me(SwitchAction::Off),
            Refusal::SwitchedOff(Subsystem::RememberMe),
        ),
        (
            |world| world.act("ann", PrincipalAction::Disable),
            Refusal::Disabled,
        ),
    ];
    for (spoil, refusal) in spoils {
        let mut world = World::new();
        world.started("ann");
        let decision = world.decide_start("ann").unwrap();
        spoil(&mut world);
        assert!(!world.holds(&decision.batch), "{refusal:?}");
        let before = world.records.clone();
        assert_eq!(world.start("ann").unwrap_err(), refusal);
        assert_eq!(world.records, before);
    }
}

#[test]
fn a_start_writes_the_series_the_list_and_the_event_and_no_secret() {
    let mut world = World::new();
    let decision = world.decide_start("ann").unwrap();
    let selector = decision.outcome.token.selector();
    let event = decision.batch.events().next().unwrap().clone();
    assert_eq!(
        (event.kind, event.credential.unwrap().selector),
        (EventKind::Issued, selector)
    );
    let writes: Vec<_> = decision
        .batch
        .writes
        .iter()
        .map(|w| (w.key, w.expect))
        .collect();
    let expected = [
        (Key::SYSTEM, Expect::Version(world.system().version)),
        (world.principal_key("ann"), Expect::Absent),
        (Key::event(event.id), Expect::Absent),
        (Key::series(selector), Expect::Absent),
    ];
    assert_eq!(writes, expected);
    assert_eq!(decision.batch.purpose, Purpose::Grow);
    let series = &decision.outcome.series;
    assert_eq!(series.expires_at, world.now.after(DAY.saturating_mul(14)));
    assert_eq!((series.generation, series.older.len()), (0, 0));
    world.commit(decision.batch);
    let listed = world.list("ann")[0];
    assert_eq!(
        (listed.selector, listed.ends_at),
        (selector, world.now.after(DAY * 14))
    );
}

#[test]
fn at_the_limit_the_oldest_device_is_forgotten_and_told_of() {
    let mut world = world(3);
    let mut tokens = start_many(&mut world, 3);
    let bobs = world.started("bob");
    assert_eq!(remembered(&mut world, &tokens), 3);
    world.end_series(&tokens[1]);
    tokens.extend(start_many(&mut world, 1));
    assert_eq!(
        remembered(&mut world, &tokens[..1]),
        1,
        "the revoked one left a place"
    );

    let decision = world.decide_start("ann").unwrap();
    let events: Vec<_> = decision.batch.events().map(|event| event.kind).collect();
    assert_eq!(events, [EventKind::Evicted, EventKind::Issued]);
    world.commit(decision.batch);
    tokens.push(*decision.outcome.token);
    assert_eq!(world.end_cause(&tokens[0]), Some(SeriesEndCause::Evicted));
    assert_eq!(world.shows(&tokens[0]), Told::No(Rejection::Revoked));
    assert_eq!(remembered(&mut world, &tokens), 3);
    assert!(world.present(&bobs).is_ok());
}

#[test]
fn no_way_of_ending_keeps_a_place() {
    let endings: [fn(&mut World, &SplitToken); 6] = [
        |world, token| assert!(!world.end_series(token).already),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch_remember_me(SwitchAction::RevokeAll),
        |world, _| assert_eq!(world.forget("ann", None), 1),
        |world, _| world.pass(DAY.saturating_mul(14)),
        |world, token| {
            world.pass(DAY);
            let next = world.rotated(token);
            world.pass(DAY);
            drop(world.rotated(&next));
            assert_eq!(world.shows(token), Told::No(Rejection::Reused));
        },
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = world(1);
        let token = world.started("ann");
        end(&mut world, &token);
        let decision = world.decide_start("ann").unwrap();
        let events: Vec<_> = decision.batch.events().map(|event| event.kind).collect();
        assert_eq!(events, [EventKind::Issued], "ending {at}");
    }
}

#[test]
fn the_list_is_bounded_and_the_longest_dead_go_first() {
    let mut world = world(2);
    assert_eq!(kept_max(&world.policy), 4);
    let mut tokens = start_many(&mut world, 2);
    world.end_series(&tokens[1]);
    world.pass(HOUR);
    world.end_series(&tokens[0]);
    tokens.extend(start_many(&mut world, 2));
    assert_eq!(world.list("ann").len(), 4);
    tokens.extend(start_many(&mut world, 1));
    assert_eq!(world.list("ann").len(), 4);
    // The second died first.
    assert!(world.series(tokens[1].selector()).is_none());
    assert_eq!(
        world.end_cause(&tokens[0]),
        Some(SeriesEndCause::Revoked(None))
    );
    assert_eq!(world.end_cause(&tokens[2]), Some(SeriesEndCause::Evicted));
    for _ in 0..20 {
        tokens.extend(start_many(&mut world, 1));
        assert_eq!(world.list("ann").len(), 4);
        assert_eq!(remembered(&mut world, &tokens), 2);
    }
}

#[test]
fn where_every_place_is_taken_by_the_living_the_evicted_one_goes() {
    let mut world = world(1000);
    let tokens = start_many(&mut world, 300);
    world.set_policy(|draft| draft.remember_me.max_series_per_principal = 1);
    assert_eq!(kept_max(&world.policy), 2);
    let mut last = Vec::new();
    for _ in 0..6 {
        let decision = world.decide_start("ann").unwrap();
        assert!(
            decision.batch.writes.len() < 300,
            "{}",
            decision.batch.writes.len()
        );
        world.commit(decision.batch);
        last.push(*decision.outcome.token);
    }
    assert_eq!(world.list("ann").len(), 2);
    assert_eq!(
        (
            remembered(&mut world, &tokens),
            remembered(&mut world, &last)
        ),
        (0, 1)
    );
}

#[test]
fn evicting_what_was_not_handed_in_holds_the_commit_to_its_absence() {
    let mut world = world(1);
    let token = world.started("ann");
    let (system, ann) = (world.system(), world.principal("ann"));
    let decision = remember::start(
        &world.setting(&system),
        &mut Fresh::new([7; Fresh::LEN]),
        ann.as_ref(),
        &[],
        &super::device::request("ann"),
    );
    assert!(!world.holds(&decision.unwrap().batch));
    world.records.remove(&Key::series(token.selector()));
    assert!(world.start("ann").is_ok(), "lost indeed: the place is free");
}

#[test]
fn a_device_that_rotates_while_it_is_evicted_stays_evicted() {
    let mut world = world(1);
    let token = world.started("ann");
    world.pass(DAY);
    let rotation = world.decide_present(&token);
    let eviction = world.decide_start("ann").unwrap();
    world.commit(eviction.batch);
    assert!(!world.holds(&rotation.batch));
    assert_eq!(world.shows(&token), Told::No(Rejection::Revoked));
}

#[test]
fn what_becomes_of_a_device_meanwhile_stops_its_eviction() {
    let meanwhile: [fn(&mut World, &SplitToken); 2] = [
        |world, token| drop(world.rotated(token)),
        // Its principal's record is lost, so the series alone is written.
        |world, token| {
            let lost = world.records.remove(&world.principal_key("ann")).unwrap();
            assert!(!world.end_series(token).already);
            world.records.insert(world.principal_key("ann"), lost);
        },
    ];
    for happen in meanwhile {
        for max in [1, 1000] {
            let mut world = world(1000);
            let token = world.started("ann");
            if max == 1000 {
                // All of the list is taken by the living, so what is evicted is removed.
                (1..1000).for_each(|_| drop(world.started("ann")));
            }
            world.set_policy(|draft| draft.remember_me.max_series_per_principal = max);
            world.pass(DAY);
            let decision = world.decide_start("ann").unwrap();
            happen(&mut world, &token);
            assert!(!world.holds(&decision.batch), "{max}");
        }
    }
}

#[test]
fn a_clock_that_stepped_back_behind_an_epoch_does_not_lift_the_limit() {
    let mut world = world(2);
    world.started("ann");
    world.switch_remember_me(SwitchAction::RevokeAll);
    world.step_back(DAY);
    let mut tokens: Vec<_> = (0..2).map(|_| world.started("ann")).collect();
    world.pass(SECOND);
    assert_eq!(remembered(&mut world, &tokens), 2);
    tokens.push(world.started("ann"));
    assert_eq!(remembered(&mut world, &tokens), 2);
}

#[test]
fn too_few_random_bytes_are_an_error_and_never_a_weak_secret() {
    let mut world = World::new();
    world.started("ann");
    let (system, ann) = (world.system(), world.principal("ann"));
    for used in 0..Fresh::LEN {
        let mut fresh = Fresh::new([7; Fresh::LEN]);
        for _ in 0..used {
            let _ = fresh.take::<1>();
        }
        let setting = world.setting(&system);
        let request = super::device::request("ann");
        let decision = remember::start(&setting, &mut fresh, ann.as_ref(), &[], &request);
        // Ids of evictions 8, selector 8, verifier 28, event 8.
        assert_eq!(decision.is_ok(), Fresh::LEN - used >= 52, "{used} used");
    }
    let unused = world.decide_start("ann").unwrap();
    assert!(
        unused
            .batch
            .writes
            .iter()
            .all(|write| write.change != Change::Delete)
    );
}
