//! A store whose answers can be held back, for races that a scheduler would take years to find, and
//! whose commits can be noted.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use countersign_core::{Batch, Key};
use countersign_store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, Page, Pending, Revision,
    Store, StoreError, Watcher,
};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;

/// As long as anything waits at a gate: a test that went wrong fails then, and does not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// Passes everything on to another store, except where a gate is shut.
pub struct Gated {
    inner: Arc<dyn Store>,
    gates: Mutex<Vec<Arc<Gate>>>,
    away: AtomicBool,
    idle: AtomicBool,
    listener: Mutex<Option<Arc<Listener>>>,
}

/// Told of a commit that was acknowledged, on the thread that asked for it and before its answer.
type Listener = dyn Fn(Batch, Revision) + Send + Sync;

/// Holds one load back, after it has read and before it answers.
pub struct Gate {
    keys: Vec<Key>,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Holding,
    Open,
}

impl Gated {
    /// No gate is shut yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            gates: Mutex::new(Vec::new()),
            away: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            listener: Mutex::new(None),
        }
    }

    /// From now on tells of every commit that is acknowledged, and makes who commits wait for it.
    pub fn listen(&self, listener: impl Fn(Batch, Revision) + Send + Sync + 'static) {
        *self.listener.lock() = Some(Arc::new(listener));
    }

    /// From now on turns every commit away as too many, or none.
    pub fn turn_away(&self, away: bool) {
        self.away.store(away, Ordering::Release);
    }

    /// From now on every chore is another node's, or this one's.
    pub fn leave_chores(&self, leave: bool) {
        self.idle.store(leave, Ordering::Release);
    }

    /// Holds back the next load of just these keys.
    pub fn hold_next_load(&self, keys: &[Key]) -> Arc<Gate> {
        let gate = Arc::new(Gate {
            keys: keys.to_vec(),
            state: Mutex::new(State::Waiting),
            moved: Condvar::new(),
        });
        self.gates.lock().push(Arc::clone(&gate));
        gate
    }

    fn gate_of(&self, keys: &[Key]) -> Option<Arc<Gate>> {
        let mut gates = self.gates.lock();
        let at = gates.iter().position(|gate| gate.keys == keys)?;
        Some(gates.remove(at))
    }
}

impl Gate {
    /// Waits until a load has read and is held; answers whether one is.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        let mut state = self.state.lock();
        let waiting = |state: &mut State| *state == State::Waiting;
        self.moved.wait_while_for(&mut state, waiting, PATIENCE);
        *state == State::Holding
    }

    /// Lets the load answer.
    pub fn open(&self) {
        *self.state.lock() = State::Open;
        self.moved.notify_all();
    }

    fn hold(&self) {
        let mut state = self.state.lock();
        if *state == State::Waiting {
            *state = State::Holding;
        }
        self.moved.notify_all();
        let holding = |state: &mut State| *state == State::Holding;
        self.moved.wait_while_for(&mut state, holding, PATIENCE);
    }
}

impl Store for Gated {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let Some(gate) = self.gate_of(keys) else {
            return self.inner.load(keys);
        };
        let loaded = self.inner.load(keys).wait();
        gate.hold();
        Pending::ready(loaded)
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        if self.away.load(Ordering::Acquire) {
            return Pending::ready(Err(CommitError::NotApplied(StoreError::Busy)));
        }
        let Some(listener) = self.listener.lock().clone() else {
            return self.inner.commit(batch);
        };
        let answer = self.inner.commit(batch.clone()).wait();
        if let Ok(revision) = answer {
            listener(batch, revision);
        }
        Pending::ready(answer)
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        self.inner.scan(range, limit)
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        self.inner.changes(since)
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        self.inner.attest()
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        self.inner.lease()
    }

    fn turn(&self, chore: &'static str, time: Duration) -> Pending<Result<bool, StoreError>> {
        match self.idle.load(Ordering::Acquire) {
            true => Pending::ready(Ok(false)),
            false => self.inner.turn(chore, time),
        }
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.inner.watch(watcher);
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        self.inner.close()
    }
}

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated").finish_non_exhaustive()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = *self.state.lock();
        f.debug_struct("Gate").field("state", &state).finish()
    }
}
