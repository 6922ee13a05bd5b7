//! How many sessions there are, over all shards: the bounds that the policy sets on them.
//!
//! Requests do not touch these; opening and ending a session does.

use crate::sync::{AtomicU64, Ordering};
use countersign_core::policy::SessionPolicy;
use crossbeam_utils::CachePadded;

#[derive(Debug, Default)]
pub(crate) struct Counts {
    all: CachePadded<AtomicU64>,
    anonymous: CachePadded<AtomicU64>,
}

impl Counts {
    pub(crate) fn now(&self) -> (u64, u64) {
        let all = self.all.load(Ordering::Acquire);
        (all, self.anonymous.load(Ordering::Acquire))
    }

    /// Takes a place, if one is free.
    pub(crate) fn enter(&self, policy: &SessionPolicy, anonymous: bool) -> bool {
        if anonymous && !take(&self.anonymous, policy.max_anonymous) {
            return false;
        }
        let entered = take(&self.all, policy.max_sessions);
        if anonymous && !entered {
            give_back(&self.anonymous);
        }
        entered
    }

    /// Gives a place back.
    pub(crate) fn leave(&self, anonymous: bool) {
        if anonymous {
            give_back(&self.anonymous);
        }
        give_back(&self.all);
    }

    /// The place of a session goes to one that is not anonymous.
    pub(crate) fn pass_on(&self, from_anonymous: bool) {
        if from_anonymous {
            give_back(&self.anonymous);
        }
    }
}

fn take(count: &AtomicU64, max: u64) -> bool {
    let more = |count: u64| count.checked_add(1).filter(|more| *more <= max);
    let taken = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    taken.is_ok()
}

fn give_back(count: &AtomicU64) {
    let less = |count: u64| count.checked_sub(1);
    // It cannot fall below zero: whoever gives a place back has taken it.
    let _given = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
}
