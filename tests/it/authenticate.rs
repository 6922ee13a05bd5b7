//! Hazard: a request that is taken for somebody else's, or for nobody's, because of the order in
//! which its credentials are looked at; and a cookie that is taken away from a living session (S9).

use crate::support::{
    DAY, MINUTE, SECOND, in_memory, issue, on_store, policy, principal, scope, with_wrong_secret,
};
use countersign::core::policy::AtLimit;
use countersign::core::{ShardTag, SplitToken, Verifier};
use countersign::store::{MemoryStore, Store as _};
use countersign::{
    Authenticated, CookieChange, CredentialKind, Denied, Engine, Label, Live, LoggedIn, Method,
    NewLogIn, Presented, Rejection, SecretText, Selector, Subsystem, Timeouts, Timestamp, Who,
};
use countersign_testkit::ManualClock;
use std::sync::Arc;
use std::time::Duration;

/// What a request presents, as texts.
#[derive(Clone, Debug, Default)]
struct Request {
    session: Option<String>,
    authorization: Option<String>,
    remember: Option<String>,
}

impl Request {
    fn session(mut self, text: &str) -> Self {
        self.session = Some(text.to_owned());
        self
    }

    fn bearer(mut self, text: &str) -> Self {
        self.authorization = Some(format!("Bearer {text}"));
        self
    }

    fn remember(mut self, text: &str) -> Self {
        self.remember = Some(text.to_owned());
        self
    }

    #[track_caller]
    fn send(&self, engine: &Engine) -> Authenticated {
        let presented = Presented {
            session: self.session.as_deref().map(str::as_bytes),
            authorization: self.authorization.as_deref().map(str::as_bytes),
            remember: self.remember.as_deref().map(str::as_bytes),
            ..Presented::default()
        };
        engine.authenticate(presented).wait().unwrap()
    }
}

fn log_in(engine: &Engine, name: &str, remember: bool) -> LoggedIn {
    let login = NewLogIn::new(principal(name), Method::Password, MINUTE);
    let label = remember.then(|| Label::new("a browser").unwrap());
    engine.log_in(None, login, label).wait().unwrap()
}

/// Session, token and device of three principals, so that who came in tells what let them in.
struct World {
    engine: Engine,
    clock: ManualClock,
    sid: String,
    tom: String,
    dora: String,
}

impl World {
    fn new() -> Self {
        let (engine, clock) = in_memory();
        let sid = log_in(&engine, "sid", false);
        let tom = issue(&engine, "tom");
        let dora = log_in(&engine, "dora", true);
        Self {
            sid: sid.session.token.expose().to_owned(),
            tom: tom.token.expose().to_owned(),
            dora: dora.device.unwrap().token.expose().to_owned(),
            engine,
            clock,
        }
    }

    /// A text that parses and was never handed out.
    fn stranger(&self, kind: CredentialKind) -> String {
        let selector = Selector::mint(Timestamp::from_millis(1), ShardTag::NONE, [3; 8]);
        let token = SplitToken::new(kind, selector, Verifier::from_bytes([4; 28]));
        self.engine
            .format()
            .text(&token)
            .unwrap()
            .expose()
            .to_owned()
    }
}

/// How a request came in, and as whom.
fn came(who: &Who) -> (&'static str, Option<String>) {
    let how = match who {
        Who::Session(_) => "session",
        Who::Token(_) => "token",
        Who::Remembered(_) => "device",
        Who::Anonymous(_) => "nobody",
        Who::Refused(_) => "refused",
        _ => "something new",
    };
    (how, who.principal().map(|name| name.to_string()))
}

#[test]
fn the_first_credential_that_lets_somebody_in_is_the_one_that_did() {
    for good_session in [None, Some(false), Some(true)] {
        for good_bearer in [None, Some(false), Some(true)] {
            for good_device in [None, Some(false), Some(true)] {
                let world = World::new();
                let pick = |good: Option<bool>, text: &str, kind| match good {
                    None => None,
                    Some(true) => Some(text.to_owned()),
                    Some(false) => Some(world.stranger(kind)),
                };
                let bearer = pick(good_bearer, &world.tom, CredentialKind::Access);
                let request = Request {
                    session: pick(good_session, &world.sid, CredentialKind::Session),
                    authorization: bearer.map(|text| format!("Bearer {text}")),
                    remember: pick(good_device, &world.dora, CredentialKind::Remember),
                };
                let (how, name) = came(&request.send(&world.engine).who);
                let expected = match (good_session, good_bearer, good_device) {
                    (Some(true), _, _) => ("session", Some("sid")),
                    (_, Some(true), _) => ("token", Some("tom")),
                    // A bad bearer token ends the search, whatever else is there.
                    (_, Some(false), _) => ("refused", None),
                    (_, None, Some(true)) => ("device", Some("dora")),
                    _ => ("nobody", None),
                };
                assert_eq!((how, name.as_deref()), expected, "{request:?}");
            }
        }
    }
}

#[test]
fn a_session_of_nobody_in_particular_does_not_end_the_search() {
    let world = World::new();
    let anonymous = world
        .engine
        .sessions()
        .start(Timeouts::default())
        .wait()
        .unwrap();
    let text = anonymous.token.expose();
    let alone = Request::default().session(text).send(&world.engine);
    assert_eq!(came(&alone.who).0, "nobody");
    let own = alone.who.session().unwrap().selector();
    assert_eq!(own, anonymous.session.selector());
    assert!(matches!(alone.session_cookie, CookieChange::Keep));

    let scripted = Request::default().session(text).bearer(&world.tom);
    assert_eq!(came(&scripted.send(&world.engine).who).0, "token");
    // The device's session takes its place.
    let remembered = Request::default().session(text).remember(&world.dora);
    let remembered = remembered.send(&world.engine);
    assert_eq!(came(&remembered.who), ("device", Some("dora".to_owned())));
    let gone = Request::default().session(text).send(&world.engine);
    assert!(gone.who.session().is_none());
}

#[test]
fn a_remembered_device_opens_a_session_that_is_not_fresh_and_is_used_from_then_on() {
    let world = World::new();
    let first = Request::default().remember(&world.dora).send(&world.engine);
    let CookieChange::Set { value, expires_at } = &first.session_cookie else {
        panic!("no session was handed out: {first:?}")
    };
    assert_eq!(*expires_at, None, "gone when the browser closes (S1)");
    let Who::Remembered(remembered) = &first.who else {
        panic!("{first:?}")
    };
    assert!(!remembered.session.is_fresh());
    assert_eq!(remembered.session.series(), Some(remembered.series));

    let with_both = Request::default()
        .session(value.expose())
        .remember(&world.dora);
    let second = with_both.send(&world.engine);
    assert_eq!(came(&second.who), ("session", Some("dora".to_owned())));
    assert!(matches!(second.remember_cookie, CookieChange::Keep));
}

#[test]
fn a_rotated_secret_is_sent_back_and_sent_again_where_the_answer_was_lost() {
    let world = World::new();
    world.clock.advance(10 * MINUTE);
    let request = Request::default().remember(&world.dora);
    let set = |answer: &Authenticated| match &answer.remember_cookie {
        CookieChange::Set { value, expires_at } => {
            assert!(expires_at.is_some_and(|at| at > Timestamp::ZERO));
            value.expose().to_owned()
        }
        other => panic!("no new secret: {other:?}"),
    };
    let first = set(&request.send(&world.engine));
    assert_ne!(first, world.dora);
    assert_eq!(
        set(&request.send(&world.engine)),
        first,
        "the same successor"
    );
}

#[test]
fn what_is_no_token_of_ours_is_told_from_a_bad_one() {
    let world = World::new();
    for (value, how) in [
        ("Basic dTpw", "nobody"),
        ("", "nobody"),
        ("Bearer", "refused"),
        ("Bearer  ", "refused"),
        ("Bearer two tokens", "refused"),
        ("bearer nonsense", "refused"),
    ] {
        let request = Request {
            authorization: Some(value.to_owned()),
            ..Request::default()
        };
        assert_eq!(came(&request.send(&world.engine).who).0, how, "{value:?}");
    }
    let endless = "x".repeat(1 << 20);
    for request in [
        Request::default().bearer(&endless),
        Request::default().bearer(&format!("{}{}", world.tom, endless)),
    ] {
        let answer = request.send(&world.engine);
        assert!(
            matches!(answer.who, Who::Refused(Rejection::TooLong)),
            "{:?}",
            answer.who
        );
    }
    for request in [
        Request::default().session(&endless),
        Request::default().remember(&endless),
    ] {
        assert_eq!(came(&request.send(&world.engine).who).0, "nobody");
    }
}

#[test]
fn a_scope_is_asked_of_a_token() {
    let world = World::new();
    let asked = scope("repo:write");
    let presented = |scope| Presented {
        authorization: Some(b"Bearer x"),
        scope,
        ..Presented::default()
    };
    let text = format!("Bearer {}", world.tom);
    let presented = Presented {
        authorization: Some(text.as_bytes()),
        ..presented(Some(&asked))
    };
    let answer = world.engine.authenticate(presented).wait().unwrap();
    assert!(matches!(answer.who, Who::Refused(Rejection::Scope)));
}

/// What happens to the session of somebody, what is waited for, and what becomes of its cookie.
type Fate = (&'static str, fn(&World), Duration, bool);

#[test]
fn a_dead_session_s_cookie_is_cleared_unless_a_living_one_may_be_on_its_way() {
    let end = |world: &World| {
        let sid = principal("sid");
        let ended = world.engine.credentials_changed(sid, None, None).wait();
        assert!(ended.unwrap().revocation.durable);
    };
    let disable = |world: &World| {
        let disabled = world.engine.principals().disable(principal("sid"), None);
        assert!(disabled.wait().unwrap().durable);
    };
    let nothing: fn(&World) = |_| {};
    let fates: [Fate; 5] = [
        ("just ended", end, Duration::ZERO, false),
        ("ended a while ago", end, 2 * MINUTE, true),
        ("idle for a day", nothing, DAY, true),
        ("disabled", disable, Duration::ZERO, false),
        ("disabled for long", disable, 10 * MINUTE, false),
    ];
    for (what, happen, wait, cleared) in fates {
        let world = World::new();
        happen(&world);
        world.clock.advance(wait);
        // The first look may find it dead; the second is a while later.
        Request::default().session(&world.sid).send(&world.engine);
        if what == "idle for a day" {
            world.clock.advance(2 * MINUTE);
        }
        let answer = Request::default().session(&world.sid).send(&world.engine);
        assert_eq!(came(&answer.who).0, "nobody", "{what}");
        let is_cleared = matches!(answer.session_cookie, CookieChange::Clear);
        assert_eq!(is_cleared, cleared, "{what}: {answer:?}");
    }
}

#[test]
fn a_dead_device_s_cookie_is_cleared() {
    let world = World::new();
    let stranger = world.stranger(CredentialKind::Remember);
    let clears = |world: &World, text: &str| {
        let answer = Request::default().remember(text).send(&world.engine);
        matches!(answer.remember_cookie, CookieChange::Clear)
    };
    assert!(clears(&world, &stranger));
    assert!(clears(&world, "nonsense"));
    let ann = principal("dora");
    world
        .engine
        .principals()
        .disable(ann.clone(), None)
        .wait()
        .unwrap();
    assert!(!clears(&world, &world.dora), "enabling lets it in again");
    world
        .engine
        .principals()
        .enable(ann.clone(), None)
        .wait()
        .unwrap();
    world.engine.revoke_everything(ann, None).wait().unwrap();
    assert!(clears(&world, &world.dora));
}

#[test]
fn with_sessions_switched_off_a_device_opens_nothing() {
    let world = World::new();
    world
        .engine
        .switches()
        .off(Subsystem::Sessions, None)
        .wait()
        .unwrap();
    let answer = Request::default().remember(&world.dora).send(&world.engine);
    assert!(
        matches!(answer.remember_cookie, CookieChange::Keep),
        "{answer:?}"
    );
    let Who::Anonymous(anonymous) = answer.who else {
        panic!("somebody came in")
    };
    assert_eq!(anonymous.lost_device, Some(Rejection::SwitchedOff));
    // The device is as good as before.
    world
        .engine
        .switches()
        .on(Subsystem::Sessions, None)
        .wait()
        .unwrap();
    let again = Request::default().remember(&world.dora).send(&world.engine);
    assert_eq!(came(&again.who).0, "device");
}

#[test]
fn where_no_session_can_be_opened_a_remembered_browser_is_told_and_keeps_its_device() {
    let world = World::new();
    let narrow = policy(|draft| {
        draft.sessions.max_per_principal = 1;
        draft.sessions.at_limit = AtLimit::Deny;
    });
    world.engine.set_policy(narrow).wait().unwrap();
    let answer = Request::default().remember(&world.dora).send(&world.engine);
    assert!(!matches!(answer.remember_cookie, CookieChange::Clear));
    let Who::Anonymous(anonymous) = answer.who else {
        panic!("somebody came in")
    };
    let told = anonymous.no_session;
    assert!(
        matches!(told, Some(Denied::LimitReached { live: 1, max: 1 })),
        "{told:?}"
    );
}

/// What a faster request did from the session that a slower one presents.
type Meanwhile = (&'static str, fn(&Engine, &Live), bool);

#[test]
fn a_slower_request_overwrites_nothing_that_a_faster_one_was_given() {
    let elevate: fn(&Engine, &Live) = |engine, session| {
        let up = engine.sessions().elevate(session, Method::Password, MINUTE);
        assert!(up.wait().unwrap().session.is_fresh());
    };
    let another: fn(&Engine, &Live) = |engine, session| {
        let login = NewLogIn::new(principal("bob"), Method::Password, MINUTE);
        let opened = engine.log_in(Some(session.clone()), login, None);
        opened.wait().unwrap();
    };
    let anew: fn(&Engine, &Live) = |engine, session| {
        let login = NewLogIn::new(principal("dora"), Method::Password, MINUTE);
        let label = Some(Label::new("anew").unwrap());
        let opened = engine.log_in(Some(session.clone()), login, label);
        opened.wait().unwrap();
    };
    let changed: fn(&Engine, &Live) = |engine, session| {
        let changed = engine.credentials_changed(principal("dora"), Some(session.clone()), None);
        assert!(changed.wait().unwrap().session.is_some());
    };
    let meanwhile: [Meanwhile; 4] = [
        ("elevated", elevate, true),
        ("somebody else logged in", another, false),
        ("logged in again", anew, false),
        ("changed the password", changed, false),
    ];
    for (what, happen, comes_back) in meanwhile {
        let world = World::new();
        let login = log_in(&world.engine, "dora", true);
        let device = login.device.as_ref().unwrap().token.expose().to_owned();
        let slow = Request::default()
            .session(login.session.token.expose())
            .remember(&device);
        happen(&world.engine, &login.session.session);
        let answer = slow.send(&world.engine);
        assert_eq!(came(&answer.who).0, "nobody", "{what}");
        assert!(
            matches!(answer.session_cookie, CookieChange::Keep),
            "{what}: {answer:?}"
        );
        assert!(
            matches!(answer.remember_cookie, CookieChange::Keep),
            "{what}: {answer:?}"
        );
        // Whoever never got the faster answer is not locked out for long.
        world.clock.advance(2 * MINUTE);
        let later = came(&slow.send(&world.engine).who).0;
        assert_eq!(
            later,
            if comes_back { "device" } else { "nobody" },
            "{what}"
        );
    }
}

#[test]
fn a_page_that_asks_by_itself_opens_no_session() {
    let world = World::new();
    let presented = Presented {
        remember: Some(world.dora.as_bytes()),
        passive: true,
        ..Presented::default()
    };
    let before = world.engine.sessions().counts().all;
    let answer = world.engine.authenticate(presented).wait().unwrap();
    assert_eq!(came(&answer.who).0, "nobody");
    assert!(matches!(answer.remember_cookie, CookieChange::Keep));
    assert_eq!(world.engine.sessions().counts().all, before);
}

#[test]
fn what_is_presented_is_not_printed() {
    let presented = Presented {
        session: Some(b"hush"),
        authorization: Some(b"hush"),
        remember: Some(b"hush"),
        ..Presented::default()
    };
    let text = format!("{presented:?}");
    assert!(
        !text.contains("hush") && !text.contains("104, 117"),
        "{text}"
    );
    for shown in [
        "session_bytes: Some(4)",
        "remember_bytes: Some(4)",
        "passive: false",
    ] {
        assert!(text.contains(shown), "{text}");
    }
}

#[test]
fn a_polling_page_does_not_keep_a_session_alive() {
    let world = World::new();
    let send = |passive| {
        let presented = Presented {
            session: Some(world.sid.as_bytes()),
            passive,
            ..Presented::default()
        };
        came(&world.engine.authenticate(presented).wait().unwrap().who).0
    };
    for _ in 0..9 {
        world.clock.advance(30 * MINUTE);
        assert_eq!(send(true), "session");
    }
    world.clock.advance(31 * MINUTE);
    assert_eq!(send(false), "nobody", "idle for five hours and a minute");
}

#[test]
fn a_request_writes_nothing_unless_its_device_has_something_to_say() {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = on_store(&clock, Arc::clone(&store) as _);
    let revision = || store.attest().wait().unwrap();
    let session = log_in(&engine, "sid", false).session.token;
    let token = issue(&engine, "tom").token;
    let device = log_in(&engine, "dora", true).device.unwrap().token;
    let before = revision();
    clock.advance(SECOND);
    let wrong = with_wrong_secret(&engine, issue(&engine, "eve").selector, 9);
    let written = revision();
    assert!(written > before);
    let text = |secret: &SecretText| secret.expose().to_owned();
    for request in [
        Request::default().session(&text(&session)),
        Request::default().bearer(&text(&token)),
        Request::default().bearer(&wrong),
        Request::default().remember(&text(&device)),
        Request::default().session(&wrong).remember(&wrong),
        Request::default(),
    ] {
        for _ in 0..10 {
            request.send(&engine);
        }
        assert_eq!(revision(), written, "{request:?}");
    }
}

#[test]
fn a_client_that_keeps_no_session_cookie_ends_no_session_that_is_in_use() {
    let (engine, clock) = in_memory();
    let real = log_in(&engine, "ann", false);
    let device = log_in(&engine, "ann", true).device.unwrap();
    let presented = Presented {
        remember: Some(device.token.expose().as_bytes()),
        ..Presented::default()
    };
    let most = engine.policy().sessions().max_per_principal;
    for _ in 0..most + 10 {
        clock.advance(Duration::from_secs(1));
        let answer = engine.authenticate(presented).wait().unwrap();
        assert!(matches!(answer.who, Who::Remembered(_)));
        let verdict = engine.sessions().touch(real.session.token.expose(), None);
        assert!(verdict.wait().unwrap().is_in());
    }
    assert_eq!(engine.sessions().counts().all, u64::from(most));
}
