//! Hazard: a device that was forgotten comes back because the disk failed just then, or a secret
//! is handed out that the disk does not have.

use crate::denials::{Sick, on_time, sick_at};
use crate::support::{
    Home, MINUTE, PATIENCE, SECOND, device, forgotten, handed, options, present, principal,
    remember,
};
use countersign::core::Key;
use countersign::store::Health;
use countersign::{
    Engine, Error, Event, EventKind, Maintenance, Observer, Recall, Refusal, Rejection, Remembered,
    SeriesEndCause, SeriesState, Subsystem,
};
use countersign_testkit::{Fault, Faults, Lasting, ManualClock, samples, wait_until};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// What may be answered while the disk fails.
#[track_caller]
fn expected(error: &Error) {
    let known = error.is_retryable() || matches!(error, Error::Unknown(_));
    assert!(known, "{error:?}");
}

fn is_in(engine: &Engine, started: &Remembered) -> bool {
    present(engine, started.token.expose()).is_in()
}

fn why(engine: &Engine, started: &Remembered) -> Rejection {
    forgotten(engine, started.token.expose())
}

/// A device whose secret is due to be replaced.
fn due(clock: &ManualClock, engine: &Engine) -> (Remembered, String) {
    let started = remember(engine, "ann");
    let text = started.token.expose().to_owned();
    clock.advance(MINUTE * 10);
    (started, text)
}

fn state(engine: &Engine, started: &Remembered) -> SeriesState {
    let shown = engine.remember().show(started.selector).wait().unwrap();
    shown.unwrap().state
}

#[test]
fn a_successor_whose_commit_may_not_last_is_not_handed_out() {
    for written in [false, true] {
        let (store, engine, clock) = sick_at();
        let (started, old) = due(&clock, &engine);
        let flag = if written { &store.lost } else { &store.unknown };
        flag.store(true, Ordering::SeqCst);
        let told = engine.remember().present(&old, None).wait();
        assert!(matches!(told, Err(Error::Unknown(_))), "{told:?}");

        // With the disk well again: one chain, whether it had been written or not.
        let successor = handed(&engine, &old).unwrap();
        assert_eq!(handed(&engine, &old), Some(successor.clone()));
        let shown = engine.remember().show(started.selector).wait().unwrap();
        assert_eq!(shown.unwrap().generation, 1);
        assert_eq!(handed(&engine, &successor), None);
    }
}

#[test]
fn a_commit_that_was_turned_away_hands_out_nothing_either() {
    let (store, engine, clock) = sick_at();
    let (started, old) = due(&clock, &engine);
    store.closed.store(true, Ordering::SeqCst);
    assert!(engine.remember().present(&old, None).wait().is_err());
    store.closed.store(false, Ordering::SeqCst);
    let shown = engine.remember().show(started.selector).wait().unwrap();
    assert_eq!(shown.unwrap().generation, 0);
    assert!(handed(&engine, &old).is_some());
}

#[test]
fn a_full_disk_keeps_secrets_from_being_replaced_and_no_device_from_coming_in() {
    let (store, engine, clock) = sick_at();
    let (started, old) = due(&clock, &engine);
    store.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(handed(&engine, &old), None);
    }
    let refused = engine.remember().start(device("ann")).wait().unwrap_err();
    assert_eq!(refused.code(), "no_room");
    let shown = engine.remember().show(started.selector).wait().unwrap();
    assert_eq!(shown.unwrap().generation, 0);
    // And theft is proven all the same, once it can be.
    store.full.store(false, Ordering::SeqCst);
    let successor = handed(&engine, &old).unwrap();
    assert_eq!(handed(&engine, &successor), None);
    clock.advance(MINUTE * 2);
    store.full.store(true, Ordering::SeqCst);
    assert_eq!(forgotten(&engine, &old), Rejection::Reused);
    assert_eq!(forgotten(&engine, &successor), Rejection::Reused);
    assert_eq!(engine.stats().waiting_denials, 0, "there is room for that");
}

#[test]
fn a_full_disk_keeps_out_neither_the_first_to_show_a_successor_nor_who_lost_it() {
    let (store, engine, clock) = sick_at();
    let (started, old) = due(&clock, &engine);
    let successor = handed(&engine, &old).unwrap();
    // Lost so long ago that its age would be written anew with it.
    clock.advance(MINUTE * 10);
    store.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(handed(&engine, &old), None, "it goes on with what it has");
        assert_eq!(handed(&engine, &successor), None, "and so does this one");
    }
    let shown = engine.remember().show(started.selector).wait().unwrap();
    assert_eq!(shown.unwrap().generation, 1);
    // With room again: the same successor, which its first use does not replace.
    store.full.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(handed(&engine, &old), Some(successor.clone()));
    }
    assert_eq!(handed(&engine, &successor), None);
    clock.advance(MINUTE * 2);
    assert_eq!(forgotten(&engine, &old), Rejection::Reused);
}

/// Revokes a device, on a disk that fails, at the moment at which its rotation is told of.
#[derive(Default)]
struct Meddler(OnceLock<(Arc<Sick>, Engine)>);

impl fmt::Debug for Meddler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meddler")
    }
}

impl Observer for &'static Meddler {
    fn event(&self, event: &Event) {
        if let (EventKind::Rotated, Some((store, engine))) = (event.kind, self.0.get()) {
            store.unknown.store(true, Ordering::SeqCst);
            let selector = event.credential.unwrap().selector;
            let revoked = engine.remember().revoke(selector, None).wait().unwrap();
            assert!(!revoked.durable);
        }
    }
}

#[test]
fn no_successor_is_handed_out_over_a_denial_that_came_while_it_was_written() {
    let (store, engine, clock) = sick_at();
    let (_, old) = due(&clock, &engine);
    let meddler: &'static Meddler = Box::leak(Box::default());
    let watched = Engine::builder()
        .clock(clock.clone())
        .observer(meddler)
        .maintenance(Maintenance::HostDriven)
        .open_store(Arc::clone(&store) as _, &samples::keys())
        .unwrap();
    assert!(meddler.0.set((store, watched.clone())).is_ok());
    assert_eq!(forgotten(&watched, &old), Rejection::Revoked);
    assert_eq!(watched.stats().waiting_denials, 1);
}

#[test]
fn a_theft_that_the_disk_could_not_take_ends_the_device_all_the_same() {
    for written in [None, Some(false), Some(true)] {
        let (store, engine, clock) = sick_at();
        let (started, old) = due(&clock, &engine);
        let successor = handed(&engine, &old).unwrap();
        assert_eq!(handed(&engine, &successor), None);
        clock.advance(MINUTE * 2);
        let fail = || match written {
            None => store.closed.store(true, Ordering::SeqCst),
            Some(false) => store.unknown.store(true, Ordering::SeqCst),
            Some(true) => store.lost.store(true, Ordering::SeqCst),
        };
        for _ in 0..3 {
            fail();
            assert_eq!(forgotten(&engine, &old), Rejection::Reused);
        }
        assert!(engine.stats().waiting_denials <= 1);
        let out = forgotten(&engine, &successor);
        assert!(matches!(out, Rejection::Revoked | Rejection::Reused));

        store.closed.store(false, Ordering::SeqCst);
        store.unknown.store(false, Ordering::SeqCst);
        store.lost.store(false, Ordering::SeqCst);
        engine.maintain().wait().unwrap();
        assert_eq!(engine.stats().waiting_denials, 0);
        assert_ne!(state(&engine, &started), SeriesState::Live);
        assert!(!present(&on_time(&store, &clock), &successor).is_in());
    }
}

/// Everything that forgets a device while nothing can be written.
#[test]
fn what_is_forgotten_while_the_disk_fails_is_forgotten_from_then_on() {
    type Deny = fn(&Engine, &Remembered) -> countersign::Revocation;
    let denials: [(Deny, Rejection); 6] = [
        (
            |engine, it| engine.remember().revoke(it.selector, None).wait().unwrap(),
            Rejection::Revoked,
        ),
        (
            |engine, _| {
                let forget = engine.remember().forget(principal("ann"), None, None);
                forget.wait().unwrap()
            },
            Rejection::Revoked,
        ),
        (
            |engine, _| engine.remember().revoke_all(None).wait().unwrap(),
            Rejection::Revoked,
        ),
        (
            |engine, _| {
                let all = engine
                    .principals()
                    .revoke_everything(principal("ann"), None);
                all.wait().unwrap()
            },
            Rejection::Revoked,
        ),
        (
            |engine, _| {
                let disabled = engine.principals().disable(principal("ann"), None);
                disabled.wait().unwrap()
            },
            Rejection::Disabled,
        ),
        (
            |engine, _| {
                let off = engine.switches().off(Subsystem::RememberMe, None);
                off.wait().unwrap()
            },
            Rejection::SwitchedOff,
        ),
    ];
    for (number, (deny, reason)) in denials.into_iter().enumerate() {
        let (store, engine, clock) = sick_at();
        let started = remember(&engine, "ann");
        assert!(is_in(&engine, &started));
        store.unknown.store(true, Ordering::SeqCst);
        assert!(!deny(&engine, &started).durable, "{number}");
        assert_eq!(why(&engine, &started), reason, "{number}");
        // Nor does a rotation that is due get past it.
        clock.advance(MINUTE * 10);
        assert_eq!(why(&engine, &started), reason, "{number}");
        let check = engine.remember().check(started.token.expose());
        assert_eq!(check.wait().unwrap().rejection(), Some(reason));
        // A wrong secret is told nothing of it.
        let wrong = crate::support::wrong_device(&engine, started.selector, 1);
        assert_eq!(forgotten(&engine, &wrong), Rejection::Mismatch);

        assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
        assert_eq!(engine.stats().waiting_denials, 0);
        assert_eq!(why(&engine, &started), reason, "{number}: from the store");
        assert_eq!(why(&on_time(&store, &clock), &started), reason, "{number}");
    }
}

#[test]
fn nothing_is_started_over_a_denial_that_waits() {
    let (store, engine, _) = sick_at();
    let (kept, other) = (remember(&engine, "ann"), remember(&engine, "ann"));
    let stranger = remember(&engine, "bob");
    store.unknown.store(true, Ordering::SeqCst);
    let forget = engine
        .remember()
        .forget(principal("ann"), Some(kept.selector), None);
    assert!(!forget.wait().unwrap().durable);
    assert_eq!(why(&engine, &other), Rejection::Revoked);
    assert!(is_in(&engine, &kept) && is_in(&engine, &stranger));
    let refused = engine.remember().start(device("ann")).wait().unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    remember(&engine, "bob");

    assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
    let new = remember(&engine, "ann");
    engine.maintain().wait().unwrap();
    assert!(is_in(&engine, &new) && is_in(&engine, &kept));
    assert_eq!(why(&engine, &other), Rejection::Revoked);

    store.unknown.store(true, Ordering::SeqCst);
    let disabled = engine.principals().disable(principal("ann"), None);
    assert!(!disabled.wait().unwrap().durable);
    let refused = engine.remember().start(device("ann")).wait().unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::Disabled));
    store.unknown.store(true, Ordering::SeqCst);
    let off = engine.switches().off(Subsystem::RememberMe, None);
    assert!(!off.wait().unwrap().durable);
    let refused = engine.remember().start(device("bob")).wait().unwrap_err();
    let refusal = Refusal::SwitchedOff(Subsystem::RememberMe);
    assert_eq!(refused, Error::Refused(refusal));
}

#[test]
fn a_device_whose_record_is_damaged_keeps_no_other_from_being_forgotten() {
    let (store, engine, _) = sick_at();
    let (damaged, other) = (remember(&engine, "ann"), remember(&engine, "ann"));
    store
        .damaged
        .lock()
        .unwrap()
        .push(Key::series(damaged.selector));
    let told = engine
        .remember()
        .present(damaged.token.expose(), None)
        .wait();
    assert!(matches!(told, Err(Error::Store(_))), "{told:?}");
    let forget = engine.remember().forget(principal("ann"), None, None);
    assert!(forget.wait().unwrap().durable);
    assert_eq!(why(&engine, &other), Rejection::Revoked);
    // Should it read again one day, it is gone.
    store.damaged.lock().unwrap().clear();
    assert_eq!(why(&engine, &damaged), Rejection::Unknown);
    assert_eq!(engine.stats().waiting_denials, 0);
}

#[test]
fn a_damaged_device_does_not_keep_its_owner_from_another() {
    let (store, engine, clock) = sick_at();
    let first = remember(&engine, "ann");
    for _ in 1..20 {
        clock.advance(SECOND);
        remember(&engine, "ann");
    }
    store
        .damaged
        .lock()
        .unwrap()
        .push(Key::series(first.selector));
    let new = remember(&engine, "ann");
    assert!(is_in(&engine, &new));
    store.damaged.lock().unwrap().clear();
    assert_eq!(why(&engine, &first), Rejection::Unknown);
}

#[test]
fn revoking_what_nobody_has_denies_nothing_and_revoking_again_changes_nothing() {
    let (_, engine, _) = sick_at();
    let started = remember(&engine, "ann");
    let revoke = |selector| engine.remember().revoke(selector, None).wait();
    let nobody = countersign::Selector::mint(
        countersign::Timestamp::ZERO,
        countersign::core::ShardTag::NONE,
        [1; 8],
    );
    assert_eq!(revoke(nobody), Err(Error::Refused(Refusal::NotFound)));
    assert_eq!(engine.stats().waiting_denials, 0);
    assert!(!revoke(started.selector).unwrap().already);
    assert!(revoke(started.selector).unwrap().already);
    let forget = |name| engine.remember().forget(principal(name), None, None).wait();
    assert!(forget("ann").unwrap().already && forget("nobody-yet").unwrap().already);
    let shown = engine.remember().show(started.selector).wait().unwrap();
    let cause = shown.unwrap().end.unwrap().cause;
    assert_eq!(cause, SeriesEndCause::Revoked(None));
}

/// The same on a file whose disk goes away.
#[test]
fn while_the_disk_is_gone_a_device_can_still_be_forgotten() {
    let (home, faults) = (Home::new(), Faults::new());
    let redb = options().backend(faults.hook()).cache_bytes(16 * 1024);
    let engine = home.builder().redb(redb).open(home.path()).unwrap();
    let [kept, lost, other] = ["ann", "ann", "bob"].map(|name| remember(&engine, name));
    assert!([&kept, &lost, &other].iter().all(|it| is_in(&engine, it)));
    home.clock.advance(MINUTE * 10);

    faults.fail(None, 0, Fault::Io, Lasting::ForEver);
    let told = engine.remember().present(other.token.expose(), None).wait();
    expected(&told.unwrap_err());
    let down = || matches!(engine.stats().health, Health::Degraded | Health::Reopening);
    assert!(wait_until(PATIENCE, down));
    let forget = engine
        .remember()
        .forget(principal("ann"), Some(kept.selector), None);
    assert!(!forget.wait().unwrap().durable);
    let revoke = engine.remember().revoke(other.selector, None);
    assert!(!revoke.wait().unwrap().durable);
    for it in [&lost, &other] {
        match engine.remember().present(it.token.expose(), None).wait() {
            Ok(recall) => assert!(matches!(recall, Recall::Refused(_))),
            Err(error) => expected(&error),
        }
    }
    faults.mend();
    let healthy = || engine.stats().health == Health::Healthy;
    assert!(wait_until(PATIENCE, healthy), "{:?}", engine.stats());
    assert_eq!(why(&engine, &lost), Rejection::Revoked, "from memory still");
    assert_eq!(engine.maintain().wait().unwrap().denials_written, 2);
    let as_told = |engine: &Engine| {
        assert_eq!(why(engine, &lost), Rejection::Revoked);
        assert_eq!(why(engine, &other), Rejection::Revoked);
        let check = engine.remember().check(kept.token.expose()).wait();
        assert!(check.unwrap().is_in());
    };
    as_told(&engine);
    engine.close().wait().unwrap();
    as_told(&home.open());
}
