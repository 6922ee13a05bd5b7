//! Hazard: somebody who was signed out is still in somewhere: in another browser, by a remembered
//! device, after a restart; or somebody is signed out who should not be.

use crate::denials::sick_at;
use crate::support::{Home, MINUTE, SECOND, in_memory, is_in, issue, on_store, policy, principal};
use countersign::core::policy::AtLimit;
use countersign::store::MemoryStore;
use countersign::{
    CookieChange, CredentialsChanged, EndedBy, Engine, IssuedToken, Label, Live, LoggedIn, Method,
    NewLogIn, Presented, Recall, Rejection, SessionVerdict, Subsystem, Timestamp, Who,
};
use countersign_testkit::{Gated, ManualClock};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

fn log_in(engine: &Engine, name: &str, remember: bool) -> LoggedIn {
    log_in_from(engine, None, name, remember)
}

fn log_in_from(engine: &Engine, from: Option<Live>, name: &str, remember: bool) -> LoggedIn {
    let login = NewLogIn::new(principal(name), Method::Password, MINUTE);
    let label = remember.then(|| Label::new("a browser").unwrap());
    engine.log_in(from, login, label).wait().unwrap()
}

/// The texts that a browser was handed.
#[derive(Clone, Debug)]
struct Browser {
    session: String,
    device: Option<String>,
}

impl Browser {
    fn of(login: &LoggedIn) -> Self {
        let device = login.device.as_ref();
        Self {
            session: login.session.token.expose().to_owned(),
            device: device.map(|device| device.token.expose().to_owned()),
        }
    }
}

fn has_session(engine: &Engine, text: &str) -> bool {
    let verdict = engine.sessions().touch(text, None).wait().unwrap();
    matches!(verdict, SessionVerdict::In(_))
}

fn is_remembered(engine: &Engine, text: &str) -> bool {
    let recall = engine.remember().check(text).wait().unwrap();
    matches!(recall, Recall::In(_))
}

/// What is still good of a browser's: its session, its device.
fn good(engine: &Engine, browser: &Browser) -> (bool, bool) {
    let device = browser.device.as_deref();
    let remembered = device.is_some_and(|device| is_remembered(engine, device));
    (has_session(engine, &browser.session), remembered)
}

/// Ann in two browsers, both remembered, and Bob in one; each with an access token.
struct World {
    engine: Engine,
    clock: ManualClock,
    here: LoggedIn,
    there: Browser,
    bob: Browser,
    tokens: [IssuedToken; 2],
}

impl World {
    fn new() -> Self {
        let (engine, clock) = in_memory();
        Self::on(engine, clock)
    }

    fn on(engine: Engine, clock: ManualClock) -> Self {
        Self {
            here: log_in(&engine, "ann", true),
            there: Browser::of(&log_in(&engine, "ann", true)),
            bob: Browser::of(&log_in(&engine, "bob", true)),
            tokens: ["ann", "bob"].map(|name| issue(&engine, name)),
            engine,
            clock,
        }
    }

    /// What is good of Ann's two browsers, of Bob's, and of their tokens.
    fn state(&self) -> [(bool, bool); 4] {
        let [ann, bob] = &self.tokens;
        [
            good(&self.engine, &Browser::of(&self.here)),
            good(&self.engine, &self.there),
            good(&self.engine, &self.bob),
            (is_in(&self.engine, ann), is_in(&self.engine, bob)),
        ]
    }
}

const BOTH: (bool, bool) = (true, true);
const NONE: (bool, bool) = (false, false);

#[test]
fn only_a_ticked_box_has_the_device_remembered() {
    let world = World::new();
    assert_eq!(world.state(), [BOTH, BOTH, BOTH, BOTH]);
    let plain = log_in(&world.engine, "cleo", false);
    assert!(plain.device.is_none());
    assert_eq!(plain.session.session.series(), None);
    let device = world.here.device.as_ref().unwrap();
    assert_eq!(world.here.session.session.series(), Some(device.selector));
}

#[test]
fn logging_out_ends_the_session_and_forgets_its_device_alone() {
    let world = World::new();
    let out = world.engine.log_out(&world.here.session.session, None);
    let out = out.wait().unwrap();
    assert!(out.device.is_some_and(|device| device.durable));
    assert_eq!(world.state(), [NONE, BOTH, BOTH, BOTH]);
}

#[test]
fn a_device_that_came_with_the_session_is_forgotten_too() {
    let world = World::new();
    // Logged in by password, on a device that is remembered from before.
    let plain = log_in(&world.engine, "ann", false);
    let text = world.there.device.clone().unwrap();
    let wrong = world.engine.format().text(&stranger()).unwrap();
    for (presented, kept) in [(wrong.expose(), true), (text.as_str(), false)] {
        let session = plain.session.session.clone();
        let out = world.engine.log_out(&session, Some(presented.as_bytes()));
        let out = out.wait();
        assert!(out.is_ok(), "logging out twice is no fault: {out:?}");
        assert_eq!(is_remembered(&world.engine, &text), kept);
    }
    // The session that the device had elsewhere ends with it.
    assert_eq!(world.state(), [BOTH, NONE, BOTH, BOTH]);
}

fn stranger() -> countersign::core::SplitToken {
    use countersign::core::{ShardTag, SplitToken, Verifier};
    let selector = countersign::Selector::mint(Timestamp::from_millis(7), ShardTag::NONE, [8; 8]);
    let kind = countersign::CredentialKind::Remember;
    SplitToken::new(kind, selector, Verifier::from_bytes([9; 28]))
}

#[test]
fn a_device_that_logs_in_again_is_listed_once() {
    let world = World::new();
    let from = Some(world.here.session.session.clone());
    let again = log_in_from(&world.engine, from, "ann", true);
    assert_eq!(world.state(), [NONE, BOTH, BOTH, BOTH]);
    assert_eq!(good(&world.engine, &Browser::of(&again)), BOTH);
}

#[test]
fn changed_credentials_end_every_log_in_but_the_one_that_changed_them() {
    let world = World::new();
    let keep = world.here.session.session.clone();
    let changed = world
        .engine
        .credentials_changed(principal("ann"), Some(keep.clone()), None);
    let changed = changed.wait().unwrap();
    assert!(changed.revocation.durable);
    // The old texts of the kept browser are worth nothing, like all the others of Ann's.
    assert_eq!(world.state(), [NONE, NONE, BOTH, BOTH]);

    let session = changed.session.unwrap();
    assert_eq!(
        session.session.selector(),
        keep.selector(),
        "the same session"
    );
    let device = changed.device.unwrap();
    assert_eq!(session.session.series(), Some(device.selector));
    let kept = Browser {
        session: session.token.expose().to_owned(),
        device: Some(device.token.expose().to_owned()),
    };
    assert_eq!(good(&world.engine, &kept), BOTH);
    // And it goes on.
    world.clock.advance(10 * MINUTE);
    assert_eq!(good(&world.engine, &kept), BOTH);
}

#[test]
fn nobody_s_session_is_kept_but_the_principal_s_own() {
    let world = World::new();
    let bob = world
        .engine
        .sessions()
        .touch(&world.bob.session, None)
        .wait();
    let SessionVerdict::In(bob) = bob.unwrap() else {
        panic!("bob is out")
    };
    let changed = world
        .engine
        .credentials_changed(principal("ann"), Some(bob), None);
    let changed = changed.wait().unwrap();
    assert!(changed.session.is_none() && changed.device.is_none());
    assert_eq!(world.state(), [NONE, NONE, BOTH, BOTH]);
}

#[test]
fn the_kept_session_is_never_out_while_the_others_are_ended() {
    let world = World::new();
    let text = Mutex::new(world.here.session.token.expose().to_owned());
    let (stop, engine) = (AtomicBool::new(false), &world.engine);
    let ask = || {
        while !stop.load(Ordering::SeqCst) {
            let presented = text.lock().unwrap().clone();
            match engine.sessions().touch(&presented, None).wait().unwrap() {
                SessionVerdict::In(_) => {}
                // It has another token by then; it is never told to be over.
                SessionVerdict::Refused(why) => {
                    let renewed = countersign::SessionRefused::Rejected(Rejection::Mismatch);
                    assert_eq!(why, renewed);
                }
            }
        }
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        let mut session = world.here.session.session.clone();
        let mut kept = 0;
        for _ in 0..1000 {
            let changed = engine.credentials_changed(principal("ann"), Some(session.clone()), None);
            let Some(opened) = changed.wait().unwrap().session else {
                break;
            };
            *text.lock().unwrap() = opened.token.expose().to_owned();
            (session, kept) = (opened.session, kept + 1);
        }
        stop.store(true, Ordering::SeqCst);
        assert_eq!(kept, 1000, "the session was ended with the others");
        for asking in asking {
            asking.join().unwrap();
        }
    });
}

#[test]
fn a_device_that_was_forgotten_before_is_not_remembered_anew() {
    let world = World::new();
    // To make room for another: that alone ends no session.
    let tight = policy(|draft| draft.remember_me.max_series_per_principal = 1);
    world.engine.set_policy(tight).wait().unwrap();
    crate::support::remember(&world.engine, "ann");
    assert_eq!(world.state(), [(true, false), (true, false), BOTH, BOTH]);
    let keep = world.here.session.session.clone();
    let changed = world
        .engine
        .credentials_changed(principal("ann"), Some(keep), None);
    let changed = changed.wait().unwrap();
    assert!(changed.device.is_none());
    assert_eq!(changed.session.unwrap().session.series(), None);
}

#[test]
fn mass_revocations_end_what_they_say_and_nothing_else() {
    type Act = fn(&Engine) -> countersign::Revocation;
    type Case = (&'static str, Act, [(bool, bool); 4]);
    let acts: [Case; 4] = [
        (
            "everything of ann's",
            |engine| {
                engine
                    .revoke_everything(principal("ann"), None)
                    .wait()
                    .unwrap()
            },
            [NONE, NONE, BOTH, (false, true)],
        ),
        (
            "everybody signed out",
            |engine| engine.sign_everybody_out(None).wait().unwrap(),
            [NONE, NONE, NONE, BOTH],
        ),
        (
            "every access token",
            |engine| engine.end_every_access_token(None).wait().unwrap(),
            [BOTH, BOTH, BOTH, NONE],
        ),
        (
            "every device",
            |engine| engine.remember().revoke_all(None).wait().unwrap(),
            [NONE, NONE, NONE, BOTH],
        ),
    ];
    for (what, act, left) in acts {
        let world = World::new();
        assert!(act(&world.engine).durable, "{what}");
        assert_eq!(world.state(), left, "{what}");
        // Nothing is revived, and life goes on.
        world.clock.advance(SECOND);
        assert_eq!(world.state(), left, "{what}");
        let anew = log_in(&world.engine, "ann", true);
        assert_eq!(good(&world.engine, &Browser::of(&anew)), BOTH, "{what}");
        assert!(is_in(&world.engine, &issue(&world.engine, "ann")), "{what}");
    }
}

#[test]
fn signing_everybody_out_is_durable_only_once_both_halves_of_it_are() {
    for taken in 0..3 {
        let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
        let clock = ManualClock::default();
        let world = World::on(on_store(&clock, Arc::clone(&gated) as _), clock);
        // The store takes so many commits and goes away.
        gated.turn_away(taken == 0);
        let (away, left) = (Arc::downgrade(&gated), AtomicUsize::new(taken));
        gated.listen(move |_, _| {
            if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                away.upgrade().unwrap().turn_away(true);
            }
        });
        let out = world.engine.sign_everybody_out(None).wait().unwrap();
        assert_eq!(out.durable, taken == 2, "{taken} halves were written");
        assert_eq!(world.state(), [NONE, NONE, NONE, BOTH], "in force anyway");
        assert_eq!(world.engine.stats().waiting_denials, 2 - taken);
    }
}

#[test]
fn what_was_ended_stays_ended_over_a_restart_and_what_was_kept_goes_on() {
    let home = Home::new();
    let world = World::on(home.open(), home.clock.clone());
    let keep = world.here.session.session.clone();
    let changed = world
        .engine
        .credentials_changed(principal("ann"), Some(keep), None);
    let changed = changed.wait().unwrap();
    let kept = Browser {
        session: changed.session.unwrap().token.expose().to_owned(),
        device: changed
            .device
            .map(|device| device.token.expose().to_owned()),
    };
    world.engine.close().wait().unwrap();
    let world = World {
        engine: home.open(),
        ..world
    };
    assert_eq!(world.state(), [NONE, NONE, BOTH, BOTH]);
    assert_eq!(good(&world.engine, &kept), BOTH);
}

#[test]
fn ending_all_others_leaves_the_one_that_asks() {
    let world = World::new();
    let keep = world.here.session.session.selector();
    let ended = world
        .engine
        .sessions()
        .end_others(&principal("ann"), keep, EndedBy::Principal);
    assert_eq!(ended.wait().unwrap(), 1);
    assert_eq!(world.state(), [BOTH, (false, true), BOTH, BOTH]);
}

/// The session of a token that is good.
fn live(engine: &Engine, text: &str) -> Live {
    let verdict = engine.sessions().touch(text, None).wait().unwrap();
    verdict.live().expect("it is not let in")
}

#[test]
fn credentials_that_are_changed_twice_from_one_session_leave_it_in() {
    let both_at_once: fn(&Engine, &Live) -> Vec<CredentialsChanged> = |engine, session| {
        thread::scope(|scope| {
            let change = || change(engine, Some(session.clone()));
            let both = [scope.spawn(change), scope.spawn(change)];
            both.map(|one| one.join().unwrap()).into()
        })
    };
    let one_by_one: fn(&Engine, &Live) -> Vec<CredentialsChanged> = |engine, session| {
        let change = |_| change(engine, Some(session.clone()));
        (0..2).map(change).collect()
    };
    for twice in [one_by_one, both_at_once] {
        for _ in 0..30 {
            let world = World::new();
            let changed = twice(&world.engine, &world.here.session.session);
            let mut tokens = changed
                .iter()
                .filter_map(|changed| changed.session.as_ref());
            let token = tokens.next().expect("nobody was given its new token");
            assert!(tokens.next().is_none());
            assert!(has_session(&world.engine, token.token.expose()));
            assert_eq!(world.state(), [NONE, NONE, BOTH, BOTH]);
        }
    }
}

fn change(engine: &Engine, keep: Option<Live>) -> CredentialsChanged {
    let changed = engine.credentials_changed(principal("ann"), keep, None);
    changed.wait().unwrap()
}

#[test]
fn a_session_that_has_ended_meanwhile_is_neither_kept_nor_given_a_device() {
    let ends: [fn(&World); 3] = [
        |world| {
            let own = world.here.session.session.selector();
            let ended = world.engine.sessions().end(own, EndedBy::Operator);
            ended.wait().unwrap();
        },
        |world| {
            let out = world.engine.log_out(&world.here.session.session, None);
            out.wait().unwrap();
        },
        |world| {
            let ended = world.engine.revoke_everything(principal("ann"), None);
            ended.wait().unwrap();
        },
    ];
    for end in ends {
        let world = World::new();
        let session = live(&world.engine, world.here.session.token.expose());
        end(&world);
        let changed = change(&world.engine, Some(session));
        assert!(changed.session.is_none() && changed.device.is_none());
        assert_eq!(world.state()[..2], [NONE, NONE]);
    }
}

#[test]
fn a_session_that_another_engine_has_revoked_is_not_kept() {
    let (store, clock) = (Arc::new(MemoryStore::new([])), ManualClock::default());
    let here = on_store(&clock, Arc::clone(&store) as _);
    let there = on_store(&clock, store);
    let login = log_in(&here, "ann", false);
    let session = live(&here, login.session.token.expose());
    there
        .revoke_everything(principal("ann"), None)
        .wait()
        .unwrap();
    let changed = change(&here, Some(session));
    assert!(changed.session.is_none());
    assert!(!has_session(&here, login.session.token.expose()));
}

#[test]
fn nobody_logs_in_over_changed_credentials_that_wait_for_the_disk() {
    let (store, engine, _) = sick_at();
    let before = log_in(&engine, "ann", false);
    store.unknown.store(true, Ordering::SeqCst);
    assert!(!change(&engine, None).revocation.durable);
    assert!(!has_session(&engine, before.session.token.expose()));
    let login = || NewLogIn::new(principal("ann"), Method::Password, MINUTE);
    let refused = engine.log_in(None, login(), None).wait().unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    engine.maintain().wait().unwrap();
    let opened = engine.log_in(None, login(), None).wait().unwrap();
    assert!(has_session(&engine, opened.session.token.expose()));
}

#[test]
fn logging_out_is_no_fault_where_the_device_is_not_known_any_more() {
    let (engine, clock) = in_memory();
    let at_once = policy(|draft| draft.remember_me.prune_after = Duration::ZERO);
    engine.set_policy(at_once).wait().unwrap();
    let login = log_in(&engine, "ann", true);
    let device = login.device.as_ref().unwrap().selector;
    // Forgotten elsewhere, so that its session goes on under no device.
    let session = live(&engine, login.session.token.expose());
    engine.remember().revoke(device, None).wait().unwrap();
    clock.advance(MINUTE);
    engine.sweep(1000).wait().unwrap();
    assert_eq!(engine.remember().show(device).wait().unwrap(), None);
    let out = engine.log_out(&session, None).wait().unwrap();
    assert!(out.device.is_some_and(|device| device.already));
    assert!(!has_session(&engine, login.session.token.expose()));
}

#[test]
fn a_log_in_that_is_refused_forgets_no_device() {
    let (engine, _) = in_memory();
    let narrow = policy(|draft| {
        draft.sessions.max_per_principal = 1;
        draft.sessions.at_limit = AtLimit::Deny;
        draft.remember_me.max_series_per_principal = 1;
    });
    engine.set_policy(narrow).wait().unwrap();
    let first = log_in(&engine, "ann", true);
    let again = NewLogIn::new(principal("ann"), Method::Password, MINUTE);
    let label = Some(Label::new("another").unwrap());
    assert!(engine.log_in(None, again, label).wait().is_err());
    assert_eq!(good(&engine, &Browser::of(&first)), BOTH);
}

#[test]
fn a_device_that_cannot_be_remembered_keeps_nobody_out() {
    let (engine, _) = in_memory();
    let off = engine.switches().off(Subsystem::RememberMe, None);
    assert!(off.wait().unwrap().durable);
    let login = log_in(&engine, "ann", true);
    assert!(login.device.is_none());
    assert!(has_session(&engine, login.session.token.expose()));
}

#[test]
fn whoever_logs_in_after_somebody_else_forgets_that_one_s_device_and_not_their_own() {
    let world = World::new();
    let here = world.here.session.session.clone();
    // The same principal, who does not tick the box again.
    let again = log_in_from(&world.engine, Some(here.clone()), "ann", false);
    assert_eq!(again.session.session.series(), here.series());
    let device = world.here.device.as_ref().unwrap().token.expose();
    assert!(is_remembered(&world.engine, device));
    log_in_from(&world.engine, Some(again.session.session), "bob", false);
    assert!(!is_remembered(&world.engine, device));
}

#[test]
fn no_request_that_is_under_way_comes_in_again_by_the_device_of_who_logs_out() {
    let (engine, _) = in_memory();
    for round in 0..300 {
        let login = log_in(&engine, &format!("principal-{round}"), true);
        let browser = Browser::of(&login);
        let device = browser.device.clone().unwrap();
        let start = Barrier::new(2);
        let opened = thread::scope(|scope| {
            let asking = scope.spawn(|| {
                start.wait();
                loop {
                    let presented = Presented {
                        session: Some(browser.session.as_bytes()),
                        remember: Some(device.as_bytes()),
                        ..Presented::default()
                    };
                    let answer = engine.authenticate(presented).wait().unwrap();
                    match (answer.who, answer.session_cookie) {
                        (Who::Session(_), _) => {}
                        (_, CookieChange::Set { value, .. }) => return Some(value),
                        _ => return None,
                    }
                }
            });
            start.wait();
            let out = engine.log_out(&login.session.session, Some(device.as_bytes()));
            out.wait().unwrap();
            asking.join().unwrap()
        });
        if let Some(text) = opened {
            assert!(!has_session(&engine, text.expose()), "logged out, and in");
        }
    }
}
