//! When and from where credentials were used whose records are not held in memory, gathered until
//! it is written (E5): devices, and tokens for which the cache has no room.
//!
//! What is noted here is small: a record that is not held is let go of with the request.

use countersign_core::{Selector, Sighting, Timestamp, Usage};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The most credentials whose use waits to be written; the uses of more are not noted meanwhile.
const WAITING_MAX: usize = 1 << 16;

/// Uses that have not been written yet.
#[derive(Debug)]
pub(crate) struct WaitingUses {
    /// Whether uses are noted at all: a store that cannot be written would never take them.
    notes: bool,
    waiting: Mutex<BTreeMap<Selector, Usage>>,
}

impl WaitingUses {
    pub(crate) const fn new(notes: bool) -> Self {
        Self {
            notes,
            waiting: Mutex::new(BTreeMap::new()),
        }
    }

    /// Notes that a credential was used.
    pub(crate) fn note(&self, selector: Selector, now: Timestamp, from: Option<IpAddr>) {
        if !self.notes {
            return;
        }
        let mut used = Usage {
            last_used_at: now,
            addresses: Vec::new(),
        };
        if let Some(address) = from {
            used.see(Sighting { address, at: now });
        }
        self.put_back([(selector, used)]);
    }

    /// What has been noted and not been written.
    pub(crate) fn of(&self, selector: Selector) -> Option<Usage> {
        self.waiting.lock().get(&selector).cloned()
    }

    /// Everything that has been noted since this was last asked.
    pub(crate) fn take(&self) -> BTreeMap<Selector, Usage> {
        std::mem::take(&mut *self.waiting.lock())
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, uses: impl IntoIterator<Item = (Selector, Usage)>) {
        let mut waiting = self.waiting.lock();
        for (selector, used) in uses {
            if waiting.len() < WAITING_MAX || waiting.contains_key(&selector) {
                waiting.entry(selector).or_default().merge(&used);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::ShardTag;

    fn device(n: usize) -> Selector {
        let random = u64::try_from(n).unwrap().to_be_bytes();
        Selector::mint(Timestamp::ZERO, ShardTag::NONE, random)
    }

    #[test]
    fn uses_gather_once_for_each_and_those_of_too_many_are_not_noted() {
        let uses = WaitingUses::new(true);
        let address = Some(IpAddr::from([10, 0, 0, 1]));
        for n in 0..WAITING_MAX + 9 {
            uses.note(device(n), Timestamp::from_millis(5), address);
        }
        uses.note(device(0), Timestamp::from_millis(9), None);
        assert!(uses.of(device(WAITING_MAX)).is_none());
        let taken = uses.take();
        assert_eq!(taken.len(), WAITING_MAX);
        let first = taken.get(&device(0)).unwrap();
        assert_eq!(first.last_used_at, Timestamp::from_millis(9));
        assert_eq!(first.addresses.len(), 1);
    }

    #[test]
    fn what_is_put_back_hides_nothing_later() {
        let uses = WaitingUses::new(true);
        uses.note(device(1), Timestamp::from_millis(5), None);
        let taken = uses.take();
        uses.note(device(1), Timestamp::from_millis(9), None);
        uses.put_back(taken);
        let at = uses.of(device(1)).unwrap().last_used_at;
        assert_eq!(at, Timestamp::from_millis(9));
    }

    #[test]
    fn nothing_is_noted_for_a_store_that_takes_nothing() {
        let uses = WaitingUses::new(false);
        uses.note(device(1), Timestamp::from_millis(5), None);
        assert!(uses.take().is_empty());
    }
}
