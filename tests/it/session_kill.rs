//! Hazard: a process that is killed loses more sessions than the interval of their snapshot
//! explains, or brings back what had ended before it was written, or whose epoch has moved on.
//!
//! A real process opens and ends sessions on several threads and notes each acknowledgement with
//! its instant, after it came; it is killed at some moment, and the store is opened again. Most are
//! killed soon after their first snapshot; some live on for so long that another one must follow.

use crate::child::{Running, command};
use crate::support::{Dice, Home, PATIENCE, options, policy, principal};
use countersign::{
    Clock as _, EndedBy, Engine, Method, NewLogIn, Policy, Subsystem, SystemClock, Timestamp,
};
use countersign_testkit::wait_until;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const RUNS: u64 = 12;
const THREADS: usize = 3;
/// The shortest that policy allows; the tick of maintenance comes on top.
const INTERVAL: Duration = Duration::from_secs(1);
/// A tick of maintenance, the writing, and a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// One run of so many lives for much longer than a snapshot may be old, and is a calm one.
const LONG_EVERY: u64 = 10;
/// In the seed of a run in which nothing asks for a snapshot but its interval, and which does not
/// switch sessions off.
const CALM: u64 = 1 << 63;
/// About one in three of the other runs switches sessions off before it is killed: among so many
/// one does for certain.
const MANY: u64 = 200;

fn bounds() -> Policy {
    policy(|draft| {
        draft.sessions.snapshot_interval = INTERVAL;
        draft.sessions.max_per_principal = 10_000;
    })
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("log")
}

/// Works until it is killed.
pub(crate) fn child(path: &Path, seed: u64) {
    let engine = Engine::builder().policy(bounds()).redb(options());
    let engine = engine.open(path).unwrap();
    let is_calm = seed & CALM != 0;
    let mut log = OpenOptions::new();
    let log = log.append(true).create(true).open(log_of(path)).unwrap();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (engine, log) = (&engine, log.try_clone().unwrap());
            let dice = Dice(seed ^ (number as u64) << 32);
            scope.spawn(move || work(engine, log, dice, number, is_calm));
        }
    });
}

/// Each line is one write, so that only the last one can be cut.
fn note(log: &mut File, what: &str, text: &str) {
    let at = SystemClock.now().as_millis();
    log.write_all(format!("{what} {at} {text}\n").as_bytes())
        .unwrap();
}

fn work(engine: &Engine, mut log: File, mut dice: Dice, number: usize, is_calm: bool) {
    let sessions = engine.sessions();
    let mut mine = Vec::new();
    for round in 0u64.. {
        let name = format!("p-{number}-{}", round / 20);
        let login = NewLogIn::new(principal(&name), Method::Password, INTERVAL);
        let Ok(opened) = sessions.log_in(None, login).wait() else {
            // Sessions are off, and stay so until the end.
            return wait_for_the_end();
        };
        note(&mut log, "opened", opened.token.expose());
        mine.push((name.clone(), opened));
        if dice.below(3) == 0 {
            let (_, opened) = mine.swap_remove(dice.below(mine.len() as u64) as usize);
            note(&mut log, "ending", opened.token.expose());
            sessions.log_out(&opened.session).wait().unwrap();
            note(&mut log, "ended", opened.token.expose());
        }
        let (theirs, rest): (Vec<_>, Vec<_>) = match dice.below(60) {
            0 | 1 if !is_calm => mine.into_iter().partition(|(whose, _)| *whose == name),
            _ => (Vec::new(), mine),
        };
        mine = rest;
        if !theirs.is_empty() {
            for (_, opened) in &theirs {
                note(&mut log, "ending", opened.token.expose());
            }
            // By an epoch, or by hand: that one asks for a snapshot at once.
            let by_epoch = dice.below(2) == 0;
            if by_epoch {
                let principals = engine.principals();
                let revoked = principals.revoke_everything(principal(&name), None);
                assert!(revoked.wait().unwrap().durable);
            } else {
                let ended = sessions.end_all(&principal(&name), EndedBy::Operator);
                ended.wait().unwrap();
            }
            for (_, opened) in &theirs {
                let what = if by_epoch { "revoked" } else { "ended" };
                note(&mut log, what, opened.token.expose());
            }
        }
        if number == 0 && !is_calm && dice.below(6000) == 0 {
            note(&mut log, "all-ending", "-");
            let switches = engine.switches();
            let revoked = switches.off(Subsystem::Sessions, None).wait().unwrap();
            assert!(revoked.durable);
            note(&mut log, "all-revoked", "-");
            return wait_for_the_end();
        }
        thread::sleep(Duration::from_micros(200));
    }
}

fn wait_for_the_end() {
    loop {
        thread::park();
    }
}

/// What became of a session, as far as was acknowledged, and when.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Opened(Timestamp),
    /// Asked to be ended; it may have been.
    Ending,
    Ended(Timestamp),
    Revoked,
}

#[derive(Debug, Default)]
struct Log {
    fates: BTreeMap<String, Fate>,
    all_ending: bool,
    all_revoked: bool,
}

fn read_log(path: &Path) -> Log {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut log = Log::default();
    // A line that was cut is one that was not written in time.
    let whole = text.split_inclusive('\n');
    for line in whole.filter(|line| line.ends_with('\n')) {
        let mut parts = line.split_whitespace();
        let (what, at) = (parts.next().unwrap(), parts.next().unwrap());
        let at = Timestamp::from_millis(at.parse().unwrap());
        let fate = match what {
            "opened" => Fate::Opened(at),
            "ending" => Fate::Ending,
            "ended" => Fate::Ended(at),
            "revoked" => Fate::Revoked,
            "all-ending" => {
                log.all_ending = true;
                continue;
            }
            "all-revoked" => {
                log.all_revoked = true;
                continue;
            }
            _ => continue,
        };
        log.fates.insert(parts.next().unwrap().to_owned(), fate);
    }
    log
}

#[test]
fn a_kill_costs_at_most_an_interval_and_revives_nothing_that_was_over() {
    let asked = env::var("COUNTERSIGN_KILL_RUNS");
    let asked: Option<u64> = asked.ok().map(|runs| runs.parse().unwrap());
    let runs = asked.unwrap_or(RUNS);
    let mut dice = Dice(runs);
    let (mut kept, mut lost, mut over, mut revived) = (0, 0, 0, 0);
    let (mut long, mut off, mut all_shut_out) = (0, 0, 0);
    for run in 0..runs {
        let home = Home::new();
        let is_long = run.is_multiple_of(LONG_EVERY);
        let (seed, lives_on) = match is_long {
            true => (run | CALM, 4000 + dice.below(1000)),
            false => (run, dice.below(1200)),
        };
        let mut child = Running::start(command("kill-sessions", &home.path(), seed));
        let snapshot = home.path().with_extension("sessions");
        let mut ended = false;
        let reached = wait_until(PATIENCE, || {
            ended = child.child.try_wait().unwrap().is_some();
            ended || snapshot.exists() || read_log(&log_of(&home.path())).all_revoked
        });
        assert!(reached && !ended, "run {run}: it did not get there");
        thread::sleep(Duration::from_millis(lives_on));
        let killed_at = SystemClock.now();
        child.kill();

        let log = read_log(&log_of(&home.path()));
        let engine = Engine::builder().policy(bounds()).redb(options());
        let engine = engine.open(home.path()).unwrap();
        if log.all_ending {
            off += 1;
            if log.all_revoked {
                all_shut_out += 1;
                engine
                    .switches()
                    .on(Subsystem::Sessions, None)
                    .wait()
                    .unwrap();
                assert_eq!(engine.sessions().counts().all, 0, "run {run}");
            }
            continue;
        }
        let report = engine.stats().session_snapshot.restored.unwrap();
        let written_at = report.outcome.unwrap().written_at;
        let late = killed_at.since(written_at);
        assert!(late < INTERVAL + SLACK, "run {run}: {late:?}");
        long += usize::from(is_long);
        for (token, fate) in log.fates {
            let is_in = engine
                .sessions()
                .touch(&token, None)
                .wait()
                .unwrap()
                .is_in();
            match fate {
                Fate::Opened(at) if at < written_at => {
                    assert!(is_in, "run {run}: it was in the snapshot");
                    kept += 1;
                }
                Fate::Opened(_) => lost += usize::from(!is_in),
                Fate::Ending => {}
                Fate::Ended(at) if at < written_at => {
                    assert!(!is_in, "run {run}: it came back");
                    over += 1;
                }
                Fate::Ended(_) => revived += usize::from(is_in),
                Fate::Revoked => {
                    assert!(!is_in, "run {run}: its epoch had moved on");
                    over += 1;
                }
            }
        }
    }
    assert!(runs == 0 || kept > 0 && over > 0 && long > 0);
    assert!(
        runs < MANY || all_shut_out > 0,
        "no run was killed after sessions had been switched off"
    );
    crate::support::figures(&format!(
        "session kill: {runs} runs, {long} of them long ones and {off} while sessions were \
         switched off; {kept} sessions kept, {over} that were over stayed so; since the last \
         snapshot {lost} were lost and {revived} came back"
    ));
}
