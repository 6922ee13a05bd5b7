//! The table: shards, each under a lock of its own, and the counts over all of them.
//!
//! # Locks
//!
//! A request takes its shard's lock for readers, twice for a moment, and hashes between the two.
//! What changes a session takes its shard's lock for writers. Logging in from a session takes two,
//! in the order of the shards' numbers; nothing else holds more than one. One thing is asked of the
//! caller while a lock is held: whether a session that is proven stands, by whoever proves it, who
//! must neither wait nor call into the table. So no order of calls can lock up.
//!
//! # Counts
//!
//! A place is taken in the counts before a session is put into its shard, and given back after it
//! has left: so the counts are never below what is there, and the bounds hold at every instant.

use crate::counts::Counts;
use crate::ended::{Ended, EndedBy, Gone};
use crate::moment::Moment;
use crate::refusal::Denied;
use crate::shard::{Found, Mark, Shard};
use crate::slot::Slot;
use crate::sweep::Cursor;
use crate::sync::{Mutex, RwLock, RwLockWriteGuard};
use crate::tail::{Tail, Veil};
use core::fmt;
use countersign_core::policy::SessionPolicy;
use countersign_core::{Keyring, Principal, Selector, ShardTag};
use crossbeam_utils::CachePadded;

/// How many sessions a shard is meant for.
const PER_SHARD: u64 = 2048;
/// Even a small table is shared by several threads.
const SHARDS_MIN: u64 = 16;
/// A shard tag has twelve bits.
const SHARDS_MAX: u64 = 4096;

/// Every session of a deployment, in memory.
///
/// All methods take what they need besides the sessions as arguments: the instant, the keys and
/// the policy as a [`Moment`], and random bytes. None blocks on anything but another call's moment
/// in the same shard.
pub struct SessionTable {
    shards: Box<[CachePadded<RwLock<Shard>>]>,
    /// What is used where a number leads to no shard, which does not happen: it stays empty.
    spare: RwLock<Shard>,
    veil: Veil,
    pub(crate) counts: Counts,
    pub(crate) cursor: Mutex<Cursor>,
    /// Stands in where there is no session.
    pub(crate) decoy: Slot,
}

/// Two shards locked for writing, or one that is both.
pub(crate) enum Pair<'a> {
    Same(RwLockWriteGuard<'a, Shard>),
    Two {
        source: RwLockWriteGuard<'a, Shard>,
        target: RwLockWriteGuard<'a, Shard>,
    },
}

impl Pair<'_> {
    pub(crate) fn source(&mut self) -> &mut Shard {
        match self {
            Self::Same(shard) | Self::Two { source: shard, .. } => shard,
        }
    }

    pub(crate) fn target(&mut self) -> &mut Shard {
        match self {
            Self::Same(shard) | Self::Two { target: shard, .. } => shard,
        }
    }
}

impl SessionTable {
    /// An empty table, laid out for the policy's bounds under the deployment's keys.
    ///
    /// Under a policy with other bounds later on it stays correct; how many ended sessions it
    /// remembers, and into how many shards it is divided, stay as they are.
    #[must_use]
    pub fn new(policy: &SessionPolicy, keyring: &Keyring) -> Self {
        let wanted = policy.max_sessions.div_ceil(PER_SHARD).next_power_of_two();
        let count = wanted.clamp(SHARDS_MIN, SHARDS_MAX);
        // Half of them for principals' sessions, half for anonymous ones.
        let graves = policy.max_ended.div_ceil(count.saturating_mul(2));
        let graves = usize::try_from(graves).unwrap_or(usize::MAX);
        let veil = Veil::new(keyring);
        // Principals are not spread evenly: some shards get more than their share.
        let rows = policy.max_sessions.div_euclid(count).saturating_mul(2);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let shard = || CachePadded::new(RwLock::new(Shard::new(veil, rows, graves)));
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            spare: RwLock::new(Shard::new(veil, 0, 0)),
            veil,
            counts: Counts::default(),
            cursor: Mutex::new(Cursor::default()),
            decoy: Slot::decoy(),
        }
    }

    /// How many sessions there are, and how many of them are anonymous.
    #[must_use]
    pub fn len(&self) -> (u64, u64) {
        self.counts.now()
    }

    /// How many ended sessions are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        let graves = self.shards.iter().map(|shard| shard.read().graves());
        graves.fold(0, usize::saturating_add)
    }

    pub(crate) const fn veil(&self) -> Veil {
        self.veil
    }

    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The shard of this number; numbers go round.
    pub(crate) fn shard_at(&self, number: usize) -> &RwLock<Shard> {
        let number = number.checked_rem(self.shards.len()).unwrap_or(0);
        self.shards.get(number).map_or(&self.spare, |shard| shard)
    }

    /// The row that the next session of the shard of `tag` will lie in.
    pub(crate) fn next_row(&self, tag: ShardTag) -> usize {
        self.shard_at(usize::from(tag.bits())).read().next_row()
    }

    pub(crate) fn number_of(&self, tail: Tail) -> usize {
        // The count is a power of two.
        usize::from(tail.tag().bits()) & self.shards.len().saturating_sub(1)
    }

    #[inline]
    pub(crate) fn shard_of(&self, tail: Tail) -> &RwLock<Shard> {
        let shard = self.shards.get(self.number_of(tail));
        shard.map_or(&self.spare, |shard| shard)
    }

    /// The shard of a principal's sessions.
    pub(crate) fn shard_of_principal(
        &self,
        keyring: &Keyring,
        principal: &Principal,
    ) -> &RwLock<Shard> {
        let tag = usize::from(keyring.shard_tag(principal).bits());
        self.shard_at(tag)
    }

    /// Locks both shards for writing, the one with the lower number first.
    pub(crate) fn lock_pair(&self, source: Tail, target: Tail) -> Pair<'_> {
        let (from, to) = (self.number_of(source), self.number_of(target));
        if from == to {
            return Pair::Same(self.shard_at(to).write());
        }
        if from < to {
            let source = self.shard_at(from).write();
            let target = self.shard_at(to).write();
            return Pair::Two { source, target };
        }
        let target = self.shard_at(to).write();
        let source = self.shard_at(from).write();
        Pair::Two { source, target }
    }

    /// Ends the session of a row and gives its place back.
    pub(crate) fn end_row(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        row: usize,
        by: EndedBy,
        ended: &mut Vec<Ended>,
    ) -> Option<EndedBy> {
        let end = shard.end(row, by, moment.now)?;
        self.counts.leave(end.owner.is_none());
        ended.push(end);
        Some(by)
    }

    /// Ends the sessions of `rows`.
    pub(crate) fn end_rows(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        rows: &[(usize, EndedBy)],
        ended: &mut Vec<Ended>,
    ) {
        for (row, by) in rows {
            self.end_row(moment, shard, *row, *by, ended);
        }
    }

    /// Does `work` to a living session under its shard's lock for writers. One whose time is over
    /// is ended instead.
    pub(crate) fn with_living<T>(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        ended: &mut Vec<Ended>,
        work: impl FnOnce(&mut Shard, usize, &mut Vec<Ended>) -> Result<T, Denied>,
    ) -> Result<T, Denied> {
        let mut shard = self.shard_of(Tail::of(selector)).write();
        let (row, due) = match shard.find(selector) {
            None => return Err(Denied::Unknown),
            Some(Found::Dead(grave)) => return Err(Denied::Gone(grave.gone())),
            Some(Found::Living(row, slot)) => (row, slot.due(moment)),
        };
        if let Some(by) = due {
            self.end_row(moment, &mut shard, row, by, ended);
            return Err(Denied::Gone(Gone { by, at: moment.now }));
        }
        work(&mut shard, row, ended)
    }
}

/// The mark of a principal's sessions.
pub(crate) fn mark_of(keyring: &Keyring, principal: &Principal) -> Mark {
    let [a, b, c, d, ..] = keyring.principal_key(principal).to_bytes();
    Mark(u32::from_be_bytes([a, b, c, d]) | 1)
}

impl fmt::Debug for SessionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sessions, anonymous) = self.len();
        f.debug_struct("SessionTable")
            .field("sessions", &sessions)
            .field("anonymous", &anonymous)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::Method;
    use crate::open::LogIn;
    use crate::slot::Timeouts;
    use crate::sync::alone;
    use core::time::Duration;
    use countersign_core::policy::Policy;
    use countersign_core::{EpochStamp, Fresh, KeyMaterial, Timestamp};

    #[test]
    fn each_new_session_of_a_principal_lies_in_the_row_that_it_names() {
        alone(|| {
            let now = Timestamp::from_millis(1_795_341_296_789);
            let keyring = Keyring::new(&KeyMaterial::generate(now, [1; 32], [2; 32]));
            let policy = Policy::default();
            let policy = policy.sessions();
            let moment = Moment {
                now,
                keyring: &keyring,
                policy,
            };
            let table = SessionTable::new(policy, &keyring);
            let login = LogIn {
                principal: &Principal::new("ann").unwrap(),
                method: Method::Password,
                fresh_for: Duration::ZERO,
                stamp: EpochStamp::default(),
                timeouts: Timeouts::default(),
                ends_by: None,
                series: None,
                carry: &[],
            };
            for n in 0..9 {
                let mut fresh = Fresh::new([n; Fresh::LEN]);
                let opened = table.log_in(&moment, &mut fresh, None, &login).outcome;
                let selector = opened.unwrap().session.selector();
                let tail = Tail::of(selector);
                let shard = table.shard_of(tail).read();
                let found = shard.find(selector);
                let named = tail.row(table.veil());
                let lies_there = matches!(found, Some(Found::Living(row, _)) if row == named);
                assert!(lies_there, "{found:?}");
            }
        });
    }

    #[test]
    fn no_principal_has_the_mark_of_nobody_or_of_a_free_row() {
        let keyring = Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]));
        for n in 0..100 {
            let principal = Principal::new(&format!("p{n}")).unwrap();
            let Mark(mark) = mark_of(&keyring, &principal);
            assert_eq!(mark % 2, 1, "{principal}");
        }
    }
}
