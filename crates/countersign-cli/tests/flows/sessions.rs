//! Hazard: an operator is shown what is not theirs to see, a list that is not true, or ends another
//! session than the one that was named.

use crate::place::{Place, fields};
use countersign::session::JsonText;
use countersign::{
    AttributeChange, AttributeName, Create, Engine, Method, Mode, NewLogIn, OpenedSession,
    Principal, Value,
};
use serde_json::json;
use std::fs;
use std::time::Duration;

const HUSH: &str = "hush-\u{1b}[31m";

fn engine(place: &Place, mode: Mode) -> Engine {
    let builder = Engine::builder().create(Create::Never).mode(mode);
    builder.open(place.path("countersign.redb")).unwrap()
}

fn log_in(engine: &Engine, name: &str) -> OpenedSession {
    let principal = Principal::new(name).unwrap();
    let login = NewLogIn::new(principal, Method::Password, Duration::from_secs(60));
    let opened = engine.sessions().log_in(None, login).wait().unwrap();
    let set = |name: &str, value| {
        let name = AttributeName::new(name).unwrap();
        AttributeChange::Set(name, value)
    };
    let changes = vec![
        set("note", HUSH.into()),
        set("visits", Value::Integer(3)),
        set("seen", Value::Boolean(true)),
        set("raw", Value::Bytes(b"\x00\xff"[..].into())),
        set("cart", Value::Json(JsonText::new("{\"a\":1}").unwrap())),
    ];
    let sessions = engine.sessions();
    sessions.update(&opened.session, changes).wait().unwrap();
    opened
}

/// A store whose sessions were carried over: two of ann, one of bob, one of nobody.
fn carried_over() -> (Place, [OpenedSession; 4]) {
    let place = Place::new();
    let engine = engine(&place, Mode::Exclusive);
    let visit = engine.sessions().start(Default::default()).wait();
    let sessions = [
        log_in(&engine, "ann"),
        log_in(&engine, "ann"),
        log_in(&engine, "bob"),
        visit.unwrap(),
    ];
    engine.close().wait().unwrap();
    (place, sessions)
}

fn selector(opened: &OpenedSession) -> String {
    opened.session.selector().to_string()
}

fn listed(place: &Place, more: &[&str]) -> Vec<String> {
    let told = place.run(&[&["--json", "session", "list"], more].concat());
    let found = told.done().objects();
    let selector = |object: &serde_json::Value| object["selector"].as_str().unwrap().to_owned();
    found.iter().map(selector).collect()
}

#[test]
fn sessions_are_listed_without_what_is_in_them() {
    let (place, sessions) = carried_over();
    let mut all: Vec<_> = sessions.iter().map(selector).collect();
    all.sort();
    assert_eq!(listed(&place, &[]), all);
    let [first, second, ..] = &sessions;
    // Of one millisecond, so perhaps.
    let mut theirs = [selector(first), selector(second)];
    theirs.sort();
    assert_eq!(listed(&place, &["--principal", "ann"]), theirs);
    assert_eq!(listed(&place, &["--principal", "zoe"]), [""; 0]);

    let shown = place.json(&["session", "show", &selector(first)]);
    assert_eq!(shown["principal"], "ann");
    assert_eq!(
        (&shown["method"], &shown["series"]),
        (&"password".into(), &json!(null))
    );
    assert_eq!(shown["idle_timeout_s"], 18_000);
    let cart = json!({"name": "cart", "kind": "json", "bytes": 7});
    assert_eq!(shown["attributes"][0], cart);
    let expected = [
        "attributes",
        "created_at",
        "expires_at",
        "idle_timeout_s",
        "last_seen_at",
        "method",
        "principal",
        "selector",
        "series",
    ];
    assert_eq!(fields(&shown), expected);

    let shown = place.json(&["session", "show", &selector(first), "--values"]);
    let values: Vec<_> = shown["attributes"].as_array().unwrap().iter().collect();
    let value = |at: usize| values[at]["value"].clone();
    assert_eq!((value(0), value(1)), (json!("{\"a\":1}"), json!(HUSH)));
    assert_eq!(
        (value(2), value(3), value(4)),
        (json!("00ff"), json!(true), json!(3))
    );
}

#[test]
fn no_form_of_it_shows_a_token_or_an_unasked_value() {
    let (place, sessions) = carried_over();
    let one = selector(&sessions[0]);
    for command in [&["session", "list"][..], &["session", "show", &one]] {
        for json in [&[][..], &["--json"]] {
            let told = place.run(&[json, command].concat()).done();
            let text = told.out + &told.err;
            assert!(!text.contains("hush"), "{text}");
            let told = place.run(&[json, command, &["--values"]].concat()).done();
            // Told, not carried out, also on a terminal.
            let written = ["hush-\\u{1b}[31m", "hush-\\u001b[31m"];
            let found = |form: &&str| told.out.contains(*form);
            assert_eq!(written.iter().filter(|form| found(form)).count(), 1);
            let text = text + &told.out + &told.err;
            for opened in &sessions {
                // The last third of a token is of its secret alone.
                let secret: String = opened.token.expose().chars().skip(50).collect();
                assert!(!text.contains(&secret));
            }
        }
    }
}

#[test]
fn an_ended_session_is_not_carried_over_and_the_others_are() {
    let (place, sessions) = carried_over();
    let one = selector(&sessions[0]);
    let told = place.json(&["session", "end", &one]);
    assert_eq!(
        (&told["done"], &told["sessions"]),
        (&"ended".into(), &1.into())
    );
    let again = place.run(&["--json", "session", "end", &one]);
    again.failed(1, "not_found");
    let told = place.json(&["session", "end", "--principal", "bob"]);
    assert_eq!(told["sessions"], 1);
    let engine = engine(&place, Mode::Exclusive);
    let living = sessions.each_ref().map(|opened| {
        let touched = engine.sessions().touch(opened.token.expose(), None);
        touched.wait().unwrap().is_in()
    });
    assert_eq!(living, [false, true, false, true]);
    engine.close().wait().unwrap();
    assert_eq!(place.json(&["session", "end", "--all"])["sessions"], 2);
    assert!(!place.path("countersign.sessions").exists());
    assert_eq!(listed(&place, &[]), [""; 0]);
}

#[test]
fn what_a_process_holds_is_listed_as_it_was_last_written_and_not_ended() {
    let (place, sessions) = carried_over();
    let before = fs::read(place.path("countersign.sessions")).unwrap();
    let engine = engine(&place, Mode::SharedReaders);
    log_in(&engine, "ann");
    assert_eq!(listed(&place, &[]).len(), sessions.len());
    let refused = place.run(&["--json", "session", "end", "--all"]);
    refused.failed(3, "already_open");
    assert_eq!(
        fs::read(place.path("countersign.sessions")).unwrap(),
        before
    );
    engine.close().wait().unwrap();
    assert_eq!(listed(&place, &[]).len(), sessions.len() + 1);
}

#[test]
fn a_snapshot_that_cannot_be_used_is_no_empty_list() {
    let (place, _) = carried_over();
    let path = place.path("countersign.sessions");
    fs::write(&path, b"damaged").unwrap();
    let told = place.run(&["--json", "session", "list"]);
    told.failed(3, "snapshot");
    assert!(path.exists(), "a command that only reads leaves it");
    let told = place.run(&["--json", "session", "end", "--all"]);
    told.failed(3, "snapshot");
    assert!(place.path("countersign.sessions.damaged").exists());
    assert_eq!(listed(&place, &[]), [""; 0]);
}

#[test]
fn those_whose_time_was_over_are_not_listed_as_of_then() {
    let (place, _) = carried_over();
    let told = place.run(&["--json", "--now", "2999-01-01T00:00:00Z", "session", "list"]);
    assert_eq!(told.done().out, "");
    assert_eq!(listed(&place, &[]).len(), 4);
}
