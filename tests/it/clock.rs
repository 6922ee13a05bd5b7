//! Hazard: the clock steps back or jumps, and what was dead comes alive, or arithmetic panics.
//!
//! What somebody ended stays dead whatever the clock says. What ends by time is dead whenever the
//! clock says that it is: a clock that was wrong is believed once it is right again.

use crate::support::{
    DAY, Dice, Home, MINUTE, in_memory, is_in, issue, policy, principal, refused, request, revoke,
};
use countersign::core::policy::AtLimit;
use countersign::{
    Engine, Expiry, IssuedToken, Rejection, Rotation, Subsystem, Timestamp, TokenQuery,
};
use countersign_testkit::{ManualClock, samples};
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Instants that a clock may be put to.
fn instants() -> Vec<Timestamp> {
    let now = samples::NOW;
    vec![
        Timestamp::ZERO,
        Timestamp::from_millis(1),
        now.before(YEAR),
        now.before(MINUTE),
        now.before(Duration::from_millis(1)),
        now,
        now.after(MINUTE),
        now.after(YEAR),
        now.after(YEAR * 200),
        Timestamp::from_millis(u64::MAX - 1),
        Timestamp::MAX,
    ]
}

#[test]
fn what_was_ended_stays_dead_whatever_the_clock_says() {
    let (engine, clock) = in_memory();
    let evicting = policy(|draft| {
        draft.access_tokens.max_live_per_principal = 1;
        draft.access_tokens.at_limit = AtLimit::EvictOldest;
    });
    let ended: [fn(&Engine, IssuedToken) -> IssuedToken; 5] = [
        |engine, token| {
            revoke(engine, token.selector);
            token
        },
        |engine, token| {
            let rotated = engine.access().rotate(token.selector, Rotation::default());
            rotated.wait().unwrap();
            token
        },
        |engine, token| {
            issue(engine, "evicted");
            token
        },
        |engine, token| {
            let ann = principal("revoked-all-of");
            engine.access().revoke_all_of(ann, None).wait().unwrap();
            token
        },
        |engine, token| {
            let access = Subsystem::AccessTokens;
            engine.switches().off(access, None).wait().unwrap();
            engine.switches().on(access, None).wait().unwrap();
            token
        },
    ];
    engine.set_policy(evicting).wait().unwrap();
    let names = [
        "revoked",
        "rotated",
        "evicted",
        "revoked-all-of",
        "off-and-on",
    ];
    let mut dead = Vec::new();
    for (name, end) in names.into_iter().zip(ended) {
        let token = issue(&engine, name);
        assert!(is_in(&engine, &token));
        dead.push(end(&engine, token));
    }
    for instant in instants() {
        clock.set(instant);
        for (token, name) in dead.iter().zip(names) {
            assert!(!is_in(&engine, token), "{name} at {instant}");
        }
        // Nor after a sweep has been by with that clock.
        engine.sweep(100).wait().unwrap();
        engine.flush().wait().unwrap();
    }
    clock.set(samples::NOW);
    for (token, name) in dead.iter().zip(names) {
        assert!(!is_in(&engine, token), "{name} after all");
    }
}

#[test]
fn what_ends_by_time_is_dead_at_its_instant_and_after_it() {
    let (engine, clock) = in_memory();
    let ends_at = samples::NOW.after(DAY);
    let mut wanted = request("ann");
    wanted.expiry = Expiry::At(ends_at);
    let token = engine.access().issue(wanted).wait().unwrap();
    for (instant, dead) in [
        (samples::NOW, false),
        (ends_at.before(Duration::from_millis(1)), false),
        (ends_at, true),
        (ends_at.after(YEAR), true),
        (Timestamp::MAX, true),
    ] {
        clock.set(instant);
        assert_eq!(!is_in(&engine, &token), dead, "at {instant}");
        if dead {
            assert_eq!(refused(&engine, &token), Rejection::Expired);
        }
    }
}

#[test]
fn a_clock_that_stood_too_late_or_too_early_is_no_reason_to_refuse_for_good() {
    // The last instant of all stands for "never", and no clock reaches it.
    let reached = |at: &Timestamp| *at != Timestamp::MAX;
    for wrong in instants().into_iter().filter(reached) {
        let home = Home::new();
        home.clock.set(wrong);
        let engine = home.open();
        let token = issue(&engine, "ann");
        assert!(is_in(&engine, &token), "issued at {wrong}");
        engine.close().wait().unwrap();
        home.clock.set(samples::NOW);
        let engine = home.open();
        assert!(is_in(&engine, &token), "issued at {wrong}");
        assert!(is_in(&engine, &issue(&engine, "ann")));
        revoke(&engine, token.selector);
        assert_eq!(refused(&engine, &token), Rejection::Revoked);
    }
}

/// A token whose end is known, and whether it has come.
struct Known {
    token: IssuedToken,
    dead: bool,
}

#[test]
fn a_random_walk_of_the_clock_revives_nothing_and_panics_nowhere() {
    let mut dice = Dice(11);
    for _ in 0..6 {
        let (engine, clock) = in_memory();
        let mut known: Vec<Known> = Vec::new();
        for step in 0..150 {
            let places = instants();
            match dice.below(3) {
                0 => clock.set(places[dice.below(places.len() as u64) as usize]),
                1 => clock.step_back(MINUTE * dice.below(100_000) as u32),
                _ => clock.advance(MINUTE * dice.below(100_000) as u32),
            }
            act(&engine, &clock, &mut dice, &mut known);
            for (number, it) in known.iter().enumerate() {
                let let_in = is_in(&engine, &it.token);
                assert!(!(it.dead && let_in), "token {number} at step {step}");
            }
        }
        assert!(known.iter().any(|it| it.dead));
    }
}

fn act(engine: &Engine, clock: &ManualClock, dice: &mut Dice, known: &mut Vec<Known>) {
    let name = format!("principal-{}", dice.below(3));
    let picked = dice.below(known.len().max(1) as u64) as usize;
    match dice.below(9) {
        0..=2 => {
            let mut wanted = request(&name);
            if dice.below(2) == 0 {
                let now = countersign::Clock::now(clock);
                wanted.expiry = Expiry::At(now.after(DAY * dice.below(300) as u32));
            }
            if let Ok(token) = engine.access().issue(wanted).wait() {
                known.push(Known { token, dead: false });
            }
        }
        3 => {
            if let Some(it) = known.get_mut(picked) {
                let revoked = engine.access().revoke(it.token.selector, None).wait();
                it.dead |= revoked.is_ok();
            }
        }
        4 => {
            if let Some(it) = known.get_mut(picked) {
                let rotation = Rotation::default();
                let rotated = engine.access().rotate(it.token.selector, rotation).wait();
                it.dead |= rotated.is_ok();
                known.extend(rotated.ok().map(|token| Known { token, dead: false }));
            }
        }
        5 => {
            let all_of = engine.access().revoke_all_of(principal(&name), None);
            if all_of.wait().is_ok() {
                let own = |it: &&mut Known| it.token.grant.principal.as_str() == name;
                known.iter_mut().filter(own).for_each(|it| it.dead = true);
            }
        }
        6 => drop(engine.sweep(50).wait().unwrap()),
        7 => drop(engine.access().list(TokenQuery::default()).wait().unwrap()),
        _ => drop(engine.maintain().wait().unwrap()),
    }
}
