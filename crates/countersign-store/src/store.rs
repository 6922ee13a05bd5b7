//! The `Store` trait: four verbs, and what a store says about itself.
//!
//! It stays this small. Rules live above it, so that no transaction and no connection leaks out
//! and every store keeps them alike: the conformance suite in the testkit holds each to the same
//! cases. Which direction of error is a vulnerability: a store that answers an *older* record
//! than one it has acknowledged lets somebody in; one that answers an error keeps them out.

use crate::error::{CommitError, StoreError};
use crate::lease::Lease;
use crate::pending::Pending;
use countersign_core::{Batch, Key, Table, Versioned};
use std::sync::Arc;
use std::time::Duration;

/// What loading answers: a record for each key, or nothing where there is none.
pub type Loaded = Vec<Option<Versioned>>;

/// Somewhere durable to keep records.
pub trait Store: Send + Sync + 'static {
    /// What this store can do, as data.
    fn capabilities(&self) -> Capabilities;

    /// Records with their versions, in the order of `keys`; all from one snapshot.
    ///
    /// A load that begins after a commit was acknowledged sees what it wrote.
    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>>;

    /// All writes, or none: `Conflict` when an expectation does not hold.
    ///
    /// Resolves once the batch is as durable as it asks to be. Every watcher is told of the changed
    /// keys after they are visible to `load` and before this resolves; where they cannot be loaded
    /// for a fault, it is told all the same.
    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>>;

    /// At most `limit` records of a range, ascending by key, and where to go on.
    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>>;

    /// What changed after `since`, or `Reset` where that is no longer known.
    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>>;

    /// `Ok` only if a write could be acknowledged now.
    fn attest(&self) -> Pending<Result<Revision, StoreError>>;

    /// How the store is.
    fn health(&self) -> Health;

    /// Until when what was loaded may be kept, where others write too and are heard of a little
    /// late. `None` where nobody else writes, or nothing is to be kept anyway.
    fn lease(&self) -> Option<Arc<Lease>>;

    /// Whether a chore is this node's from now on for so long: of those that share a store, one has
    /// it at a time, and keeps it by asking again.
    ///
    /// It saves work, and nothing may depend on it: a node that stood still may go on with a chore
    /// that is another one's meanwhile. A store that nobody shares answers yes.
    fn turn(&self, chore: &'static str, time: Duration) -> Pending<Result<bool, StoreError>>;

    /// Registers a watcher, which like all the others is told of every change from now on.
    ///
    /// It is not kept alive: the caller holds the `Arc`, and is told for as long as it does.
    fn watch(&self, watcher: Arc<dyn Watcher>);

    /// Commits what was deferred and lets go of everything; later calls answer `Closed`.
    fn close(&self) -> Pending<Result<(), StoreError>>;
}

/// Told what changed, so that a cache drops it.
///
/// Called on the store's own thread while commits wait: it must be quick and must not call back
/// into the store. One that panics is told by `reset` that it has lost track.
pub trait Watcher: Send + Sync + 'static {
    /// These records were changed or removed; what was loaded before is stale from now on.
    fn changed(&self, keys: &[Key]);

    /// Anything may have changed. Also the last that is heard of a store that was closed or gave
    /// up.
    fn reset(&self);
}

/// A store's commit counter: it only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// What a store can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The most writes of one batch.
    pub max_batch: usize,
    /// The most bytes of one encoded record.
    pub max_record_bytes: usize,
    /// The most records of one page.
    pub max_page: usize,
    /// Whether other processes may write to the same store.
    pub shared: bool,
    /// Whether it can be written to at all.
    pub writable: bool,
    /// Whether watchers are told of every change, so that what was loaded may be kept: not
    /// where another process writes unseen.
    pub watched: bool,
}

impl Capabilities {
    /// What an embedded store offers.
    pub const EMBEDDED: Self = Self {
        max_batch: 4096,
        max_record_bytes: 64 * 1024,
        max_page: 4096,
        shared: false,
        writable: true,
        watched: true,
    };
}

/// How a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// Reads and writes.
    Healthy,
    /// Something failed; what is cached is still judged, nothing new is accepted.
    Degraded,
    /// Being opened again, with its integrity checked.
    Reopening,
    /// Reads; writes only what shuts somebody out, until there is room again.
    NoRoom,
    /// Cut off for good from what it shares with other nodes: one of them has taken over what this
    /// one held. It lets nobody in and writes nothing until it is opened anew.
    Fenced,
    /// Closed for good.
    Closed,
}

/// Keys of one table from `from` on, up to and with `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The table.
    pub table: Table,
    /// The first key.
    pub from: [u8; 16],
    /// The last key.
    pub to: [u8; 16],
}

impl KeyRange {
    /// A whole table.
    #[must_use]
    pub const fn all(table: Table) -> Self {
        Self {
            table,
            from: [0; 16],
            to: [0xff; 16],
        }
    }
}

/// Some records of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records with their keys, ascending.
    pub records: Vec<(Key, Versioned)>,
    /// Keys in the range whose records did not read back whole.
    pub damaged: Vec<Key>,
    /// The range that is left, if any is.
    pub rest: Option<KeyRange>,
}

/// What changed since a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// These keys, up to this revision.
    Keys(Vec<Key>, Revision),
    /// Too long ago to tell: anything may have changed, up to this revision.
    Reset(Revision),
}
