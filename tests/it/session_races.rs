//! Hazard: two requests meet in one session: what one of them changed is lost, or one that is
//! still in flight brings back a session that has ended (E10).

use crate::session_help::{add, lets_in, log_in, touch};
use crate::support::{Home, in_memory, principal};
use countersign::{
    Denied, EndedBy, Engine, Error, Live, Method, SystemClock, SystemEntropy, Value, keyfile,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn changes_of_different_attributes_all_win() {
    const THREADS: i64 = 8;
    const EACH: i64 = 2000;
    let (engine, _) = in_memory();
    let opened = log_in(&engine, "ann");
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, live) = (&engine, &opened.session);
            scope.spawn(move || {
                for _ in 0..EACH {
                    let changes = [add("all"), add(&format!("own-{number}"))].concat();
                    engine.sessions().update(live, changes).wait().unwrap();
                }
            });
        }
    });
    let live = touch(&engine, &opened).live().unwrap();
    let found = |name: &str| live.attributes().find(name).cloned();
    let all = EACH * THREADS;
    assert_eq!(found("all"), Some(Value::Integer(all)));
    for number in 0..THREADS {
        let own = found(&format!("own-{number}"));
        assert_eq!(own, Some(Value::Integer(EACH)));
    }
}

/// Every way to change a session that a request in flight may be about to take.
fn change(engine: &Engine, live: &Live, way: usize) -> Result<(), Error> {
    let sessions = engine.sessions();
    match way % 4 {
        0 => sessions.update(live, add("n")).wait().map(drop),
        1 => sessions.renew(live).wait().map(drop),
        2 => sessions
            .elevate(live, Method::Password, Duration::from_secs(60))
            .wait()
            .map(drop),
        _ => sessions.set_timeouts(live, Default::default()).wait(),
    }
}

/// Every way to end it.
fn end(engine: &Engine, live: &Live, way: usize) {
    let sessions = engine.sessions();
    let ann = principal("ann");
    match way % 4 {
        0 => assert!(!sessions.log_out(live).wait().unwrap().already),
        1 => assert!(sessions.end_all(&ann, EndedBy::Theft).wait().unwrap() > 0),
        2 => assert!(sessions.end_everything(EndedBy::Operator).wait().unwrap() > 0),
        _ => {
            let revoked = engine.principals().revoke_everything(ann, None);
            assert!(revoked.wait().unwrap().durable);
        }
    }
}

#[test]
fn no_request_in_flight_brings_a_session_back() {
    let (engine, _) = in_memory();
    let (denied, changed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for round in 0..200 {
        let opened = log_in(&engine, "ann");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for way in 0..4 {
                let (engine, opened, over) = (&engine, &opened, &over);
                let (denied, changed) = (&denied, &changed);
                scope.spawn(move || {
                    for _ in 0..20 {
                        let was_over = over.load(Ordering::SeqCst);
                        let live = touch(engine, opened).live();
                        assert!(!(was_over && live.is_some()), "it was let in again");
                        // With what it was given when it was let in, however long ago.
                        match change(engine, &opened.session, way) {
                            Ok(()) if was_over => panic!("it was changed"),
                            Ok(()) => changed.fetch_add(1, Ordering::SeqCst),
                            Err(Error::Session(Denied::Gone(_) | Denied::Renewed)) => {
                                denied.fetch_add(1, Ordering::SeqCst)
                            }
                            Err(other) => panic!("{other:?}"),
                        };
                    }
                });
            }
            end(&engine, &opened.session, round);
            over.store(true, Ordering::SeqCst);
        });
        assert!(!lets_in(&engine, &opened));
        let left = engine.sessions().list(principal("ann")).wait().unwrap();
        assert!(left.is_empty(), "round {round}");
    }
    let (denied, changed) = (denied.into_inner(), changed.into_inner());
    assert!(denied > 0 && changed > 0, "{denied} {changed}");
}

/// Whoever logs in while everything of theirs is revoked either is seen by the revocation or sees
/// it: afterwards no session is left that was opened under the former epoch.
#[test]
fn no_log_in_slips_past_a_revocation() {
    let (engine, _) = in_memory();
    let mut overtaken = 0;
    for _ in 0..300 {
        let tried = thread::scope(|scope| {
            let late: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| crate::session_help::try_log_in(&engine, "ann")))
                .collect();
            end(&engine, &log_in_until_it_works(&engine), 3);
            let tried = late.into_iter().map(|late| late.join().unwrap());
            tried.collect::<Vec<_>>()
        });
        let found = engine.principals().show(principal("ann")).wait().unwrap();
        let now = found.unwrap().logins.number();
        for opened in tried.iter().flatten() {
            let stamped = opened.session.stamp().principal;
            assert_eq!(lets_in(&engine, opened), stamped == now);
        }
        overtaken += tried.iter().filter(|tried| tried.is_err()).count();
        let list = engine.sessions().list(principal("ann")).wait().unwrap();
        assert!(list.iter().all(|found| found.stamp.principal == now));
    }
    crate::support::figures(&format!(
        "sessions: 300 revocations against 900 log-ins; {overtaken} log-ins refused on the way"
    ));
}

/// One of a principal who is not being revoked at the moment.
fn log_in_until_it_works(engine: &Engine) -> Live {
    log_in(engine, "bob").session
}

/// The first request under a new pepper puts the digest under it; one that compares meanwhile must
/// not be taken for one with a wrong secret.
#[test]
fn requests_at_once_after_a_rotation_of_peppers_are_all_let_in() {
    const SESSIONS: usize = 3000;
    let home = Home::new();
    let engine = home.open();
    let opened = (0..SESSIONS).map(|n| log_in(&engine, &format!("u{}", n / 50)));
    let opened: Vec<_> = opened.collect();
    engine.close().wait().unwrap();
    drop(engine);
    keyfile::rotate(&home.key_path(), &SystemClock, &SystemEntropy).unwrap();
    let engine = home.open();
    let (turn, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for (n, opened) in opened.iter().enumerate() {
                    turn.fetch_add(1, Ordering::SeqCst);
                    while turn.load(Ordering::SeqCst) < 2 * (n + 1) {
                        std::hint::spin_loop();
                    }
                    // Counted: who gave up here would leave the other waiting.
                    let verdict = engine.sessions().touch(opened.token.expose(), None).wait();
                    if !verdict.is_ok_and(|verdict| verdict.is_in()) {
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), 0, "of {SESSIONS} sessions");
}
