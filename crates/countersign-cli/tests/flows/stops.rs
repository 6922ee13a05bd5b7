//! Hazard: a call that is stopped leaves something half done, or cannot be stopped.

use crate::place::{Place, Told};
use countersign::{Clock, Create, Engine, Mode, Principal, SystemClock, Timestamp};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// A command that is begun, with its ends in this process's hands.
pub(crate) fn piped(mut command: Command) -> Child {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn verify_can_be_stopped_while_it_waits_and_has_told_what_it_judged() {
    let place = Place::new();
    let token = place.issue("ann", &[]).token;
    let mut child = piped(place.command(&["--json", "verify"]));
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{token}").unwrap();
    let mut verdict = String::new();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    told.read_line(&mut verdict).unwrap();
    assert!(
        verdict.contains("\"in\""),
        "who waits for a verdict gets it: {verdict}"
    );
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(stdin);
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    place.run(&["check", "--deep"]).done();
}

/// The system's clock, set back by so many seconds.
#[derive(Clone, Debug, Default)]
struct Behind(Arc<AtomicU64>);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        let seconds = self.0.load(Ordering::SeqCst);
        SystemClock.now().before(Duration::from_secs(seconds))
    }
}

#[test]
fn the_log_is_followed_until_it_is_stopped() {
    let place = Place::new();
    let path = place.path("countersign.redb");
    let clock = Behind::default();
    let builder = Engine::builder()
        .clock(clock.clone())
        .create(Create::Never)
        .mode(Mode::SharedReaders);
    let engine = builder.open(path).unwrap();
    let mut child = piped(place.command(&["--json", "audit", "--follow"]));
    let mut told = BufReader::new(child.stdout.take().unwrap());
    // Each lies before the one that was told last.
    for (behind, name) in ["ann", "bob", "cid"].into_iter().enumerate() {
        clock.0.store(behind as u64, Ordering::SeqCst);
        let principal = Principal::new(name).unwrap();
        engine.principals().disable(principal, None).wait().unwrap();
        let mut event = String::new();
        told.read_line(&mut event).unwrap();
        assert!(event.contains(name), "{event}");
    }
    interrupt(&child);
    let told: Told = child.wait_with_output().unwrap().into();
    assert_eq!(told.code, Some(130));
    assert!(told.err.contains("\"stopped\""), "{told:?}");
    engine.close().wait().unwrap();
}

#[test]
fn an_export_that_is_stopped_leaves_no_file() {
    let place = Place::new();
    // A pipe that nobody reads holds it up in the middle: the call is stopped there.
    let lines = place.path("lines.jsonl");
    for number in 0..8 {
        place.issue(&format!("principal {number}"), &[]);
    }
    let mut child = piped(place.command(&["export", "lines.jsonl"]));
    interrupt(&child);
    let code = child.wait().unwrap().code();
    // It may have been done by then, or not have begun to listen.
    assert_eq!(lines.exists(), code == Some(0), "{code:?}");
    let left = std::fs::read_dir(place.path("")).unwrap().count();
    assert_eq!(left, if code == Some(0) { 4 } else { 3 });
}

#[test]
fn who_stops_reading_is_not_told_of_it() {
    let place = Place::new();
    let mut child = piped(place.command(&["verify"]));
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // As much as is needed for a pipe to be written to.
    for _ in 0..20_000 {
        if writeln!(stdin, "hello").is_err() {
            break;
        }
    }
    drop(stdin);
    let told: Told = child.wait_with_output().unwrap().into();
    assert_eq!((told.code, told.err.as_str()), (Some(141), ""));
}

#[test]
fn an_import_that_is_stopped_while_it_waits_leaves_no_store() {
    let place = Place::new();
    place.issue("ann", &[]);
    let lines = place.run(&["export", "-"]).done().out;
    let new = [
        "--store",
        "new.redb",
        "--key",
        "countersign.key",
        "import",
        "-",
    ];
    let mut child = piped(place.command(&new));
    let mut stdin = child.stdin.take().unwrap();
    let (head, _) = lines.split_at(lines.len() / 2);
    stdin.write_all(head.as_bytes()).unwrap();
    // Until it has begun, as its draft tells.
    while std::fs::read_dir(place.path("")).unwrap().count() < 4 {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(200));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let left = std::fs::read_dir(place.path("")).unwrap();
    let names: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    drop(stdin);
    let told = place.feed(&new, lines.into_bytes()).done();
    assert_eq!(
        told.out,
        "4 records: 1 system, 1 principals, 1 grants, 1 events\n"
    );
}

#[test]
fn an_init_that_dies_before_a_byte_is_written_can_be_made_again() {
    let place = Place::new();
    // Every write to a file ends the process, as a power cut would: after the file was made.
    let mut dying = Command::new("sh");
    dying
        .current_dir(place.path("."))
        .args(["-c", "ulimit -f 0; exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_countersign"))
        .args(["--store", "second.redb", "init"]);
    assert_eq!(dying.output().unwrap().status.code(), None);
    place.run(&["--store", "second.redb", "init"]).done();
    place
        .run(&["--store", "second.redb", "keys", "check"])
        .done();
}
