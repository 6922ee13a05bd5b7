//! Hazard: a presented line is judged otherwise than the engine judges its credential, takes
//! memory by its length, or leaves a trace.

use crate::place::{Issued, Place, Told};
use countersign::core::{SplitToken, TokenFormat, Verifier};
use countersign::{CredentialKind, Selector};
use serde_json::Value;

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
    let token = format
        .parse(CredentialKind::Access, issued.token.as_bytes())
        .unwrap();
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
