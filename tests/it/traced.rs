//! Hazard: what happened is not in the log of a host that reads nothing else, or a secret is.
//!
//! In a process of its own, with one subscriber for all of it, as a host has. A subscriber of one
//! thread misses what another test's thread says first: whether a line is wanted is asked once, of
//! the subscriber of the thread that comes to it first.

use crate::child;
use crate::session_help::log_in;
use crate::support::{Home, issue, remember, verify, with_wrong_secret};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps each line: its target, and its fields as they are printed.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let about = event.metadata();
        let mut line = Line(format!("{} {}", about.level(), about.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The one line that begins like this and has all of these in it.
#[track_caller]
fn one<'a>(lines: &'a [String], begins: &str, has: &[&str]) -> &'a str {
    let like = |line: &&String| line.starts_with(begins) && has.iter().all(|it| line.contains(it));
    let found: Vec<&String> = lines.iter().filter(like).collect();
    assert_eq!(found.len(), 1, "{begins} {has:?} in {lines:#?}");
    found[0]
}

#[test]
fn whatever_happens_is_a_line_and_no_secret_is_in_any() {
    let output = child::command("traced", Path::new(""), 0).output().unwrap();
    assert_eq!(child::told(&output), ["done"], "{output:#?}");
}

/// Lets everything happen, and looks at what was said of it.
pub(crate) fn child(_: &Path, _: u64) {
    let (lines, home) = (Lines::default(), Home::new());
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let engine = home.open();
    let token = issue(&engine, "ann");
    let wrong = with_wrong_secret(&engine, token.selector, 3);
    assert!(!verify(&engine, &wrong).is_in());
    let device = remember(&engine, "ann");
    let (kept, over) = (log_in(&engine, "ann"), log_in(&engine, "ann"));
    engine.sessions().log_out(&over.session).wait().unwrap();
    engine.close().wait().unwrap();
    drop(engine);
    home.open().close().wait().unwrap();
    fs::write(home.dir.path().join("state.sessions"), b"damaged").unwrap();
    home.open().close().wait().unwrap();
    let mut secrets = vec![token.token.expose().to_owned(), wrong];
    secrets.push(device.token.expose().to_owned());
    secrets.extend([&kept, &over].map(|opened| opened.token.expose().to_owned()));
    let lines = lines.0.lock().unwrap().clone();
    let audit = "INFO countersign::audit";
    for of in ["of=\"access\"", "of=\"remember\""] {
        let issued = one(&lines, audit, &["kind=\"issued\"", "principal=ann", of]);
        assert!(issued.contains("credential="), "{issued}");
    }
    one(
        &lines,
        "DEBUG countersign::refused",
        &["kind=\"access\"", "reason=\"mismatch\""],
    );
    let session = "INFO countersign::session";
    let ended = one(&lines, session, &["change=\"ended\"", "by=\"principal\""]);
    assert!(ended.contains("principal=ann"), "{ended}");
    one(
        &lines,
        session,
        &["living=1", "expired=0", "sessions were carried over"],
    );
    one(
        &lines,
        "WARN countersign::session",
        &["fault=", "sessions were not carried over"],
    );
    assert_eq!(secrets.len(), 5);
    for line in &lines {
        for secret in &secrets {
            // Nor its last half, which is the secret's alone.
            let half = &secret[secret.len() / 2..];
            assert!(!line.contains(half), "{line}");
        }
    }
}
