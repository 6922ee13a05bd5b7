//! Batches that are committed together: which fit into one transaction, and as what they are sent.

use crate::follow::packed;
use crate::row::{self, Columns};
use countersign_core::{Batch, Change, Durability, Expect, Key, Version};
use countersign_store::codec::{Draft, Sealer};
use countersign_store::{Answer, Capabilities, CommitError, Revision, Steady, StoreError, batch};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::SystemTime;
use uuid::Uuid;

/// The most writes of one group; a larger batch is a group of its own.
const WRITES_MAX: usize = 4096;

/// A batch that waits, encoded but for its version.
pub(crate) struct Waiting {
    prepared: Prepared,
    /// Since when.
    pub(crate) since: Steady,
    pub(crate) answer: Answer<Result<Revision, CommitError>>,
}

struct Waited {
    key: Key,
    expect: Expect,
    change: Encoded,
}

enum Encoded {
    Keep,
    Put(Draft, Box<Columns>),
    Delete,
}

/// The writes of a batch, encoded before anybody waits for them.
pub(crate) struct Prepared {
    writes: Vec<Waited>,
    deferred: bool,
    bytes: usize,
}

impl Prepared {
    /// Checks a batch and encodes its records.
    pub(crate) fn new(
        sealer: &Sealer,
        batch: &Batch,
        bounds: Capabilities,
    ) -> Result<Self, StoreError> {
        batch::check(batch, bounds)?;
        let mut writes = Vec::with_capacity(batch.writes.len());
        let mut bytes = 0usize;
        for write in &batch.writes {
            let change = match &write.change {
                Change::Keep => Encoded::Keep,
                Change::Delete => Encoded::Delete,
                Change::Put(record) => {
                    let draft = sealer.draft(write.key, record)?;
                    bytes = bytes.saturating_add(draft.len());
                    Encoded::Put(draft, Box::new(Columns::of(record)))
                }
            };
            writes.push(Waited {
                key: write.key,
                expect: write.expect,
                change,
            });
        }
        if bytes > batch::BATCH_BYTES_MAX {
            return Err(StoreError::Invalid(
                "its records have more bytes than a batch may have",
            ));
        }
        Ok(Self {
            writes,
            deferred: batch.durability == Durability::Deferred,
            bytes,
        })
    }

    /// Whether it asks for nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        let nothing =
            |write: &Waited| matches!(write.change, Encoded::Keep) && write.expect == Expect::Any;
        self.writes.iter().all(nothing)
    }

    pub(crate) fn waiting(self, answer: Answer<Result<Revision, CommitError>>) -> Waiting {
        Waiting {
            prepared: self,
            since: Steady::now(),
            answer,
        }
    }

    fn changed(&self) -> impl Iterator<Item = Key> {
        let changes = |write: &&Waited| !matches!(write.change, Encoded::Keep);
        self.writes.iter().filter(changes).map(|write| write.key)
    }

    /// The first of its expectations that does not hold for what is known to be there.
    fn broken_by(&self, known: &Replaced) -> Option<Key> {
        let broken = |write: &&Waited| {
            let there = known.get(&write.key);
            there.is_some_and(|there| !write.expect.holds(*there))
        };
        self.writes.iter().find(broken).map(|write| write.key)
    }
}

/// What the last group has left where: a version, or nothing.
pub(crate) type Replaced = HashMap<Key, Option<Version>>;

/// Batches that go into one transaction.
pub(crate) struct Group {
    pub(crate) members: Vec<Member>,
    /// Whether all of them may be lost.
    pub(crate) deferred: bool,
    /// Since when the one waits that has waited longest.
    pub(crate) since: Option<Steady>,
    pub(crate) sent: Sent,
}

pub(crate) struct Member {
    pub(crate) version: u64,
    pub(crate) keys: Vec<Key>,
    /// Those of them that it removes.
    pub(crate) removed: HashSet<Key>,
    /// Taken when it is answered.
    pub(crate) answer: Option<Answer<Result<Revision, CommitError>>>,
}

/// A group as it is sent: arrays, each row of which is one write.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) reserved: Places,
    pub(crate) held: Places,
    pub(crate) shared: Places,
    pub(crate) system: System,
    pub(crate) wanted: Wanted,
    pub(crate) entries: Entries,
    pub(crate) made: Rows,
    pub(crate) set: Rows,
    pub(crate) removed: Rows,
}

/// What a group has to do with the system's record: its switches and epochs.
///
/// Nearly every batch keeps that one. Held against changes by each of them for a moment, it would
/// be held without a gap, and never be changed; so they hold the counter of their node instead,
/// which one group has at a time, and who changes the record holds all counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum System {
    #[default]
    Nothing,
    Keeps,
    Changes,
}

/// Where records are.
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) kinds: Vec<i16>,
    pub(crate) ids: Vec<Uuid>,
}

/// What is expected there.
#[derive(Default)]
pub(crate) struct Wanted {
    pub(crate) batches: Vec<i32>,
    pub(crate) places: Places,
    /// Zero for nothing.
    pub(crate) versions: Vec<i64>,
    pub(crate) keys: Vec<Key>,
}

/// What is entered in the log.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) batches: Vec<i32>,
    pub(crate) versions: Vec<i64>,
    pub(crate) keys: Vec<Vec<u8>>,
}

/// Records that are put or removed.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) places: Places,
    pub(crate) versions: Vec<i64>,
    pub(crate) envelopes: Vec<Vec<u8>>,
    pub(crate) principals: Vec<Option<String>>,
    pub(crate) names: Vec<Option<String>>,
    pub(crate) created: Vec<Option<SystemTime>>,
    pub(crate) expires: Vec<Option<SystemTime>>,
    pub(crate) ended: Vec<Option<SystemTime>>,
    pub(crate) used: Vec<Option<SystemTime>>,
}

impl Sent {
    /// Whether anything is entered, or any expectation checked.
    pub(crate) fn needs_entering(&self) -> bool {
        !self.entries.batches.is_empty() || !self.wanted.batches.is_empty()
    }

    /// How many batches may be entered.
    pub(crate) fn entry_count(&self) -> i64 {
        i64::try_from(self.entries.batches.len()).unwrap_or(i64::MAX)
    }
}

impl Wanted {
    /// The first expectation of a batch.
    pub(crate) fn first_of(&self, number: i32) -> Option<&Key> {
        let at = self.batches.iter().position(|batch| *batch == number)?;
        self.keys.get(at)
    }
}

impl Places {
    fn push(&mut self, key: Key) {
        self.kinds.push(row::kind(key.table));
        self.ids.push(row::id(key));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl Group {
    /// Takes those that fit together, in their order; the others stay.
    ///
    /// No record that one of them changes is named by another. Whoever expects a version that the
    /// last group has replaced is told so at once.
    pub(crate) fn take(
        waiting: &mut VecDeque<Waiting>,
        replaced: &Replaced,
        sealer: &Sealer,
        mut version: impl FnMut() -> u64,
    ) -> Self {
        let mut taken = Vec::new();
        let (mut changed, mut named) = (HashSet::new(), HashSet::new());
        let (mut writes, mut bytes) = (0usize, 0usize);
        let mut left = VecDeque::new();
        while let Some(one) = waiting.pop_front() {
            if let Some(key) = one.prepared.broken_by(replaced) {
                one.answer.send(Err(CommitError::Conflict(key)));
                continue;
            }
            let batch = &one.prepared;
            let fits = writes.saturating_add(batch.writes.len()) <= WRITES_MAX
                && bytes.saturating_add(batch.bytes) <= batch::BATCH_BYTES_MAX;
            let meets = batch.changed().any(|key| named.contains(&key))
                || batch
                    .writes
                    .iter()
                    .any(|write| changed.contains(&write.key));
            // What stays behind keeps its place before those that name the same records.
            named.extend(batch.writes.iter().map(|write| write.key));
            changed.extend(batch.changed());
            if meets || !(fits || taken.is_empty()) {
                left.push_back(one);
                continue;
            }
            writes = writes.saturating_add(batch.writes.len());
            bytes = bytes.saturating_add(batch.bytes);
            taken.push(one);
        }
        *waiting = left;
        Self::of(taken, sealer, &mut version)
    }

    fn of(taken: Vec<Waiting>, sealer: &Sealer, version: &mut dyn FnMut() -> u64) -> Self {
        let mut group = Self {
            members: Vec::with_capacity(taken.len()),
            deferred: taken.iter().all(|batch| batch.prepared.deferred),
            since: taken.iter().map(|batch| batch.since).min(),
            sent: Sent::default(),
        };
        for (batch, number) in taken.into_iter().zip(0i32..) {
            group.add(batch, number, sealer, version());
        }
        group
    }

    fn add(&mut self, waiting: Waiting, number: i32, sealer: &Sealer, version: u64) {
        let Waiting {
            prepared: batch,
            since: _,
            answer,
        } = waiting;
        let sent = &mut self.sent;
        let numbered = row::number(Version::new(version));
        let changed: Vec<Key> = batch.changed().collect();
        // Places in which nothing must be, and that are not filled: held by filling them meanwhile.
        let reserved: HashSet<Key> = (batch.writes.iter())
            .filter(|write| {
                write.expect == Expect::Absent && !matches!(write.change, Encoded::Put(..))
            })
            .map(|write| write.key)
            .collect();
        for key in &reserved {
            sent.reserved.push(*key);
        }
        let mut removed = HashSet::new();
        for write in batch.writes {
            let key = write.key;
            let expected = match write.expect {
                Expect::Any => None,
                Expect::Absent => Some(0),
                Expect::Version(version) => Some(row::wanted(version)),
            };
            if let Some(expected) = expected {
                sent.wanted.batches.push(number);
                sent.wanted.places.push(key);
                sent.wanted.versions.push(expected);
                sent.wanted.keys.push(key);
            }
            let absent = write.expect == Expect::Absent;
            match write.change {
                Encoded::Keep if absent || changed.contains(&key) => {}
                Encoded::Keep if key == Key::SYSTEM => sent.system = System::Keeps,
                Encoded::Keep => sent.shared.push(key),
                Encoded::Delete => {
                    if !absent {
                        sent.held.push(key);
                    }
                    removed.insert(key);
                    sent.removed.places.push(key);
                    sent.removed.versions.push(numbered);
                }
                Encoded::Put(mut draft, columns) => {
                    if !absent {
                        sent.held.push(key);
                    }
                    let envelope = sealer.seal(&mut draft, Version::new(version)).to_vec();
                    let rows = match absent && !reserved.contains(&key) {
                        true => &mut sent.made,
                        false => &mut sent.set,
                    };
                    rows.push(key, numbered, envelope, *columns);
                }
            }
        }
        if changed.contains(&Key::SYSTEM) {
            sent.system = System::Changes;
        }
        if !changed.is_empty() {
            sent.entries.batches.push(number);
            sent.entries.versions.push(numbered);
            sent.entries.keys.push(packed(&changed));
        }
        self.members.push(Member {
            version,
            keys: changed,
            removed,
            answer: Some(answer),
        });
    }

    /// Answers all that were not answered yet.
    pub(crate) fn answer_rest(&mut self, answer: impl Fn() -> CommitError) {
        for member in &mut self.members {
            if let Some(waits) = member.answer.take() {
                waits.send(Err(answer()));
            }
        }
    }
}

impl Rows {
    fn push(&mut self, key: Key, version: i64, envelope: Vec<u8>, columns: Columns) {
        self.places.push(key);
        self.versions.push(version);
        self.envelopes.push(envelope);
        self.principals.push(columns.principal);
        self.names.push(columns.name);
        self.created.push(columns.created_at);
        self.expires.push(columns.expires_at);
        self.ended.push(columns.ended_at);
        self.used.push(columns.used_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_store::Pending;
    use countersign_testkit::samples;

    fn key(number: u64) -> Key {
        Key::usage(samples::selector(number))
    }

    fn sealer() -> Sealer {
        Sealer::new(samples::keyring())
    }

    struct Queue {
        waiting: VecDeque<Waiting>,
        pending: Vec<Pending<Result<Revision, CommitError>>>,
    }

    impl Queue {
        fn of(batches: impl IntoIterator<Item = Batch>) -> Self {
            let (mut waiting, mut pending) = (VecDeque::new(), Vec::new());
            for batch in batches {
                let prepared = Prepared::new(&sealer(), &batch, Capabilities::EMBEDDED).unwrap();
                let lost = || Err(CommitError::Unknown("dropped".to_owned()));
                let (answer, told) = Pending::waiting(lost);
                waiting.push_back(prepared.waiting(answer));
                pending.push(told);
            }
            Self { waiting, pending }
        }

        fn take(&mut self, replaced: &Replaced) -> Group {
            let mut numbers = 11..;
            let version = || numbers.next().unwrap();
            Group::take(&mut self.waiting, replaced, &sealer(), version)
        }
    }

    fn put(keys: &[u64], expect: Expect) -> Batch {
        let mut batch = Batch::grow();
        for number in keys {
            batch.put(key(*number), expect, samples::usage(*number));
        }
        batch
    }

    #[test]
    fn those_that_change_what_another_names_wait_for_the_next_group_in_their_order() {
        let mut reader = put(&[5], Expect::Any);
        reader.keep(key(1), Expect::Any);
        let mut other_reader = put(&[6], Expect::Any);
        other_reader.keep(key(9), Expect::Any);
        let mut third_reader = put(&[7], Expect::Any);
        third_reader.keep(key(9), Expect::Any);
        let batches = [
            put(&[1], Expect::Any),
            put(&[2], Expect::Any),
            reader,
            // It names what the one before it changes, which has to wait.
            put(&[5], Expect::Any),
            other_reader,
            third_reader,
            put(&[9], Expect::Any),
        ];
        let mut queue = Queue::of(batches);
        let first = queue.take(&HashMap::new());
        let keys = |group: &Group| -> Vec<Key> {
            let members = group.members.iter();
            members.flat_map(|member| member.keys.clone()).collect()
        };
        assert_eq!(keys(&first), [1, 2, 6, 7].map(key));
        let second = queue.take(&HashMap::new());
        assert_eq!(keys(&second), [5, 9].map(key));
        let third = queue.take(&HashMap::new());
        assert_eq!(keys(&third), [5].map(key));
        assert!(queue.waiting.is_empty());
        let versions = first.members.iter().map(|member| member.version);
        assert_eq!(versions.collect::<Vec<_>>(), [11, 12, 13, 14]);
    }

    #[test]
    fn whoever_expects_what_was_just_replaced_is_told_at_once() {
        let stale = Expect::Version(Version::new(3));
        let mut queue = Queue::of([
            put(&[1], stale),
            put(&[2], stale),
            put(&[1], Expect::Absent),
            put(&[3], stale),
            put(&[3], Expect::Absent),
        ]);
        let replaced = HashMap::from([(key(1), Some(Version::new(4))), (key(3), None)]);
        let group = queue.take(&replaced);
        assert_eq!(group.members.len(), 2);
        let mut told = queue.pending.into_iter();
        let conflict = Err(CommitError::Conflict(key(1)));
        assert_eq!(told.next().unwrap().wait(), conflict);
        let waits = told.next().unwrap();
        assert_eq!(told.next().unwrap().wait(), conflict);
        let gone = Err(CommitError::Conflict(key(3)));
        assert_eq!(told.next().unwrap().wait(), gone);
        drop(group);
        let dropped = Err(CommitError::Unknown("dropped".to_owned()));
        assert_eq!(
            (waits.wait(), told.next().unwrap().wait()),
            (dropped.clone(), dropped)
        );
    }

    #[test]
    fn the_systems_record_is_kept_by_the_counter_and_changed_under_all_of_them() {
        let version = Expect::Version(Version::new(3));
        let group = |keep: Option<Key>, change: Option<Key>| {
            let mut batch = put(&[1], Expect::Any);
            if let Some(kept) = keep {
                batch.keep(kept, version);
            }
            if let Some(changed) = change {
                batch.put(changed, version, samples::system());
            }
            let sent = Queue::of([batch]).take(&HashMap::new()).sent;
            (
                sent.system,
                sent.shared.ids.len(),
                sent.wanted.batches.len(),
            )
        };
        assert_eq!(group(None, None), (System::Nothing, 0, 0));
        assert_eq!(group(Some(key(2)), None), (System::Nothing, 1, 1));
        assert_eq!(group(Some(Key::SYSTEM), None), (System::Keeps, 0, 1));
        assert_eq!(group(None, Some(Key::SYSTEM)), (System::Changes, 0, 1));
    }

    #[test]
    fn a_group_has_a_size_and_a_batch_that_is_larger_goes_alone() {
        let many: Vec<u64> = (0..3000).collect();
        let more: Vec<u64> = (3000..6000).collect();
        let mut queue = Queue::of([put(&many, Expect::Any), put(&more, Expect::Any)]);
        assert_eq!(queue.take(&HashMap::new()).members.len(), 1);
        assert_eq!(queue.take(&HashMap::new()).members.len(), 1);
    }

    #[test]
    fn what_must_be_absent_and_is_not_filled_is_reserved() {
        let mut batch = put(&[1], Expect::Absent);
        batch.keep(key(2), Expect::Absent);
        batch.keep(key(3), Expect::Version(Version::new(1)));
        batch.delete(key(4), Expect::Any);
        // Filled, and to be absent: reserved, so no plain insertion.
        batch.keep(key(5), Expect::Absent);
        batch.put(key(5), Expect::Any, samples::usage(5));
        let group = Queue::of([batch]).take(&HashMap::new());
        let ids = |places: &Places| {
            let mut ids = places.ids.clone();
            ids.sort();
            ids
        };
        let of = |numbers: &[u64]| -> Vec<Uuid> {
            numbers.iter().map(|number| row::id(key(*number))).collect()
        };
        assert_eq!(ids(&group.sent.reserved), of(&[2, 5]));
        assert_eq!(ids(&group.sent.shared), of(&[3]));
        assert_eq!(ids(&group.sent.held), of(&[4, 5]));
        assert_eq!(ids(&group.sent.made.places), of(&[1]));
        assert_eq!(ids(&group.sent.set.places), of(&[5]));
        assert_eq!(ids(&group.sent.removed.places), of(&[4]));
    }
}
