//! Hazard: a request that was let in, and whose body is on its way for as long as its sender likes,
//! carries out what it was not let in for any more.

use crate::denials::sick;
use crate::session_help::{FRESH, lets_in, log_in, touch, visit};
use crate::support::{
    MINUTE, SECOND, builder, in_memory, issue, keys, policy, principal, remember, request,
};
use countersign::store::MemoryStore;
use countersign::{
    EndedBy, Engine, Gone, IssuedToken, Live, Method, OpenedSession, Presented, Rejection,
    Rotation, SessionRefused, Subsystem, Who,
};
use countersign_testkit::ManualClock;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Engines whose records are in memory, and that read each of them anew.
fn engines() -> [(Engine, ManualClock); 2] {
    let clock = ManualClock::default();
    let forgetful = policy(|draft| {
        draft.cache.max_tokens = 0;
        draft.cache.max_principals = 1;
    });
    let store = Arc::new(MemoryStore::new([]));
    let engine = builder(&clock).policy(forgetful);
    let engine = engine.open_store(store, &keys()).unwrap();
    [in_memory(), (engine, clock)]
}

/// Drives a principal's record out of a memory that has room for one.
fn drive_out(engine: &Engine) {
    let other = issue(engine, "somebody-else");
    let verdict = engine.access().verify(other.token.expose()).wait().unwrap();
    assert!(verdict.is_in());
}

#[track_caller]
fn again(engine: &Engine, who: &Who) -> Who {
    let again = engine.revalidate(who, None).wait().unwrap();
    again.unwrap_or_else(|| who.clone())
}

#[track_caller]
fn lost(engine: &Engine, live: &Live) -> Option<SessionRefused> {
    match again(engine, &Who::Session(live.clone())) {
        Who::Session(_) => None,
        Who::Anonymous(nobody) => {
            assert!(nobody.session.is_none());
            Some(nobody.lost_session.expect("it says why"))
        }
        who => panic!("{who:?}"),
    }
}

fn ended_by(refused: Option<SessionRefused>) -> Option<EndedBy> {
    match refused? {
        SessionRefused::Gone(Gone { by, .. }) => Some(by),
        _ => None,
    }
}

fn rejected(refused: Option<SessionRefused>) -> Option<Rejection> {
    match refused? {
        SessionRefused::Rejected(rejection) => Some(rejection),
        _ => None,
    }
}

#[test]
fn a_session_that_ended_meanwhile_is_over_whatever_ended_it() {
    for (engine, clock) in engines() {
        let sessions = engine.sessions();
        let open = || {
            let opened = log_in(&engine, "ann");
            drive_out(&engine);
            assert_eq!(lost(&engine, &opened.session), None);
            opened
        };

        let out = open();
        sessions.log_out(&out.session).wait().unwrap();
        assert_eq!(
            ended_by(lost(&engine, &out.session)),
            Some(EndedBy::Principal)
        );

        let (mine, other) = (open(), open());
        let others = sessions.end_others(
            &principal("ann"),
            mine.session.selector(),
            EndedBy::Principal,
        );
        assert_eq!(others.wait().unwrap(), 1);
        assert!(ended_by(lost(&engine, &other.session)).is_some());
        assert_eq!(lost(&engine, &mine.session), None);

        let idle = open();
        clock.advance(engine.policy().sessions().idle_timeout);
        assert_eq!(ended_by(lost(&engine, &idle.session)), Some(EndedBy::Idle));
    }
}

#[test]
fn whoever_is_shut_out_meanwhile_is_out() {
    for (engine, _) in engines() {
        let (ann, principals) = (principal("ann"), engine.principals());
        let opened = log_in(&engine, "ann");
        principals.disable(ann.clone(), None).wait().unwrap();
        let refused = lost(&engine, &opened.session);
        assert_eq!(rejected(refused), Some(Rejection::Disabled));
        principals.enable(ann.clone(), None).wait().unwrap();

        let opened = log_in(&engine, "ann");
        let changed = engine.credentials_changed(ann, None, None);
        changed.wait().unwrap();
        assert!(lost(&engine, &opened.session).is_some());

        let (opened, visitor) = (log_in(&engine, "ann"), visit(&engine));
        let switches = engine.switches();
        switches.off(Subsystem::Sessions, None).wait().unwrap();
        assert!(lost(&engine, &opened.session).is_some());
        assert!(lost(&engine, &visitor.session).is_some());
    }
}

/// Whoever copied the cookie may have the same session: the one who changed the password goes on in
/// it with a new token, and what was sent with the old one is the other's.
#[test]
fn a_session_that_is_kept_under_a_new_token_is_not_that_of_the_old_one() {
    for (engine, _) in engines() {
        for way in 0..3 {
            let opened = log_in(&engine, "ann");
            let kept = match way {
                0 => {
                    let ann = principal("ann");
                    let live = Some(opened.session.clone());
                    let changed = engine.credentials_changed(ann, live, None);
                    changed.wait().unwrap().session.unwrap()
                }
                1 => engine.sessions().renew(&opened.session).wait().unwrap(),
                _ => {
                    let elevate =
                        engine
                            .sessions()
                            .elevate(&opened.session, Method::Password, FRESH);
                    elevate.wait().unwrap()
                }
            };
            drive_out(&engine);
            let refused = lost(&engine, &opened.session);
            assert_eq!(rejected(refused), Some(Rejection::Mismatch), "{way}");
            assert_eq!(lost(&engine, &kept.session), None, "{way}");
        }
    }
}

#[test]
fn it_is_no_use_of_the_session() {
    for (engine, clock) in engines() {
        let opened = log_in(&engine, "ann");
        let idle = engine.policy().sessions().idle_timeout;
        let admitted = || engine.stats().verdicts.admitted;
        let before = admitted();
        for _ in 0..3 {
            clock.advance(idle / 4);
            assert_eq!(lost(&engine, &opened.session), None);
        }
        assert_eq!(admitted(), before, "the request is one");
        clock.advance(idle / 4);
        assert!(!lets_in(&engine, &opened), "idle since it was opened");
    }
}

#[test]
fn whoever_it_is_stays_what_they_were() {
    for (engine, _) in engines() {
        let visitor = visit(&engine);
        let presented = Presented {
            session: Some(visitor.token.expose().as_bytes()),
            ..Presented::default()
        };
        let nobody = engine.authenticate(presented).wait().unwrap().who;
        match again(&engine, &nobody) {
            Who::Anonymous(nobody) => assert!(nobody.session.is_some()),
            who => panic!("{who:?}"),
        }
        engine.sessions().log_out(&visitor.session).wait().unwrap();
        match again(&engine, &nobody) {
            Who::Anonymous(nobody) => {
                assert!(nobody.session.is_none() && nobody.lost_session.is_some());
            }
            who => panic!("{who:?}"),
        }

        let device = remember(&engine, "dora");
        let presented = Presented {
            remember: Some(device.token.expose().as_bytes()),
            ..Presented::default()
        };
        let remembered = engine.authenticate(presented).wait().unwrap().who;
        let selector = device.selector;
        match again(&engine, &remembered) {
            Who::Remembered(by) => assert_eq!(by.series, selector),
            who => panic!("{who:?}"),
        }
        engine.remember().revoke(selector, None).wait().unwrap();
        let refused = again(&engine, &remembered);
        assert!(matches!(refused, Who::Anonymous(nobody) if nobody.lost_session.is_some()));

        assert!(matches!(again(&engine, &Who::default()), Who::Anonymous(_)));
        let bad = Who::Refused(Rejection::Scope);
        assert!(matches!(
            again(&engine, &bad),
            Who::Refused(Rejection::Scope)
        ));
    }
}

fn by_token(engine: &Engine, token: &IssuedToken) -> Who {
    let verdict = engine.access().verify(token.token.expose());
    Who::Token(verdict.wait().unwrap().pass().unwrap())
}

#[track_caller]
fn refused(engine: &Engine, who: &Who) -> Option<Rejection> {
    match again(engine, who) {
        Who::Token(_) => None,
        Who::Refused(rejection) => Some(rejection),
        who => panic!("{who:?}"),
    }
}

#[test]
fn an_access_token_that_ended_meanwhile_lets_nobody_go_on() {
    for (engine, clock) in engines() {
        let (ann, access) = (principal("ann"), engine.access());
        let open = || {
            let who = by_token(&engine, &issue(&engine, "ann"));
            drive_out(&engine);
            assert_eq!(refused(&engine, &who), None);
            who
        };
        let selector = |who: &Who| match who {
            Who::Token(pass) => pass.selector(),
            who => panic!("{who:?}"),
        };

        let (revoked, rotated) = (open(), open());
        access.revoke(selector(&revoked), None).wait().unwrap();
        assert_eq!(refused(&engine, &revoked), Some(Rejection::Revoked));
        let at_once = Rotation {
            overlap: Duration::ZERO,
            expiry: None,
        };
        access.rotate(selector(&rotated), at_once).wait().unwrap();
        assert!(refused(&engine, &rotated).is_some());

        let mut brief = request("ann");
        brief.expiry = countersign::Expiry::At(engine.now().after(MINUTE));
        let brief = access.issue(brief).wait().unwrap();
        let brief = by_token(&engine, &brief);
        clock.advance(MINUTE - SECOND);
        assert_eq!(refused(&engine, &brief), None);
        clock.advance(SECOND);
        assert_eq!(refused(&engine, &brief), Some(Rejection::Expired));

        let disabled = open();
        let principals = engine.principals();
        principals.disable(ann.clone(), None).wait().unwrap();
        assert_eq!(refused(&engine, &disabled), Some(Rejection::Disabled));
        principals.enable(ann.clone(), None).wait().unwrap();

        let all = open();
        access.revoke_all_of(ann, None).wait().unwrap();
        assert_eq!(refused(&engine, &all), Some(Rejection::Revoked));

        let off = open();
        let switched = engine.switches().off(Subsystem::AccessTokens, None);
        switched.wait().unwrap();
        assert_eq!(refused(&engine, &off), Some(Rejection::SwitchedOff));
    }
}

#[test]
fn it_is_no_use_of_the_token() {
    for (engine, clock) in engines() {
        let token = issue(&engine, "ann");
        let who = by_token(&engine, &token);
        let (used, admitted) = (engine.now(), engine.stats().verdicts.admitted);
        clock.advance(MINUTE);
        assert_eq!(refused(&engine, &who), None);
        assert_eq!(engine.stats().verdicts.admitted, admitted);
        engine.flush().wait().unwrap();
        let shown = engine.access().show(token.selector).wait().unwrap();
        let usage = shown.unwrap().usage.unwrap();
        assert_eq!(usage.last_used_at, used);
    }
}

/// A denial that the disk does not take is in force all the same.
#[test]
fn a_denial_that_waits_for_the_disk_is_in_force() {
    let (store, engine) = sick();
    let session = log_in(&engine, "ann").session;
    let who = by_token(&engine, &issue(&engine, "ann"));
    store.unknown.store(true, Ordering::SeqCst);
    let told = engine.principals().disable(principal("ann"), None).wait();
    assert!(!told.unwrap().durable);
    assert_eq!(engine.stats().waiting_denials, 1);
    assert_eq!(refused(&engine, &who), Some(Rejection::Disabled));
    assert_eq!(rejected(lost(&engine, &session)), Some(Rejection::Disabled));
}

#[test]
fn a_closed_engine_lets_nobody_go_on() {
    let (engine, _) = in_memory();
    let opened: OpenedSession = log_in(&engine, "ann");
    assert!(touch(&engine, &opened).is_in());
    let session = Who::Session(opened.session);
    let token = by_token(&engine, &issue(&engine, "ann"));
    engine.close().wait().unwrap();
    for who in [session, token] {
        engine.revalidate(&who, None).wait().unwrap_err();
    }
}
