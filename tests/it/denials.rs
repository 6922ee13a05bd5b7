//! Hazard: a denial that is lifted by the very fault that keeps it from being written.
//!
//! A store that misbehaves on demand stands between the engine and the one in memory.

use countersign::core::{Batch, Key, Keyring, Purpose};
use countersign::store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, MemoryStore, Page,
    Revision, Store, StoreError, Watcher,
};
use countersign::{
    Engine, Error, Expiry, Maintenance, NewToken, Pending, Policy, Principal, Refusal, Rejection,
    ScopeSet, TokenName,
};
use countersign_testkit::{ManualClock, samples};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A store whose records can be damaged, and whose commits can fail.
pub(crate) struct Sick {
    well: MemoryStore,
    pub(crate) damaged: Mutex<Vec<Key>>,
    pub(crate) closed: AtomicBool,
    /// The next commit is told of as unknown, and not written.
    pub(crate) unknown: AtomicBool,
    /// The next commit is told of as unknown, and written.
    pub(crate) lost: AtomicBool,
    /// There is room for denials alone.
    pub(crate) full: AtomicBool,
    /// In so many of the next commits somebody else was first.
    pub(crate) contested: AtomicUsize,
    /// Records that were asked for.
    pub(crate) asked: AtomicUsize,
}

impl Sick {
    /// From now on this record does not read back.
    pub(crate) fn damage(&self, key: Key) {
        self.damaged.lock().unwrap().push(key);
    }
}

impl Store for Sick {
    fn capabilities(&self) -> Capabilities {
        self.well.capabilities()
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        self.asked.fetch_add(keys.len(), Ordering::SeqCst);
        let damaged = self.damaged.lock().unwrap();
        match keys.iter().find(|key| damaged.contains(key)) {
            Some(key) => Pending::ready(Err(StoreError::Damaged {
                key: *key,
                detail: "its tag does not fit",
            })),
            None => self.well.load(keys),
        }
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        if self.closed.load(Ordering::SeqCst) {
            return Pending::ready(Err(CommitError::NotApplied(StoreError::Closed)));
        }
        if self.unknown.swap(false, Ordering::SeqCst) {
            return Pending::ready(Err(CommitError::Unknown("planted".to_owned())));
        }
        if self.full.load(Ordering::SeqCst) && batch.purpose == Purpose::Grow {
            let full = StoreError::NoRoom("planted".to_owned());
            return Pending::ready(Err(CommitError::NotApplied(full)));
        }
        if self.contested.load(Ordering::SeqCst) > 0 {
            self.contested.fetch_sub(1, Ordering::SeqCst);
            let key = batch.writes[0].key;
            return Pending::ready(Err(CommitError::Conflict(key)));
        }
        let committed = self.well.commit(batch);
        if self.lost.swap(false, Ordering::SeqCst) {
            committed.wait().unwrap();
            return Pending::ready(Err(CommitError::Unknown("planted".to_owned())));
        }
        committed
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        self.well.scan(range, limit)
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        self.well.changes(since)
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        self.well.attest()
    }

    fn health(&self) -> Health {
        self.well.health()
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        self.well.lease()
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

pub(crate) fn sick() -> (Arc<Sick>, Engine) {
    let (store, engine, _) = sick_at();
    (store, engine)
}

/// The same, with the clock that the engine goes by.
pub(crate) fn sick_at() -> (Arc<Sick>, Engine, ManualClock) {
    let store = Arc::new(Sick {
        well: MemoryStore::new([]),
        damaged: Mutex::default(),
        closed: AtomicBool::new(false),
        unknown: AtomicBool::new(false),
        lost: AtomicBool::new(false),
        full: AtomicBool::new(false),
        contested: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
    });
    let clock = ManualClock::default();
    let engine = on_time(&store, &clock);
    (store, engine, clock)
}

/// An engine on a store that others may have been on before.
pub(crate) fn on_time(store: &Arc<Sick>, clock: &ManualClock) -> Engine {
    Engine::builder()
        .clock(clock.clone())
        .maintenance(Maintenance::HostDriven)
        .open_store(Arc::clone(store) as _, &samples::keys())
        .unwrap()
}

fn ann() -> Principal {
    Principal::new("ann").unwrap()
}

fn request() -> NewToken {
    NewToken {
        principal: ann(),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::EMPTY,
        expiry: Expiry::Never,
    }
}

fn reason(engine: &Engine, text: &str) -> Option<Rejection> {
    engine.access().verify(text).wait().unwrap().rejection()
}

#[test]
fn a_damaged_principal_can_still_be_shut_out() {
    let (store, engine) = sick();
    let issued = engine.access().issue(request()).wait().unwrap();
    let text = issued.token.expose();
    assert_eq!(reason(&engine, text), None);
    let key = Keyring::new(&samples::keys()).principal_key(&ann());
    store.damage(Key::principal(key));

    let told = engine.principals().disable(ann(), None).wait();
    assert!(
        matches!(told, Err(Error::Store(StoreError::Damaged { .. }))),
        "{told:?}"
    );
    assert_eq!(
        reason(&engine, text),
        Some(Rejection::Disabled),
        "in force all the same"
    );

    store.damaged.lock().unwrap().clear();
    assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
    assert_eq!(engine.stats().waiting_denials, 0);
    assert_eq!(
        reason(&engine, text),
        Some(Rejection::Disabled),
        "and now from the store"
    );
}

#[test]
fn a_retry_that_meets_another_fault_lifts_nothing() {
    let (store, engine) = sick();
    let issued = engine.access().issue(request()).wait().unwrap();
    let text = issued.token.expose();
    assert_eq!(reason(&engine, text), None);
    store.unknown.store(true, Ordering::SeqCst);
    let told = engine
        .access()
        .revoke(issued.selector, None)
        .wait()
        .unwrap();
    assert!(!told.durable);
    store.closed.store(true, Ordering::SeqCst);
    assert!(engine.maintain().wait().is_err(), "the store takes nothing");
    assert_eq!(reason(&engine, text), Some(Rejection::Revoked));
}

#[test]
fn nothing_is_issued_or_enabled_over_a_denial_that_waits() {
    let (store, engine) = sick();
    let issued = engine.access().issue(request()).wait().unwrap();
    store.unknown.store(true, Ordering::SeqCst);
    let told = engine.principals().disable(ann(), None).wait().unwrap();
    assert!(!told.durable);
    let refused = engine.access().issue(request()).wait().unwrap_err();
    assert_eq!(refused, Error::Refused(Refusal::Disabled));
    let rotated = engine
        .access()
        .rotate(issued.selector, Default::default())
        .wait();
    assert_eq!(rotated.unwrap_err(), Error::Refused(Refusal::Disabled));

    store.closed.store(true, Ordering::SeqCst);
    let refused = engine.principals().enable(ann(), None).wait().unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    store.closed.store(false, Ordering::SeqCst);
    // Written first, and then undone: never the other way round.
    engine.principals().enable(ann(), None).wait().unwrap();
    assert_eq!(engine.stats().waiting_denials, 0);
    assert_eq!(reason(&engine, issued.token.expose()), None);
    assert_eq!(engine.maintain().wait().unwrap().denials_written, 0);
    assert_eq!(reason(&engine, issued.token.expose()), None);
}

#[test]
fn uses_gather_once_for_each_token_even_with_nothing_held_in_memory() {
    let mut draft = Policy::default().to_draft();
    draft.cache.max_tokens = 0;
    let engine = Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .policy(draft.build().unwrap())
        .open_store(Arc::new(MemoryStore::new([])), &samples::keys())
        .unwrap();
    let issued = engine.access().issue(request()).wait().unwrap();
    for _ in 0..1000 {
        assert_eq!(reason(&engine, issued.token.expose()), None);
    }
    assert_eq!(engine.flush().wait().unwrap(), 1, "one token was used");
}

#[test]
fn a_policy_of_the_host_s_own_is_not_put_out_of_force_by_one_that_is_stored() {
    let store = Arc::new(MemoryStore::new([]));
    let with_name_chars = |max| {
        let mut draft = Policy::default().to_draft();
        draft.access_tokens.max_name_chars = max;
        draft.build().unwrap()
    };
    let engine = Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .policy(with_name_chars(1))
        .open_store(Arc::clone(&store) as Arc<dyn Store>, &samples::keys())
        .unwrap();
    let other = Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .open_store(store, &samples::keys())
        .unwrap();
    for stored in [30, 20] {
        other.set_policy(with_name_chars(stored)).wait().unwrap();
        let refused = engine.access().issue(request()).wait().unwrap_err();
        assert_eq!(
            refused,
            Error::Refused(Refusal::NameTooLong { chars: 2, max: 1 })
        );
        assert!(other.access().issue(request()).wait().is_ok());
    }
}

#[test]
fn the_policy_in_force_is_the_one_that_is_stored() {
    let (store, engine) = sick();
    let issued = engine.access().issue(request()).wait().unwrap();
    assert_eq!(reason(&engine, issued.token.expose()), None);
    let other = on_time(&store, &ManualClock::default());
    let mut draft = Policy::default().to_draft();
    draft.access_tokens.max_name_chars = 1;
    other.set_policy(draft.build().unwrap()).wait().unwrap();
    let refused = engine.access().issue(request()).wait().unwrap_err();
    assert_eq!(
        refused,
        Error::Refused(Refusal::NameTooLong { chars: 2, max: 1 })
    );
}
