//! What every store asks of a batch before it looks at it, and how large a batch may be.

use crate::error::StoreError;
use crate::store::Capabilities;
use countersign_core::{Batch, Change, Key, Record, Write};
use std::collections::HashSet;

/// Up to how many writes are compared each with each.
const FEW: usize = 16;

/// The most bytes of all records of one batch.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Refuses a batch that no store takes.
///
/// How many bytes its records have is left to the caller, which knows the codec.
///
/// # Errors
/// [`StoreError::Invalid`] with the rule that it breaks.
pub fn check(batch: &Batch, bounds: Capabilities) -> Result<(), StoreError> {
    if batch.writes.len() > bounds.max_batch {
        return Err(StoreError::Invalid(
            "it has more writes than a batch may have",
        ));
    }
    for write in &batch.writes {
        if let Change::Put(record) = &write.change
            && !belongs(write.key, record)
        {
            return Err(StoreError::Invalid(
                "a record is filed where it does not belong",
            ));
        }
    }
    if changes_twice(&batch.writes) {
        return Err(StoreError::Invalid("two writes change the same record"));
    }
    Ok(())
}

/// Whether two of the writes change the same record.
fn changes_twice(writes: &[Write]) -> bool {
    let changes = || writes.iter().filter(|write| write.change != Change::Keep);
    if writes.len() > FEW {
        let mut seen = HashSet::with_capacity(writes.len());
        return !changes().all(|write| seen.insert(write.key));
    }
    // Nearly every batch is this small, and then comparing each with each is soonest done.
    changes()
        .enumerate()
        .any(|(i, write)| changes().take(i).any(|other| other.key == write.key))
}

/// Whether `record` may be filed under `key`.
///
/// That a principal's key is the hash of its name takes a keyring to tell, and is left to those
/// who have one.
pub(crate) fn belongs(key: Key, record: &Record) -> bool {
    match record {
        Record::System(_) => key == Key::SYSTEM,
        Record::Policy(_) => key == Key::POLICY,
        Record::Event(event) => key == Key::event(event.id),
        _ => key.table == record.table(),
    }
}

/// The keys that a batch changes.
#[must_use]
pub fn changed_keys(writes: &[Write]) -> Vec<Key> {
    let changes = writes.iter().filter(|write| write.change != Change::Keep);
    changes.map(|write| write.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::{
        Deployment, Event, EventKind, Expect, Selector, ServerId, ShardTag, SystemRecord, Timestamp,
    };

    fn policy() -> Record {
        Record::Policy(String::new())
    }

    fn system() -> Record {
        Record::System(SystemRecord::new(Deployment {
            word: None,
            server_id: ServerId::new("test").unwrap(),
            created_at: Timestamp::ZERO,
        }))
    }

    fn refused(batch: &Batch) -> &'static str {
        match check(batch, Capabilities::EMBEDDED) {
            Err(StoreError::Invalid(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_batch_changes_each_record_once_and_files_it_where_it_belongs() {
        let mut batch = Batch::grow();
        batch.keep(Key::POLICY, Expect::Absent);
        batch.put(Key::POLICY, Expect::Any, policy());
        assert_eq!(check(&batch, Capabilities::EMBEDDED), Ok(()));
        batch.delete(Key::POLICY, Expect::Any);
        assert!(refused(&batch).contains("same record"));

        let id = Selector::mint(Timestamp::ZERO, ShardTag::NONE, [1; 8]);
        let other = Selector::mint(Timestamp::ZERO, ShardTag::NONE, [2; 8]);
        let event = Record::Event(Event::new(id, Timestamp::ZERO, EventKind::Issued));
        for (key, record) in [
            (Key::SYSTEM, policy()),
            // Not even beside its own place in its own table.
            (Key::POLICY, system()),
            (Key::grant(id), policy()),
            (Key::usage(id), event.clone()),
            (Key::event(other), event),
        ] {
            let mut batch = Batch::grow();
            batch.put(key, Expect::Any, record);
            assert!(refused(&batch).contains("does not belong"), "{key:?}");
        }
    }

    #[test]
    fn two_changes_of_one_record_are_found_in_small_and_large_batches() {
        for size in [2, FEW, FEW + 1, 100] {
            let mut batch = Batch::deny();
            for n in 1..size {
                let id = Selector::mint(Timestamp::from_millis(n as u64), ShardTag::NONE, [1; 8]);
                batch.delete(Key::usage(id), Expect::Any);
            }
            assert_eq!(check(&batch, Capabilities::EMBEDDED), Ok(()), "{size}");
            let last = batch.writes[0].key;
            batch.delete(last, Expect::Any);
            assert!(refused(&batch).contains("same record"), "{size}");
        }
    }

    #[test]
    fn a_batch_has_at_most_so_many_writes() {
        let mut batch = Batch::deny();
        for _ in 0..Capabilities::EMBEDDED.max_batch {
            batch.keep(Key::SYSTEM, Expect::Any);
        }
        assert_eq!(check(&batch, Capabilities::EMBEDDED), Ok(()));
        batch.keep(Key::SYSTEM, Expect::Any);
        assert!(refused(&batch).contains("more writes"));
    }
}
