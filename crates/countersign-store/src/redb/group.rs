//! One group of batches, checked and written in one transaction.
//!
//! Each batch is held to its expectations against what the batches before it have written, and
//! one that does not hold is left out without disturbing the others.

mod tables;

use self::tables::Tables;
use super::contain::Fault;
use super::handle::Handle;
use super::meta::{Row, counter_row};
use super::open::put_meta;
use crate::batch::{self, BATCH_BYTES_MAX};
use crate::codec::{Draft, Sealer};
use crate::error::{CommitError, StoreError};
use crate::pending::Answer;
use crate::store::{Capabilities, Revision};
use countersign_core::{Batch, Change, Durability, Expect, Key, Keyring, Purpose, Version};
use redb::{Error, WriteTransaction};

/// A batch whose records are encoded.
pub(super) struct Prepared {
    writes: Vec<PreparedWrite>,
    pub durability: Durability,
    pub purpose: Purpose,
    pub bytes: usize,
}

struct PreparedWrite {
    key: Key,
    expect: Expect,
    change: PreparedChange,
}

enum PreparedChange {
    Keep,
    Put(Draft),
    Delete,
}

/// A batch in the queue, and where its answer goes.
pub(super) struct Waiting {
    pub prepared: Prepared,
    pub answer: Answer<Result<Revision, CommitError>>,
}

/// What became of a group's batches, in their order.
pub(super) struct Outcome {
    /// The revision after the last one.
    pub newest: Revision,
    pub results: Vec<Result<Revision, CommitError>>,
    /// What each one that was applied has changed.
    pub changed: Vec<(Revision, Key)>,
    /// Whether anything was written that is not durable yet.
    pub deferred: bool,
    /// Whether `newest` is on the medium, in the file's counter.
    pub durable: bool,
}

/// Why a group was not acknowledged.
pub(super) enum Failure {
    /// Before it was to be made durable: nothing was written.
    Before(Fault),
    /// While it was being made durable: it may be there, and then this is what became of it.
    During(Fault, Outcome),
}

/// What a group is written with.
pub(super) struct Pen<'a> {
    pub handle: &'a Handle,
    pub sealer: &'a Sealer,
    pub keyring: &'a Keyring,
    /// The highest revision that was ever given out.
    pub newest: Revision,
    /// Whether commits may wait in memory.
    pub may_defer: bool,
    /// Whether some do.
    pub deferred: bool,
}

impl Prepared {
    /// Checks and encodes a batch, on the thread of who commits it.
    pub(super) fn new(sealer: &Sealer, batch: &Batch) -> Result<Self, StoreError> {
        batch::check(batch, Capabilities::EMBEDDED)?;
        let mut bytes = 0usize;
        let mut writes = Vec::with_capacity(batch.writes.len());
        for write in &batch.writes {
            let change = match &write.change {
                Change::Keep => PreparedChange::Keep,
                Change::Put(record) => PreparedChange::Put(sealer.draft(write.key, record)?),
                Change::Delete => PreparedChange::Delete,
            };
            if let PreparedChange::Put(draft) = &change {
                bytes = bytes.saturating_add(draft.len());
            }
            writes.push(PreparedWrite {
                key: write.key,
                expect: write.expect,
                change,
            });
        }
        if bytes > BATCH_BYTES_MAX {
            return Err(StoreError::Invalid(
                "its records have more bytes than a batch may have",
            ));
        }
        Ok(Self {
            writes,
            durability: batch.durability,
            purpose: batch.purpose,
            bytes,
        })
    }

    fn changed_keys(&self) -> impl Iterator<Item = Key> {
        self.writes
            .iter()
            .filter(|write| write.changes())
            .map(|write| write.key)
    }
}

impl PreparedWrite {
    const fn changes(&self) -> bool {
        !matches!(self.change, PreparedChange::Keep)
    }
}

impl Pen<'_> {
    /// Writes a group and makes it as durable as its batches ask.
    pub(super) fn write(&self, group: &mut [Waiting]) -> Result<Outcome, Failure> {
        let immediate = !self.may_defer || group.iter().any(is_immediate);
        let applied = self.handle.with(|db| {
            let mut txn = db.begin_write()?;
            txn.set_two_phase_commit(true);
            if !immediate {
                txn.set_durability(redb::Durability::None)?;
            }
            let outcome = self.apply(&txn, group)?;
            // Nothing new, and nothing old that has to become durable now.
            if outcome.changed.is_empty() && !(immediate && self.deferred) {
                txn.abort()?;
                return Ok((None, outcome));
            }
            put_meta(
                &txn,
                Row::Counter,
                &counter_row(self.keyring, outcome.newest),
            )?;
            Ok((Some(txn), outcome))
        });
        let (txn, mut outcome) = applied.map_err(Failure::Before)?;
        let Some(txn) = txn else {
            outcome.deferred = self.deferred;
            return Ok(outcome);
        };
        outcome.deferred = !immediate;
        outcome.durable = immediate;
        match self.handle.with(|_| Ok(txn.commit()?)) {
            Ok(()) => Ok(outcome),
            Err(fault) => Err(Failure::During(fault, outcome)),
        }
    }

    fn apply(&self, txn: &WriteTransaction, group: &mut [Waiting]) -> Result<Outcome, Error> {
        let mut tables = Tables::new(txn);
        let mut outcome = Outcome {
            newest: self.newest,
            results: Vec::with_capacity(group.len()),
            changed: Vec::new(),
            deferred: false,
            durable: false,
        };
        for waiting in group {
            let result = self.apply_one(&mut tables, &mut waiting.prepared, &mut outcome)?;
            outcome.results.push(result);
        }
        tables.write(self.sealer)?;
        Ok(outcome)
    }

    fn apply_one<'group>(
        &self,
        tables: &mut Tables<'_, 'group>,
        batch: &'group mut Prepared,
        outcome: &mut Outcome,
    ) -> Result<Result<Revision, CommitError>, Error> {
        for write in &batch.writes {
            if let Err(error) = self.holds(tables, write, outcome.newest)? {
                return Ok(Err(error));
            }
        }
        if batch.changed_keys().next().is_none() {
            return Ok(Ok(outcome.newest));
        }
        let revision = Revision(outcome.newest.0.saturating_add(1));
        outcome.newest = revision;
        outcome
            .changed
            .extend(batch.changed_keys().map(|key| (revision, key)));
        for write in &mut batch.writes {
            let table = tables.open(write.key.table)?;
            match &mut write.change {
                PreparedChange::Keep => {}
                PreparedChange::Put(draft) => {
                    table.put(write.key.id, draft, Version::new(revision.0));
                }
                PreparedChange::Delete => table.delete(write.key.id),
            }
        }
        Ok(Ok(revision))
    }

    /// Whether a write finds what it expects.
    fn holds(
        &self,
        tables: &mut Tables<'_, '_>,
        write: &PreparedWrite,
        newest: Revision,
    ) -> Result<Result<(), CommitError>, Error> {
        if write.expect == Expect::Any {
            return Ok(Ok(()));
        }
        let table = tables.open(write.key.table)?;
        Ok(match table.version(self.sealer, write.key, newest)? {
            // Nothing can be said about what is there, so nothing is built upon it.
            Err(damaged) => Err(CommitError::NotApplied(damaged)),
            Ok(found) if write.expect.holds(found) => Ok(()),
            Ok(_) => Err(CommitError::Conflict(write.key)),
        })
    }
}

fn is_immediate(waiting: &Waiting) -> bool {
    waiting.prepared.durability == Durability::Immediate
}
