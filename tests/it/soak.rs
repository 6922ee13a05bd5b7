//! Hazard: what holds for a minute does not hold for a day: something grows, something is
//! forgotten, or a fault that passed leaves a trace that shows much later.
//!
//! Issuers, verifiers and log-ins work while the disk fails now and then and the clock jumps, days
//! ahead and sometimes back. Whoever was shut out stays out, whoever was let in and not shut out
//! comes in again once the disk is well, and whoever is new then is let in, and out again, at the
//! first try. The memory that it takes stays what it was: what is allocated while everybody rests
//! and the disk is well. Under way it is anything from a half to five times as much, by how busy
//! the machine is. What is resident is told besides, for an allocator keeps what was given back to
//! it: the C library's, in up to eight arenas for each core.
//!
//! `COUNTERSIGN_SOAK_SECONDS` asks for so long.

use crate::session_help::{lets_in, log_in, try_log_in};
use crate::support::{
    DAY, Dice, Home, PATIENCE, SECOND, asked, figures, is_in, issue, options, policy, request,
    revoke,
};
use countersign::store::Health;
use countersign::{Engine, IssuedToken, OpenedSession, Policy};
use countersign_testkit::{Ending, Fault, Faults, Lasting, Op, wait_until};
use std::collections::VecDeque;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

const WORKERS: u64 = 2;
/// How many of each a worker keeps at most.
const LIVE: usize = 100;
/// It revokes only what it has beyond these. While the disk fails, revocations still go through and
/// issues do not: without them it would soon have nothing whose way back in could be judged.
const KEPT: usize = 50;
const OVER: usize = 300;
/// From so long on it is judged whether memory grows: before, there is not enough to go by.
const LONG: u64 = 600;

fn small() -> Policy {
    policy(|draft| {
        draft.access_tokens.max_live_per_principal = 500;
        draft.access_tokens.max_kept_per_principal = 1000;
        draft.cache.max_tokens = 1000;
    })
}

/// Tokens that were asked for, by all workers.
#[derive(Debug, Default)]
struct Issues {
    issued: AtomicU64,
    /// Those that the disk did not take.
    failed: AtomicU64,
    /// How many were issued before this quarter of the time.
    before: AtomicU64,
}

impl Issues {
    fn note(&self, issued: bool) {
        let counter = match issued {
            true => &self.issued,
            false => &self.failed,
        };
        counter.fetch_add(1, SeqCst);
    }

    /// Another quarter of the time is over, and some were issued in it.
    #[track_caller]
    fn end_quarter(&self) {
        let issued = self.issued.load(SeqCst);
        let before = self.before.swap(issued, SeqCst);
        assert!(issued > before, "none in a quarter of the time: {self:?}");
    }
}

/// What one worker knows to live, and to be over.
#[derive(Default)]
struct Known {
    live: Vec<IssuedToken>,
    over: VecDeque<IssuedToken>,
    sessions: Vec<OpenedSession>,
    out: VecDeque<OpenedSession>,
}

impl Known {
    fn step(&mut self, engine: &Engine, dice: &mut Dice, number: u64, issues: &Issues) {
        let who = format!("principal-{number}-{}", dice.below(5));
        match dice.below(10) {
            0..=2 if self.live.len() < LIVE => {
                let token = engine.access().issue(request(&who)).wait();
                // What the disk does not take was not issued.
                issues.note(token.is_ok());
                self.live.extend(token);
            }
            3 | 4 if self.live.len() > KEPT => {
                let at = dice.below(self.live.len() as u64) as usize;
                let token = self.live.swap_remove(at);
                // In force from here on, whatever the disk does.
                engine.access().revoke(token.selector, None).wait().unwrap();
                keep(&mut self.over, token);
            }
            5 if self.sessions.len() < LIVE => self.sessions.extend(try_log_in(engine, &who)),
            6 if !self.sessions.is_empty() => {
                let at = dice.below(self.sessions.len() as u64) as usize;
                let opened = self.sessions.swap_remove(at);
                // One that the clock has ended is not logged out any more.
                let _ = engine.sessions().log_out(&opened.session).wait();
                keep(&mut self.out, opened);
            }
            _ => self.judged(engine, dice),
        }
    }

    fn judged(&self, engine: &Engine, dice: &mut Dice) {
        let some = |len: usize, dice: &mut Dice| dice.below(len.max(1) as u64) as usize;
        if let Some(token) = self.over.get(some(self.over.len(), dice))
            && let Ok(verdict) = engine.access().verify(token.token.expose()).wait()
        {
            assert!(!verdict.is_in(), "a token that was revoked came in");
        }
        if let Some(opened) = self.out.get(some(self.out.len(), dice))
            && let Ok(verdict) = engine.sessions().touch(opened.token.expose(), None).wait()
        {
            assert!(!verdict.is_in(), "a session that was logged out came in");
        }
        if let Some(token) = self.live.get(some(self.live.len(), dice))
            && let Ok(verdict) = engine.access().verify(token.token.expose()).wait()
        {
            assert!(
                verdict.is_in(),
                "a token that lives was refused: {verdict:?}"
            );
        }
    }

    #[track_caller]
    fn all_judged(&self, engine: &Engine) {
        let (live, over, out) = (self.live.len(), self.over.len(), self.out.len());
        assert!(live > 0 && over > 0 && out > 0, "{live}, {over}, {out}");
        for token in &self.live {
            let verdict = engine.access().verify(token.token.expose()).wait();
            assert!(verdict.unwrap().is_in(), "a token that lives was refused");
        }
        for token in &self.over {
            let verdict = engine.access().verify(token.token.expose()).wait();
            assert!(
                !verdict.unwrap().is_in(),
                "a token that was revoked came in"
            );
        }
    }
}

/// Somebody new, while the disk is well and the clock stands still: let in at the first try, and
/// out again.
fn comes_and_goes(engine: &Engine) {
    let who = "somebody-new";
    let token = issue(engine, who);
    assert!(is_in(engine, &token), "a new token was refused");
    revoke(engine, token.selector);
    assert!(!is_in(engine, &token), "a token that was revoked came in");
    let opened = log_in(engine, who);
    assert!(lets_in(engine, &opened), "a new session was refused");
    let out = engine.sessions().log_out(&opened.session).wait();
    assert!(!out.unwrap().already, "a new session had ended by itself");
    assert!(
        !lets_in(engine, &opened),
        "a session that was logged out came in"
    );
}

fn keep<T>(those: &mut VecDeque<T>, one: T) {
    those.push_back(one);
    if those.len() > OVER {
        those.pop_front();
    }
}

/// Bytes of this process that are in memory.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    // Where residence cannot be told there are none.
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The medians of the second quarter and of the last.
fn quarters(sizes: &[u64]) -> (u64, u64) {
    let quarter = sizes.len() / 4;
    (
        median(sizes[quarter..2 * quarter].to_vec()),
        median(sizes[3 * quarter..].to_vec()),
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long it lasts is asked for in seconds of the wall"
)]
fn for_as_long_as_it_runs_nobody_comes_in_who_is_out_and_nothing_grows() {
    let seconds = asked("COUNTERSIGN_SOAK_SECONDS", 8);
    let (home, faults) = (Home::new(), Faults::new());
    let redb = options().backend(faults.hook()).cache_bytes(1 << 20);
    let builder = home.builder().policy(small()).redb(redb);
    let engine = builder.open(home.path()).unwrap();
    let (over, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    let issues = Issues::default();
    // All at once, so that the looks themselves do not grow.
    let looks = || Vec::with_capacity(usize::try_from(seconds * 20).unwrap());
    let (mut allocated, mut residents) = (looks(), looks());
    let (mut injected, mut rests, at_rest) = (0, 0, RwLock::new(()));
    let healthy = || engine.stats().health == Health::Healthy;
    thread::scope(|scope| {
        let worker = |number: u64| {
            let (mut known, mut dice) = (Known::default(), Dice(number));
            while !over.load(SeqCst) {
                let _at_work = at_rest.read().unwrap();
                known.step(&engine, &mut dice, number, &issues);
                steps.fetch_add(1, SeqCst);
            }
            known
        };
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| scope.spawn(move || worker(number)))
            .collect();
        let _ending = Ending(&over);
        let (begun, mut dice) = (Instant::now(), Dice(99));
        let (long, mut quarter) = (Duration::from_secs(seconds), 0);
        for look in 1_u64.. {
            let elapsed = begun.elapsed();
            if elapsed >= long {
                break;
            }
            let reached = elapsed.as_millis() * 4 / long.as_millis();
            if reached > quarter {
                quarter = reached;
                issues.end_quarter();
            }
            thread::sleep(Duration::from_millis(50 + dice.below(50)));
            match dice.below(12) {
                0 => {
                    let op = Op::ALL[dice.below(4) as usize];
                    faults.fail(Some(op), dice.below(20), Fault::Io, Lasting::Once);
                }
                1 => {
                    faults.fail(None, dice.below(50), Fault::Io, Lasting::ForEver);
                    thread::sleep(Duration::from_millis(20));
                    faults.mend();
                }
                2 => home.clock.step_back(SECOND * 90),
                3..=6 => home.clock.advance(DAY / 2),
                _ => {
                    // While the disk fails it says so.
                    let _ = engine.maintain().wait();
                }
            }
            if look.is_multiple_of(8) {
                let _all = at_rest.write().unwrap();
                faults.mend();
                assert!(wait_until(PATIENCE, healthy), "{:?}", engine.stats());
                let _ = engine.maintain().wait();
                allocated.push(u64::try_from(crate::ALLOCATOR.allocated()).unwrap());
                residents.extend(resident());
                // Only now that all was counted.
                assert!(wait_until(PATIENCE, healthy), "{:?}", engine.stats());
                comes_and_goes(&engine);
                rests += 1;
            }
        }
        issues.end_quarter();
        faults.mend();
        injected = faults.injected();
        over.store(true, SeqCst);
        assert!(wait_until(PATIENCE, healthy), "{:?}", engine.stats());
        let _ = engine.maintain().wait();
        for worker in workers {
            worker.join().unwrap().all_judged(&engine);
        }
    });
    assert_eq!(engine.stats().waiting_denials, 0);
    engine.close().wait().unwrap();
    assert!(injected > 0, "the disk never failed");
    let steps = steps.into_inner();
    assert!(steps > 0 && rests > 0, "{steps} steps, {rests} rests");
    let (issued, failed) = (issues.issued.into_inner(), issues.failed.into_inner());
    let (second, last) = quarters(&allocated);
    // A few seconds are too short for a quarter.
    let thousandths = (last * 1000).checked_div(second).unwrap_or_default();
    let (resident_before, resident_last) = quarters(&residents);
    figures(&format!(
        "soak: {seconds} s, {steps} steps, {rests} rests, {injected} failures of the disk, {} \
         days; {issued} tokens were issued and {failed} were not; {last} bytes allocated in the \
         last quarter, {thousandths} thousandths of the second's; {resident_before} and then \
         {resident_last} resident",
        countersign::Clock::now(&home.clock)
            .since(countersign_testkit::samples::NOW)
            .as_secs()
            / 86_400,
    ));
    if seconds >= LONG {
        assert!(
            thousandths < 1020,
            "memory grew: {second} and then {last} bytes"
        );
    }
}
