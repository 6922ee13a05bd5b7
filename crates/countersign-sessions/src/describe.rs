//! Looking at sessions without being in them: lists for principals and operators, and the dump of
//! one session (S2).
//!
//! A description has no token and no csrf secret to show: the one is not kept, the other is
//! derived when it is needed. Values of attributes are shown one by one, on request.

use crate::attribute::{AttributeName, Value, ValueKind};
use crate::attributes::{Attributes, Bag};
use crate::authentication::Authentication;
use crate::ended::{Done, Ended, EndedBy};
use crate::moment::Moment;
use crate::owner::Owner;
use crate::refusal::Denied;
use crate::shard::Shard;
use crate::slot::Slot;
use crate::table::{SessionTable, mark_of};
use core::time::Duration;
use countersign_core::{EpochStamp, Principal, Selector, Timestamp};
use std::sync::Arc;

/// A session as it may be shown to its principal or to an operator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Description {
    /// Which it is.
    pub selector: Selector,
    /// Whose it is; `None` for an anonymous one.
    pub owner: Option<Owner>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// For how long it has been open.
    pub age: Duration,
    /// When it was last used, to the second.
    pub last_seen_at: Timestamp,
    /// For how long it has not been used.
    pub idle: Duration,
    /// How long it may stand idle.
    pub idle_timeout: Duration,
    /// When its absolute timeout is over.
    pub ends_at: Timestamp,
    /// When it dies if nobody uses it.
    pub expires_at: Timestamp,
    /// How and when it was authenticated; `None` for an anonymous one.
    pub authentication: Option<Authentication>,
    /// The epochs that it was opened under.
    pub stamp: EpochStamp,
    bag: Option<Arc<Bag>>,
}

/// An attribute without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeSummary<'a> {
    /// Its name.
    pub name: &'a AttributeName,
    /// The type of its value.
    pub kind: ValueKind,
    /// How many bytes the value counts for.
    pub bytes: usize,
}

impl Description {
    fn of(slot: &Slot, moment: &Moment<'_>) -> Self {
        let ends = slot.ends(moment);
        Self {
            selector: slot.selector,
            owner: slot.owner.clone(),
            created_at: slot.created_at(),
            age: moment.now.since(slot.created_at()),
            last_seen_at: slot.last_seen(),
            idle: moment.now.since(slot.last_seen()),
            idle_timeout: Duration::from_millis(slot.idle_ms(moment)),
            ends_at: Timestamp::from_millis(ends.absolute),
            expires_at: ends.first(),
            authentication: slot.authentication(moment.now),
            stamp: slot.stamp,
            bag: slot.bag.clone(),
        }
    }

    /// How long it may stand idle, in whole seconds: the container's max inactive interval.
    #[must_use]
    pub const fn max_inactive_s(&self) -> u64 {
        self.idle_timeout.as_secs()
    }

    /// The remember-me series that it is linked to.
    #[must_use]
    pub fn series(&self) -> Option<Selector> {
        self.bag.as_ref().and_then(|bag| bag.series)
    }

    /// Its attributes, without their values.
    #[must_use]
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = AttributeSummary<'_>> {
        self.all().iter().map(|(name, value)| AttributeSummary {
            name,
            kind: value.kind(),
            bytes: value.bytes(),
        })
    }

    /// The value of one attribute, for whoever asks for it by name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.all().find(name)
    }

    fn all(&self) -> &Attributes {
        static NONE: Attributes = Attributes::EMPTY;
        self.bag.as_ref().map_or(&NONE, |bag| &bag.attributes)
    }
}

impl SessionTable {
    /// The sessions of a principal, oldest first.
    pub fn list(&self, moment: &Moment<'_>, principal: &Principal) -> Done<Vec<Description>> {
        let (mark, owner) = (mark_of(moment.keyring, principal), Owner::new(principal));
        Done::of(|ended| {
            let mut shard = self.shard_of_principal(moment.keyring, principal).write();
            let rows: Vec<usize> = shard.owned_by(mark, &owner).map(|(row, _)| row).collect();
            self.describe_rows(moment, &mut shard, rows, ended)
        })
    }

    /// One session.
    pub fn describe(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
    ) -> Done<Result<Description, Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                let slot = shard.slot(row).ok_or(Denied::Unknown)?;
                Ok(Description::of(slot, moment))
            })
        })
    }

    /// How many pages [`SessionTable::page`] has.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.shards()
    }

    /// A part of all sessions, in no order that means anything: about two thousand, or none.
    pub fn page(&self, moment: &Moment<'_>, page: usize) -> Done<Vec<Description>> {
        Done::of(|ended| {
            if page >= self.pages() {
                return Vec::new();
            }
            let mut shard = self.shard_at(page).write();
            let rows = (0..shard.rows()).collect();
            self.describe_rows(moment, &mut shard, rows, ended)
        })
    }

    /// Describes the living of `rows`, which ascend, and ends the others.
    fn describe_rows(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        rows: Vec<usize>,
        ended: &mut Vec<Ended>,
    ) -> Vec<Description> {
        let mut over: Vec<(usize, EndedBy)> = Vec::new();
        let mut living = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(slot) = shard.slot(row) else {
                continue;
            };
            match slot.due(moment) {
                Some(by) => over.push((row, by)),
                None => living.push(Description::of(slot, moment)),
            }
        }
        self.end_rows(moment, shard, &over, ended);
        living.sort_unstable_by_key(|description| description.selector);
        living
    }
}
