//! Records as a store keeps them, their keys, and the batches in which they are written.
//!
//! Every key is a table and 16 bytes. A decision answers with a [`Batch`]: writes that take
//! effect together or not at all, each saying what it expects to find.

use crate::event::Event;
use crate::grant::{Grant, Usage};
use crate::image::{AttachmentKey, AttachmentRecord};
use crate::principal::{PrincipalKey, PrincipalRecord};
use crate::selector::Selector;
use crate::series::SeriesRecord;
use crate::system::SystemRecord;

/// A kind of record. The discriminant is stored under every record's tag: it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Table {
    /// The system record and the policy.
    System = 1,
    /// Principals, by the keyed hash of their names.
    Principals = 2,
    /// Grants, by the selectors of their tokens.
    Grants = 3,
    /// When and from where tokens and series were used, by their selectors.
    Usage = 4,
    /// Audit events, in the order of time.
    Events = 5,
    /// Remembered devices, by the selectors of their series.
    Series = 6,
    /// Attachments that image tokens were signed for, by the keyed hash of their ids.
    Attachments = 7,
}

impl Table {
    /// Every table, in the order of their discriminants.
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::Principals,
        Self::Grants,
        Self::Usage,
        Self::Events,
        Self::Series,
        Self::Attachments,
    ];

    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The table that `code` stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.code() == code)
    }

    /// Its name in the store's file and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Principals => "principals",
            Self::Grants => "grants",
            Self::Usage => "usage",
            Self::Events => "events",
            Self::Series => "series",
            Self::Attachments => "attachments",
        }
    }
}

/// Where a record is filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// In which table.
    pub table: Table,
    /// Under which 16 bytes.
    pub id: [u8; 16],
}

impl Key {
    /// The system record.
    pub const SYSTEM: Self = Self::singleton(1);
    /// The policy.
    pub const POLICY: Self = Self::singleton(2);

    const fn singleton(number: u8) -> Self {
        Self {
            table: Table::System,
            id: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number],
        }
    }

    /// A principal's record.
    #[must_use]
    pub const fn principal(key: PrincipalKey) -> Self {
        Self {
            table: Table::Principals,
            id: key.to_bytes(),
        }
    }

    /// A token's grant.
    #[must_use]
    pub const fn grant(selector: Selector) -> Self {
        Self {
            table: Table::Grants,
            id: selector.to_bytes(),
        }
    }

    /// A remembered device's series.
    #[must_use]
    pub const fn series(selector: Selector) -> Self {
        Self {
            table: Table::Series,
            id: selector.to_bytes(),
        }
    }

    /// A token's usage, or a series'.
    #[must_use]
    pub const fn usage(selector: Selector) -> Self {
        Self {
            table: Table::Usage,
            id: selector.to_bytes(),
        }
    }

    /// An attachment's record.
    #[must_use]
    pub const fn attachment(key: AttachmentKey) -> Self {
        Self {
            table: Table::Attachments,
            id: key.to_bytes(),
        }
    }

    /// An audit event.
    #[must_use]
    pub const fn event(id: Selector) -> Self {
        Self {
            table: Table::Events,
            id: id.to_bytes(),
        }
    }
}

/// Anything a store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record {
    /// The system record.
    System(SystemRecord),
    /// The policy, as TOML.
    Policy(String),
    /// A principal.
    Principal(PrincipalRecord),
    /// A token's grant.
    Grant(Grant),
    /// A token's usage, or a series'.
    Usage(Usage),
    /// An audit event.
    Event(Event),
    /// A remembered device.
    Series(SeriesRecord),
    /// An attachment that image tokens were signed for.
    Attachment(AttachmentRecord),
}

impl Record {
    /// The table that records of this kind are filed in.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::System(_) | Self::Policy(_) => Table::System,
            Self::Principal(_) => Table::Principals,
            Self::Grant(_) => Table::Grants,
            Self::Usage(_) => Table::Usage,
            Self::Event(_) => Table::Events,
            Self::Series(_) => Table::Series,
            Self::Attachment(_) => Table::Attachments,
        }
    }
}

/// Which write of a record this is: the revision of the commit that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Takes a number that a store assigned.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A record together with the version that a later write can expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T = Record> {
    /// The version.
    pub version: Version,
    /// The record.
    pub record: T,
}

impl<T> Versioned<T> {
    /// The same version of something made from the record.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned {
            version: self.version,
            record: f(self.record),
        }
    }
}

/// What a write expects to find in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there, or nothing.
    Any,
    /// Nothing.
    Absent,
    /// The record of this version.
    Version(Version),
}

impl Expect {
    /// To find just what was loaded.
    #[must_use]
    pub fn as_loaded<T>(loaded: Option<&Versioned<T>>) -> Self {
        loaded.map_or(Self::Absent, |versioned| Self::Version(versioned.version))
    }

    /// Whether `found` is what was expected.
    #[must_use]
    pub fn holds(self, found: Option<Version>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => found.is_none(),
            Self::Version(version) => found == Some(version),
        }
    }
}

/// What a write does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: the write only holds the batch to its expectation.
    Keep,
    /// Files a record.
    Put(Record),
    /// Removes what is there.
    Delete,
}

/// One write of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// On what condition.
    pub expect: Expect,
    /// What.
    pub change: Change,
}

/// When a commit must be on the medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    #[default]
    Immediate,
    /// With the next immediate one: for what may be lost, such as last uses.
    Deferred,
}

/// Whether a batch may be turned away when room is short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// It lets somebody in or records something: refused before the disk is full.
    #[default]
    Grow,
    /// It shuts somebody out or removes something: room is kept for it.
    Deny,
}

/// Writes that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The writes; no two of them change the same key.
    pub writes: Vec<Write>,
    /// When they must be on the medium.
    pub durability: Durability,
    /// Whether they may be turned away for room.
    pub purpose: Purpose,
}

impl Batch {
    /// A durable batch that may be turned away for room.
    #[must_use]
    pub fn grow() -> Self {
        Self::default()
    }

    /// A durable batch that room is kept for.
    #[must_use]
    pub fn deny() -> Self {
        Self {
            purpose: Purpose::Deny,
            ..Self::default()
        }
    }

    /// Holds the batch to an expectation without writing.
    pub fn keep(&mut self, key: Key, expect: Expect) {
        self.writes.push(Write {
            key,
            expect,
            change: Change::Keep,
        });
    }

    /// Files a record.
    pub fn put(&mut self, key: Key, expect: Expect, record: Record) {
        self.writes.push(Write {
            key,
            expect,
            change: Change::Put(record),
        });
    }

    /// Removes a record.
    pub fn delete(&mut self, key: Key, expect: Expect) {
        self.writes.push(Write {
            key,
            expect,
            change: Change::Delete,
        });
    }

    /// Files a new audit event.
    pub fn record_event(&mut self, event: Event) {
        self.put(Key::event(event.id), Expect::Absent, Record::Event(event));
    }

    /// The audit events among the writes.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.writes.iter().filter_map(|write| match &write.change {
            Change::Put(Record::Event(event)) => Some(event),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_hold_for_just_what_they_say() {
        let (one, two) = (Version::new(1), Version::new(2));
        for (expect, absent, at_one) in [
            (Expect::Any, true, true),
            (Expect::Absent, true, false),
            (Expect::Version(one), false, true),
            (Expect::Version(two), false, false),
        ] {
            assert_eq!(
                (expect.holds(None), expect.holds(Some(one))),
                (absent, at_one),
                "{expect:?}"
            );
        }
    }

    #[test]
    fn tables_have_distinct_codes_and_keys_of_their_own() {
        for table in Table::ALL {
            assert_eq!(Table::from_code(table.code()), Some(table));
        }
        assert_eq!(Table::from_code(0), None);
        assert_ne!(Key::SYSTEM, Key::POLICY);
    }

    #[test]
    fn a_version_is_the_number_that_a_store_gave_it() {
        let numbers = [0, 1, 7, u64::MAX];
        assert_eq!(numbers.map(|number| Version::new(number).number()), numbers);
    }
}
