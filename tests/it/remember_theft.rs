//! Hazard: a thief who was found out stays in, with a session that the stolen secret has opened.

use crate::denials::{Sick, on_time, sick_at};
use crate::support::{MINUTE, forgotten, handed, in_memory, present, principal, remember};
use countersign::{
    Authenticated, CookieChange, EndedBy, Engine, Event, EventKind, Label, LoggedIn, Maintenance,
    Method, NewLogIn, Observer, Presented, Rejection, SessionChange, SessionEvent, Who,
};
use countersign_testkit::samples;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};

pub(crate) fn log_in(engine: &Engine, name: &str, remember: bool) -> LoggedIn {
    let login = NewLogIn::new(principal(name), Method::Password, MINUTE);
    let label = remember.then(|| Label::new("a browser").unwrap());
    engine.log_in(None, login, label).wait().unwrap()
}

pub(crate) fn come_back(engine: &Engine, text: &str) -> Authenticated {
    let presented = Presented {
        remember: Some(text.as_bytes()),
        ..Presented::default()
    };
    engine.authenticate(presented).wait().unwrap()
}

/// The session and the secret that a device was given.
#[track_caller]
pub(crate) fn given(authenticated: Authenticated) -> (String, Option<String>) {
    assert!(matches!(authenticated.who, Who::Remembered(_)));
    let value = |change| match change {
        CookieChange::Set { value, .. } => Some(value.expose().to_owned()),
        _ => None,
    };
    let session = value(authenticated.session_cookie).unwrap();
    (session, value(authenticated.remember_cookie))
}

pub(crate) fn is_in(engine: &Engine, session: &str) -> bool {
    engine
        .sessions()
        .peek(session, None)
        .wait()
        .unwrap()
        .is_in()
}

#[test]
fn the_sessions_of_a_stolen_device_end_with_it_and_no_others() {
    for disk_fails in [false, true] {
        let (store, engine, clock) = sick_at();
        let owner = log_in(&engine, "ann", true);
        let stolen = owner.device.unwrap().token.expose().to_owned();
        let own = owner.session.token.expose().to_owned();
        let elsewhere = log_in(&engine, "ann", true);
        let kept = elsewhere.session.token.expose().to_owned();
        let stranger = log_in(&engine, "bob", true);
        let other = stranger.session.token.expose().to_owned();

        clock.advance(MINUTE * 10);
        let (thief, successor) = given(come_back(&engine, &stolen));
        let successor = successor.unwrap();
        let (again, _) = given(come_back(&engine, &successor));
        clock.advance(MINUTE * 2);
        let sessions = [&own, &thief, &again, &kept, &other];
        assert!(sessions.iter().all(|session| is_in(&engine, session)));

        // The owner's browser comes back without its session, with what it was given at first.
        store.closed.store(disk_fails, Ordering::SeqCst);
        let found_out = come_back(&engine, &stolen);
        let Who::Anonymous(nobody) = found_out.who else {
            panic!("a stolen secret let somebody in")
        };
        assert_eq!(nobody.lost_device, Some(Rejection::Reused));
        assert!(matches!(found_out.remember_cookie, CookieChange::Clear));
        let ins = sessions.map(|session| is_in(&engine, session));
        assert_eq!(ins, [false, false, false, true, true], "{disk_fails}");
        store.closed.store(false, Ordering::SeqCst);
        assert!(!present(&engine, &successor).is_in());
        let device = elsewhere.device.unwrap();
        assert!(present(&engine, device.token.expose()).is_in());
    }
}

#[test]
fn a_wrong_secret_ends_no_session() {
    let (engine, _) = in_memory();
    let owner = log_in(&engine, "ann", true);
    let selector = owner.device.unwrap().selector;
    for byte in 0..50 {
        let wrong = crate::support::wrong_device(&engine, selector, byte);
        assert!(matches!(come_back(&engine, &wrong).who, Who::Anonymous(_)));
    }
    assert!(is_in(&engine, owner.session.token.expose()));
}

/// Has the theft proven at the moment at which a rotation is told of: after the thief was let in,
/// and before the session is open.
#[derive(Default)]
struct Finder {
    proof: OnceLock<(Engine, String)>,
    ended: Mutex<Vec<EndedBy>>,
}

impl fmt::Debug for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Finder")
    }
}

impl Observer for &'static Finder {
    fn event(&self, event: &Event) {
        if let (EventKind::Rotated, Some((engine, oldest))) = (event.kind, self.proof.get()) {
            assert_eq!(forgotten(engine, oldest), Rejection::Reused);
        }
    }

    fn session(&self, event: &SessionEvent) {
        if let SessionChange::Ended(by) = event.change {
            self.ended.lock().unwrap().push(by);
        }
    }
}

#[test]
fn no_session_is_opened_for_a_device_whose_theft_was_proven_meanwhile() {
    let (store, engine, clock) = sick_at();
    let started = remember(&engine, "ann");
    let oldest = started.token.expose().to_owned();
    clock.advance(MINUTE * 10);
    let next = handed(&engine, &oldest).unwrap();
    assert_eq!(handed(&engine, &next), None);
    clock.advance(MINUTE * 10);

    let finder: &'static Finder = Box::leak(Box::default());
    let store: Arc<Sick> = store;
    let watched = Engine::builder()
        .clock(clock.clone())
        .observer(finder)
        .maintenance(Maintenance::HostDriven)
        .open_store(Arc::clone(&store) as _, &samples::keys())
        .unwrap();
    assert!(finder.proof.set((watched.clone(), oldest)).is_ok());
    let late = come_back(&watched, &next);
    let Who::Anonymous(nobody) = late.who else {
        panic!("the thief was let in")
    };
    assert_eq!(nobody.lost_device, Some(Rejection::Reused));
    assert!(matches!(late.session_cookie, CookieChange::Keep));
    assert_eq!(watched.sessions().counts().all, 0);
    assert_eq!(*finder.ended.lock().unwrap(), [EndedBy::Theft]);
    assert!(!present(&on_time(&store, &clock), &next).is_in());
}
