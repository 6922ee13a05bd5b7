//! Hazard: a presented line is judged otherwise than the engine judges its credential, takes
//! memory by its length, or leaves a trace.

use crate::place::{Issued, Place, Told};
use countersign::core::{SplitToken, TokenFormat, Verifier};
use countersign::{
    Create, Engine, Label, Method, NewLogIn, NewSeries, Principal, Selector, Timeouts,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

fn reasons(told: &Told) -> Vec<String> {
    let word = |verdict: &Value| match verdict["verdict"].as_str().unwrap() {
        "refused" => verdict["reason"].as_str().unwrap().to_owned(),
        word => {
            assert!(verdict.get("reason").is_none(), "{verdict}");
            word.to_owned()
        }
    };
    let verdicts = told.objects();
    for (verdict, line) in verdicts.iter().zip(1..) {
        assert_eq!(verdict["line"], line);
    }
    verdicts.iter().map(word).collect()
}

fn lines(lines: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        text.extend_from_slice(line.as_ref());
        text.push(b'\n');
    }
    text
}

/// The same token with other halves.
fn forged(issued: &Issued, change: impl FnOnce(&mut [u8; 16], &mut [u8; 28])) -> String {
    let format = TokenFormat::new(Some("acme")).unwrap();
    let token = format.parse_any(issued.token.as_bytes()).unwrap();
    let (mut id, mut secret) = (token.selector().to_bytes(), *token.verifier().expose());
    change(&mut id, &mut secret);
    let selector = Selector::from_bytes(id).unwrap();
    let token = SplitToken::new(token.kind(), selector, Verifier::from_bytes(secret));
    format.text(&token).unwrap().expose().to_owned()
}

#[test]
fn a_token_is_taken_out_of_every_frame_and_out_of_no_other() {
    let place = Place::new();
    let Issued { token, selector } = place.issue("ann", &[]);
    let other = place.issue("ann", &[]).token;
    let presented = [
        (token.clone(), "in"),
        (format!("Bearer {token}"), "in"),
        (format!("bearer   {token}\r"), "in"),
        (format!("Authorization: Bearer {token}"), "in"),
        (format!("AUTHORIZATION:BEARER {token}"), "in"),
        (format!("Cookie: a=b; c={token}"), "in"),
        (format!("Cookie: a=\"{token}\""), "in"),
        (format!("{token} {other}"), "malformed"),
        (format!("Bearer {token} {other}"), "malformed"),
        (format!("Bearer {token}, Bearer {other}"), "malformed"),
        (format!("Cookie: a={token}; b={other}"), "malformed"),
        (format!(" {token}"), "malformed"),
        (format!("{token} "), "malformed"),
        (format!("Basic {token}"), "malformed"),
        (format!("Bearer{token}"), "malformed"),
        (format!("X-Token: {token}"), "malformed"),
        (format!("{token}\0"), "malformed"),
        ("Bearer".to_owned(), "malformed"),
        ("Bearer ".to_owned(), "malformed"),
        (String::new(), "malformed"),
        ("Cookie: a=b".to_owned(), "malformed"),
    ];
    let (texts, expected): (Vec<_>, Vec<_>) = presented.into_iter().unzip();
    let told = place.feed(&["--json", "verify"], lines(&texts));
    assert_eq!(told.code, Some(1));
    assert_eq!(reasons(&told), expected);
    let first = &told.objects()[0];
    let expected = serde_json::json!({
        "line": 1, "verdict": "in", "kind": "access", "selector": selector, "principal": "ann",
    });
    assert_eq!(*first, expected);
    let summary: Value = serde_json::from_str(told.err.trim_end()).unwrap();
    assert_eq!(summary["summary"]["lines"], texts.len());
    assert_eq!(summary["summary"]["in"], 7);
}

#[test]
fn every_verdict_of_the_engine_comes_out_as_it_is() {
    let place = Place::new();
    let good = place.issue("ann", &["--scope", "repo:*"]);
    let revoked = place.issue("ann", &["--scope", "repo:*"]);
    let disabled = place.issue("bob", &["--scope", "repo:*"]);
    place.run(&["token", "revoke", &revoked.selector]).done();
    place.run(&["principal", "disable", "bob"]).done();
    let wrong = forged(&good, |_, secret| secret[0] ^= 1);
    let unknown = forged(&good, |id, _| id[15] ^= 1);
    let mut mistyped = good.token.clone();
    let last = if mistyped.pop() == Some('0') {
        '1'
    } else {
        '0'
    };
    mistyped.push(last);
    let presented = [
        good.token,
        wrong,
        unknown,
        mistyped,
        revoked.token,
        disabled.token,
    ];
    let text = lines(&presented);
    let judged = |arguments: &[&str]| {
        let told = place.feed(&[&["--json"], arguments].concat(), text.clone());
        assert_eq!(told.code, Some(1));
        reasons(&told)
    };
    let base = [
        "in", "mismatch", "unknown", "checksum", "revoked", "disabled",
    ];
    assert_eq!(judged(&["verify"]), base);
    assert_eq!(
        judged(&["verify", "--kind", "access", "--scope", "repo:read"]),
        base
    );
    assert_eq!(judged(&["verify", "--scope", "doc:read"])[0], "scope");
    assert_eq!(
        judged(&["--now", "9999-01-01T00:00:00Z", "verify"])[0],
        "in",
        "it never expires"
    );
    place.run(&["switch", "access-tokens", "off"]).done();
    assert_eq!(judged(&["verify"])[0], "switched_off");
    place.run(&["switch", "access-tokens", "on"]).done();
    assert_eq!(judged(&["verify"])[0], "revoked");
}

#[test]
fn a_verdict_is_that_of_the_instant_it_is_asked_for() {
    let place = Place::new();
    let issue = [
        "token",
        "issue",
        "--principal",
        "ann",
        "--name",
        "x",
        "--expires",
        "1d",
    ];
    let at = ["--now", "2026-01-01T00:00:00Z", "--i-know"];
    let token = place.json(&[&at[..], &issue].concat())["token"]
        .as_str()
        .unwrap()
        .to_owned();
    for (now, verdict) in [
        ("2026-01-01T23:59:59.999Z", "in"),
        ("2026-01-02T00:00:00Z", "expired"),
    ] {
        let told = place.feed(&["--json", "--now", now, "verify"], lines(&[&token]));
        assert_eq!(reasons(&told), [verdict], "at {now}");
    }
}

#[test]
fn lines_of_any_length_and_any_bytes_are_judged_and_the_next_one_too() {
    let place = Place::new();
    let token = place.issue("ann", &[]).token;
    let long = vec![b'a'; 10 << 20];
    let framed = [b"Bearer ".as_slice(), &long].concat();
    let presented: [(&[u8], &str); 8] = [
        (&long, "too_long"),
        (token.as_bytes(), "in"),
        (&framed, "too_long"),
        (b"\0\0\0", "malformed"),
        (b"\xff\xfe\x80", "malformed"),
        (&long[..4096], "malformed"),
        (&long[..4097], "too_long"),
        (token.as_bytes(), "in"),
    ];
    let (texts, expected): (Vec<_>, Vec<_>) = presented.into_iter().unzip();
    let told = place.feed(&["--json", "verify", "-"], lines(&texts));
    assert_eq!(reasons(&told), expected);
}

#[test]
fn judging_leaves_no_trace() {
    let place = Place::new();
    let issued = place.issue("ann", &[]);
    let before = place.json(&["token", "show", &issued.selector]);
    let text = lines(&[&issued.token]);
    place.feed(&["verify"], text.clone()).done();
    place
        .feed(&["--now", "2100-01-01T00:00:00Z", "verify"], text)
        .done();
    assert_eq!(place.json(&["token", "show", &issued.selector]), before);
    assert_eq!(before["last_used_at"], Value::Null);
}

/// A credential of each kind, as an engine that was closed has left them.
struct Kinds {
    place: Place,
    access: Issued,
    device: Issued,
    session: Issued,
    visit: Issued,
    image: String,
}

impl Kinds {
    fn new() -> Self {
        let place = Place::new();
        let access = place.issue("ann", &["--scope", "repo:*"]);
        let engine = Engine::builder().create(Create::Never);
        let engine = engine.open(place.path("countersign.redb")).unwrap();
        let ann = || Principal::new("ann").unwrap();
        let label = Label::new("a browser").unwrap();
        let request = NewSeries {
            principal: ann(),
            label,
        };
        let device = engine.remember().start(request).wait().unwrap();
        let login = NewLogIn::new(ann(), Method::Password, Duration::from_secs(60));
        let session = engine.sessions().log_in(None, login).wait().unwrap();
        let visit = engine.sessions().start(Timeouts::default()).wait().unwrap();
        engine.close().wait().unwrap();
        drop(engine);
        let sign = ["image", "sign", "--principal", "ann", "--attachment", "7"];
        let image = place.json(&sign)["token"].as_str().unwrap().to_owned();
        let issued = |text: &countersign::SecretText, selector: Selector| Issued {
            token: text.expose().to_owned(),
            selector: selector.to_string(),
        };
        Self {
            access,
            device: issued(&device.token, device.selector),
            session: issued(&session.token, session.session.selector()),
            visit: issued(&visit.token, visit.session.selector()),
            image,
            place,
        }
    }

    /// The verdicts on these lines, as objects without their numbers.
    fn judged(&self, arguments: &[&str], presented: &[String]) -> Vec<Value> {
        let told = self.place.feed(
            &[&["--json", "verify"], arguments].concat(),
            lines(presented),
        );
        let mut verdicts = told.objects();
        assert_eq!(verdicts.len(), presented.len(), "{told:?}");
        for verdict in &mut verdicts {
            verdict.as_object_mut().unwrap().remove("line");
        }
        verdicts
    }
}

fn let_in(kind: &str, selector: Option<&str>, principal: Option<&str>) -> Value {
    json!({"verdict": "in", "kind": kind, "selector": selector, "principal": principal})
}

fn turned_away(reason: &str, kind: Option<&str>, selector: Option<&str>) -> Value {
    json!({
        "verdict": "refused", "kind": kind, "selector": selector, "principal": null,
        "reason": reason,
    })
}

#[test]
fn every_kind_is_told_apart_by_its_form_and_judged_as_what_it_is() {
    let kinds = Kinds::new();
    let all = [
        ("access", &kinds.access.token, Some(&*kinds.access.selector)),
        (
            "remember",
            &kinds.device.token,
            Some(&*kinds.device.selector),
        ),
        (
            "session",
            &kinds.session.token,
            Some(&*kinds.session.selector),
        ),
        ("image", &kinds.image, None),
    ];
    for frame in ["", "Bearer ", "Authorization: Bearer "] {
        let presented = all.map(|(_, token, _)| format!("{frame}{token}"));
        let expected = all.map(|(kind, _, selector)| let_in(kind, selector, Some("ann")));
        // Twice: judging a session, a device or a token is no use of it, and replaces nothing.
        for _ in 0..2 {
            assert_eq!(kinds.judged(&[], &presented), expected, "{frame}");
        }
        for (asked, own) in all.iter().zip(&expected) {
            let verdicts = kinds.judged(&["--kind", asked.0], &presented);
            for ((kind, ..), verdict) in all.iter().zip(&verdicts) {
                match *kind == asked.0 {
                    true => assert_eq!(verdict, own),
                    false => assert_eq!(*verdict, turned_away("malformed", None, None)),
                }
            }
        }
    }
    let visit = [kinds.visit.token.clone()];
    let nobody = let_in("session", Some(&kinds.visit.selector), None);
    assert_eq!(kinds.judged(&[], &visit), [nobody]);
    let text = kinds.place.feed(&["verify"], lines(&[&kinds.image])).done();
    assert_eq!(text.out, "1 in image - ann\n");
}

#[test]
fn what_ends_each_kind_is_told_with_its_reason() {
    let kinds = Kinds::new();
    let presented = [
        kinds.access.token.clone(),
        kinds.device.token.clone(),
        kinds.session.token.clone(),
        kinds.image.clone(),
    ];
    let named = [
        (Some("access"), Some(&*kinds.access.selector)),
        (Some("remember"), Some(&*kinds.device.selector)),
        (Some("session"), Some(&*kinds.session.selector)),
        (Some("image"), None),
    ];
    let check = |more: &[&str], reasons: [&str; 4]| {
        let verdicts = kinds.judged(more, &presented);
        for ((verdict, reason), (kind, selector)) in verdicts.iter().zip(reasons).zip(named) {
            let expected = match reason {
                "in" => let_in(kind.unwrap(), selector, Some("ann")),
                reason => turned_away(reason, kind, selector),
            };
            assert_eq!(*verdict, expected);
        }
    };
    let run = |arguments: &[&str]| drop(kinds.place.run(arguments).done());
    check(&[], ["in"; 4]);
    check(&["--attachment", "7"], ["in"; 4]);
    check(&["--attachment", "8"], ["in", "in", "in", "scope"]);
    // Only an access token has scopes.
    check(&["--scope", "repo:read"], ["in", "scope", "scope", "scope"]);
    check(&["--scope", "doc:read"], ["scope"; 4]);
    run(&["principal", "disable", "ann"]);
    check(&[], ["disabled"; 4]);
    run(&["principal", "enable", "ann"]);
    check(&[], ["in"; 4]);
    run(&["image", "revoke", "--attachment", "7"]);
    check(&[], ["in", "in", "in", "revoked"]);
    run(&["remember", "revoke", &kinds.device.selector]);
    check(&[], ["in", "revoked", "in", "revoked"]);
    run(&["switch", "access-tokens", "off"]);
    check(&[], ["switched_off", "revoked", "in", "switched_off"]);
    run(&["switch", "sessions", "off"]);
    let verdict = &kinds.judged(&[], &presented[2..3])[0];
    assert_eq!(verdict["verdict"], "refused", "{verdict}");
}

#[test]
fn forged_and_broken_ones_of_every_kind_are_told_as_such() {
    let kinds = Kinds::new();
    for (issued, kind) in [(&kinds.device, "remember"), (&kinds.session, "session")] {
        let selector = Some(&*issued.selector);
        let wrong = forged(issued, |_, secret| secret[0] ^= 1);
        let mut cut = issued.token.clone();
        let last = if cut.pop() == Some('0') { '1' } else { '0' };
        cut.push(last);
        let verdicts = kinds.judged(&[], &[wrong, cut]);
        assert_eq!(verdicts[0], turned_away("mismatch", Some(kind), selector));
        assert_eq!(verdicts[1], turned_away("checksum", None, None));
    }
    let [header, payload, signature] = kinds.image.split('.').collect::<Vec<_>>()[..] else {
        panic!("a token has three parts");
    };
    let first = signature.chars().next().unwrap();
    let other = if first == 'A' { "B" } else { "A" };
    let wrong = signature.replacen(first, other, 1);
    let presented = [
        format!("{header}.{payload}.{wrong}"),
        format!("eyJhbGciOiJub25lIn0.{payload}.{signature}"),
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        "a.b.c".to_owned(),
        ".".repeat(4097),
    ];
    let expected = [
        turned_away("mismatch", Some("image"), None),
        turned_away("unknown", Some("image"), None),
        turned_away("malformed", None, None),
        turned_away("malformed", None, None),
        turned_away("too_long", None, None),
    ];
    assert_eq!(kinds.judged(&[], &presented), expected);
}

/// S9: session first; a remembered device only where no session of somebody lets in.
#[test]
fn of_a_cookie_header_the_credential_that_lets_in_is_judged() {
    let kinds = Kinds::new();
    let (session, device) = ("__Host-session", "seraph.rememberme.cookie");
    let (sid, did) = (&kinds.session.token, &kinds.device.token);
    let dead = forged(&kinds.session, |_, secret| secret[0] ^= 1);
    let stale = forged(&kinds.device, |_, secret| secret[0] ^= 1);
    let by_session = let_in("session", Some(&kinds.session.selector), Some("ann"));
    let by_device = let_in("remember", Some(&kinds.device.selector), Some("ann"));
    let nobody = let_in("session", Some(&kinds.visit.selector), None);
    let wrong = turned_away("mismatch", Some("session"), Some(&kinds.session.selector));
    let malformed = turned_away("malformed", None, None);
    let visit = &kinds.visit.token;
    let cases = [
        (format!("{session}={sid}; {device}={did}"), &by_session),
        (format!("{device}={did}; {session}={sid}"), &by_session),
        (format!("{session}={dead}; {device}={did}"), &by_device),
        (format!("{session}={visit}; {device}={did}"), &by_device),
        (format!("{session}={visit}; {device}={stale}"), &nobody),
        (format!("{session}={visit}; {device}="), &nobody),
        (format!("{session}={dead}; {device}={stale}"), &wrong),
        (format!("{session}=x; {device}={did}"), &by_device),
        (format!("{device}={did}"), &by_device),
        (format!("theme=dark; {session}=\"{sid}\"; a=b"), &by_session),
        // Two of a name: neither is what was presented.
        (format!("{session}={sid}; {session}={sid}"), &malformed),
        // A credential in a cookie that is not its own, and one of another kind in it.
        (format!("other={sid}"), &by_session),
        (format!("{session}={did}"), &malformed),
        (format!("{session}="), &malformed),
        ("theme=dark".to_owned(), &malformed),
    ];
    let presented: Vec<String> = cases
        .iter()
        .map(|(line, _)| format!("Cookie: {line}"))
        .collect();
    let verdicts = kinds.judged(&[], &presented);
    for ((line, expected), verdict) in cases.iter().zip(&verdicts) {
        assert_eq!(verdict, *expected, "{line}");
    }
    let both = [format!("Cookie: {session}={sid}; {device}={did}")];
    assert_eq!(kinds.judged(&["--kind", "remember"], &both), [by_device]);
    assert_eq!(kinds.judged(&["--kind", "session"], &both), [by_session]);
    assert_eq!(kinds.judged(&["--kind", "access"], &both), [malformed]);
}

/// What every file of a store holds.
fn contents(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(place.path(".")).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn judging_every_kind_leaves_every_file_as_it_was() {
    let kinds = Kinds::new();
    let shown = |kind, selector| kinds.place.json(&[kind, "show", selector]);
    let device = shown("remember", &kinds.device.selector);
    let session = shown("session", &kinds.session.selector);
    let snapshot = kinds.place.path("countersign.sessions");
    let before = std::fs::read(&snapshot).unwrap();
    let presented = [
        kinds.device.token.clone(),
        kinds.session.token.clone(),
        kinds.image.clone(),
        format!("Cookie: __Host-session={}", kinds.session.token),
    ];
    kinds.judged(&[], &presented);
    // Long after all of them are over, and long before they were.
    for now in ["2100-01-01T00:00:00Z", "2000-01-01T00:00:00Z"] {
        let told = kinds
            .place
            .feed(&["--json", "--now", now, "verify"], lines(&presented));
        assert_eq!(told.code, Some(1), "{told:?}");
    }
    assert_eq!(shown("remember", &kinds.device.selector), device);
    assert_eq!(shown("session", &kinds.session.selector), session);
    assert_eq!(std::fs::read(&snapshot).unwrap(), before);
    let all = contents(&kinds.place);
    kinds.judged(&[], &presented);
    let names = |files: &[(PathBuf, Vec<u8>)]| {
        files
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&contents(&kinds.place)),
        names(&all),
        "no file more, none less"
    );
}

/// A session that is not there because its snapshot is damaged is not told as unknown.
#[test]
fn with_a_damaged_snapshot_no_session_is_judged_and_nothing_is_set_aside() {
    let kinds = Kinds::new();
    let snapshot = kinds.place.path("countersign.sessions");
    let mut bytes = std::fs::read(&snapshot).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&snapshot, &bytes).unwrap();
    let text = lines(&[&kinds.session.token]);
    for kind in ["any", "session"] {
        let arguments = ["--json", "verify", "--kind", kind];
        let told = kinds.place.feed(&arguments, text.clone());
        told.failed(3, "snapshot");
    }
    let device = [kinds.device.token.clone()];
    let verdicts = kinds.judged(&["--kind", "remember"], &device);
    assert_eq!(verdicts[0]["verdict"], "in");
    assert_eq!(
        std::fs::read(&snapshot).unwrap(),
        bytes,
        "it stays where it was"
    );
}
