//! Hazard: the clock steps back or jumps a year, over a restart as well, and a session that is
//! dead comes alive, lives for ever, or something panics.

use crate::session_help::{lets_in, log_in, rejected, visit};
use crate::support::{Home, MINUTE, in_memory, principal};
use countersign::{EndedBy, Engine, OpenedSession, Rejection, Timestamp};
use countersign_testkit::samples;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Instants that a clock may be put to.
fn instants() -> Vec<Timestamp> {
    let now = samples::NOW;
    vec![
        Timestamp::ZERO,
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
fn what_was_ended_stays_ended_whatever_the_clock_says() {
    let (engine, clock) = in_memory();
    let ways: [fn(&Engine, &OpenedSession); 4] = [
        |engine, opened| {
            let out = engine.sessions().log_out(&opened.session).wait();
            assert!(!out.unwrap().already);
        },
        |engine, opened| {
            let selector = opened.session.selector();
            engine
                .sessions()
                .end(selector, EndedBy::Theft)
                .wait()
                .unwrap();
        },
        |engine, _| {
            let principals = engine.principals();
            principals
                .revoke_everything(principal("ann"), None)
                .wait()
                .unwrap();
        },
        |engine, _| {
            let sessions = engine.sessions();
            assert_eq!(sessions.end_everything(EndedBy::Operator).wait(), Ok(1));
        },
    ];
    for way in ways {
        clock.set(samples::NOW);
        let opened = log_in(&engine, "ann");
        way(&engine, &opened);
        for at in instants() {
            clock.set(at);
            assert!(!lets_in(&engine, &opened), "{at:?}");
            engine.maintain().wait().unwrap();
        }
    }
}

#[test]
fn who_idled_out_and_was_told_so_is_out_when_the_clock_steps_back() {
    let (engine, clock) = in_memory();
    let (told, swept) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
    clock.advance(engine.policy().sessions().idle_timeout);
    assert_eq!(rejected(&engine, &told), Rejection::Expired);
    assert_eq!(engine.sweep(1000).wait().unwrap().sessions_ended, 1);
    for at in instants() {
        clock.set(at);
        assert!(!lets_in(&engine, &told) && !lets_in(&engine, &swept));
    }
}

/// After a clock that was a year ahead, a session lives as long as its timeouts say, not a year.
#[test]
fn a_year_ahead_and_back_lengthens_no_session() {
    for restart in [false, true] {
        let home = Home::new();
        let mut engine = home.open();
        home.clock.advance(YEAR);
        let sessions = [log_in(&engine, "ann"), visit(&engine)];
        home.clock.step_back(YEAR);
        if restart {
            engine.close().wait().unwrap();
            engine = home.open();
        }
        for session in &sessions {
            assert!(lets_in(&engine, session));
        }
        home.clock.advance(engine.policy().sessions().idle_timeout);
        for session in &sessions {
            assert!(!lets_in(&engine, session), "restart: {restart}");
        }
    }
}

#[test]
fn no_instant_of_a_restart_revives_or_panics() {
    for at in instants() {
        let home = Home::new();
        let engine = home.open();
        let (ended, living) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
        engine.sessions().log_out(&ended.session).wait().unwrap();
        engine.close().wait().unwrap();
        home.clock.set(at);
        let engine = home.open();
        assert!(!lets_in(&engine, &ended), "{at:?}");
        let in_time = at < samples::NOW.after(engine.policy().sessions().idle_timeout);
        assert_eq!(lets_in(&engine, &living), in_time, "{at:?}");
        engine.maintain().wait().unwrap();
        engine.close().wait().unwrap();
    }
}
