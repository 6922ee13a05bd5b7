//! Looking for damage: every page, every record, and whether records agree with one another.

use super::admin::{CheckReport, LISTED_MAX, Mismatch, PageCheck, Progress};
use super::contain::contain;
use super::open::{open, open_for_reading};
use super::options::{Adopt, Mode, RedbOptions};
use super::tables::Snapshot;
use crate::codec::Sealer;
use crate::error::{OpenError, StoreError};
use countersign_core::{CredentialKind, Key, Keyring, Principal, PrincipalRecord, Record, Table};
use redb::{Error, ReadableDatabase, ReadableTable, ReadableTableMetadata};
use std::path::Path;
use std::sync::Arc;

/// Every so many records, who waits is told how far it has come.
const TELL_EVERY: u64 = 1024;

/// Checks the store at `path`.
pub(super) fn check(
    path: &Path,
    options: &RedbOptions,
    keyring: &Arc<Keyring>,
    deep: bool,
    progress: Progress<'_>,
) -> Result<CheckReport, OpenError> {
    let mut report = CheckReport::default();
    // A copy is looked at as it is: only a handle for reading is given leave to, which adopts
    // nothing.
    let to_look_at = options
        .clone()
        .mode(Mode::ReadOnly)
        .adopt(Some(Adopt::Keep));
    match open(
        path,
        &options.clone().mode(Mode::Exclusive).adopt(None),
        keyring,
        0,
    ) {
        Ok(opened) => {
            report.pages = PageCheck::Whole;
            let walk = Walk::new(&opened.snapshot, keyring);
            walk.run(deep, &mut report, progress);
            if let Err(fault) = opened.handle.close() {
                report.unreadable.push(fault.detail());
            }
            return Ok(report);
        }
        Err(OpenError::Damaged { detail, .. }) => report.pages = PageCheck::Damaged(detail),
        Err(OpenError::AlreadyOpen(_) | OpenError::Permission { .. }) => {}
        Err(OpenError::Cloned(_)) => report.pages = PageCheck::Whole,
        Err(other) => return Err(other),
    }
    match open_for_reading(path, &to_look_at, keyring) {
        Ok((handle, meta)) => {
            let revision = meta.revision;
            match handle.with(|db| Snapshot::take(&db.begin_read()?, revision, 0)) {
                Ok(snapshot) => Walk::new(&snapshot, keyring).run(deep, &mut report, progress),
                Err(fault) => report.unreadable.push(fault.detail()),
            }
        }
        // That its pages are damaged is the finding, and more cannot be found.
        Err(error) if matches!(report.pages, PageCheck::Damaged(_)) => {
            report.unreadable.push(error.to_string());
        }
        Err(other) => return Err(other),
    }
    Ok(report)
}

/// A walk over all records of a snapshot.
struct Walk<'a> {
    snapshot: &'a Snapshot,
    keyring: &'a Keyring,
    sealer: Sealer,
    seen: u64,
    total: u64,
}

impl<'a> Walk<'a> {
    fn new(snapshot: &'a Snapshot, keyring: &'a Arc<Keyring>) -> Self {
        let sealer = Sealer::new(Arc::clone(keyring));
        Self {
            snapshot,
            keyring,
            sealer,
            seen: 0,
            total: 0,
        }
    }

    fn run(mut self, deep: bool, report: &mut CheckReport, progress: Progress<'_>) {
        report.revision = self.snapshot.revision;
        for table in Table::ALL {
            match contain(|| Ok(self.snapshot.table(table)?.len()?)) {
                Ok(count) => {
                    report.records.push((table, count));
                    self.total = self.total.saturating_add(count);
                }
                Err(fault) => unreadable(report, table, &fault.detail()),
            }
        }
        if deep {
            for table in Table::ALL {
                // What is damaged in one place must not hide what is damaged in another.
                if let Err(fault) = contain(|| self.table(table, report, progress)) {
                    unreadable(report, table, &fault.detail());
                }
            }
        }
        progress(self.total, self.total);
    }

    fn table(
        &mut self,
        table: Table,
        report: &mut CheckReport,
        progress: Progress<'_>,
    ) -> Result<(), Error> {
        for row in self.snapshot.table(table)?.iter()? {
            let (id, bytes) = row?;
            let key = Key {
                table,
                id: id.value(),
            };
            match self.sealer.open(key, bytes.value(), self.snapshot.revision) {
                Ok(versioned) => self.agrees(key, &versioned.record, report)?,
                Err(error) => note_damaged(report, key, &error),
            }
            self.seen = self.seen.saturating_add(1);
            if self.seen.is_multiple_of(TELL_EVERY) {
                progress(self.seen, self.total);
            }
        }
        Ok(())
    }

    /// Holds a record to the others that name it.
    fn agrees(&self, key: Key, record: &Record, report: &mut CheckReport) -> Result<(), Error> {
        match record {
            Record::Principal(principal) => self.credentials_of(key, principal, report),
            Record::Grant(grant) => {
                self.held_to_its_list(key, CredentialKind::Access, &grant.principal, report)
            }
            Record::Series(series) => {
                self.held_to_its_list(key, CredentialKind::Remember, &series.principal, report)
            }
            _ => Ok(()),
        }
    }

    /// Every access token and device that a principal lists has its record, and it is theirs.
    fn credentials_of(
        &self,
        key: Key,
        record: &PrincipalRecord,
        report: &mut CheckReport,
    ) -> Result<(), Error> {
        for entry in &record.credentials {
            let selector = entry.selector;
            let filed = match entry.kind {
                CredentialKind::Access => Key::grant(selector),
                CredentialKind::Remember => Key::series(selector),
                // Nothing is filed for credentials of other kinds.
                _ => continue,
            };
            if !self.is_of(filed, &record.principal)? {
                let principal = key;
                note_mismatch(
                    report,
                    Mismatch::NoRecord {
                        principal,
                        selector,
                    },
                );
            }
        }
        Ok(())
    }

    /// Whether the record under `key` is there and this principal's.
    fn is_of(&self, key: Key, principal: &Principal) -> Result<bool, Error> {
        Ok(match self.snapshot.record(&self.sealer, key)? {
            Ok(Some(found)) => match &found.record {
                Record::Grant(grant) => grant.principal == *principal,
                Record::Series(series) => series.principal == *principal,
                _ => false,
            },
            Ok(None) => false,
            // It is reported as damaged in its own turn.
            Err(_) => true,
        })
    }

    /// A grant or a series is listed by its principal, as what it is.
    fn held_to_its_list(
        &self,
        key: Key,
        kind: CredentialKind,
        principal: &Principal,
        report: &mut CheckReport,
    ) -> Result<(), Error> {
        let owner = Key::principal(self.keyring.principal_key(principal));
        let is_listed = match self.snapshot.record(&self.sealer, owner)? {
            Ok(Some(found)) => match found.record {
                Record::Principal(record) => record
                    .of_kind(kind)
                    .any(|entry| entry.selector.to_bytes() == key.id),
                _ => false,
            },
            Ok(None) => false,
            Err(_) => true,
        };
        if !is_listed {
            note_mismatch(report, Mismatch::NotListed { record: key });
        }
        Ok(())
    }
}

fn note_damaged(report: &mut CheckReport, key: Key, error: &StoreError) {
    report.damaged_count = report.damaged_count.saturating_add(1);
    if report.damaged.len() < LISTED_MAX {
        let detail = match error {
            StoreError::Damaged { detail, .. } => (*detail).to_owned(),
            other => other.to_string(),
        };
        report.damaged.push((key, detail));
    }
}

fn note_mismatch(report: &mut CheckReport, mismatch: Mismatch) {
    report.mismatch_count = report.mismatch_count.saturating_add(1);
    if report.mismatches.len() < LISTED_MAX {
        report.mismatches.push(mismatch);
    }
}

fn unreadable(report: &mut CheckReport, table: Table, detail: &str) {
    report
        .unreadable
        .push(format!("table {}: {detail}", table.name()));
}
