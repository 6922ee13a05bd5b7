//! Hazard: a request is answered rightly and incompletely: a page cannot say why its user is out,
//! a basket is lost, a dead cookie comes back for ever, or what was presented is forgotten while a
//! store that is far away is asked.

use crate::session_help::{add, log_in, visit};
use crate::support::{
    DAY, MINUTE, SECOND, builder, in_memory, issue, keys, on_store, principal, remember,
};
use countersign::core::Key;
use countersign::store::{MemoryStore, Store};
use countersign::{
    Anonymous, AttributeName, Authenticated, CookieChange, EndedBy, Engine, Error, Method,
    NewLogIn, Observer, OpenedSession, Presented, Refusal, Rejection, SessionEvent, SessionRefused,
    Subsystem, Value, Who,
};
use countersign_testkit::{Gated, ManualClock, samples};
use std::fmt;
use std::sync::{Arc, Mutex};

#[track_caller]
fn send(engine: &Engine, presented: Presented<'_>) -> Authenticated {
    engine.authenticate(presented).wait().unwrap()
}

fn with_session(opened: &OpenedSession) -> Presented<'_> {
    Presented {
        session: Some(opened.token.expose().as_bytes()),
        ..Presented::default()
    }
}

#[track_caller]
fn nobody(answer: Authenticated) -> Anonymous {
    match answer.who {
        Who::Anonymous(anonymous) => anonymous,
        who => panic!("somebody came in: {who:?}"),
    }
}

#[test]
fn a_page_can_tell_its_user_how_the_session_was_lost() {
    type Happen = fn(&Engine, &ManualClock, &OpenedSession);
    let cases: [(Happen, EndedBy); 3] = [
        (|_, clock, _| clock.advance(DAY), EndedBy::Idle),
        (
            |engine, _, ann| {
                let ended = engine
                    .sessions()
                    .end(ann.session.selector(), EndedBy::Operator);
                ended.wait().unwrap();
            },
            EndedBy::Operator,
        ),
        (
            |engine, _, ann| {
                engine.sessions().log_out(&ann.session).wait().unwrap();
            },
            EndedBy::Principal,
        ),
    ];
    for (happen, by) in cases {
        let (engine, clock) = in_memory();
        let ann = log_in(&engine, "ann");
        happen(&engine, &clock, &ann);
        let lost = nobody(send(&engine, with_session(&ann))).lost_session;
        assert!(
            matches!(&lost, Some(SessionRefused::Gone(gone)) if gone.by == by),
            "{by:?}: {lost:?}"
        );
    }
}

#[test]
fn who_has_lost_no_session_is_told_of_none() {
    let (engine, _clock) = in_memory();
    let visitor = visit(&engine);
    let own = nobody(send(&engine, with_session(&visitor)));
    assert!(own.session.is_some() && own.lost_session.is_none());
    let bare = nobody(send(&engine, Presented::default()));
    assert!(bare.session.is_none() && bare.lost_session.is_none() && !bare.overtaking);
}

/// A session whose place was taken seconds ago, and one that was just ended by something else.
#[test]
fn only_an_answer_that_another_may_overtake_is_said_to_be() {
    let answer = |waited, takes_over: bool| {
        let (engine, clock) = in_memory();
        let ann = log_in(&engine, "ann");
        if takes_over {
            let login = NewLogIn::new(principal("bob"), Method::Password, MINUTE);
            let session = Some(ann.session.clone());
            engine.sessions().log_in(session, login).wait().unwrap();
        } else {
            let sessions = engine.sessions();
            let ended = sessions.end(ann.session.selector(), EndedBy::Operator);
            ended.wait().unwrap();
        }
        clock.advance(waited);
        nobody(send(&engine, with_session(&ann))).overtaking
    };
    assert!(answer(SECOND, true));
    assert!(!answer(MINUTE, true), "it has long arrived");
    assert!(!answer(SECOND, false), "nothing took its place");
}

#[test]
fn a_device_whose_session_an_operator_has_just_ended_opens_another_at_once() {
    let (engine, clock) = in_memory();
    let ann = log_in(&engine, "ann");
    let device = remember(&engine, "ann");
    let ended = engine
        .sessions()
        .end_all(&principal("ann"), EndedBy::Operator);
    assert_eq!(ended.wait().unwrap(), 1);
    clock.advance(SECOND);
    let answer = send(
        &engine,
        Presented {
            remember: Some(device.token.expose().as_bytes()),
            ..with_session(&ann)
        },
    );
    assert!(matches!(answer.who, Who::Remembered(_)), "{answer:?}");
    assert!(matches!(answer.session_cookie, CookieChange::Set { .. }));
}

#[test]
fn what_a_visitor_had_goes_into_the_session_that_a_device_opens_as_far_as_it_is_asked_for() {
    let (engine, _clock) = in_memory();
    let device = remember(&engine, "ann");
    let basket = AttributeName::new("basket").unwrap();
    for carry in [&[basket][..], &[]] {
        let visitor = visit(&engine);
        for name in ["basket", "other"] {
            let added = engine.sessions().update(&visitor.session, add(name));
            added.wait().unwrap();
        }
        let answer = send(
            &engine,
            Presented {
                remember: Some(device.token.expose().as_bytes()),
                carry,
                ..with_session(&visitor)
            },
        );
        let Who::Remembered(by) = answer.who else {
            panic!("the device opens nothing");
        };
        let found = |name| by.session.attributes().find(name).cloned();
        let expected = (!carry.is_empty()).then_some(Value::Integer(1));
        assert_eq!((found("basket"), found("other")), (expected, None));
    }
}

#[test]
fn a_token_that_comes_with_a_dead_session_has_its_cookie_cleared_and_with_a_living_one_kept() {
    let (engine, clock) = in_memory();
    let token = issue(&engine, "tom");
    let bearer = format!("Bearer {}", token.token.expose());
    let ann = log_in(&engine, "ann");
    clock.advance(DAY);
    // It is found dead; what ended just now may still be replaced.
    send(&engine, with_session(&ann));
    clock.advance(DAY);
    let visitor = visit(&engine);
    for (session, cleared) in [(&ann, true), (&visitor, false)] {
        for bearer in [bearer.as_str(), "Bearer nonsense"] {
            let answer = send(
                &engine,
                Presented {
                    authorization: Some(bearer.as_bytes()),
                    ..with_session(session)
                },
            );
            assert!(matches!(answer.who, Who::Token(_) | Who::Refused(_)));
            let is_cleared = matches!(answer.session_cookie, CookieChange::Clear);
            assert_eq!(is_cleared, cleared, "{bearer}: {answer:?}");
        }
    }
}

#[test]
fn nothing_that_was_presented_is_lost_while_a_store_that_is_far_away_is_asked() {
    let clock = ManualClock::default();
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    let token = issue(&engine, "tom");
    let device = remember(&engine, "dora");
    let bearer = format!("Bearer {}", token.token.expose());
    let sid = log_in(&engine, "sid");
    let shut = engine.principals().disable(principal("sid"), None);
    assert!(shut.wait().unwrap().durable);
    let keyring = samples::keyring();
    let key = Key::principal(keyring.principal_key(&principal("sid")));
    let (bearer, device) = (bearer.as_bytes(), device.token.expose().as_bytes());
    for (bearer, device) in [(Some(bearer), None), (None, Some(device)), (None, None)] {
        // The record is let go of with every change of it.
        let anew = engine.principals().enable(principal("sid"), None);
        anew.wait().unwrap();
        let shut = engine.principals().disable(principal("sid"), None);
        assert!(shut.wait().unwrap().durable);
        let gate = store.hold_next_load(&[key]);
        let presented = Presented {
            authorization: bearer,
            remember: device,
            ..with_session(&sid)
        };
        let answer = engine.off_thread(|engine| engine.authenticate(presented));
        assert!(gate.is_reached(), "it was in memory");
        gate.open();
        let who = answer.wait().unwrap().who;
        let came = (
            matches!(who, Who::Token(_)),
            matches!(who, Who::Remembered(_)),
        );
        assert_eq!(came, (bearer.is_some(), device.is_some()), "{who:?}");
    }
}

#[test]
fn a_session_s_text_may_be_as_long_as_the_policy_says_and_no_longer() {
    let (engine, _clock) = in_memory();
    let max = engine.policy().input().max_credential_bytes as usize;
    let told = |length: usize| {
        let verdict = engine.sessions().touch("a".repeat(length), None);
        verdict.wait().unwrap().rejection()
    };
    assert_eq!(told(max), Some(Rejection::Malformed));
    assert_eq!(told(max + 1), Some(Rejection::TooLong));
}

type Deed = Box<dyn FnOnce() + Send>;

/// Does something as soon as it hears that somebody has logged in.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Deed>>>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Observer for Meanwhile {
    fn session(&self, _: &SessionEvent) {
        let happens = self.0.lock().unwrap().take();
        if let Some(happens) = happens {
            happens();
        }
    }
}

/// With its observer told of the end of the session that somebody logs in from.
#[test]
fn what_befalls_somebody_who_is_logging_in_keeps_them_out_and_is_told_as_it_is() {
    type Happen = fn(&Engine);
    let cases: [(Happen, Refusal); 2] = [
        (
            |engine| drop(engine.principals().disable(principal("ann"), None).wait()),
            Refusal::Disabled,
        ),
        (
            |engine| drop(engine.switches().off(Subsystem::Sessions, None).wait()),
            Refusal::SwitchedOff(Subsystem::Sessions),
        ),
    ];
    for (happen, expected) in cases {
        let meanwhile = Meanwhile::default();
        let engine = builder(&ManualClock::default())
            .observer(meanwhile.clone())
            .open_store(Arc::new(MemoryStore::new([])), &keys())
            .unwrap();
        let visitor = visit(&engine);
        let own = engine.clone();
        *meanwhile.0.lock().unwrap() = Some(Box::new(move || happen(&own)));
        let login = NewLogIn::new(principal("ann"), Method::Password, MINUTE);
        let opened = engine.sessions().log_in(Some(visitor.session), login);
        assert_eq!(opened.wait().unwrap_err(), Error::Refused(expected));
        assert!(meanwhile.0.lock().unwrap().is_none(), "nothing happened");
        assert_eq!(engine.sessions().counts().all, 0);
    }
}

#[test]
fn what_befalls_a_device_while_its_session_is_opened_keeps_it_out_and_is_told_as_it_is() {
    type Happen = fn(&Engine, &ManualClock);
    let cases: [(Happen, Rejection); 4] = [
        (
            |engine, _| drop(engine.principals().disable(principal("ann"), None).wait()),
            Rejection::Disabled,
        ),
        (
            |engine, _| drop(engine.switches().off(Subsystem::RememberMe, None).wait()),
            Rejection::SwitchedOff,
        ),
        (
            |engine, _| drop(engine.remember().revoke_all(None).wait()),
            Rejection::Revoked,
        ),
        (|_, clock| clock.advance(30 * DAY), Rejection::Expired),
    ];
    for (happen, expected) in cases {
        let (clock, meanwhile) = (ManualClock::default(), Meanwhile::default());
        let engine = builder(&clock)
            .observer(meanwhile.clone())
            .open_store(Arc::new(MemoryStore::new([])), &keys())
            .unwrap();
        let device = remember(&engine, "ann");
        let (own, later) = (engine.clone(), clock.clone());
        *meanwhile.0.lock().unwrap() = Some(Box::new(move || happen(&own, &later)));
        let answer = send(
            &engine,
            Presented {
                remember: Some(device.token.expose().as_bytes()),
                ..Presented::default()
            },
        );
        assert!(meanwhile.0.lock().unwrap().is_none(), "nothing happened");
        assert_eq!(nobody(answer).lost_device, Some(expected));
        let left = engine.sessions().list(principal("ann")).wait().unwrap();
        assert!(left.is_empty(), "{expected:?}: {left:?}");
    }
}
