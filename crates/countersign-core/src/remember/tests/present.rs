//! Hazard: a wrong verdict, a reason that is not the true one, work that tells a miss from a hit,
//! or a record that a stranger can change.

use super::device::{Told, handed, told};
use crate::event::EventKind;
use crate::keys::{KeyMaterial, Keyring};
use crate::kind::CredentialKind;
use crate::principals::PrincipalAction;
use crate::record::{Change, Key, Purpose};
use crate::series::SeriesEndCause;
use crate::switches::SwitchAction;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::work::{self, Work};
use crate::world::{DAY, START, World, as_kind, copy, with_verifier};
use core::time::Duration;

const AGE: Duration = Duration::from_secs(300);

/// A device with its present secret and three before it, oldest first.
fn veteran() -> (World, Vec<SplitToken>) {
    let mut world = World::new();
    let mut tokens = vec![world.started("ann")];
    for _ in 0..3 {
        world.pass(DAY);
        let last = copy(tokens.last().unwrap());
        tokens.push(world.rotated(&last));
    }
    (world, tokens)
}

type Spoil = fn(&mut World, &SplitToken);

const SPOILS: [(Spoil, Rejection); 10] = [
    (
        |world, token| drop(world.records.remove(&Key::series(token.selector()))),
        Rejection::Unknown,
    ),
    (
        |world, _| drop(world.records.remove(&world.principal_key("ann"))),
        Rejection::Unknown,
    ),
    (
        |world, _| world.switch_remember_me(SwitchAction::Off),
        Rejection::SwitchedOff,
    ),
    (
        |world, _| world.act("ann", PrincipalAction::Disable),
        Rejection::Disabled,
    ),
    (
        |world, token| assert!(!world.end_series(token).already),
        Rejection::Revoked,
    ),
    (
        |world, _| world.act("ann", PrincipalAction::Revoke),
        Rejection::Revoked,
    ),
    (
        |world, _| world.switch_remember_me(SwitchAction::RevokeAll),
        Rejection::Revoked,
    ),
    (
        |world, _| assert_eq!(world.forget("ann", None), 1),
        Rejection::Revoked,
    ),
    (
        |world, _| world.pass(DAY.saturating_mul(14)),
        Rejection::Expired,
    ),
    (
        |world, token| {
            world.alter(token, |series| {
                let (at, cause) = (START, SeriesEndCause::Reused);
                series.end = Some(crate::series::SeriesEnd { at, cause });
            });
        },
        Rejection::Reused,
    ),
];

#[test]
fn each_reason_is_the_true_one_and_nothing_that_ended_by_will_comes_back_with_the_clock() {
    for (at, (spoil, reason)) in SPOILS.into_iter().enumerate() {
        let (mut world, tokens) = veteran();
        let current = tokens.last().unwrap();
        spoil(&mut world, current);
        for _ in 0..16 {
            assert_eq!(world.shows(current), Told::No(reason), "spoil {at}");
            world.step_back(DAY);
        }
    }
}

#[test]
fn without_a_system_record_nobody_comes_in() {
    let mut world = World::new();
    let token = world.started("ann");
    world.records.remove(&Key::SYSTEM);
    assert_eq!(world.shows(&token), Told::No(Rejection::Unknown));
}

#[test]
fn switching_off_and_on_again_revives_nothing() {
    let mut world = World::new();
    let token = world.started("ann");
    world.switch_remember_me(SwitchAction::Off);
    world.switch_remember_me(SwitchAction::On);
    assert_eq!(world.shows(&token), Told::No(Rejection::Revoked));
    // The switch of the access tokens is another one.
    let token = world.started("ann");
    world.switch(SwitchAction::Off);
    assert_eq!(world.shows(&token), Told::In);
}

#[test]
fn a_wrong_secret_changes_nothing_whatever_the_state() {
    for (at, (spoil, _)) in SPOILS.into_iter().enumerate() {
        let (mut world, tokens) = veteran();
        let current = tokens.last().unwrap();
        spoil(&mut world, current);
        for guess in [
            with_verifier(current, 0),
            with_verifier(current, 7),
            as_kind(current, CredentialKind::Access),
            as_kind(&tokens[0], CredentialKind::Session),
        ] {
            let decision = world.decide_present(&guess);
            assert!(decision.batch.writes.is_empty(), "spoil {at}");
            let reason = decision.outcome.unwrap_err();
            assert!(
                matches!(reason, Rejection::Unknown | Rejection::Mismatch),
                "spoil {at}"
            );
        }
    }
    // Nor does a good one under the selector of another device of the same principal.
    let mut world = World::new();
    let (one, other) = (world.started("ann"), world.started("ann"));
    let verifier = crate::secret::Verifier::from_bytes(*one.verifier().expose());
    let crossed = SplitToken::new(one.kind(), other.selector(), verifier);
    let before = world.records.clone();
    assert_eq!(world.shows(&crossed), Told::No(Rejection::Mismatch));
    assert_eq!(world.records, before);
}

#[test]
fn what_is_presented_costs_the_same_whatever_it_is() {
    let expected = Work {
        hashes: 7,
        comparisons: 6,
    };
    let cost = |world: &mut World, token: &SplitToken, what: &str| {
        let (decision, done) = work::of(|| world.decide_present(token));
        assert_eq!(done, expected, "{what}");
        told(&decision.outcome)
    };
    let (mut world, tokens) = veteran();
    for (back, token) in tokens.iter().rev().enumerate() {
        cost(&mut world, token, &format!("{back} rotations ago"));
    }
    world.pass(DAY);
    assert_eq!(cost(&mut world, &tokens[3], "rotation"), Told::Rotated);
    let guess = with_verifier(&tokens[3], 0);
    assert_eq!(
        cost(&mut world, &guess, "guess"),
        Told::No(Rejection::Mismatch)
    );
    let young = world.started("bob");
    assert_eq!(cost(&mut world, &young, "first secret"), Told::In);
    for (at, (spoil, reason)) in SPOILS.into_iter().enumerate() {
        let (mut world, tokens) = veteran();
        spoil(&mut world, &tokens[3]);
        assert_eq!(
            cost(&mut world, &tokens[3], &format!("spoil {at}")),
            Told::No(reason)
        );
        cost(
            &mut world,
            &with_verifier(&tokens[3], 0),
            &format!("guess at spoil {at}"),
        );
    }
}

#[test]
fn young_secrets_are_let_in_without_a_write_once_they_were_seen() {
    let mut world = World::new();
    let token = world.started("ann");
    assert!(
        world.decide_present(&token).batch.writes.is_empty(),
        "a first one has no grace"
    );
    world.pass(AGE);
    let token = world.rotated(&token);
    let seen = world.decide_present(&token);
    assert_eq!(
        (seen.batch.writes.len(), seen.batch.events().count()),
        (3, 0)
    );
    world.commit(seen.batch);
    assert!(world.decide_present(&token).batch.writes.is_empty());
}

#[test]
fn a_proven_reuse_ends_the_series_for_good_and_tells_of_it() {
    let (mut world, tokens) = veteran();
    let decision = world.decide_present(&tokens[1]);
    assert_eq!(told(&decision.outcome), Told::No(Rejection::Reused));
    assert_eq!(decision.batch.purpose, Purpose::Deny);
    let event = decision.batch.events().next().unwrap().clone();
    assert_eq!(event.kind, EventKind::Reused);
    assert_eq!(event.credential.unwrap().selector, tokens[1].selector());
    world.commit(decision.batch);
    assert_eq!(world.end_cause(&tokens[1]), Some(SeriesEndCause::Reused));
    assert_eq!(world.list("ann")[0].ends_at, world.now);
    let before = world.records.clone();
    for token in &tokens {
        assert_eq!(world.shows(token), Told::No(Rejection::Reused));
    }
    assert_eq!(world.records, before, "it is told once");
}

#[test]
fn a_reuse_is_proven_while_the_principal_is_disabled_too() {
    let (mut world, tokens) = veteran();
    world.act("ann", PrincipalAction::Disable);
    assert_eq!(world.shows(&tokens[1]), Told::No(Rejection::Disabled));
    world.act("ann", PrincipalAction::Enable);
    assert_eq!(world.shows(&tokens[3]), Told::No(Rejection::Reused));
}

#[test]
fn an_end_is_not_overwritten() {
    let (mut world, tokens) = veteran();
    world.end_series(&tokens[3]);
    assert_eq!(world.shows(&tokens[1]), Told::No(Rejection::Revoked));
    assert_eq!(
        world.end_cause(&tokens[3]),
        Some(SeriesEndCause::Revoked(None))
    );
}

#[test]
fn an_end_stops_what_was_decided_upon_meanwhile() {
    let (mut world, tokens) = veteran();
    let decision = world.decide_present(&tokens[1]);
    let _ = world.shows(&tokens[3]);
    assert!(!world.holds(&decision.batch));
    assert!(
        decision
            .batch
            .writes
            .iter()
            .any(|w| matches!(w.change, Change::Put(_)))
    );
}

/// A keyring of the worlds' material with so many peppers, without those below `first`.
fn peppers(count: u16, first: u16) -> Keyring {
    let mut material = KeyMaterial::generate(START, [1; 32], [2; 32]);
    for number in 1..count {
        material = material
            .rotated(START, [u8::try_from(number).unwrap(); 32])
            .unwrap();
    }
    Keyring::new(&material.without(|id| id.number() < first))
}

#[test]
fn secrets_under_several_peppers_are_recognised_each_under_its_own() {
    let mut world = World::new();
    let mut tokens = vec![world.started("ann")];
    for count in 2..=4 {
        world.keyring = peppers(count, 1);
        world.pass(DAY);
        let last = copy(tokens.last().unwrap());
        tokens.push(world.rotated(&last));
    }
    let series = world.series(tokens[0].selector()).unwrap().record;
    let ids: Vec<u16> = series
        .older
        .iter()
        .map(|older| older.key_id.number())
        .collect();
    assert_eq!((series.current.key_id.number(), ids), (4, vec![3, 2, 1]));
    for (token, expected) in tokens.iter().zip([
        Told::No(Rejection::Reused),
        Told::No(Rejection::Reused),
        Told::Again,
        Told::In,
    ]) {
        let mut one = World::new();
        (one.records, one.keyring, one.now) = (world.records.clone(), peppers(4, 1), world.now);
        assert_eq!(one.shows(token), expected);
        // Where a pepper is gone, what was made under it is as good as a guess.
        (one.records, one.keyring) = (world.records.clone(), peppers(5, 3));
        let expected = match expected {
            Told::No(_) => Told::No(Rejection::Mismatch),
            other => other,
        };
        assert_eq!(one.shows(token), expected);
    }
}

#[test]
fn nothing_is_handed_out_that_would_not_be_let_in() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(AGE);
    drop(world.rotated(&token));
    let damages: [fn(&mut crate::series::SeriesRecord); 2] = [
        |series| series.salt = [9; 16],
        |series| series.generation = 7,
    ];
    for damage in damages {
        let mut other = World::new();
        (other.records, other.now) = (world.records.clone(), world.now);
        other.alter(&token, damage);
        let before = other.records.clone();
        assert_eq!(other.shows(&token), Told::No(Rejection::Mismatch));
        assert_eq!(other.records, before);
    }
}

#[test]
fn the_last_generation_is_not_replaced_by_a_first() {
    let mut world = World::new();
    let token = world.started("ann");
    world.alter(&token, |series| series.generation = u32::MAX);
    world.pass(DAY);
    assert_eq!(world.shows(&token), Told::No(Rejection::Expired));
}

#[test]
fn a_series_of_somebody_else_than_its_principal_is_refused() {
    let mut world = World::new();
    let (token, _) = (world.started("ann"), world.started("bob"));
    let key = world.principal_key("ann");
    let bob = world.records[&world.principal_key("bob")].clone();
    world.records.insert(key, bob);
    assert_eq!(world.shows(&token), Told::No(Rejection::Unknown));
}

#[test]
fn a_successor_is_of_the_same_series_and_never_one_that_was_there_before() {
    let (mut world, tokens) = veteran();
    let secrets: std::collections::BTreeSet<_> = tokens
        .iter()
        .map(|token| *token.verifier().expose())
        .collect();
    assert_eq!(secrets.len(), tokens.len());
    assert!(
        tokens
            .iter()
            .all(|token| token.selector() == tokens[0].selector())
    );
    // Two histories of one device part ways: a backup that was put back gives other secrets.
    world.pass(DAY);
    let backup = world.records.clone();
    let one = handed(world.present(&tokens[3])).unwrap();
    world.records = backup;
    let other = handed(world.present(&tokens[3])).unwrap();
    assert_ne!(one.verifier().expose(), other.verifier().expose());
}
