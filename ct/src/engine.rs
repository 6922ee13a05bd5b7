//! The checks of the whole engine, with the records in memory. The pepper is secret here.

use crate::core_alone::{CODE_DIGITS, SIGNATURE_DIGITS};
use crate::marks;
use crate::secrets::{NOW, Presents, marked, presented, watched};
use countersign::core::Keyring;
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, CsrfVerdict, Engine, Expiry, IssuedToken, KeyMaterial, Label, Maintenance,
    Method, NewLogIn, NewSeries, NewToken, OpenedSession, Policy, Principal, Rejection, ScopeSet,
    TokenName, Verdict,
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const CASES: &[(&str, fn())] = &[
    ("engine-access-hit", || access(Presents::Right, None)),
    ("engine-access-wrong-first", || {
        access(Presents::WrongFirst, Some(Rejection::Mismatch));
    }),
    ("engine-access-wrong-last", || {
        access(Presents::WrongLast, Some(Rejection::Mismatch));
    }),
    ("engine-access-two-peppers", || {
        access_in(&engine_of(&keys(2)), Presents::Right, None);
    }),
    ("engine-access-by-entry-hit", || {
        by_entry(Presents::Right, None);
    }),
    ("engine-access-by-entry-wrong", || {
        by_entry(Presents::WrongFirst, Some(Rejection::Mismatch));
    }),
    ("engine-access-read-hit", || read(Presents::Right, None)),
    ("engine-access-read-wrong", || {
        read(Presents::WrongFirst, Some(Rejection::Mismatch));
    }),
    ("engine-access-mistyped", || {
        access(Presents::Mistyped, Some(Rejection::Checksum));
    }),
    ("engine-session-hit", || session(Presents::Right, None)),
    ("engine-session-wrong", || {
        session(Presents::WrongFirst, Some(Rejection::Mismatch));
    }),
    ("engine-remember-hit", || device(Presents::Right, None)),
    ("engine-remember-wrong", || {
        device(Presents::WrongFirst, Some(Rejection::Mismatch));
    }),
    ("engine-form-hit", || form(CsrfVerdict::Accepted)),
    ("engine-form-wrong", || form(CsrfVerdict::Mismatch)),
    ("engine-image-hit", || image(None)),
    ("engine-image-wrong", || image(Some(Rejection::Mismatch))),
];

/// A root key, and so many peppers that nothing may depend on.
fn keys(peppers: u8) -> KeyMaterial {
    let pepper = |n: u8| {
        let mut pepper = [n; 32];
        marks::secret(&mut pepper);
        pepper
    };
    let first = KeyMaterial::generate(NOW, [1; 32], pepper(2));
    let others = (3..).take(usize::from(peppers) - 1);
    others.fold(first, |keys, n| {
        keys.rotated(NOW, pepper(n)).expect("room for a pepper")
    })
}

fn engine() -> Engine {
    engine_of(&keys(1))
}

fn engine_of(keys: &KeyMaterial) -> Engine {
    let store = Arc::new(MemoryStore::new([]));
    let opened = Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .policy(Policy::default())
        .open_store(store, keys);
    opened.expect("a store in memory")
}

fn principal() -> Principal {
    Principal::new("alice").expect("a name")
}

fn access(presents: Presents, expected: Option<Rejection>) {
    access_in(&engine(), presents, expected);
}

fn access_in(engine: &Engine, presents: Presents, expected: Option<Rejection>) {
    let issued = issue(engine, principal());
    // Read, then copied to where requests find it.
    for _ in 0..2 {
        assert!(verify(engine, issued.token.expose().as_bytes()).is_in());
    }
    watch(engine, &issued, presents, expected);
}

/// By the entry in memory, while the copy is old: a record has changed whose changes are counted
/// with those of the token's owner.
fn by_entry(presents: Presents, expected: Option<Rejection>) {
    let keys = keys(1);
    let (engine, keyring) = (engine_of(&keys), Keyring::new(&keys));
    let bucket = |name: &Principal| {
        let bucket = keyring.principal_key(name).bucket();
        // It is counted with the root key, and is nobody's secret.
        marks::public(&bucket);
        bucket
    };
    let own = bucket(&principal());
    let others = (0_u64..).map(|n| Principal::new(&n.to_string()).expect("a name"));
    let mut beside = others.filter(|name| bucket(name) == own);
    let issued = issue(&engine, principal());
    for _ in 0..2 {
        assert!(verify(&engine, issued.token.expose().as_bytes()).is_in());
    }
    issue(&engine, beside.next().expect("one of so many"));
    watch(&engine, &issued, presents, expected);
}

/// With the records to be read first.
fn read(presents: Presents, expected: Option<Rejection>) {
    let engine = engine();
    let issued = issue(&engine, principal());
    watch(&engine, &issued, presents, expected);
}

fn issue(engine: &Engine, principal: Principal) -> IssuedToken {
    let issued = engine.access().issue(NewToken {
        principal,
        name: TokenName::new("ci").expect("a name"),
        scopes: ScopeSet::EMPTY,
        expiry: Expiry::Never,
    });
    issued.wait().expect("a token")
}

fn verify(engine: &Engine, text: &[u8]) -> Verdict {
    engine.access().verify(text).wait().expect("a verdict")
}

fn watch(engine: &Engine, issued: &IssuedToken, presents: Presents, expected: Option<Rejection>) {
    let text = presented(issued.token.expose(), presents);
    watched(|| {
        let verdict = verify(engine, &text);
        assert_eq!(verdict.rejection(), expected);
    });
}

fn log_in(engine: &Engine) -> OpenedSession {
    let login = NewLogIn::new(principal(), Method::Password, Duration::ZERO);
    let opened = engine.sessions().log_in(None, login);
    opened.wait().expect("a session")
}

fn session(presents: Presents, expected: Option<Rejection>) {
    let engine = engine();
    let opened = log_in(&engine);
    let touch = |text: &[u8]| {
        let verdict = engine.sessions().touch(text, None).wait();
        verdict.expect("a verdict")
    };
    for _ in 0..2 {
        assert!(touch(opened.token.expose().as_bytes()).is_in());
    }
    let text = presented(opened.token.expose(), presents);
    watched(|| {
        let verdict = touch(&text);
        assert_eq!(verdict.rejection(), expected);
    });
}

fn device(presents: Presents, expected: Option<Rejection>) {
    let engine = engine();
    let started = engine.remember().start(NewSeries {
        principal: principal(),
        label: Label::new("a browser").expect("a label"),
    });
    let started = started.wait().expect("a device");
    let text = presented(started.token.expose(), presents);
    watched(|| {
        let recall = engine.remember().present(&text, None).wait();
        assert_eq!(recall.expect("an answer").rejection(), expected);
    });
}

/// A form's token, good or changed in the first digit of its code that may be any.
fn form(expected: CsrfVerdict) {
    let engine = engine();
    let session = log_in(&engine).session;
    let made = engine.forms().masked(&session, None).expect("a token");
    let mut text = made.expose().to_owned();
    if expected == CsrfVerdict::Mismatch {
        change(&mut text, CODE_DIGITS - 1);
    }
    let text = marked(&text, CODE_DIGITS);
    watched(|| {
        let verdict = engine.forms().check(Some(&session), Some(&text), None);
        assert_eq!(verdict, expected);
    });
}

fn image(expected: Option<Rejection>) {
    let engine = engine();
    let attachment = AttachmentId::new("10000").expect("an id");
    let signed = engine.images().sign(principal(), attachment.clone()).wait();
    let mut text = signed.expect("an image").text.expose().to_owned();
    let verify = |text: &[u8]| {
        let verdict = engine.images().verify(text, &attachment, None).wait();
        verdict.expect("a verdict")
    };
    assert!(verify(text.as_bytes()).is_in());
    if expected.is_some() {
        change(&mut text, SIGNATURE_DIGITS);
    }
    let text = marked(&text, SIGNATURE_DIGITS);
    watched(|| {
        let verdict = verify(&text);
        assert_eq!(verdict.rejection(), expected);
    });
}

/// Another digit, so far from the end.
fn change(text: &mut String, from_the_end: usize) {
    let at = text.len() - from_the_end;
    let other = if text[at..].starts_with('a') {
        "b"
    } else {
        "a"
    };
    text.replace_range(at..=at, other);
}
