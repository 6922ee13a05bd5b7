//! The sweep: sessions whose time is over are ended, in bounded pieces of work (E17).
//!
//! It changes no verdict, since every call looks at the time itself; it gives memory back, and
//! tells of ends that nobody came to see.
//!
//! Each shard has a column of deadlines, which hold bounds *below* the true ones: a use of a
//! session moves its deadline and leaves the column alone. The sweep reads the column, looks
//! closer at what could be due, ends it or states its deadline anew: once for each idle timeout
//! that a session is kept alive, not once for each use.
//!
//! Where the bounds may be too late, because the policy has become stricter or the clock has
//! stepped back, every session is looked at closely for one round.

use crate::ended::Ended;
use crate::moment::Moment;
use crate::shard::Shard;
use crate::slot::STEP;
use crate::table::SessionTable;
use core::time::Duration;
use countersign_core::Timestamp;

/// How many sessions are looked at closely, or ended, before a shard's lock is let go.
const HOLD: usize = 64;
/// How many deadlines are read for one unit of work.
const DEADLINES_PER_UNIT: usize = 64;

/// Where the sweep is.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// The next shard.
    shard: usize,
    /// How many shards of this round are left.
    left: usize,
    /// How many shards are still to be looked at closely.
    close: usize,
    /// The rows of the next shard from this one on have been looked at, if any have.
    below: Option<usize>,
    /// The instant and the timeouts of the sweep before.
    now: Timestamp,
    idle: Duration,
    absolute: Duration,
}

/// What a piece of the sweep came to.
#[derive(Debug, Default)]
#[must_use = "what was ended is told here alone"]
pub struct Swept {
    /// What was ended.
    pub ended: Vec<Ended>,
    /// How many sessions were looked at closely, those that were ended included.
    pub looked_at: usize,
    /// Whether it came round: every shard has been seen since the last time it did.
    pub came_round: bool,
}

impl SessionTable {
    /// Does about `budget` units of work: a unit is a session that is looked at closely or ended,
    /// or 64 deadlines that are read. At least one shard is read, and at most a round is made.
    pub fn sweep(&self, moment: &Moment<'_>, budget: usize) -> Swept {
        let mut swept = Swept::default();
        let mut cursor = self.cursor.lock();
        cursor.begin(moment, self.shards());
        let mut left = budget.max(1);
        while left > 0 && cursor.left > 0 {
            let looked = self.sweep_shard(moment, &mut cursor, left, &mut swept);
            left = left.saturating_sub(looked.max(1));
        }
        swept.came_round = cursor.left == 0;
        swept
    }

    /// Sweeps what is left of one shard, or as much as `budget` allows. Answers the work done.
    fn sweep_shard(
        &self,
        moment: &Moment<'_>,
        cursor: &mut Cursor,
        budget: usize,
        swept: &mut Swept,
    ) -> usize {
        let shard = self.shard_at(cursor.shard);
        let close = cursor.close > 0;
        let reader = shard.read();
        let read = reader.rows().div_euclid(DEADLINES_PER_UNIT);
        let nothing_due = !close && !reader.any_due(moment.now);
        drop(reader);
        if nothing_due {
            cursor.next_shard(self.shards());
            return read;
        }
        let mut left = budget;
        while left > 0 {
            let mut shard = shard.write();
            for _ in 0..HOLD.min(left) {
                let Some(row) = cursor.next_row(&shard, moment.now) else {
                    cursor.next_shard(self.shards());
                    return budget.saturating_sub(left).saturating_add(read);
                };
                self.look_closely(moment, &mut shard, row, close, swept);
                left = left.saturating_sub(1);
            }
        }
        budget.saturating_add(read)
    }

    fn look_closely(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        row: usize,
        close: bool,
        swept: &mut Swept,
    ) {
        swept.looked_at = swept.looked_at.saturating_add(1);
        if close && let Some(slot) = shard.slot_mut(row) {
            slot.pull_in(moment);
        }
        match shard.slot(row).and_then(|slot| slot.due(moment)) {
            Some(by) => {
                self.end_row(moment, shard, row, by, &mut swept.ended);
            }
            None => shard.restate_deadline(row, moment),
        }
    }
}

impl Cursor {
    fn begin(&mut self, moment: &Moment<'_>, shards: usize) {
        let (policy, now) = (moment.policy, moment.now);
        let stricter = policy.idle_timeout < self.idle || policy.absolute_timeout < self.absolute;
        if stricter || self.now.since(now) > STEP {
            (self.close, self.below) = (shards, None);
        }
        (self.idle, self.absolute) = (policy.idle_timeout, policy.absolute_timeout);
        self.now = now;
        if self.left == 0 {
            self.left = shards;
        }
    }

    /// The next row of the shard to look at, from the back.
    fn next_row(&mut self, shard: &Shard, now: Timestamp) -> Option<usize> {
        let below = self.below.unwrap_or(usize::MAX).min(shard.rows());
        let row = if self.close > 0 {
            below.checked_sub(1)
        } else {
            shard.last_due(below, now)
        };
        self.below = row;
        row
    }

    fn next_shard(&mut self, shards: usize) {
        let next = self.shard.saturating_add(1);
        self.shard = if next < shards { next } else { 0 };
        self.left = self.left.saturating_sub(1);
        self.close = self.close.saturating_sub(1);
        self.below = None;
    }
}
