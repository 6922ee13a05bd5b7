//! A file that fails when it is told to: redb's own backend with faults in between.
//!
//! One [`Faults`] is the hand that holds the strings of every backend that its hook makes, so a
//! store that opens its file again meets the same faults. Locks are passed on: two handles keep
//! apart as they do without it.

use crate::backend::{Bytes, Locked};
use core::fmt;
use countersign_store::redb::BackendHook;
use parking_lot::Mutex;
use redb::StorageBackend as _;
use redb::backends::FileBackend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is done to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Making what was written durable.
    Sync,
    /// Making the file longer or shorter.
    SetLen,
}

impl Op {
    /// Every operation that can fail.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Sync, Self::SetLen];
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device does not answer: `EIO`.
    Io,
    /// There is no room: `ENOSPC`.
    NoRoom,
    /// The file ends in the middle of what was asked for, and a part of it was read.
    Short,
    /// There is no room for all of it, and a part of it was written.
    Torn,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Io, Self::NoRoom, Self::Short, Self::Torn];

    /// Whether an operation can fail so: only a read is short, and only a write is torn.
    #[must_use]
    pub const fn can_happen_to(self, op: Op) -> bool {
        match self {
            Self::Io | Self::NoRoom => true,
            Self::Short => matches!(op, Op::Read),
            Self::Torn => matches!(op, Op::Write),
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::Io => io::Error::from_raw_os_error(5),
            Self::NoRoom | Self::Torn => io::Error::from_raw_os_error(28),
            Self::Short => io::ErrorKind::UnexpectedEof.into(),
        }
    }
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// One operation.
    Once,
    /// Until [`Faults::mend`].
    ForEver,
}

impl Lasting {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Once, Self::ForEver];
}

/// Which operations fail, and how many there were. Clones share one plan.
#[derive(Clone, Default)]
pub struct Faults(Arc<State>);

#[derive(Default)]
struct State {
    counts: [AtomicU64; 4],
    injected: AtomicU64,
    plan: Mutex<Option<Plan>>,
}

struct Plan {
    /// Nothing for any operation.
    op: Option<Op>,
    /// How many more of them go well.
    good: u64,
    fault: Fault,
    lasting: Lasting,
}

impl Faults {
    /// Nothing fails yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The hook to open a store with.
    #[must_use]
    pub fn hook(&self) -> BackendHook {
        let faults = self.clone();
        Arc::new(move |_, file| Locked::over(file, faults.clone()))
    }

    /// Fails an operation after `good` more of its kind, or of any kind, have gone well.
    ///
    /// A later call takes the place of an earlier one.
    pub fn fail(&self, op: Option<Op>, good: u64, fault: Fault, lasting: Lasting) {
        *self.0.plan.lock() = Some(Plan {
            op,
            good,
            fault,
            lasting,
        });
    }

    /// Fails nothing more.
    pub fn mend(&self) {
        *self.0.plan.lock() = None;
    }

    /// How many operations of a kind there were, failed ones included.
    #[must_use]
    pub fn count(&self, op: Op) -> u64 {
        self.counter(op)
            .map_or(0, |count| count.load(Ordering::SeqCst))
    }

    /// How many operations there were in all.
    #[must_use]
    pub fn count_all(&self) -> u64 {
        Op::ALL
            .into_iter()
            .fold(0, |sum, op| sum.saturating_add(self.count(op)))
    }

    /// How many operations were failed.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Ordering::SeqCst)
    }

    fn counter(&self, op: Op) -> Option<&AtomicU64> {
        self.0.counts.get(op as usize)
    }

    /// Counts an operation, and fails it if it is its turn.
    fn pass(&self, op: Op) -> Result<(), Fault> {
        if let Some(count) = self.counter(op) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        let mut place = self.0.plan.lock();
        let Some(plan) = &mut *place else {
            return Ok(());
        };
        if plan.op.is_some_and(|wanted| wanted != op) {
            return Ok(());
        }
        if let Some(left) = plan.good.checked_sub(1) {
            plan.good = left;
            return Ok(());
        }
        let fault = plan.fault;
        if plan.lasting == Lasting::Once {
            *place = None;
        }
        self.0.injected.fetch_add(1, Ordering::SeqCst);
        Err(fault)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("operations", &self.count_all())
            .field("injected", &self.injected())
            .finish_non_exhaustive()
    }
}

impl Bytes for Faults {
    fn len(&self, file: &FileBackend) -> io::Result<u64> {
        file.len()
    }

    fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.pass(Op::Read).map_err(|fault| {
            let half = out.len().div_euclid(2);
            if let (Fault::Short, Some(part)) = (fault, out.get_mut(..half)) {
                // What of it could be read is there; nobody may take it for the whole.
                let _ = file.read(offset, part);
            }
            fault.error()
        })?;
        file.read(offset, out)
    }

    fn set_len(&self, file: &FileBackend, len: u64) -> io::Result<()> {
        self.pass(Op::SetLen).map_err(Fault::error)?;
        file.set_len(len)
    }

    fn sync(&self, file: &FileBackend) -> io::Result<()> {
        self.pass(Op::Sync).map_err(Fault::error)?;
        file.sync_data()
    }

    fn write(&self, file: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        self.pass(Op::Write).map_err(|fault| {
            let half = data.len().div_euclid(2);
            if let (Fault::Torn, Some(part)) = (fault, data.get(..half)) {
                // The first half of it is in its place.
                let _ = file.write(offset, part);
            }
            fault.error()
        })?;
        file.write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(faults: &Faults, ops: &[Op]) -> Vec<bool> {
        ops.iter().map(|op| faults.pass(*op).is_ok()).collect()
    }

    #[test]
    fn the_named_operation_fails_once_or_for_ever_and_everything_is_counted() {
        let faults = Faults::new();
        let (read, write) = (Op::Read, Op::Write);
        faults.fail(Some(write), 1, Fault::Io, Lasting::Once);
        let went = run(&faults, &[write, read, write, write]);
        assert_eq!(went, [true, true, false, true]);
        faults.fail(None, 1, Fault::NoRoom, Lasting::ForEver);
        assert_eq!(run(&faults, &[read, read, write]), [true, false, false]);
        faults.mend();
        assert_eq!(run(&faults, &[read]), [true]);
        assert_eq!((faults.count(read), faults.count(write)), (4, 4));
        assert_eq!((faults.count_all(), faults.injected()), (8, 3));
        assert_eq!(Fault::NoRoom.error().kind(), io::ErrorKind::StorageFull);
    }
}
