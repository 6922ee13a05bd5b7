//! What all tasks of a store share: who it is, what it has heard, how it is.

use crate::error::Fault;
use crate::hub::Hub;
use crate::sent::SentVersions;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use countersign_core::{Key, Version};
use countersign_store::codec::Sealer;
use countersign_store::recent::Recent;
use countersign_store::watchers::Watchers;
use countersign_store::{Changes, Health, Lease, Revision, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// This opening of the store, as the others know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    /// Random: with it no two histories look alike.
    pub(crate) id: Uuid,
    /// Counts the openings of this store.
    pub(crate) number: i64,
    /// The counter that its commits are numbered by.
    pub(crate) shard: i16,
}

/// The lower bits of a version say which node gave it out.
const NODE_BITS: u32 = 23;
const NODES: u64 = 1 << NODE_BITS;

pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) sealer: Sealer,
    pub(crate) node: Node,
    pub(crate) lease: Arc<Lease>,
    pub(crate) watchers: Watchers,
    pub(crate) sent: SentVersions,
    /// The clock of versions: past every version that this node has seen.
    clock: AtomicU64,
    heard: Mutex<Heard>,
    status: Mutex<Status>,
    /// Whether this node was struck off the list of nodes.
    struck: AtomicBool,
    /// Says that a commit is to be told to the other nodes.
    pub(crate) dirty: Notify,
    /// Somebody waits for the feed.
    pub(crate) asked: Notify,
    pub(crate) closing: Notify,
    pub(crate) counted: Counted,
}

struct Heard {
    recent: Recent,
    newest: Revision,
}

struct Status {
    health: Health,
    trouble: String,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Groups that were committed, and batches in them.
    pub(crate) groups: AtomicU64,
    pub(crate) batches: AtomicU64,
    /// Groups that were tried again.
    pub(crate) again: AtomicU64,
    /// Groups whose outcome was not known at first.
    pub(crate) unknown: AtomicU64,
    /// Times that history was found to be another one.
    pub(crate) rewritten: AtomicU64,
    /// Renewals of the lease.
    pub(crate) renewed: AtomicU64,
    /// Changes by other nodes that were heard of.
    pub(crate) heard: AtomicU64,
}

impl Counted {
    pub(crate) fn add(counter: &AtomicU64, by: usize) {
        counter.fetch_add(u64::try_from(by).unwrap_or(0), Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(hub: Hub, sealer: Sealer, node: Node, newest: u64) -> Self {
        let revision = Revision(newest);
        let lease = Arc::new(Lease::new(hub.options.staleness));
        Self {
            hub,
            sealer,
            node,
            lease,
            watchers: Watchers::default(),
            sent: SentVersions::default(),
            clock: AtomicU64::new(newest >> NODE_BITS),
            heard: Mutex::new(Heard {
                recent: Recent::starting_at(revision),
                newest: revision,
            }),
            status: Mutex::new(Status {
                health: Health::Healthy,
                trouble: String::new(),
            }),
            struck: AtomicBool::new(false),
            dirty: Notify::new(),
            asked: Notify::new(),
            closing: Notify::new(),
            counted: Counted::default(),
        }
    }

    /// A version that no node has given out or will.
    pub(crate) fn next_version(&self) -> u64 {
        let tick = self.clock.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let node = u64::try_from(self.node.number).unwrap_or(0) % NODES;
        tick.saturating_mul(NODES).saturating_add(node)
    }

    /// Versions given out from now on are past this one.
    pub(crate) fn saw(&self, version: Version) {
        let tick = version.number() >> NODE_BITS;
        self.clock.fetch_max(tick, Ordering::AcqRel);
    }

    /// Tells of a commit of this node's, which can be loaded by now.
    pub(crate) fn committed(&self, version: u64, keys: &[Key]) -> Revision {
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
    pub(crate) fn changed(&self, keys: &[Key]) {
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
    pub(crate) fn reset(&self) {
        let mut heard = self.heard.lock();
        let revision = Revision(heard.newest.0.saturating_add(1));
        heard.recent = Recent::starting_at(revision);
        heard.newest = revision;
        self.saw(Version::new(revision.0));
        self.watchers.reset();
    }

    pub(crate) fn newest(&self) -> Revision {
        self.heard.lock().newest
    }

    pub(crate) fn changes(&self, since: Revision) -> Changes {
        self.heard.lock().recent.since(since)
    }

    pub(crate) fn health(&self) -> Health {
        self.status.lock().health
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health() == Health::Closed
    }

    /// Says how the store is, unless it was closed.
    pub(crate) fn settle(&self, health: Health, trouble: &str) {
        let mut status = self.status.lock();
        if status.health != Health::Closed {
            status.health = health;
            trouble.clone_into(&mut status.trouble);
        }
    }

    /// Says that something failed.
    pub(crate) fn trouble(&self, fault: &Fault) {
        let (health, text) = match fault {
            Fault::NoRoom(text) => (Health::NoRoom, text.clone()),
            Fault::NotDurable(error) => (Health::Degraded, error.to_string()),
            Fault::Again(text) | Fault::Refused(text) | Fault::Away(text) | Fault::Lost(text) => {
                (Health::Degraded, text.clone())
            }
        };
        self.settle(health, &text);
    }

    /// Notes that this node is not on the list of nodes any more: it writes nothing from now on.
    pub(crate) fn strike(&self) {
        self.struck.store(true, Ordering::Release);
    }

    pub(crate) fn is_struck(&self) -> bool {
        self.struck.load(Ordering::Acquire)
    }

    /// Why nothing can be done.
    pub(crate) fn unavailable(&self) -> StoreError {
        let status = self.status.lock();
        match status.health {
            Health::Closed => StoreError::Closed,
            _ => StoreError::Unavailable(status.trouble.clone()),
        }
    }

    /// Closes for good; says whether it was open.
    pub(crate) fn close(&self) -> bool {
        let mut status = self.status.lock();
        let was_open = status.health != Health::Closed;
        status.health = Health::Closed;
        was_open
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("hub", &self.hub)
            .field("node", &self.node)
            .field("health", &self.health())
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}
