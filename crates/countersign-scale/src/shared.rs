//! The store of one simulated node: what its engine asks, at once and on one thread.
//!
//! It waits for nothing, since its answers take no real time. That its node is late is decided by
//! when the day calls it, and whether it may trust its memory by its lease, which is a real one.

use crate::database::{Database, Heads, Logged, Server};
use crate::hand::{self, MILLI, Nanos};
use crate::plan::Harm;
use core::sync::atomic::{AtomicU64, Ordering};
use countersign::core::{Batch, Key};
use countersign_postgres::follow::{Entry, Follower, Heard, Moved};
use countersign_postgres::history::{History, Node};
use countersign_store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, Page, Pending, Revision,
    Store, StoreError, Watcher, batch,
};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What asking for a proof takes on the way, at least: so much shorter is the lease.
const ASKED_BEFORE: Nanos = MILLI;

pub(crate) struct NodeStore {
    database: Arc<Mutex<Database>>,
    pub(crate) history: History,
    follower: Mutex<Follower>,
    /// Cut off from everything but an old primary.
    is_cut_off: Mutex<bool>,
    /// How often somebody has asked for a proof: what the feed had under way is older.
    asked: AtomicU64,
    late: Mutex<Vec<Nanos>>,
    harm: Harm,
}

const CAPABILITIES: Capabilities = {
    let mut capabilities = Capabilities::EMBEDDED;
    capabilities.shared = true;
    capabilities
};

impl NodeStore {
    pub(crate) fn new(
        database: Arc<Mutex<Database>>,
        node: Node,
        bound: Duration,
        harm: Harm,
    ) -> Self {
        let lease = Lease::timed_by(hand::steady, bound);
        let history = History::new(node, lease, 1);
        let mut follower = Follower::default();
        follower.begin(&database.lock().heads(Server::Primary), &history);
        Self {
            database,
            history,
            follower: Mutex::new(follower),
            is_cut_off: Mutex::new(false),
            asked: AtomicU64::new(0),
            late: Mutex::default(),
            harm,
        }
    }

    pub(crate) fn cut_off(&self, is_cut_off: bool) {
        *self.is_cut_off.lock() = is_cut_off;
    }

    pub(crate) fn is_cut_off(&self) -> bool {
        *self.is_cut_off.lock()
    }

    pub(crate) const fn harm(&self) -> Harm {
        self.harm
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Which server answers its reads.
    pub(crate) fn server(&self, database: &Database) -> Option<Server> {
        match (self.is_cut_off(), database.is_up) {
            (true, _) => Some(Server::Old),
            (false, true) => Some(Server::Primary),
            (false, false) => None,
        }
    }

    pub(crate) fn moved(&self, heads: &Heads) -> Moved {
        self.follower.lock().moved(heads)
    }

    /// Takes what was read of the log, and notes how late others' revocations are heard of.
    pub(crate) fn hear(&self, moved: Moved, logged: &[Logged]) -> Heard {
        let own = self.history.node.id;
        let since: Vec<_> = moved.ranges().collect();
        // The last entry that was heard of comes once more, to be compared.
        let is_new = |entry: &Entry| {
            let of = since.iter().find(|(shard, ..)| *shard == entry.shard);
            of.is_some_and(|(_, since, _)| entry.rev > *since)
        };
        let counts =
            |logged: &&Logged| logged.denies && logged.entry.node != own && is_new(&logged.entry);
        let late = |logged: &Logged| hand::now().saturating_sub(logged.acknowledged_at);
        self.late
            .lock()
            .extend(logged.iter().filter(counts).map(late));
        let entries: Vec<_> = logged.iter().map(|logged| logged.entry.clone()).collect();
        self.follower.lock().hear(moved, &entries, &self.history)
    }

    /// How late it has heard of revocations since this was last asked.
    pub(crate) fn take_late(&self) -> Vec<Nanos> {
        std::mem::take(&mut *self.late.lock())
    }

    /// Reads the counters and the log, and renews the lease: what a node does that is out of it.
    fn prove(&self) -> Result<Revision, StoreError> {
        let mut database = self.database.lock();
        let server = self.server(&database);
        let acknowledges = server == Some(Server::Primary) || self.harm == Harm::RenewedByReads;
        let (Some(server), true) = (server, acknowledges) else {
            return Err(away());
        };
        database.load.beats += 1;
        let heads = database.heads(server);
        let moved = self.moved(&heads);
        if !moved.is_empty() {
            let logged = database.entries(&moved);
            self.hear(moved, &logged);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let from = hand::now().saturating_sub(ASKED_BEFORE);
        self.history.lease.renew(hand::at(from));
        Ok(self.history.newest())
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("no primary answers".to_owned())
}

impl Store for NodeStore {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let mut database = self.database.lock();
        Pending::ready(match self.server(&database) {
            Some(server) => Ok(database.read(server, keys)),
            None => Err(away()),
        })
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        let mut database = self.database.lock();
        if self.server(&database) != Some(Server::Primary) {
            return Pending::ready(Err(CommitError::NotApplied(away())));
        }
        if let Err(error) = batch::check(&batch, CAPABILITIES) {
            return Pending::ready(Err(CommitError::NotApplied(error)));
        }
        let node = self.history.node;
        let done = database.commit(node, batch, || self.history.next_version());
        drop(database);
        Pending::ready(done.map(|done| match done {
            Some(done) => self.history.committed(done.version, &done.keys),
            None => self.history.newest(),
        }))
    }

    /// Nothing: what sweeps read is reckoned, not simulated.
    fn scan(&self, _: KeyRange, _: usize) -> Pending<Result<Page, StoreError>> {
        Pending::ready(Ok(Page::default()))
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        Pending::ready(self.prove().map(|_| self.history.changes(since)))
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        Pending::ready(self.prove())
    }

    fn health(&self) -> Health {
        Health::Healthy
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        Some(Arc::clone(&self.history.lease))
    }

    fn turn(&self, _chore: &'static str, _time: Duration) -> Pending<Result<bool, StoreError>> {
        // Sweeps are no part of the day.
        Pending::ready(Ok(false))
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        if self.harm != Harm::Deaf {
            self.history.watchers.add(&watcher);
        }
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        self.history.lease.end();
        self.history.watchers.let_go();
        Pending::ready(Ok(()))
    }
}

impl fmt::Debug for NodeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeStore")
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
