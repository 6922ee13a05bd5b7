//! Hazard: a process that is killed loses what it had acknowledged: a token that its owner was
//! shown, or worse, a revocation.
//!
//! A real process issues and revokes on several threads and notes each acknowledgement, in a file
//! of its own, after it came; it is killed at some moment, and the store is opened again. A kill
//! leaves what the system has in memory, so most runs need no disk; one in ten has one, and
//! `COUNTERSIGN_KILL_RUNS` asks for so many runs on it.

use crate::child::{Running, command};
use crate::support::{Dice, Home, PATIENCE, options, request, roomy, verify};
use countersign::{Engine, Rejection, Rotation};
use countersign_testkit::wait_until;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;

const RUNS: u64 = 200;
const THREADS: usize = 4;

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("log")
}

/// Works until it is killed.
pub(crate) fn child(path: &Path, seed: u64) {
    let engine = Engine::builder().policy(roomy()).redb(options());
    let engine = engine.open(path).unwrap();
    let mut log = OpenOptions::new();
    let log = log.append(true).create(true).open(log_of(path)).unwrap();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, log) = (&engine, log.try_clone().unwrap());
            scope.spawn(move || work(engine, log, Dice(seed ^ (number as u64) << 32), number));
        }
    });
}

/// Each line is one write, so that only the last one can be cut.
fn note(log: &mut File, what: &str, text: &str) {
    log.write_all(format!("{what} {text}\n").as_bytes())
        .unwrap();
}

fn work(engine: &Engine, mut log: File, mut dice: Dice, number: usize) {
    // Two threads share a principal, so that their commits conflict as well.
    let mut mine = Vec::new();
    for round in 0u64.. {
        let name = format!("principal-{}-{}", number / 2, round / 100);
        let token = engine.access().issue(request(&name)).wait().unwrap();
        note(&mut log, "issued", token.token.expose());
        mine.push(token);
        if dice.below(2) == 0 {
            let token = mine.swap_remove(dice.below(mine.len() as u64) as usize);
            note(&mut log, "ending", token.token.expose());
            if dice.below(3) == 0 {
                let rotation = Rotation::default();
                let rotated = engine.access().rotate(token.selector, rotation);
                let rotated = rotated.wait().unwrap();
                note(&mut log, "issued", rotated.token.expose());
                mine.push(rotated);
            } else {
                let revoked = engine.access().revoke(token.selector, None);
                assert!(revoked.wait().unwrap().durable);
            }
            note(&mut log, "ended", token.token.expose());
        }
    }
}

/// What became of a token, as far as was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Issued,
    /// Asked to be ended; it may have been.
    Ending,
    Ended,
}

fn read_log(path: &Path) -> BTreeMap<String, Fate> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // A line that was cut is one that was not written in time.
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let mut fates = BTreeMap::new();
    for line in whole {
        let (what, token) = line.trim_end().split_once(' ').unwrap();
        let fate = match what {
            "issued" => Fate::Issued,
            "ending" => Fate::Ending,
            "ended" => Fate::Ended,
            other => panic!("{other}"),
        };
        fates.insert(token.to_owned(), fate);
    }
    fates
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let asked = env::var("COUNTERSIGN_KILL_RUNS");
    let asked: Option<u64> = asked.ok().map(|runs| runs.parse().unwrap());
    let runs = asked.unwrap_or(RUNS);
    let mut counts = [0usize; 3];
    let mut dice = Dice(runs);
    for run in 0..runs {
        let home = match asked.is_some() || run % 10 == 0 {
            true => Home::on_disk(),
            false => Home::new(),
        };
        let log = log_of(&home.path());
        let length = || fs::metadata(&log).map_or(0, |about| about.len());
        let mut child = Running::start(command("kill", &home.path(), run));
        // Some runs are ended in the first moments, others well under way.
        let bytes = dice.below(30_000);
        let mut ended = false;
        let reached = wait_until(PATIENCE, || {
            ended = child.child.try_wait().unwrap().is_some();
            ended || length() > bytes
        });
        assert!(reached && !ended, "run {run}: it did not get there");
        child.kill();

        let engine = home.builder().policy(roomy()).open(home.path()).unwrap();
        for (token, fate) in read_log(&log) {
            let verdict = verify(&engine, &token);
            match fate {
                Fate::Issued => assert!(verdict.is_in(), "run {run}: {verdict:?}"),
                Fate::Ended => assert_eq!(
                    verdict.rejection(),
                    Some(Rejection::Revoked),
                    "run {run}: undone"
                ),
                Fate::Ending => {
                    let known = [None, Some(Rejection::Revoked)];
                    assert!(known.contains(&verdict.rejection()), "{verdict:?}");
                }
            }
            counts[fate as usize] += 1;
        }
        // It is a store like any other, and goes on.
        assert!(engine.access().issue(request("after")).wait().is_ok());
    }
    let [issued, ending, ended] = counts;
    assert!(runs == 0 || issued > 0 && ended > 0, "{counts:?}");
    crate::support::figures(&format!(
        "kill: {runs} runs; {issued} acknowledged tokens there, {ended} acknowledged ends kept, \
         {ending} under way"
    ));
}
