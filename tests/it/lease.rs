//! Hazard: a node of several that judges by what it has in memory, when nobody can say that it is
//! still so.
//!
//! The store here is one in memory with a lease whose every renewal is scripted; real servers are
//! in `tests/postgres`.

use crate::session_help::log_in;
use crate::support::{builder, issue, keys, policy};
use countersign::core::{Batch, Key};
use countersign::store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, MemoryStore, Page,
    Revision, Steady, Store, StoreError, Watcher,
};
use countersign::{Engine, IssuedToken, OpenedSession, Pending};
use countersign_testkit::ManualClock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
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
}

struct Leased {
    well: MemoryStore,
    lease: Arc<Lease>,
    proof: Mutex<Proof>,
    asked: AtomicU32,
    loaded: AtomicU32,
}

impl Leased {
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
            Proof::Fails => {
                let away = StoreError::Unavailable("no primary".to_owned());
                return Pending::ready(Err(away));
            }
        }
        self.well.attest()
    }

    fn health(&self) -> Health {
        self.well.health()
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
}

impl World {
    fn new(staleness_ms: u32) -> Self {
        let store = Arc::new(Leased {
            well: MemoryStore::new([]),
            lease: Arc::new(Lease::new(Duration::ZERO)),
            proof: Mutex::new(Proof::Renews),
            asked: AtomicU32::new(0),
            loaded: AtomicU32::new(0),
        });
        let clock = ManualClock::default();
        let bounded = policy(|draft| draft.cache.staleness_ms = staleness_ms);
        let engine = builder(&clock).policy(bounded);
        let engine = engine.open_store(Arc::clone(&store) as _, &keys());
        let engine = engine.unwrap();
        let token = issue(&engine, "ann");
        let session = log_in(&engine, "ann");
        Self {
            store,
            engine,
            token,
            session,
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
