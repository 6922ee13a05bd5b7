//! Hazard: a disk that fails for a moment leaves the engine failed for good, lets somebody in
//! whom it should not, or loses what it had acknowledged.

use crate::support::{
    Home, PATIENCE, SECOND, asked, figures, is_in, issue, options, principal, refused, request,
    verify,
};
use countersign::store::{Health, Mode};
use countersign::{Engine, Error, IssuedToken, Maintenance, Rejection, Subsystem};
use countersign_testkit::{Fault, Faults, Lasting, Op, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

/// Issues of a load, and half as many revocations.
const STEPS: usize = 24;

/// What was acknowledged, and so has to hold.
#[derive(Default)]
struct Ledger {
    live: Vec<IssuedToken>,
    dead: Vec<IssuedToken>,
}

impl Ledger {
    /// Issues and revokes; whatever fails meanwhile, nobody comes in who was shut out.
    fn work(&mut self, engine: &Engine, steps: usize) {
        for step in 0..steps {
            let name = format!("principal-{}", step % 3);
            match engine.access().issue(request(&name)).wait() {
                Ok(token) => self.live.push(token),
                Err(error) => expected(&error),
            }
            if step % 2 == 1
                && let Some(token) = self.live.pop()
            {
                // In force from here on, whether the disk has it or not.
                let revoked = engine.access().revoke(token.selector, None).wait();
                assert!(revoked.is_ok(), "{revoked:?}");
                self.dead.push(token);
            }
            self.nobody_wrong(engine);
        }
    }

    /// Dead tokens stay out; living ones are let in or cannot be judged.
    fn nobody_wrong(&self, engine: &Engine) {
        for token in &self.dead {
            match engine.access().verify(token.token.expose()).wait() {
                Ok(verdict) => assert_eq!(verdict.rejection(), Some(Rejection::Revoked)),
                Err(error) => expected(&error),
            }
        }
        for token in &self.live {
            match engine.access().verify(token.token.expose()).wait() {
                Ok(verdict) => assert!(verdict.is_in(), "{verdict:?}"),
                Err(error) => expected(&error),
            }
        }
    }

    /// Everything is as it was acknowledged.
    fn all_there(&self, engine: &Engine) {
        for token in &self.live {
            assert!(is_in(engine, token), "an acknowledged token is gone");
        }
        for token in &self.dead {
            assert_eq!(refused(engine, token), Rejection::Revoked);
        }
    }
}

/// What may be answered while the disk fails.
#[track_caller]
fn expected(error: &Error) {
    let known = error.is_retryable() || matches!(error, Error::Unknown(_));
    assert!(known, "{error:?}");
}

fn open(home: &Home, faults: &Faults) -> Engine {
    open_as(Mode::Exclusive, home, faults)
}

fn open_as(mode: Mode, home: &Home, faults: &Faults) -> Engine {
    let redb = options().mode(mode).backend(faults.hook());
    let redb = redb.cache_bytes(16 * 1024);
    home.builder().redb(redb).open(home.path()).unwrap()
}

/// One fault at one point of a load of about five hundred operations; answers whether there was
/// such a point at all.
fn one_fault(op: Op, point: u64, fault: Fault, lasting: Lasting) -> bool {
    let (home, faults) = (Home::new(), Faults::new());
    // A store that readers share commits in another way.
    let mode = match point % 2 {
        0 => Mode::Exclusive,
        _ => Mode::SharedReaders,
    };
    let engine = open_as(mode, &home, &faults);
    let mut ledger = Ledger::default();
    ledger.work(&engine, 4);
    faults.fail(Some(op), point, fault, lasting);
    ledger.work(&engine, STEPS);
    let reached = faults.injected() > 0;
    faults.mend();

    let case = format!("{fault:?} {lasting:?} at {op:?} {point}");
    let healthy = || engine.stats().health == Health::Healthy;
    assert!(wait_until(SECOND, healthy), "{case}: {:?}", engine.stats());
    ledger.nobody_wrong(&engine);
    engine.maintain().wait().unwrap();
    assert_eq!(engine.stats().waiting_denials, 0, "{case}");
    ledger.all_there(&engine);
    ledger.work(&engine, 2);
    engine.close().wait().unwrap();
    ledger.all_there(&home.open());
    reached
}

/// Each point in turn until there are no more, `apart` from one another after the first dozen,
/// where something begins. Answers how many there were.
fn every_point(op: Op, fault: Fault, lasting: Lasting, apart: usize) -> usize {
    let points = (0..12).chain((12..).step_by(apart));
    points
        .take_while(|at| one_fault(op, *at, fault, lasting))
        .count()
}

#[test]
fn after_an_error_anywhere_it_is_healthy_again_and_nothing_is_lost() {
    // How far points lie from one another: 1 for all of them.
    let apart = asked("COUNTERSIGN_FAULTS_APART", 13) as usize;
    let cases = Op::ALL.into_iter().flat_map(|op| {
        let faults = Fault::ALL
            .into_iter()
            .filter(move |fault| fault.can_happen_to(op));
        faults.flat_map(move |fault| Lasting::ALL.map(|lasting| (op, fault, lasting)))
    });
    let cases: Vec<_> = cases.collect();
    let points = AtomicUsize::new(0);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((op, fault, lasting)) = cases.get(next.fetch_add(1, SeqCst)) {
                    let met = every_point(*op, *fault, *lasting, apart);
                    assert!(met > 0, "no {op:?} was failed: {fault:?} {lasting:?}");
                    points.fetch_add(met, SeqCst);
                }
            });
        }
    });
    let points = points.into_inner();
    assert!(points > 150, "only {points} points were met");
    figures(&format!(
        "faults: {points} points failed, once and until they were mended; nothing acknowledged \
         was lost, nobody was let in wrongly"
    ));
}

#[test]
fn while_the_disk_is_gone_what_is_in_memory_is_judged_and_shut_out() {
    for maintenance in [Maintenance::HostDriven, Maintenance::Background] {
        let (home, faults) = (Home::new(), Faults::new());
        let redb = options().backend(faults.hook()).cache_bytes(16 * 1024);
        let builder = home.builder().maintenance(maintenance).redb(redb);
        let engine = builder.open(home.path()).unwrap();
        let names = ["ann", "bob", "cid", "dan", "eve"];
        let tokens = names.map(|name| issue(&engine, name));
        assert!(tokens.iter().all(|token| is_in(&engine, token)));
        let [kept, revoked, disabled, all_of, cold] = &tokens;
        // Read only from the disk: a change of theirs took it out of memory.
        let rotation = engine.access().rotate(cold.selector, Default::default());
        let cold = rotation.wait().unwrap();

        faults.fail(None, 0, Fault::Io, Lasting::ForEver);
        let issued = engine.access().issue(request("ann")).wait();
        expected(&issued.unwrap_err());
        let down = || matches!(engine.stats().health, Health::Degraded | Health::Reopening);
        assert!(wait_until(PATIENCE, down));
        assert!(is_in(&engine, kept), "it was in memory");
        let verdict = engine.access().verify(cold.token.expose()).wait();
        expected(&verdict.unwrap_err());

        let outcomes = [
            engine.access().revoke(revoked.selector, None).wait(),
            engine.principals().disable(principal("cid"), None).wait(),
            engine.access().revoke_all_of(principal("dan"), None).wait(),
        ];
        for outcome in outcomes {
            assert!(!outcome.unwrap().durable);
        }
        let out = [revoked, disabled, all_of].map(|token| refused(&engine, token));
        let expected_out = [Rejection::Revoked, Rejection::Disabled, Rejection::Revoked];
        assert_eq!(out, expected_out);
        assert_eq!(engine.stats().waiting_denials, 3);
        // Nobody is let in again over a denial that is not written yet.
        let enabled = engine.principals().enable(principal("cid"), None).wait();
        expected(&enabled.unwrap_err());
        assert_eq!(refused(&engine, disabled), Rejection::Disabled);
        assert!(is_in(&engine, kept), "still");

        faults.mend();
        let healthy = || engine.stats().health == Health::Healthy;
        assert!(wait_until(SECOND, healthy), "{:?}", engine.stats());
        if maintenance == Maintenance::HostDriven {
            assert_eq!(engine.maintain().wait().unwrap().denials_written, 3);
        }
        let written = || engine.stats().waiting_denials == 0;
        assert!(wait_until(PATIENCE, written));
        let as_told = |engine: &Engine| {
            assert!(is_in(engine, kept) && is_in(engine, &cold));
            let out = [revoked, disabled, all_of].map(|token| refused(engine, token));
            assert_eq!(out, expected_out);
        };
        as_told(&engine);
        engine.close().wait().unwrap();
        as_told(&home.open());
    }
}

#[test]
fn a_switch_that_is_off_only_in_memory_is_off() {
    let (home, faults) = (Home::new(), Faults::new());
    let engine = open(&home, &faults);
    let token = issue(&engine, "ann");
    assert!(is_in(&engine, &token));
    faults.fail(None, 0, Fault::Io, Lasting::ForEver);
    let access = Subsystem::AccessTokens;
    let off = engine.switches().off(access, None).wait().unwrap();
    assert!(!off.durable);
    assert_eq!(refused(&engine, &token), Rejection::SwitchedOff);
    expected(&engine.switches().on(access, None).wait().unwrap_err());
    faults.mend();
    let healthy = || engine.stats().health == Health::Healthy;
    assert!(wait_until(SECOND, healthy));
    assert_eq!(refused(&engine, &token), Rejection::SwitchedOff);
    engine.maintain().wait().unwrap();
    engine.switches().on(access, None).wait().unwrap();
    let verdict = verify(&engine, token.token.expose());
    assert_eq!(verdict.rejection(), Some(Rejection::Revoked));
    assert!(is_in(&engine, &issue(&engine, "ann")));
}

/// What waits when the engine is closed on a working disk is written by closing.
#[test]
fn closing_writes_the_denials_that_had_waited() {
    let (home, faults) = (Home::new(), Faults::new());
    let engine = open(&home, &faults);
    let token = issue(&engine, "ann");
    faults.fail(None, 0, Fault::Io, Lasting::ForEver);
    let revoked = engine.access().revoke(token.selector, None).wait();
    assert!(!revoked.unwrap().durable);
    faults.mend();
    let healthy = || engine.stats().health == Health::Healthy;
    assert!(wait_until(SECOND, healthy));
    engine.close().wait().unwrap();
    assert_eq!(refused(&home.open(), &token), Rejection::Revoked);
}
