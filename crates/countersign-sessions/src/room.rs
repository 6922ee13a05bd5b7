//! Room for another session: whose time is over goes first, then the idlest anonymous one.
//!
//! # Why a sample is enough
//!
//! Anonymous sessions are spread over the shards at random, so those of any shard are a random
//! sample of all; and in the shard the idlest of [`SAMPLE`] is chosen, spread evenly over it, since
//! neighbours are of one age. A session that is among the busier half of the anonymous ones is
//! chosen only if all sixteen are: once in 65 536 times; one among the busiest tenth practically
//! never. An exact order would have to be kept up by every request. Sessions of principals never
//! make way for others', whatever the flood.

use crate::ended::{Ended, EndedBy};
use crate::moment::Moment;
use crate::refusal::Denied;
use crate::slot::Slot;
use crate::table::SessionTable;

/// How many anonymous sessions are looked at to find an idle one.
const SAMPLE: usize = 16;
/// How often room is made before a call gives up: others may take what it made.
const ATTEMPTS: usize = 64;
/// How much of the table is swept when there is nobody to make way.
const SWEEP: usize = 4096;

impl SessionTable {
    /// Takes a place in the counts, making room where there is none.
    pub(crate) fn reserve(
        &self,
        moment: &Moment<'_>,
        anonymous: bool,
        seed: usize,
        ended: &mut Vec<Ended>,
    ) -> Result<(), Denied> {
        for attempt in 0..ATTEMPTS {
            if self.counts.enter(moment.policy, anonymous) {
                return Ok(());
            }
            let seed = seed.wrapping_add(attempt);
            if !self.evict_anonymous(moment, seed, ended) && !self.sweep_for_room(moment, ended) {
                return Err(Denied::Full);
            }
        }
        Err(Denied::Full)
    }

    /// Ends the idlest of a sample of anonymous sessions.
    fn evict_anonymous(&self, moment: &Moment<'_>, seed: usize, ended: &mut Vec<Ended>) -> bool {
        let (_, anonymous) = self.counts.now();
        if anonymous == 0 {
            return false;
        }
        for step in 0..self.shards() {
            let shard = self.shard_at(seed.wrapping_add(step));
            if shard.read().anonymous() == 0 {
                continue;
            }
            let mut shard = shard.write();
            let sample = shard.anonymous_rows(seed, SAMPLE);
            let idlest = sample.min_by_key(|(_, slot)| slot.last_seen());
            let way = |slot: &Slot| slot.due(moment).unwrap_or(EndedBy::Room);
            if let Some((row, by)) = idlest.map(|(row, slot)| (row, way(slot))) {
                self.end_row(moment, &mut shard, row, by, ended);
                return true;
            }
        }
        false
    }

    fn sweep_for_room(&self, moment: &Moment<'_>, ended: &mut Vec<Ended>) -> bool {
        let swept = self.sweep(moment, SWEEP);
        let any = !swept.ended.is_empty();
        ended.extend(swept.ended);
        any
    }
}
