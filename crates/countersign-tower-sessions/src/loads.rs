//! What requests have loaded, so that a save can be told from what it was made from.
//!
//! A save brings a whole record, and the trait has no word for what its request had loaded. Taken
//! as it stands, it would undo whatever another request changed meanwhile. Yet a record carries
//! something that nobody else's has: the hasher of its map, whose keys are random and stay with
//! the map through every insertion, removal and copy. A hash of nothing in particular under it is
//! a name for that map, and so for the load that made it.
//!
//! It is a hint and never the truth: where a name is not known, because the record was made by
//! somebody else, or too long ago, or because two maps have the same one, a save replaces what is
//! there, as in every other store.

use crate::data::{Data, Known};
use countersign::Selector;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;

/// How many records are remembered, over all sessions.
const LOADS_MAX: usize = 8192;
/// How many bytes they may hold on to, should all be of sessions that have changed since.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// Names a load: a session, and a map.
type Name = (Selector, u64);

/// What was loaded under a name.
#[derive(Debug)]
struct Load {
    /// `None`: two maps had this name.
    known: Option<Known>,
    bytes: usize,
    /// Which of its entries in the order is its last.
    number: u64,
}

/// The loads that are remembered, the latest ones.
#[derive(Debug, Default)]
pub(crate) struct Loads(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    loads: HashMap<Name, Load>,
    /// In the order in which they were noted; one that was noted again has several entries.
    order: VecDeque<(Name, u64)>,
    bytes: usize,
    next: u64,
}

/// The name of a map: the same for its copies, and for no other.
fn name_of(data: &Data) -> u64 {
    data.hasher().hash_one(0_u8)
}

impl Loads {
    /// Notes that `data` was made from what is `known`.
    pub(crate) fn loaded(&self, session: Selector, data: &Data, known: Known) {
        let name = (session, name_of(data));
        let mut ring = self.0.lock();
        // A map is new when it is loaded: one that is known by this name is another.
        let twice = ring.loads.contains_key(&name);
        ring.put(name, (!twice).then_some(known));
    }

    /// Notes that `data` has been saved as what is `known`.
    pub(crate) fn saved(&self, session: Selector, data: &Data, known: Known) {
        let name = (session, name_of(data));
        let mut ring = self.0.lock();
        let twice = ring
            .loads
            .get(&name)
            .is_some_and(|load| load.known.is_none());
        ring.put(name, (!twice).then_some(known));
    }

    /// What `data` was made from, if that is remembered.
    pub(crate) fn find(&self, session: Selector, data: &Data) -> Option<Known> {
        let ring = self.0.lock();
        let load = ring.loads.get(&(session, name_of(data)))?;
        load.known.clone()
    }
}

impl Ring {
    fn put(&mut self, name: Name, known: Option<Known>) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let bytes = known.as_ref().map_or(0, Known::bytes);
        let load = Load {
            known,
            bytes,
            number,
        };
        if let Some(before) = self.loads.insert(name, load) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.order.push_back((name, number));
        while self.order.len() > LOADS_MAX || self.bytes > BYTES_MAX {
            let Some((name, number)) = self.order.pop_front() else {
                return;
            };
            self.forget(name, number);
        }
    }

    fn forget(&mut self, name: Name, number: u64) {
        if self
            .loads
            .get(&name)
            .is_some_and(|load| load.number == number)
            && let Some(load) = self.loads.remove(&name)
        {
            self.bytes = self.bytes.saturating_sub(load.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::Timestamp;
    use countersign::core::ShardTag;
    use serde_json::json;

    fn session(n: u8) -> Selector {
        Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8])
    }

    fn known(n: usize) -> Known {
        let data = Data::from([("k".to_owned(), json!("x".repeat(n)))]);
        Known::written(&data).unwrap()
    }

    #[test]
    fn a_map_keeps_its_name_through_changes_and_copies_and_shares_it_with_none() {
        let (loads, mut data) = (Loads::default(), Data::new());
        loads.loaded(session(1), &data, known(1));
        data.insert("a".to_owned(), json!(1));
        let mut copy = data.clone();
        copy.clear();
        assert_eq!(loads.find(session(1), &copy), Some(known(1)));
        assert_eq!(loads.find(session(2), &data), None);
        assert_eq!(loads.find(session(1), &Data::new()), None);
        loads.saved(session(1), &data, known(2));
        assert_eq!(loads.find(session(1), &copy), Some(known(2)));
        let names: std::collections::BTreeSet<u64> =
            (0..1000).map(|_| name_of(&Data::new())).collect();
        assert_eq!(names.len(), 1000);
    }

    #[test]
    fn a_name_that_two_maps_have_is_nobodys() {
        let (loads, data) = (Loads::default(), Data::new());
        loads.loaded(session(1), &data, known(1));
        loads.loaded(session(1), &data.clone(), known(2));
        assert_eq!(loads.find(session(1), &data), None);
        loads.saved(session(1), &data, known(3));
        assert_eq!(loads.find(session(1), &data), None);
    }

    #[test]
    fn the_oldest_are_forgotten_by_number_and_by_bytes() {
        let (loads, first) = (Loads::default(), Data::new());
        loads.loaded(session(1), &first, known(1));
        for _ in 0..3 * LOADS_MAX {
            loads.loaded(session(1), &Data::new(), known(1));
        }
        assert_eq!(loads.find(session(1), &first), None);
        let held = |loads: &Loads| {
            let ring = loads.0.lock();
            (ring.loads.len(), ring.order.len())
        };
        assert_eq!(held(&loads), (LOADS_MAX, LOADS_MAX));
        let large = known(1024 * 1024);
        for _ in 0..100 {
            loads.loaded(session(1), &Data::new(), large.clone());
        }
        let (loads_held, order) = held(&loads);
        assert!(loads_held <= 16 && order <= 16, "{loads_held}, {order}");
        let last = Data::new();
        for _ in 0..2 * LOADS_MAX {
            loads.saved(session(1), &last, known(1));
        }
        assert_eq!(held(&loads), (1, LOADS_MAX));
        assert_eq!(loads.find(session(1), &last), Some(known(1)));
    }
}
