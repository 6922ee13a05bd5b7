//! What all tasks of a store share: what it has heard, and how it is.

use crate::error::Fault;
use crate::history::{History, Node};
use crate::hub::Hub;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use countersign_store::codec::Sealer;
use countersign_store::{Health, Lease, Steady, StoreError};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) struct Shared {
    pub(crate) hub: Hub,
    pub(crate) sealer: Sealer,
    pub(crate) history: History,
    status: Mutex<Status>,
    /// The first and the last of the renewals that have followed one another without a gap.
    unbroken: Mutex<Option<(Steady, Steady)>>,
    /// Says that a commit is to be told to the other nodes.
    pub(crate) dirty: Notify,
    /// Somebody waits for the feed.
    pub(crate) asked: Notify,
    pub(crate) closing: Notify,
    pub(crate) counted: Counted,
}

/// A pause between two renewals that is no gap, however short the bound is.
const GAP: Duration = Duration::from_secs(2);

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
            unbroken: Mutex::new(None),
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

    /// Says how the store is, unless that is settled for good.
    pub(crate) fn settle(&self, health: Health, trouble: &str) {
        let mut status = self.status.lock();
        if !matches!(status.health, Health::Closed | Health::Fenced) {
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

    /// Notes that this node is not on the list of nodes any more: it lets nobody in and writes
    /// nothing from now on.
    pub(crate) fn fence(&self) {
        self.history.lease.end();
        let why = "this node is not known to the database any more: another one has taken its \
                   sessions over, or a backup was restored; it has to be opened anew";
        tracing::error!(target: "countersign", why, "this node is fenced off");
        self.settle(Health::Fenced, why);
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.health() == Health::Fenced
    }

    /// Notes that a renewal went through, or that one did not.
    pub(crate) fn renewed(&self, went_through: bool) {
        let now = Steady::now();
        let goes_on = !self.heard_since().is_zero();
        let mut unbroken = self.unbroken.lock();
        let first = unbroken.filter(|_| goes_on).map_or(now, |(first, _)| first);
        *unbroken = went_through.then_some((first, now));
    }

    /// For how long this node has been in touch with the database without a gap: as others that are
    /// alive were, too.
    pub(crate) fn heard_since(&self) -> Duration {
        let longest = self.history.lease.bound().max(GAP);
        let now = Steady::now();
        let unbroken = *self.unbroken.lock();
        let unbroken = unbroken.filter(|(_, last)| now.since(*last) <= longest);
        unbroken.map_or(Duration::ZERO, |(first, _)| now.since(first))
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
