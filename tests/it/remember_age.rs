//! Hazard: a device is remembered for longer or shorter than was promised: by an age that wraps,
//! a policy that is changed, or a clock that is.

use crate::support::{
    DAY, Dice, MINUTE, builder, device, forgotten, handed, in_memory, keys, policy, present,
    principal, remember,
};
use countersign::store::MemoryStore;
use countersign::{
    Draft, Engine, Presented, Rejection, Remembered, SeriesState, Subsystem, Timeouts, Timestamp,
};
use countersign_testkit::{ManualClock, samples};
use std::sync::Arc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const HOUR: Duration = Duration::from_secs(3600);
const CENTURY_S: u64 = 36_525 * 86_400;

fn aged(max_age: Duration) -> (Engine, ManualClock) {
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .policy(policy(|draft| draft.remember_me.max_age = max_age))
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    (engine, clock)
}

fn set_age(engine: &Engine, max_age: Duration) {
    let policy = policy(|draft| draft.remember_me.max_age = max_age);
    engine.set_policy(policy).wait().unwrap();
}

#[test]
fn an_age_ends_where_it_says_however_long_it_is() {
    // The ceiling of 32-bit milliseconds, the first age above it, and that of 32-bit seconds.
    for seconds in [2_147_483, 2_147_484, i32::MAX as u64, CENTURY_S] {
        let age = Duration::from_secs(seconds);
        let (engine, clock) = aged(age);
        let started = remember(&engine, "ann");
        let text = started.token.expose();
        let ends_at = samples::NOW.after(age);
        assert_eq!(started.series.expires_at, ends_at, "{seconds} s");
        clock.set(ends_at.before(MS));
        // Checked, and not presented: that would replace it.
        let recalled = engine.remember().check(text).wait().unwrap();
        let recalled = recalled.recalled().unwrap();
        assert_eq!(recalled.expires_at, ends_at);
        clock.set(ends_at);
        assert_eq!(forgotten(&engine, text), Rejection::Expired, "{seconds} s");
    }
}

#[test]
fn an_age_past_its_bound_is_refused_with_the_name_of_the_field() {
    for seconds in [0, 59, CENTURY_S + 1, u64::MAX / 1000, u64::MAX] {
        let mut draft = Draft::default();
        draft.remember_me.max_age = Duration::from_secs(seconds);
        let error = draft.build().unwrap_err();
        assert_eq!(error.field, "remember_me.max_age", "{seconds}");
    }
}

#[test]
fn at_the_ends_of_time_nothing_panics_and_nothing_lives_on() {
    for now in [Timestamp::ZERO, Timestamp::MAX.before(MS), Timestamp::MAX] {
        let (engine, clock) = aged(Duration::from_secs(CENTURY_S));
        clock.set(now);
        let started = remember(&engine, "ann");
        for later in [Timestamp::ZERO, samples::NOW, Timestamp::MAX, now] {
            clock.set(later);
            drop(present(&engine, started.token.expose()));
            engine.sweep(100).wait().unwrap();
            engine.flush().wait().unwrap();
            drop(engine.remember().list(Default::default()).wait().unwrap());
        }
    }
}

#[test]
fn a_tightened_policy_holds_for_what_is_remembered_already() {
    let (engine, clock) = in_memory();
    let started = remember(&engine, "ann");
    clock.advance(DAY);
    set_age(&engine, HOUR);
    let shown = engine.remember().show(started.selector).wait().unwrap();
    let shown = shown.unwrap();
    assert_eq!(shown.state, SeriesState::Expired);
    assert_eq!(shown.ends_at, samples::NOW.after(HOUR));
    let text = started.token.expose();
    assert_eq!(forgotten(&engine, text), Rejection::Expired);
}

#[test]
fn a_loosened_policy_gives_nothing_to_whom_it_was_not_promised() {
    // Unnoticed, presented, or swept while it was tightened.
    let notices: [fn(&Engine, &Remembered); 2] = [
        |engine, started| {
            let text = started.token.expose();
            assert_eq!(forgotten(engine, text), Rejection::Expired);
        },
        |engine, _| assert_eq!(engine.sweep(100).wait().unwrap().expired, 1),
    ];
    for notice in notices {
        let (engine, clock) = in_memory();
        let started = remember(&engine, "ann");
        clock.advance(DAY);
        set_age(&engine, HOUR);
        notice(&engine, &started);
        set_age(&engine, YEAR);
        let text = started.token.expose();
        assert_eq!(forgotten(&engine, text), Rejection::Expired);
    }
    let (engine, clock) = in_memory();
    let started = remember(&engine, "ann");
    set_age(&engine, YEAR);
    let text = started.token.expose();
    clock.advance(DAY * 14 - MS);
    let recalled = engine.remember().check(text).wait().unwrap();
    assert_eq!(
        recalled.recalled().unwrap().expires_at,
        samples::NOW.after(DAY * 14),
        "as promised at its start"
    );
    clock.advance(MS);
    assert_eq!(forgotten(&engine, text), Rejection::Expired);
}

#[test]
fn neither_use_nor_rotation_lengthens_a_life() {
    let (engine, clock) = in_memory();
    let started = remember(&engine, "ann");
    let mut text = started.token.expose().to_owned();
    for _ in 0..13 {
        clock.advance(DAY);
        text = handed(&engine, &text).unwrap();
        assert_eq!(handed(&engine, &text), None);
    }
    clock.advance(DAY);
    assert_eq!(forgotten(&engine, &text), Rejection::Expired);
}

#[test]
fn what_a_device_opened_is_over_when_the_device_is() {
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .policy(policy(|draft| draft.sessions.idle_timeout = DAY * 20))
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let started = remember(&engine, "ann");
    clock.advance(DAY * 13);
    let presented = Presented {
        remember: Some(started.token.expose().as_bytes()),
        ..Presented::default()
    };
    let came = engine.authenticate(presented).wait().unwrap();
    let session = came.who.session().unwrap();
    assert_eq!(session.ends_at(), started.series.expires_at);
    // Neither by timeouts of its own, nor by another token.
    let timeouts = Timeouts {
        idle: None,
        absolute: Some(YEAR),
    };
    let sessions = engine.sessions();
    sessions.set_timeouts(session, timeouts).wait().unwrap();
    let renewed = sessions.renew(session).wait().unwrap();
    let touch = || sessions.touch(renewed.token.expose(), None).wait().unwrap();
    clock.advance(DAY - MS);
    assert!(touch().is_in());
    clock.advance(MS);
    assert_eq!(touch().rejection(), Some(Rejection::Expired));
}

/// Ends of every kind, each of a principal of its own.
fn ended(engine: &Engine, clock: &ManualClock) -> Vec<(&'static str, String)> {
    let mut dead = Vec::new();
    let mut start = |name| {
        let text = remember(engine, name).token.expose().to_owned();
        dead.push((name, text.clone()));
        text
    };
    let stolen = start("reused");
    clock.advance(MINUTE * 10);
    let successor = handed(engine, &stolen).unwrap();
    assert_eq!(handed(engine, &successor), None);
    clock.advance(MINUTE * 2);
    assert_eq!(forgotten(engine, &stolen), Rejection::Reused);
    start("forgotten");
    let forget = engine.remember().forget(principal("forgotten"), None, None);
    forget.wait().unwrap();
    start("everything-revoked");
    let all = engine
        .principals()
        .revoke_everything(principal("everything-revoked"), None);
    all.wait().unwrap();
    start("evicted");
    for _ in 0..20 {
        remember(engine, "evicted");
    }
    start("swept");
    clock.advance(DAY * 14);
    assert!(engine.sweep(1000).wait().unwrap().expired > 0);
    clock.step_back(DAY * 14);
    start("off-and-on");
    let me = Subsystem::RememberMe;
    engine.switches().off(me, None).wait().unwrap();
    engine.switches().on(me, None).wait().unwrap();
    dead.push(("successor of reused", successor));
    dead
}

#[test]
fn what_was_ended_stays_ended_whatever_the_clock_says() {
    let (engine, clock) = in_memory();
    let dead = ended(&engine, &clock);
    let now = samples::NOW;
    let places = [
        Timestamp::ZERO,
        now.before(YEAR),
        now.before(MINUTE),
        now,
        now.after(YEAR),
        Timestamp::MAX,
        now,
    ];
    for place in places {
        clock.set(place);
        for (name, text) in &dead {
            assert!(!present(&engine, text).is_in(), "{name} at {place}");
        }
        engine.sweep(1000).wait().unwrap();
    }
}

#[test]
fn a_clock_that_steps_back_or_jumps_a_year_takes_no_living_device_for_a_thief() {
    for (away, back) in [(true, false), (false, true), (true, true)] {
        let (engine, clock) = aged(YEAR * 3);
        let started = remember(&engine, "ann");
        let mut text = started.token.expose().to_owned();
        for _ in 0..3 {
            if away {
                clock.advance(YEAR / 4);
            }
            if back {
                clock.step_back(YEAR / 8);
            }
            if let Some(successor) = handed(&engine, &text) {
                text = successor;
            }
            assert_eq!(handed(&engine, &text), None, "it is in use");
        }
    }
}

#[test]
fn a_random_walk_of_the_clock_revives_nothing_and_panics_nowhere() {
    let mut dice = Dice(29);
    for _ in 0..4 {
        let (engine, clock) = in_memory();
        // What each device holds, and whether it is known to be dead.
        let mut devices: Vec<(Remembered, String, bool)> = Vec::new();
        for _ in 0..150 {
            match dice.below(3) {
                0 => clock.advance(MINUTE * dice.below(20) as u32),
                1 => clock.advance(MINUTE * dice.below(3000) as u32),
                _ => clock.step_back(MINUTE * dice.below(3000) as u32),
            }
            let picked = dice.below(devices.len().max(1) as u64) as usize;
            match (dice.below(6), devices.get_mut(picked)) {
                (0, _) | (_, None) => {
                    let started = engine.remember().start(device("ann")).wait().unwrap();
                    let text = started.token.expose().to_owned();
                    devices.push((started, text, false));
                }
                (1, Some((started, _, dead))) => {
                    let revoked = engine.remember().revoke(started.selector, None).wait();
                    *dead |= revoked.is_ok();
                }
                (2, _) => drop(engine.sweep(50).wait().unwrap()),
                (_, Some((_, text, dead))) => {
                    let outcome = present(&engine, text);
                    assert!(!(*dead && outcome.is_in()));
                    match outcome.rejection() {
                        // Whoever presents what it was handed last proves no theft.
                        Some(reason) => {
                            assert_ne!(reason, Rejection::Reused);
                            *dead = true;
                        }
                        None => {
                            let recalled = outcome.recalled().unwrap();
                            if let Some(successor) = recalled.successor {
                                successor.expose().clone_into(text);
                            }
                        }
                    }
                }
            }
        }
        assert!(devices.iter().any(|(_, _, dead)| *dead));
    }
}
