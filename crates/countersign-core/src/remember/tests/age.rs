//! Hazard: an age that overflows, a policy that gives back what it took, or a clock that does.

use super::device::Told;
use crate::event::EventKind;
use crate::policy::{Draft, Policy};
use crate::remember::Pruned;
use crate::series::SeriesEndCause;
use crate::time::Timestamp;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, SECOND, START, World};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const EXPIRED: Told = Told::No(Rejection::Expired);

fn aged(max_age: Duration) -> World {
    World::with_policy(|draft| draft.remember_me.max_age = max_age)
}

#[test]
fn an_age_ends_where_it_says_however_long_it_is() {
    for seconds in [
        60,
        1_209_600,
        // The ceiling of 32-bit milliseconds, and the first age above it.
        2_147_483,
        2_147_484,
        i32::MAX as u64,
        // A century.
        36_525 * 86_400,
    ] {
        let mut world = World::with_policy(|draft| {
            draft.remember_me.max_age = Duration::from_secs(seconds);
            draft.remember_me.rotate_after = SECOND;
        });
        let token = world.started("ann");
        world.pass(Duration::from_secs(seconds).saturating_sub(MS));
        assert!(
            world.decide_present(&token).outcome.is_ok(),
            "{seconds} s: too early"
        );
        world.pass(MS);
        assert_eq!(world.shows(&token), EXPIRED, "{seconds} s: too late");
    }
}

#[test]
fn an_expiry_that_a_presentation_finds_is_told_as_one_and_not_as_theft() {
    let mut world = aged(HOUR);
    let token = world.started("ann");
    world.pass(HOUR);
    let decision = world.decide_present(&token);
    let told: Vec<_> = decision.batch.events().map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::Expired]);
    assert_eq!(decision.outcome.unwrap_err(), Rejection::Expired);
}

#[test]
fn ages_past_their_bound_are_refused_with_the_field_and_never_wrap() {
    for seconds in [0, 36_525 * 86_400 + 1, u64::MAX / 1000, u64::MAX] {
        let mut draft = Draft::default();
        draft.remember_me.max_age = Duration::from_secs(seconds);
        let error = draft.build().unwrap_err();
        assert_eq!(error.field, "remember_me.max_age", "{seconds}");
    }
    for (text, fits) in [
        ("2147483s", true),
        ("2147484s", true),
        ("2147483647s", true),
        ("18446744073709551615s", false),
        ("18446744073709551616s", false),
    ] {
        let toml = format!("[remember_me]\nmax_age = \"{text}\"\n");
        assert_eq!(Policy::from_toml(&toml).is_ok(), fits, "{text}");
    }
    let endless = Duration::from_secs(u64::MAX);
    assert_eq!(START.after(endless), Timestamp::MAX);
    assert_eq!(Timestamp::MAX.after(endless), Timestamp::MAX);
    assert_eq!(START.before(endless), Timestamp::ZERO);
}

#[test]
fn at_the_ends_of_time_nothing_panics() {
    for now in [
        Timestamp::ZERO,
        Timestamp::from_millis(1),
        Timestamp::MAX.before(MS),
        Timestamp::MAX,
    ] {
        let mut world = World::new();
        world.now = now;
        let token = world.started("ann");
        for later in [Timestamp::ZERO, START, Timestamp::MAX, now] {
            world.now = later;
            drop(world.present(&token));
            let _ = world.sweep(&token);
        }
    }
}

#[test]
fn neither_use_nor_rotation_lengthens_a_life() {
    let mut world = World::new();
    let mut token = world.started("ann");
    for _ in 0..13 {
        world.pass(DAY);
        token = world.rotated(&token);
    }
    world.pass(DAY.saturating_sub(MS));
    assert_eq!(
        world.decide_present(&token).outcome.unwrap().expires_at,
        START.after(DAY * 14)
    );
    world.pass(MS);
    assert_eq!(world.shows(&token), EXPIRED);
}

#[test]
fn a_tightened_policy_applies_to_what_is_remembered_already() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(DAY);
    world.set_policy(|draft| draft.remember_me.max_age = HOUR);
    assert_eq!(world.shows(&token), EXPIRED);
    assert_eq!(
        world.list("ann")[0].ends_at,
        START.after(HOUR),
        "noted where its end was"
    );
}

#[test]
fn a_loosened_policy_revives_nothing() {
    let notices: [fn(&mut World, &crate::token::SplitToken); 2] = [
        |world, token| assert_eq!(world.shows(token), EXPIRED),
        |world, token| assert_eq!(world.sweep(token), Some(Pruned::Expired)),
    ];
    // Tightened and loosened again: what was noticed meanwhile is final.
    for notice in notices {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(DAY);
        world.set_policy(|draft| draft.remember_me.max_age = HOUR);
        notice(&mut world, &token);
        assert_eq!(world.list("ann")[0].ends_at, START.after(HOUR));
        world.set_policy(|draft| draft.remember_me.max_age = YEAR);
        assert_eq!(world.shows(&token), EXPIRED);
        assert_eq!(world.end_cause(&token), Some(SeriesEndCause::Expired));
    }
    // Loosened: what was promised at the start is all there is, noticed or not.
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(DAY.saturating_mul(14));
    world.set_policy(|draft| draft.remember_me.max_age = YEAR);
    assert_eq!(world.shows(&token), EXPIRED);
    let token = world.started("ann");
    world.pass(YEAR.saturating_sub(MS));
    assert_eq!(
        world.shows(&token),
        Told::Rotated,
        "a new one has the new age"
    );
}

#[test]
fn an_expiry_that_was_noticed_is_final_for_a_clock_that_steps_back() {
    let mut world = aged(HOUR);
    let token = world.started("ann");
    world.pass(HOUR);
    assert_eq!(world.shows(&token), EXPIRED);
    for _ in 0..400 {
        world.step_back(DAY);
        assert_eq!(world.shows(&token), EXPIRED);
    }
}

#[test]
fn a_clock_that_ran_ahead_for_a_year_leaves_rotation_and_grace_as_they_are() {
    // Rotated and seen by a clock that was a year ahead, which is then set right.
    let mut world = aged(YEAR.saturating_mul(2));
    let first = world.started("ann");
    world.pass(YEAR);
    let second = world.rotated(&first);
    assert_eq!(world.shows(&second), Told::In);
    world.step_back(YEAR);
    let third = world.rotated(&second);
    assert_eq!(world.shows(&third), Told::In);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.shows(&second), Told::No(Rejection::Reused));
    // The grace does not last as long as the clock is behind.
    let mut world = aged(YEAR.saturating_mul(2));
    let first = world.started("ann");
    world.pass(YEAR);
    let second = world.rotated(&first);
    assert_eq!(world.shows(&second), Told::In);
    world.step_back(YEAR);
    assert_eq!(world.shows(&first), Told::No(Rejection::Reused));
}

#[test]
fn a_clock_that_steps_back_a_little_makes_no_thief_of_anybody() {
    for back in [MS, Duration::from_millis(500), SECOND.saturating_mul(59)] {
        let mut world = World::new();
        let token = world.started("ann");
        world.pass(HOUR);
        let next = world.rotated(&token);
        world.step_back(back);
        assert_eq!(
            (world.shows(&token), world.shows(&next)),
            (Told::Again, Told::In)
        );
        world.step_back(back);
        assert_eq!(
            (world.shows(&token), world.shows(&next)),
            (Told::Again, Told::In),
            "{back:?}"
        );
    }
}

#[test]
fn a_clock_that_jumps_a_year_ends_what_it_passes_for_good() {
    let mut world = World::new();
    let token = world.started("ann");
    world.pass(YEAR);
    assert_eq!(world.shows(&token), EXPIRED);
    world.step_back(YEAR);
    assert_eq!(world.shows(&token), EXPIRED);
    assert_eq!(
        world.started("ann").kind(),
        crate::kind::CredentialKind::Remember
    );
}
