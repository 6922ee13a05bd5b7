//! Hazard: visitors without end push out those who are logged in, fill the memory, or wear out
//! the disk.

use crate::session_help::{SessionEars, lets_in, log_in, visit, with_wrong_secret};
use crate::support::{Home, contents, policy, principal};
use countersign::session::Timeouts;
use countersign::{Denied, EndedBy, Error, Rejection};

const VISITS: usize = 50_000;
const ANONYMOUS_MAX: u64 = 500;
const PEOPLE: usize = 200;

#[test]
fn visitors_make_way_for_each_other_alone_and_nothing_is_written() {
    let home = Home::new();
    let ears = SessionEars::default();
    let bounded = policy(|draft| {
        draft.sessions.max_sessions = 1000;
        draft.sessions.max_anonymous = ANONYMOUS_MAX;
        draft.sessions.max_ended = 1000;
        draft.audit.refusals_per_second = 10;
    });
    let engine = home.builder().policy(bounded).observer(ears.clone());
    let engine = engine.open(home.path()).unwrap();
    let people: Vec<_> = (0..PEOPLE)
        .map(|n| log_in(&engine, &format!("person-{n}")))
        .collect();
    ears.changes();
    let before = contents(home.dir.path());
    for _ in 0..VISITS {
        visit(&engine);
    }
    let counts = engine.sessions().counts();
    assert_eq!((counts.all, counts.anonymous), (700, ANONYMOUS_MAX));
    assert!(counts.remembered <= 1000);
    assert!(people.iter().all(|person| lets_in(&engine, person)));
    // What makes way is told of, ten a second, and the clock stood.
    assert_eq!(ears.ends(), vec![EndedBy::Room; 10]);

    let forged = with_wrong_secret(&engine, people[0].session.selector());
    for _ in 0..VISITS {
        let verdict = engine.sessions().touch(&forged, None).wait().unwrap();
        assert_eq!(verdict.rejection(), Some(Rejection::Mismatch));
    }
    assert_eq!(engine.flush().wait().unwrap(), 0);
    assert_eq!(contents(home.dir.path()), before, "bytes were written");
}

#[test]
fn a_full_table_refuses_visitors_and_lets_them_make_way_for_who_logs_in() {
    let home = Home::new();
    let bounded = policy(|draft| {
        draft.sessions.max_sessions = 3;
        draft.sessions.max_anonymous = 1;
    });
    let engine = home.builder().policy(bounded).open(home.path()).unwrap();
    let visitor = visit(&engine);
    let people = ["ann", "bob", "cid"].map(|name| log_in(&engine, name));
    assert!(!lets_in(&engine, &visitor));
    assert!(people.iter().all(|person| lets_in(&engine, person)));
    let full = engine.sessions().start(Timeouts::default()).wait();
    assert_eq!(full.unwrap_err(), Error::Session(Denied::Full));
    let ended = engine
        .sessions()
        .end_all(&principal("ann"), EndedBy::Operator);
    assert_eq!(ended.wait().unwrap(), 1);
    visit(&engine);
}
