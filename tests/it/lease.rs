//! Hazard: a node of several that judges by what it has in memory, when nobody can say that it is
//! still so.
//!
//! The store here is one in memory with a lease whose every renewal is scripted; real servers are
//! in `tests/postgres`.

use crate::session_help::log_in;
use crate::support::{builder, device, issue, keys, policy, present, principal};
use countersign::core::Refusal;
use countersign::core::{Batch, Key};
use countersign::store::pending::Answer;
use countersign::store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, MemoryStore, Page,
    Revision, Steady, Store, StoreError, Watcher,
};
use countersign::{
    Builder, EndedBy, Engine, Error, IssuedToken, OpenedSession, Pending, Subsystem,
};
use countersign_testkit::{ManualClock, samples, wait_until};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What comes of asking for a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// The lease is renewed.
    Renews,
    /// It is acknowledged, but so late that the lease is over again.
    TooLate,
    /// Another server acknowledges it than was read from.
    OfAnother,
    /// Nobody answers.
    Fails,
    /// It takes until it is said that it renews the lease.
    Waits,
}

struct Leased {
    well: MemoryStore,
    lease: Arc<Lease>,
    proof: Mutex<Proof>,
    asked: AtomicU32,
    loaded: AtomicU32,
    waiting: Mutex<Vec<Answer<Result<Revision, StoreError>>>>,
    /// Whether another node has taken over what is this one's.
    fenced: AtomicBool,
}

impl Leased {
    /// Waits until somebody waits for a proof, lets something happen, and gives it.
    fn proves_after(&self, meanwhile: impl FnOnce()) {
        let mut waiting = Vec::new();
        let somebody = || {
            waiting.append(&mut self.waiting.lock().unwrap());
            !waiting.is_empty()
        };
        assert!(wait_until(Duration::from_secs(30), somebody), "nobody asks");
        self.now_proves(Proof::Renews);
        meanwhile();
        for waiting in waiting {
            self.lease.renew(Steady::now());
            waiting.send(self.well.attest().wait());
        }
    }

    fn now_proves(&self, proof: Proof) {
        *self.proof.lock().unwrap() = proof;
    }

    fn asked(&self) -> u32 {
        self.asked.swap(0, SeqCst)
    }

    fn loaded(&self) -> u32 {
        self.loaded.swap(0, SeqCst)
    }

    fn forget(&self) {
        self.asked();
        self.loaded();
    }
}

impl Store for Leased {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.well.capabilities();
        capabilities.shared = true;
        capabilities
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        self.loaded.fetch_add(1, SeqCst);
        self.well.load(keys)
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        self.well.commit(batch)
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        self.well.scan(range, limit)
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        self.well.changes(since)
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        self.asked.fetch_add(1, SeqCst);
        let proof = *self.proof.lock().unwrap();
        match proof {
            Proof::Renews => self.lease.renew(Steady::now()),
            Proof::TooLate => self.lease.renew(Steady::default()),
            Proof::OfAnother => self.lease.moved(),
            Proof::Waits => {
                let (answer, pending) = Pending::waiting(|| Err(StoreError::Closed));
                self.waiting.lock().unwrap().push(answer);
                return pending;
            }
            Proof::Fails => {
                let away = StoreError::Unavailable("no primary".to_owned());
                return Pending::ready(Err(away));
            }
        }
        self.well.attest()
    }

    fn health(&self) -> Health {
        match self.fenced.load(SeqCst) {
            true => Health::Fenced,
            false => self.well.health(),
        }
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        Some(Arc::clone(&self.lease))
    }

    fn turn(&self, chore: &'static str, time: Duration) -> Pending<Result<bool, StoreError>> {
        self.well.turn(chore, time)
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.well.watch(watcher);
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        self.well.close()
    }
}

/// Long enough for no test to outlast a lease.
const LONG_MS: u32 = 60_000;

struct World {
    store: Arc<Leased>,
    engine: Engine,
    token: IssuedToken,
    session: OpenedSession,
    clock: ManualClock,
}

impl World {
    fn new(staleness_ms: u32) -> Self {
        let bounded = policy(|draft| draft.cache.staleness_ms = staleness_ms);
        let clock = ManualClock::default();
        Self::on(builder(&clock).policy(bounded), clock)
    }

    /// One whose policy is in the store, where other nodes change it.
    fn with_stored_policy() -> Self {
        let clock = ManualClock::default();
        let world = Self::on(builder(&clock), clock);
        let stored = policy(|draft| draft.cache.staleness_ms = LONG_MS);
        world.engine.set_policy(stored).wait().unwrap();
        assert_eq!(world.told(), ["in", "in"]);
        world
    }

    fn on(builder: Builder, clock: ManualClock) -> Self {
        let store = Arc::new(Leased {
            well: MemoryStore::new([]),
            lease: Arc::new(Lease::new(Duration::ZERO)),
            proof: Mutex::new(Proof::Renews),
            asked: AtomicU32::new(0),
            loaded: AtomicU32::new(0),
            waiting: Mutex::default(),
            fenced: AtomicBool::new(false),
        });
        let engine = builder.open_store(Arc::clone(&store) as _, &keys());
        let engine = engine.unwrap();
        let token = issue(&engine, "ann");
        let session = log_in(&engine, "ann");
        Self {
            store,
            engine,
            token,
            session,
            clock,
        }
    }

    /// What is said of the token and of the session: in, refused, or an error.
    fn told(&self) -> [&'static str; 2] {
        let word = |verdict: Option<bool>| match verdict {
            Some(true) => "in",
            Some(false) => "refused",
            None => "error",
        };
        let access = self.engine.access().verify(self.token.token.expose());
        let sessions = self.engine.sessions();
        let session = sessions.touch(self.session.token.expose(), None);
        [
            word(access.wait().ok().map(|verdict| verdict.is_in())),
            word(session.wait().ok().map(|verdict| verdict.is_in())),
        ]
    }
}

#[test]
fn within_the_lease_nothing_is_asked_and_after_it_a_proof_is() {
    let world = World::new(LONG_MS);
    assert_eq!(world.told(), ["in", "in"]);
    world.store.forget();
    assert_eq!(world.told(), ["in", "in"]);
    assert_eq!((world.store.asked(), world.store.loaded()), (0, 0));
    world.store.lease.end();
    assert_eq!(world.told(), ["in", "in"]);
    assert_eq!(world.store.asked(), 1, "one proof is for all that follow");
    assert_eq!(world.store.loaded(), 0, "what was proved is not read again");
}

#[test]
fn out_of_the_lease_nobody_comes_in_without_a_proof() {
    for proof in [Proof::Fails, Proof::TooLate, Proof::OfAnother] {
        let world = World::new(LONG_MS);
        assert_eq!(world.told(), ["in", "in"]);
        world.store.now_proves(proof);
        assert_eq!(world.told(), ["in", "in"], "the lease still holds");
        world.store.lease.end();
        for _ in 0..3 {
            assert_eq!(world.told(), ["error", "error"], "{proof:?}");
        }
        let asked = world.store.asked();
        assert!((6..100).contains(&asked), "{asked} proofs for six verdicts");
        world.store.now_proves(Proof::Renews);
        assert_eq!(world.told(), ["in", "in"]);
    }
}

#[test]
fn with_a_bound_of_nothing_each_verdict_is_read_and_proved() {
    let world = World::new(0);
    for _ in 0..3 {
        world.store.forget();
        assert_eq!(world.told(), ["in", "in"]);
        assert!(world.store.asked() >= 2);
        assert!(world.store.loaded() >= 2);
    }
    // What was read is of a server that is no longer the one which acknowledges.
    world.store.now_proves(Proof::OfAnother);
    assert_eq!(world.told(), ["error", "error"]);
    let asked = world.store.asked();
    assert!((2..100).contains(&asked), "{asked}: it gives up");
    world.store.now_proves(Proof::Fails);
    assert_eq!(world.told(), ["error", "error"]);
    // A lease that never holds proves nothing either, and is not asked for.
    world.store.now_proves(Proof::TooLate);
    assert_eq!(world.told(), ["in", "in"]);
}

#[test]
fn what_is_refused_for_its_secret_alone_needs_no_proof_of_anything() {
    let world = World::new(LONG_MS);
    assert_eq!(world.told(), ["in", "in"]);
    world.store.now_proves(Proof::Fails);
    world.store.lease.end();
    world.store.asked();
    let verdict = world.engine.access().verify("no token at all").wait();
    assert!(!verdict.unwrap().is_in());
    let verdict = world.engine.sessions().touch("no session", None).wait();
    assert!(!verdict.unwrap().is_in());
    assert_eq!(world.store.asked(), 0);
}

/// Nothing has to be written for it, so nothing is acknowledged: an old primary would say so too,
/// though on the real one there is something to shut out.
#[test]
fn that_nothing_has_to_be_done_is_proved_as_well() {
    for proof in [Proof::Fails, Proof::OfAnother] {
        let world = World::new(LONG_MS);
        let (engine, ann) = (&world.engine, || principal("ann"));
        let disable = || engine.principals().disable(ann(), None).wait();
        let off = || engine.switches().off(Subsystem::ImageTokens, None).wait();
        let unknown = samples::selector(77);
        let revoke = || engine.access().revoke(unknown, None).wait();
        assert!(disable().unwrap().durable && off().unwrap().durable);
        assert!(disable().unwrap().durable && off().unwrap().durable);
        assert_eq!(revoke(), Err(Error::Refused(Refusal::NotFound)));
        world.store.now_proves(proof);
        for told in [disable(), off(), revoke()] {
            // In force here, and written as soon as it is known where.
            assert!(!told.unwrap().durable, "{proof:?}");
        }
        world.store.now_proves(Proof::Renews);
        engine.maintain().wait().unwrap();
        assert_eq!(engine.stats().waiting_denials, 0);
        assert!(disable().unwrap().durable && off().unwrap().durable);
    }
}

/// What a verdict goes by is what is so once it was proved, and not what was so before that was
/// waited for.
#[test]
fn nothing_that_was_looked_at_before_the_proof_counts_after_it() {
    // A session that its holder has ended meanwhile.
    let world = World::new(LONG_MS);
    let (engine, store) = (&world.engine, &world.store);
    store.lease.end();
    store.now_proves(Proof::Waits);
    thread::scope(|scope| {
        let peeked = scope.spawn(|| {
            engine
                .sessions()
                .peek(world.session.token.expose(), None)
                .wait()
        });
        store.proves_after(|| {
            engine
                .sessions()
                .log_out(&world.session.session)
                .wait()
                .unwrap();
        });
        assert!(!peeked.join().unwrap().unwrap().is_in());
    });

    // A policy that was tightened meanwhile: all of them are too old by the new one.
    let hour = Duration::from_secs(3600);
    let tightened = policy(|draft| {
        draft.cache.staleness_ms = LONG_MS;
        draft.sessions.idle_timeout = hour;
        draft.sessions.absolute_timeout = hour;
        draft.remember_me.max_age = hour;
    });
    let world = World::with_stored_policy();
    let (engine, store) = (&world.engine, &world.store);
    let device = engine.remember().start(device("ann")).wait().unwrap();
    world.clock.advance(hour + hour);
    store.lease.end();
    store.now_proves(Proof::Waits);
    thread::scope(|scope| {
        let touched = scope.spawn(|| world.told()[1]);
        let recalled = scope.spawn(|| present(engine, device.token.expose()).is_in());
        store.proves_after(|| engine.set_policy(tightened).wait().unwrap());
        assert_eq!(touched.join().unwrap(), "refused");
        assert!(!recalled.join().unwrap());
    });
}

/// Its sessions are another node's: to be told that one has ended here would be believed.
#[test]
fn a_node_whose_sessions_were_taken_over_ends_none_and_says_so() {
    let world = World::new(LONG_MS);
    let (sessions, ann) = (world.engine.sessions(), principal("ann"));
    let (session, by) = (world.session.session.clone(), EndedBy::Operator);
    let selector = session.selector();
    let ends = || {
        let counts = [
            sessions.end_others(&ann, selector, by).wait(),
            sessions.end_all(&ann, by).wait(),
            sessions.end_everything(by).wait(),
        ];
        [
            sessions.log_out(&session).wait().map(drop),
            sessions.end(selector, by).wait(),
        ]
        .into_iter()
        .chain(counts.map(|count| count.map(drop)))
    };
    world.store.fenced.store(true, SeqCst);
    for end in ends() {
        let fault = end.unwrap_err();
        assert!(fault.to_string().contains("another one's now"), "{fault}");
    }
    world.store.fenced.store(false, SeqCst);
    assert_eq!(world.told(), ["in", "in"]);
    assert!(ends().next().unwrap().is_ok(), "it has them again");
    assert_eq!(world.told(), ["in", "refused"]);
}
