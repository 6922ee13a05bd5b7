//! Hazard: a restart signs everybody out, or brings back whoever was signed out; or what is kept
//! over it keeps the engine from opening.

use crate::session_help::{
    Elsewhere, FRESH, SessionEars, add, lets_in, log_in, rejected, touch, visit,
};
use crate::support::{Home, MINUTE, contents, policy, principal, remember};
use countersign::session::SnapshotError;
use countersign::{
    Adoption, Draft, EndedBy, Engine, Method, Mode, NewLogIn, OpenedSession, Rejection, Remembered,
    RestoreFault, SessionVerdict, Subsystem, Value,
};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

fn snapshot_of(home: &Home) -> PathBuf {
    home.dir.path().join("state.sessions")
}

fn damaged_of(home: &Home) -> PathBuf {
    home.dir.path().join("state.sessions.damaged")
}

#[track_caller]
fn close(engine: Engine) {
    engine.close().wait().unwrap();
    drop(engine);
}

/// An engine that has written what it holds and then is as good as killed: what it changes from
/// here on reaches no snapshot. Answers the snapshot's bytes.
fn snapshot_now(home: &Home, engine: &Engine) -> Vec<u8> {
    home.clock
        .advance(engine.policy().sessions().snapshot_interval);
    engine.maintain().wait().unwrap();
    fs::read(snapshot_of(home)).unwrap()
}

#[test]
fn a_clean_close_keeps_every_session_with_all_it_had() {
    let home = Home::new();
    let engine = home.open();
    let sessions = engine.sessions();
    let ann = log_in(&engine, "ann");
    sessions.update(&ann.session, add("n")).wait().unwrap();
    let visitor = visit(&engine);
    let expires_at = touch(&engine, &ann).live().unwrap().expires_at();
    close(engine);
    let ears = SessionEars::default();
    let engine = home.builder().observer(ears.clone());
    let engine = engine.open(home.path()).unwrap();
    let live = touch(&engine, &ann).live().unwrap();
    assert_eq!(live.attributes().find("n"), Some(&Value::Integer(1)));
    assert_eq!((live.is_fresh(), live.expires_at()), (true, expires_at));
    assert!(lets_in(&engine, &visitor));
    let reports = ears.restored.lock().unwrap().clone();
    let [report] = &reports[..] else {
        panic!("{reports:?}");
    };
    assert_eq!(report.outcome.as_ref().unwrap().living, 2);
    assert_eq!(report.place, snapshot_of(&home).display().to_string());
    assert_eq!(
        engine.stats().session_snapshot.restored,
        Some(report.clone())
    );
    // It stays until another takes its place.
    assert!(snapshot_of(&home).exists());
}

#[test]
fn where_there_are_no_sessions_there_is_no_file() {
    let home = Home::new();
    let engine = home.open();
    engine.maintain().wait().unwrap();
    close(engine);
    assert!(!snapshot_of(&home).exists());
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    snapshot_now(&home, &engine);
    engine.sessions().log_out(&ann.session).wait().unwrap();
    close(engine);
    assert!(!snapshot_of(&home).exists());
}

/// What is done after the snapshot was written, and what becomes of ann's session after a kill.
#[track_caller]
fn check(act: impl FnOnce(&Engine, &OpenedSession), expected: Option<Rejection>) {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    let bytes = snapshot_now(&home, &engine);
    act(&engine, &ann);
    close(engine);
    // As if it had been killed before it wrote another one.
    fs::write(snapshot_of(&home), bytes).unwrap();
    let engine = home.open();
    assert_eq!(touch(&engine, &ann).rejection(), expected);
}

#[test]
fn no_epoch_that_has_moved_on_lets_anybody_back() {
    check(|_, _| (), None);
    let unknown = Some(Rejection::Unknown);
    let revoke = |engine: &Engine, _: &OpenedSession| {
        let principals = engine.principals();
        principals
            .revoke_everything(principal("ann"), None)
            .wait()
            .unwrap();
    };
    check(revoke, unknown);
    let off_and_on = |engine: &Engine, _: &OpenedSession| {
        let switches = engine.switches();
        switches.off(Subsystem::Sessions, None).wait().unwrap();
        switches.on(Subsystem::Sessions, None).wait().unwrap();
    };
    check(off_and_on, unknown);
    let disable = |engine: &Engine, _: &OpenedSession| {
        engine
            .principals()
            .disable(principal("ann"), None)
            .wait()
            .unwrap();
    };
    check(disable, Some(Rejection::Disabled));
    // This one is what an interval can bring back.
    let log_out = |engine: &Engine, ann: &OpenedSession| {
        engine.sessions().log_out(&ann.session).wait().unwrap();
    };
    check(log_out, None);
}

#[test]
fn no_session_of_a_device_that_was_revoked_or_stolen_comes_back() {
    type End = fn(&Engine, &Remembered);
    let ends: [(&str, End); 3] = [
        ("nothing", |_, _| ()),
        ("revoked", |engine, device| {
            let revoked = engine.remember().revoke(device.selector, None);
            assert!(revoked.wait().unwrap().durable);
        }),
        ("every device forgotten", |engine, _| {
            engine.remember().revoke_all(None).wait().unwrap();
        }),
    ];
    for (what, end) in ends {
        let home = Home::new();
        let engine = home.open();
        let device = remember(&engine, "ann");
        let mut login = NewLogIn::new(principal("ann"), Method::Password, FRESH);
        login.series = Some(device.selector);
        let ann = engine.sessions().log_in(None, login).wait().unwrap();
        let bytes = snapshot_now(&home, &engine);
        end(&engine, &device);
        close(engine);
        fs::write(snapshot_of(&home), bytes).unwrap();
        let engine = home.open();
        assert_eq!(lets_in(&engine, &ann), what == "nothing", "{what}");
    }
}

#[test]
fn what_ends_many_without_an_epoch_is_in_the_next_snapshot_at_once() {
    let home = Home::new();
    let engine = home.open();
    let (ann, bob) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
    let before = snapshot_now(&home, &engine);
    engine.maintain().wait().unwrap();
    assert_eq!(fs::read(snapshot_of(&home)).unwrap(), before, "not due");
    let ended = engine
        .sessions()
        .end_all(&principal("ann"), EndedBy::Operator);
    assert_eq!(ended.wait().unwrap(), 1);
    engine.maintain().wait().unwrap();
    let after = fs::read(snapshot_of(&home)).unwrap();
    close(engine);
    fs::write(snapshot_of(&home), after).unwrap();
    let engine = home.open();
    assert!(!lets_in(&engine, &ann) && lets_in(&engine, &bob));
}

#[test]
fn ending_the_sessions_of_somebody_who_has_none_asks_for_no_snapshot() {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    snapshot_now(&home, &engine);
    let before = engine.stats().session_snapshot.written_at;
    for _ in 0..8 {
        home.clock.advance(Duration::from_millis(250));
        let (sessions, by) = (engine.sessions(), EndedBy::Principal);
        let others = sessions.end_others(&principal("ann"), ann.session.selector(), by);
        assert_eq!(others.wait().unwrap(), 0);
        let nobody = engine.sessions().end_all(&principal("bob"), by);
        assert_eq!(nobody.wait().unwrap(), 0);
        engine.maintain().wait().unwrap();
    }
    assert_eq!(engine.stats().session_snapshot.written_at, before);
}

#[test]
fn whatever_ends_many_asks_for_a_snapshot_at_once_where_it_ended_any() {
    type End = fn(&Engine) -> u64;
    let ends: [(&str, End); 3] = [
        ("everything", |engine| {
            let ended = engine.sessions().end_everything(EndedBy::Operator);
            ended.wait().unwrap()
        }),
        ("every device's", |engine| {
            let before = engine.sessions().counts().all;
            engine.remember().revoke_all(None).wait().unwrap();
            before - engine.sessions().counts().all
        }),
        ("all of ann's", |engine| {
            let (ann, by) = (principal("ann"), EndedBy::Operator);
            engine.sessions().end_all(&ann, by).wait().unwrap()
        }),
    ];
    for (what, end) in ends {
        let home = Home::new();
        let engine = home.open();
        let written_at = || engine.stats().session_snapshot.written_at;
        // There is somebody, unless that would be ended too.
        if what != "everything" {
            log_in(&engine, "bob");
            snapshot_now(&home, &engine);
        }
        let before = written_at();
        home.clock.advance(Duration::from_millis(250));
        assert_eq!(end(&engine), 0, "{what}");
        engine.maintain().wait().unwrap();
        assert_eq!(written_at(), before, "{what}: nothing was ended");

        let device = remember(&engine, "ann");
        let mut login = NewLogIn::new(principal("ann"), Method::Password, FRESH);
        login.series = Some(device.selector);
        engine.sessions().log_in(None, login).wait().unwrap();
        let bytes = snapshot_now(&home, &engine);
        home.clock.advance(Duration::from_millis(250));
        assert_eq!(end(&engine), 1, "{what}");
        engine.maintain().wait().unwrap();
        assert_eq!(written_at(), Some(engine.now()), "{what}");
        let after = fs::read(snapshot_of(&home)).ok();
        assert_ne!(after, Some(bytes), "{what}: a kill would bring it back");
    }
}

#[test]
fn what_a_reader_may_not_switch_off_ends_nobody_s_session_there() {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    close(engine);
    let reader = home.builder().mode(Mode::ReadOnly);
    let reader = reader.open(home.path()).unwrap();
    for subsystem in [Subsystem::Sessions, Subsystem::RememberMe] {
        let refused = reader.switches().off(subsystem, None).wait();
        assert_eq!(refused.unwrap_err().code(), "read_only");
        assert!(lets_in(&reader, &ann), "{subsystem:?}");
    }
}

#[test]
fn where_sessions_are_not_carried_over_any_more_none_of_before_is_left_to_come_back() {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    let bytes = snapshot_now(&home, &engine);
    let off = || policy(|draft| draft.sessions.snapshot = false);
    engine.set_policy(off()).wait().unwrap();
    engine.maintain().wait().unwrap();
    assert!(!snapshot_of(&home).exists(), "gone at once");
    engine.sessions().log_out(&ann.session).wait().unwrap();
    close(engine);

    // As if it had been killed before it could take it away.
    fs::write(snapshot_of(&home), bytes).unwrap();
    let engine = home.open();
    assert!(!snapshot_of(&home).exists(), "gone at the opening");
    engine.set_policy(policy(|_| ())).wait().unwrap();
    close(engine);
    assert!(!lets_in(&home.open(), &ann), "logged out long ago");
}

#[test]
fn time_passes_while_nobody_looks() {
    let home = Home::new();
    let engine = home.open();
    let (ann, bob) = (log_in(&engine, "ann"), log_in(&engine, "bob"));
    let idle = engine.policy().sessions().idle_timeout;
    home.clock.advance(idle.saturating_sub(MINUTE));
    assert!(lets_in(&engine, &bob));
    close(engine);
    home.clock.advance(MINUTE);
    let engine = home.open();
    assert_eq!(rejected(&engine, &ann), Rejection::Unknown);
    assert!(lets_in(&engine, &bob));
}

/// A snapshot that was changed by `change` while nobody had the store.
#[track_caller]
fn restored_from(change: impl FnOnce(&Home, Vec<u8>) -> Vec<u8>) -> (Home, Engine, OpenedSession) {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    close(engine);
    let changed = change(&home, fs::read(snapshot_of(&home)).unwrap());
    fs::write(snapshot_of(&home), changed).unwrap();
    let engine = home.open();
    (home, engine, ann)
}

#[test]
fn no_damage_to_it_keeps_the_engine_from_opening() {
    let len = restored_from(|_, bytes| bytes).0;
    let len = fs::read(snapshot_of(&len)).unwrap().len();
    // Every byte of the head, and some of the record.
    for at in (0..len).filter(|at| *at < 64 || at % 17 == 0) {
        let (home, engine, ann) = restored_from(|_, mut bytes| {
            bytes[at] ^= 0x10;
            bytes
        });
        assert!(!lets_in(&engine, &ann), "byte {at}");
        let report = engine.stats().session_snapshot.restored.unwrap();
        match report.outcome {
            Ok(restored) => assert_eq!((restored.damaged, restored.living), (1, 0), "byte {at}"),
            Err(_) => {
                let aside = damaged_of(&home).display().to_string();
                assert_eq!(report.set_aside, Some(aside), "byte {at}");
            }
        }
        assert!(lets_in(&engine, &log_in(&engine, "ann")));
    }
}

#[test]
fn one_that_cannot_be_used_is_told_of_and_set_aside() {
    let foreign = |_: &Home, _: Vec<u8>| {
        let other = Home::new();
        let engine = other.open();
        log_in(&engine, "ann");
        close(engine);
        fs::read(snapshot_of(&other)).unwrap()
    };
    type Change = Box<dyn FnOnce(&Home, Vec<u8>) -> Vec<u8>>;
    let changes: [(Change, SnapshotError); 5] = [
        (Box::new(foreign), SnapshotError::Damaged),
        (Box::new(|_, _| Vec::new()), SnapshotError::NotASnapshot),
        (
            Box::new(|_, _| b"hello".to_vec()),
            SnapshotError::NotASnapshot,
        ),
        (
            Box::new(|_, mut bytes| {
                bytes.pop();
                bytes
            }),
            SnapshotError::Length,
        ),
        (
            Box::new(|_, bytes| [bytes, vec![0]].concat()),
            SnapshotError::Length,
        ),
    ];
    for (change, expected) in changes {
        let (home, engine, ann) = restored_from(change);
        let report = engine.stats().session_snapshot.restored.unwrap();
        assert_eq!(report.outcome, Err(RestoreFault::Refused(expected)));
        assert!(damaged_of(&home).exists() && !snapshot_of(&home).exists());
        assert!(!lets_in(&engine, &ann));
        log_in(&engine, "ann");
        close(engine);
        let engine = home.open();
        assert_eq!(engine.stats().sessions.all, 1);
    }
}

#[test]
fn a_directory_in_its_place_is_told_of_at_close_and_hurts_nothing_else() {
    let home = Home::new();
    fs::create_dir(snapshot_of(&home)).unwrap();
    fs::write(snapshot_of(&home).join("x"), b"x").unwrap();
    // The one that was set aside before is in the way as well.
    fs::create_dir(damaged_of(&home)).unwrap();
    fs::write(damaged_of(&home).join("x"), b"x").unwrap();
    let engine = home.open();
    let report = engine.stats().session_snapshot.restored.unwrap();
    assert!(matches!(report.outcome, Err(RestoreFault::Io(_))));
    assert_eq!(report.set_aside, None);
    log_in(&engine, "ann");
    home.clock.advance(MINUTE);
    engine.maintain().wait().unwrap();
    assert!(engine.stats().session_snapshot.failure.is_some());
    assert_eq!(engine.close().wait().unwrap_err().code(), "io");
    drop(home.open());
}

#[test]
fn with_it_switched_off_nothing_is_kept() {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    close(engine);
    let off = || policy(|draft: &mut Draft| draft.sessions.snapshot = false);
    let engine = home.builder().policy(off()).open(home.path()).unwrap();
    assert!(!lets_in(&engine, &ann));
    log_in(&engine, "ann");
    home.clock.advance(MINUTE);
    engine.maintain().wait().unwrap();
    close(engine);
    assert!(!snapshot_of(&home).exists());
}

#[test]
fn who_only_reads_takes_it_in_and_leaves_it_as_it_is() {
    let home = Home::new();
    let engine = home.open();
    let ann = log_in(&engine, "ann");
    close(engine);
    let before = contents(home.dir.path());
    let reader = home
        .builder()
        .mode(Mode::ReadOnly)
        .open(home.path())
        .unwrap();
    assert!(lets_in(&reader, &ann));
    let ended = reader
        .sessions()
        .end_all(&principal("ann"), EndedBy::Operator);
    assert_eq!(ended.wait().unwrap(), 1);
    reader.maintain().wait().ok();
    close(reader);
    assert_eq!(contents(home.dir.path()), before);
    fs::write(snapshot_of(&home), b"damaged").unwrap();
    let before = contents(home.dir.path());
    let reader = home
        .builder()
        .mode(Mode::ReadOnly)
        .open(home.path())
        .unwrap();
    assert!(!lets_in(&reader, &ann));
    close(reader);
    assert_eq!(contents(home.dir.path()), before);
}

#[test]
fn sessions_that_are_kept_elsewhere_come_back_from_there_and_lie_nowhere_else() {
    let (home, place) = (Home::new(), Elsewhere::named("elsewhere"));
    let open = || {
        let there = home.builder().session_snapshot_in(Arc::clone(&place) as _);
        there.open(home.path()).unwrap()
    };
    let engine = open();
    let ann = log_in(&engine, "ann");
    close(engine);
    assert!(place.bytes().is_some() && !snapshot_of(&home).exists());
    let engine = open();
    assert!(lets_in(&engine, &ann));
    let named = engine.stats().session_snapshot.place;
    assert_eq!(named.as_deref(), Some("elsewhere"));
    engine.sessions().log_out(&ann.session).wait().unwrap();
    close(engine);
    assert_eq!(place.bytes(), None);
    let times = (place.claimed.load(SeqCst), place.released.load(SeqCst));
    assert_eq!(times, (2, 2), "claimed and let go of");
}

#[test]
fn an_adopted_copy_whose_credentials_end_revives_no_session() {
    for (adoption, living) in [(Adoption::Keep, true), (Adoption::EndAll, false)] {
        let home = Home::new();
        let engine = home.open();
        let ann = log_in(&engine, "ann");
        let visitor = visit(&engine);
        close(engine);
        let copied = home.dir.path().join("copied.redb");
        fs::copy(home.path(), &copied).unwrap();
        fs::copy(home.key_path(), copied.with_extension("key")).unwrap();
        fs::copy(snapshot_of(&home), copied.with_extension("sessions")).unwrap();
        let copy = home.builder().adopt(adoption).open(&copied).unwrap();
        for session in [&ann, &visitor] {
            assert_eq!(lets_in(&copy, session), living, "{adoption:?}");
        }
    }
}

#[test]
fn no_token_and_no_secret_is_in_it_or_printed() {
    let home = Home::new();
    let engine = home.open();
    let login = NewLogIn::new(principal("ann"), Method::Password, FRESH);
    let ann = engine.sessions().log_in(None, login).wait().unwrap();
    let verdict = touch(&engine, &ann);
    let listed = engine.sessions().list(principal("ann")).wait().unwrap();
    let printed = format!(
        "{ann:?} {verdict:?} {listed:?} {engine:?} {:?} {:?}",
        engine.sessions().page(0).wait().unwrap(),
        engine.stats()
    );
    let SessionVerdict::In(live) = verdict else {
        panic!("it was let in");
    };
    let keyring = {
        let keys = countersign::keyfile::read(&home.key_path()).unwrap();
        countersign::core::Keyring::new(&keys)
    };
    let csrf = live.csrf_secret(&keyring);
    let text = ann.token.expose().to_owned();
    let token = engine
        .format()
        .parse(countersign::CredentialKind::Session, text.as_bytes());
    let verifier = *token.unwrap().verifier().expose();
    close(engine);
    let bytes = fs::read(snapshot_of(&home)).unwrap();
    let rows: Vec<u8> = crate::support::rows(&home.path())
        .iter()
        .flat_map(|row| format!("{row:?}").into_bytes())
        .collect();
    let has = |hay: &[u8], needle: &[u8]| hay.windows(needle.len()).any(|at| at == needle);
    for hay in [&bytes[..], &rows, printed.as_bytes()] {
        assert!(!has(hay, text.as_bytes()) && !has(hay, &text.as_bytes()[10..]));
        assert!(!has(hay, &verifier) && !has(hay, csrf.expose()));
    }
    assert!(has(&bytes, b"ann") && printed.contains("ann"));
}
