//! What a node knows of the history of its store: what it has heard, what it has sent, which
//! version comes next, and for how long all that may be trusted.
//!
//! It is what the writer and the feed tell those who watch by. It asks nobody anything.

use crate::sent::SentVersions;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use countersign_core::{Key, Version};
use countersign_store::recent::Recent;
use countersign_store::watchers::Watchers;
use countersign_store::{Changes, Lease, Revision};
use parking_lot::Mutex;
use std::sync::Arc;
use uuid::Uuid;

/// This opening of the store, as the others know it.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Random, so that no two histories look alike.
    pub id: Uuid,
    /// Counts the openings of this store.
    pub number: i64,
    /// The counter that its commits are numbered by.
    pub shard: i16,
}

/// The lower bits of a version say which node gave it out.
const NODE_BITS: u32 = 23;
const NODES: u64 = 1 << NODE_BITS;

/// What a node has heard and whom it tells.
pub struct History {
    /// Whose history it is.
    pub node: Node,
    /// For how long what was heard may be trusted.
    pub lease: Arc<Lease>,
    /// Who is told.
    pub watchers: Watchers,
    pub(crate) sent: SentVersions,
    /// The clock of versions: past every version that this node has seen.
    clock: AtomicU64,
    heard: Mutex<Heard>,
}

struct Heard {
    recent: Recent,
    newest: Revision,
}

impl History {
    /// Begins past the newest version that there is.
    ///
    /// By how much, nobody knows beforehand: where the database went back to what it was, the next
    /// opening gets a number that had been given, and must not give out the same versions again.
    #[must_use]
    pub fn new(node: Node, lease: Lease, newest: u64) -> Self {
        let revision = Revision(newest);
        let [.., high, low] = node.id.into_bytes();
        let ahead = u64::from(u16::from_be_bytes([high, low]));
        Self {
            node,
            lease: Arc::new(lease),
            watchers: Watchers::default(),
            sent: SentVersions::default(),
            clock: AtomicU64::new((newest >> NODE_BITS).saturating_add(ahead)),
            heard: Mutex::new(Heard {
                recent: Recent::starting_at(revision),
                newest: revision,
            }),
        }
    }

    /// A version that no node has given out or will, for what is sent next.
    pub fn next_version(&self) -> u64 {
        let tick = self.clock.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let node = u64::try_from(self.node.number).unwrap_or(0) % NODES;
        let version = tick.saturating_mul(NODES).saturating_add(node);
        // Before it is sent: the feed may be sooner than the answer.
        self.sent.add(version);
        version
    }

    /// Versions given out from now on are past this one.
    pub fn saw(&self, version: Version) {
        let tick = version.number() >> NODE_BITS;
        self.clock.fetch_max(tick, Ordering::AcqRel);
    }

    /// Tells of a commit of this node's, which can be loaded by now.
    pub fn committed(&self, version: u64, keys: &[Key]) -> Revision {
        let mut heard = self.heard.lock();
        // Notes of other nodes' changes since have taken numbers below it.
        let revision = Revision(version).max(heard.newest);
        for key in keys {
            heard.recent.note(revision, *key);
        }
        heard.newest = revision;
        // Under the lock, so that all hear of changes in their order.
        self.watchers.changed(keys.iter().copied());
        revision
    }

    /// Tells of changes by other nodes, or by this one that it was not sure of.
    pub fn changed(&self, keys: &[Key]) {
        let mut heard = self.heard.lock();
        let revision = Revision(heard.newest.0.saturating_add(1));
        for key in keys {
            heard.recent.note(revision, *key);
        }
        heard.newest = revision;
        self.saw(Version::new(revision.0));
        self.watchers.changed(keys.iter().copied());
    }

    /// Tells that anything may have changed.
    pub fn reset(&self) {
        let mut heard = self.heard.lock();
        let revision = Revision(heard.newest.0.saturating_add(1));
        heard.recent = Recent::starting_at(revision);
        heard.newest = revision;
        self.saw(Version::new(revision.0));
        self.watchers.reset();
    }

    /// The newest revision that was heard of or committed.
    #[must_use]
    pub fn newest(&self) -> Revision {
        self.heard.lock().newest
    }

    /// What changed after a revision.
    #[must_use]
    pub fn changes(&self, since: Revision) -> Changes {
        self.heard.lock().recent.since(since)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("node", &self.node)
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}
