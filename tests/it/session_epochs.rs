//! Hazard: a session that lets somebody in after its principal, its kind or all that they hold was
//! stopped; or one that is lost although it was only stopped for a while.

use crate::session_help::{SessionEars, lets_in, log_in, rejected, touch, try_log_in, visit};
use crate::support::{MINUTE, PATIENCE, SECOND, builder, in_memory, keys, on_store, principal};
use countersign::core::{Key, Keyring};
use countersign::session::Refused;
use countersign::store::{MemoryStore, Store};
use countersign::{
    Denied, EndedBy, Engine, Error, Method, NewLogIn, OpenedSession, Refusal, Rejection,
    SessionChange, Subsystem,
};
use countersign_testkit::{Gated, ManualClock, samples, wait_until};
use std::sync::Arc;
use std::thread;

type Act = fn(&Engine);

fn revoke_ann(engine: &Engine) {
    let principals = engine.principals();
    let revoked = principals.revoke_everything(principal("ann"), None);
    assert!(revoked.wait().unwrap().durable);
}

fn disable_ann(engine: &Engine) {
    let disabled = engine.principals().disable(principal("ann"), None);
    assert!(disabled.wait().unwrap().durable);
}

fn enable_ann(engine: &Engine) {
    let enabled = engine.principals().enable(principal("ann"), None);
    enabled.wait().unwrap();
}

fn switch_off(engine: &Engine) {
    let off = engine.switches().off(Subsystem::Sessions, None);
    assert!(off.wait().unwrap().durable);
}

fn switch_on(engine: &Engine) {
    let on = engine.switches().on(Subsystem::Sessions, None);
    on.wait().unwrap();
}

/// What becomes of ann's session, of bob's and of a visitor's.
#[track_caller]
fn check(acts: &[Act], expected: [Option<Rejection>; 3]) {
    let (engine, _) = in_memory();
    let sessions = [
        log_in(&engine, "ann"),
        log_in(&engine, "bob"),
        visit(&engine),
    ];
    for session in &sessions {
        assert!(lets_in(&engine, session));
    }
    for act in acts {
        act(&engine);
    }
    // The first reads the record, the second may copy it, the third goes by what was copied.
    for _ in 0..3 {
        let found = |session: &OpenedSession| touch(&engine, session).rejection();
        assert_eq!(sessions.each_ref().map(found), expected);
    }
}

#[test]
fn what_stops_a_principal_or_all_sessions_stops_them_at_once() {
    let (off, disabled) = (Some(Rejection::SwitchedOff), Some(Rejection::Disabled));
    let revoked = Some(Rejection::Revoked);
    check(&[], [None; 3]);
    check(&[revoke_ann], [revoked, None, None]);
    check(&[disable_ann], [disabled, None, None]);
    check(&[disable_ann, enable_ann], [None; 3]);
    check(
        &[disable_ann, revoke_ann, enable_ann],
        [revoked, None, None],
    );
    check(&[switch_off, switch_on], [revoked; 3]);
    check(&[switch_off], [off; 3]);
    check(&[disable_ann, switch_off], [off; 3]);
}

#[test]
fn switching_off_leaves_none_in_memory() {
    let (engine, _) = in_memory();
    log_in(&engine, "ann");
    visit(&engine);
    switch_off(&engine);
    assert_eq!(engine.sessions().counts().all, 0);
}

/// Another engine on the same store moves the epoch on: this one finds out when the session is
/// presented, and ends it for good.
#[test]
fn an_epoch_that_somebody_else_moved_on_ends_the_session_here() {
    for act in [revoke_ann, |engine: &Engine| {
        switch_off(engine);
        switch_on(engine);
    }] {
        let (ears, clock) = (SessionEars::default(), ManualClock::default());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new([]));
        let engine = builder(&clock).observer(ears.clone());
        let engine = engine.open_store(Arc::clone(&store), &keys()).unwrap();
        let session = log_in(&engine, "ann");
        assert!(lets_in(&engine, &session));
        // It stays open: whoever goes closes the store.
        let other = on_store(&clock, store);
        act(&other);
        assert_eq!(engine.sessions().counts().all, 1);
        assert_eq!(rejected(&engine, &session), Rejection::Revoked);
        assert_eq!(ears.ends(), [EndedBy::Operator]);
        assert_eq!(engine.sessions().counts().all, 0);
    }
}

#[test]
fn who_is_shut_out_does_not_log_in() {
    let (engine, _) = in_memory();
    log_in(&engine, "ann");
    disable_ann(&engine);
    let refused = try_log_in(&engine, "ann").unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::Disabled));
    switch_off(&engine);
    let refused = Error::Refused(Refusal::SwitchedOff(Subsystem::Sessions));
    assert_eq!(try_log_in(&engine, "bob").unwrap_err(), refused);
    let visit = engine.sessions().start(Default::default()).wait();
    assert_eq!(visit.unwrap_err(), refused);
    switch_on(&engine);
    enable_ann(&engine);
    assert!(lets_in(&engine, &log_in(&engine, "ann")));
}

#[test]
fn a_principal_whose_record_is_gone_is_let_in_no_more() {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = on_store(&clock, Arc::clone(&store) as _);
    let session = log_in(&engine, "ann");
    assert!(lets_in(&engine, &session));
    let key = Keyring::new(&keys()).principal_key(&principal("ann"));
    let mut batch = countersign::core::Batch::deny();
    batch.delete(Key::principal(key), countersign::core::Expect::Any);
    store.commit(batch).wait().unwrap();
    assert_eq!(rejected(&engine, &session), Rejection::Unknown);
}

#[test]
fn a_revocation_holds_with_the_store_away_and_cannot_be_logged_in_over() {
    let clock = ManualClock::default();
    let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&gated) as _);
    let session = log_in(&engine, "ann");
    gated.turn_away(true);
    let principals = engine.principals();
    let revoked = principals.revoke_everything(principal("ann"), None).wait();
    assert!(!revoked.unwrap().durable);
    assert_eq!(rejected(&engine, &session), Rejection::Revoked);
    assert!(matches!(try_log_in(&engine, "ann"), Err(Error::Store(_))));
    gated.turn_away(false);
    engine.maintain().wait().unwrap();
    assert!(lets_in(&engine, &log_in(&engine, "ann")));
    assert!(!lets_in(&engine, &session));
}

#[test]
fn a_principal_who_is_disabled_with_the_store_away_is_out_at_once() {
    let clock = ManualClock::default();
    let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&gated) as _);
    let session = log_in(&engine, "ann");
    for _ in 0..2 {
        assert!(lets_in(&engine, &session));
    }
    gated.turn_away(true);
    let disabled = engine.principals().disable(principal("ann"), None).wait();
    assert!(!disabled.unwrap().durable);
    for _ in 0..2 {
        assert_eq!(rejected(&engine, &session), Rejection::Disabled);
    }
    gated.turn_away(false);
    engine.maintain().wait().unwrap();
    for _ in 0..2 {
        assert_eq!(rejected(&engine, &session), Rejection::Disabled);
    }
    enable_ann(&engine);
    assert!(lets_in(&engine, &session));
}

/// A log-in reads the records, everything is revoked, and only then does the log-in go on: of the
/// two, one has to see the other.
#[test]
fn a_log_in_that_a_revocation_overtakes_opens_nothing() {
    let clock = ManualClock::default();
    let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&gated) as _);
    log_in(&engine, "ann");
    let key = Keyring::new(&keys()).principal_key(&principal("ann"));
    let gate = gated.hold_next_load(&[Key::SYSTEM, Key::principal(key)]);
    thread::scope(|scope| {
        let late = scope.spawn(|| try_log_in(&engine, "ann"));
        assert!(wait_until(PATIENCE, || gate.is_reached()));
        revoke_ann(&engine);
        gate.open();
        let late = late.join().unwrap();
        assert!(
            matches!(late, Err(Error::Session(Denied::Gone(gone))) if gone.by == EndedBy::Operator),
            "{late:?}"
        );
    });
    let left = engine.sessions().list(principal("ann")).wait().unwrap();
    assert!(left.is_empty());
}

#[test]
fn a_refused_request_does_not_keep_a_session_alive() {
    let (engine, clock) = in_memory();
    let session = log_in(&engine, "ann");
    disable_ann(&engine);
    let idle = engine.policy().sessions().idle_timeout;
    clock.advance(idle.saturating_sub(MINUTE));
    assert_eq!(rejected(&engine, &session), Rejection::Disabled);
    clock.advance(MINUTE);
    enable_ann(&engine);
    assert_eq!(rejected(&engine, &session), Rejection::Expired);
}

#[test]
fn a_peek_keeps_nothing_alive_and_a_touch_does() {
    let (engine, clock) = in_memory();
    let sessions = [log_in(&engine, "ann"), log_in(&engine, "ann")];
    let idle = engine.policy().sessions().idle_timeout;
    clock.advance(idle.saturating_sub(MINUTE));
    let [used, looked_at] = &sessions;
    let live = touch(&engine, used).live().unwrap();
    assert_eq!(
        live.last_seen_at(),
        samples::NOW.after(idle.saturating_sub(MINUTE))
    );
    let peeked = engine
        .sessions()
        .peek(looked_at.token.expose(), None)
        .wait();
    assert!(peeked.unwrap().is_in());
    clock.advance(MINUTE + SECOND);
    assert!(lets_in(&engine, used));
    assert_eq!(rejected(&engine, looked_at), Rejection::Expired);
}

#[test]
fn what_becomes_of_sessions_is_told_once_and_not_of_visitors() {
    let ears = SessionEars::default();
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = builder(&clock).observer(ears.clone());
    let engine = engine.open_store(store, &keys()).unwrap();
    let sessions = engine.sessions();
    let visitor = visit(&engine);
    assert_eq!(ears.changes(), []);
    let login = NewLogIn::new(principal("ann"), Method::Password, SECOND);
    let ann = sessions
        .log_in(Some(visitor.session), login)
        .wait()
        .unwrap();
    let login = SessionChange::LoggedIn(Method::Password);
    assert_eq!(
        ears.changes(),
        [SessionChange::Ended(EndedBy::LogIn), login]
    );
    let ann = sessions.renew(&ann.session).wait().unwrap();
    let factor = Method::MultiFactor;
    let ann = sessions
        .elevate(&ann.session, factor, SECOND)
        .wait()
        .unwrap();
    assert!(ann.session.is_fresh());
    let elevated = SessionChange::Elevated(factor);
    assert_eq!(ears.changes(), [SessionChange::Renewed, elevated]);
    let out = sessions.log_out(&ann.session).wait().unwrap();
    assert_eq!(
        (out.already, ears.ends()),
        (false, vec![EndedBy::Principal])
    );
    let again = sessions.log_out(&ann.session).wait().unwrap();
    assert_eq!((again.already, ears.ends()), (true, vec![]));

    let other = log_in(&engine, "ann");
    sessions
        .end(other.session.selector(), EndedBy::Theft)
        .wait()
        .unwrap();
    log_in(&engine, "ann");
    revoke_ann(&engine);
    assert_eq!(ears.ends(), [EndedBy::Theft, EndedBy::Operator]);
    let visitor = visit(&engine);
    clock.advance(engine.policy().sessions().idle_timeout);
    assert_eq!(engine.sweep(1000).wait().unwrap().sessions_ended, 1);
    assert_eq!(ears.ends(), [EndedBy::Idle]);
    assert_eq!(rejected(&engine, &visitor), Rejection::Expired);
}

#[test]
fn an_ended_session_is_told_of_to_who_proves_it_and_to_nobody_else() {
    let (engine, _) = in_memory();
    let session = log_in(&engine, "ann");
    let selector = session.session.selector();
    engine
        .sessions()
        .end(selector, EndedBy::Operator)
        .wait()
        .unwrap();
    let refused = |opened: &OpenedSession| match touch(&engine, opened) {
        countersign::SessionVerdict::Refused(refused) => refused,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&session), Refused::Gone(gone) if gone.by == EndedBy::Operator));
    let forged = crate::session_help::with_wrong_secret(&engine, selector);
    let verdict = engine.sessions().touch(forged, None).wait().unwrap();
    assert_eq!(verdict.rejection(), Some(Rejection::Mismatch));
    let again = engine.sessions().end(selector, EndedBy::Operator).wait();
    assert_eq!(again.unwrap_err().code(), "session_ended");
}
