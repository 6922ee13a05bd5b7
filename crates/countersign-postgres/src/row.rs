//! A record as a row: its envelope, and beside it the columns that an operator would look for.
//!
//! The envelope alone is believed. The columns are written for people and never read back.

use countersign_core::{Expiry, Key, PrincipalState, Record, Table, Timestamp, Version, Versioned};
use countersign_store::codec::Sealer;
use countersign_store::{Revision, StoreError};
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// The last instant that every engine can hold: the end of the year 9999.
const LAST: u64 = 253_402_300_799_999;
/// What no record has for its version.
const NO_VERSION: i64 = -1;

/// What is shown of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) principal: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) created_at: Option<SystemTime>,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) ended_at: Option<SystemTime>,
    pub(crate) used_at: Option<SystemTime>,
}

impl Columns {
    pub(crate) fn of(record: &Record) -> Self {
        let mut columns = Self::default();
        match record {
            Record::Grant(grant) => {
                columns.principal = Some(grant.principal.as_str().to_owned());
                columns.name = Some(grant.name.as_str().to_owned());
                columns.created_at = time(grant.created_at);
                columns.expires_at = match grant.expiry {
                    Expiry::At(at) => time(at),
                    Expiry::Never => None,
                };
                columns.ended_at = grant.end.as_ref().and_then(|end| time(end.at));
            }
            Record::Series(series) => {
                columns.principal = Some(series.principal.as_str().to_owned());
                columns.name = Some(series.label.as_str().to_owned());
                columns.created_at = time(series.created_at);
                columns.expires_at = time(series.expires_at);
                columns.ended_at = series.end.as_ref().and_then(|end| time(end.at));
            }
            Record::Principal(principal) => {
                columns.principal = Some(principal.principal.as_str().to_owned());
                columns.name = Some(match principal.state {
                    PrincipalState::Enabled => "enabled".to_owned(),
                    PrincipalState::Disabled => "disabled".to_owned(),
                });
            }
            Record::Event(event) => {
                columns.principal = event
                    .principal
                    .as_ref()
                    .map(|name| name.as_str().to_owned());
                columns.name = Some(event.kind.name().to_owned());
                columns.created_at = time(event.at);
            }
            Record::Usage(usage) => columns.used_at = time(usage.last_used_at),
            _ => {}
        }
        columns
    }
}

fn time(at: Timestamp) -> Option<SystemTime> {
    let millis = at.as_millis();
    (millis <= LAST)
        .then(|| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)))
        .flatten()
}

/// The number that a table is named by in the database.
pub(crate) fn kind(table: Table) -> i16 {
    i16::from(table.code())
}

/// The table of a number.
pub(crate) fn table(kind: i16) -> Option<Table> {
    u8::try_from(kind).ok().and_then(Table::from_code)
}

/// The key of a record as it is named in the database.
pub(crate) fn id(key: Key) -> Uuid {
    Uuid::from_bytes(key.id)
}

/// A version as the database holds it. Those that are given out never have the highest bit.
pub(crate) fn number(version: Version) -> i64 {
    i64::try_from(version.number()).unwrap_or(i64::MAX)
}

/// A version as it is looked for: zero stands for nothing there, and no record has it.
pub(crate) fn wanted(version: Version) -> i64 {
    match number(version) {
        0 => NO_VERSION,
        number => number,
    }
}

/// Believes a row: its envelope is of this key, and of the version that the row says.
pub(crate) fn open(
    sealer: &Sealer,
    key: Key,
    version: i64,
    envelope: &[u8],
) -> Result<Versioned, StoreError> {
    let opened = sealer.open(key, envelope, Revision(u64::MAX))?;
    if number(opened.version) != version {
        return Err(StoreError::Damaged {
            key,
            detail: "its version is not the one that it was sealed with",
        });
    }
    Ok(opened)
}
