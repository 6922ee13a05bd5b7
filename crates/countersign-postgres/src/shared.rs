//! What all tasks of a store share: what it has heard, and how it is.

use crate::error::Fault;
use crate::history::{History, Node};
use crate::hub::Hub;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use countersign_store::codec::Sealer;
use countersign_store::{Health, Lease, StoreError};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) sealer: Sealer,
    pub(crate) history: History,
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
        let lease = Lease::new(hub.options.staleness);
        Self {
            hub,
            sealer,
            history: History::new(node, lease, newest),
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
            .field("history", &self.history)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
