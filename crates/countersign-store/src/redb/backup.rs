//! Copying a store row by row into a new file, which must be adopted before it serves.

use super::admin::{BackupReport, LISTED_MAX};
use super::create::{Head, build};
use super::meta::Meta;
use super::options::RedbOptions;
use super::tables::{Snapshot, definition};
use crate::codec::Sealer;
use crate::error::OpenError;
use countersign_core::{Key, Keyring, Table};
use redb::{Error, ReadableTable, WriteTransaction};
use std::path::Path;

/// Writes what `snapshot` holds to a new file at `to`.
///
/// Rows are copied as they are: one that is damaged stays so, is counted, and fails its tag in
/// the copy as it does here. Each row's key and bytes are what its tag covers, so nothing has to
/// be sealed anew.
pub(super) fn backup(
    snapshot: &Snapshot,
    (sealer, keyring): (&Sealer, &Keyring),
    meta: &Meta,
    options: &RedbOptions,
    to: &Path,
) -> Result<BackupReport, OpenError> {
    let mut report = BackupReport {
        revision: snapshot.revision,
        ..BackupReport::default()
    };
    let head = Head {
        store_id: meta.store_id,
        revision: snapshot.revision,
        peppers: meta.peppers.clone(),
        copy: true,
    };
    build(to, options, keyring, &head, |txn| {
        Table::ALL
            .into_iter()
            .try_for_each(|table| copy(snapshot, sealer, txn, table, &mut report))
    })?;
    report.file_bytes = to.metadata().map_or(0, |metadata| metadata.len());
    Ok(report)
}

fn copy(
    snapshot: &Snapshot,
    sealer: &Sealer,
    txn: &WriteTransaction,
    table: Table,
    report: &mut BackupReport,
) -> Result<(), Error> {
    let mut target = txn.open_table(definition(table))?;
    for row in snapshot.table(table)?.iter()? {
        let (id, bytes) = row?;
        let key = Key {
            table,
            id: id.value(),
        };
        if sealer
            .version(key, bytes.value(), snapshot.revision)
            .is_err()
        {
            report.damaged_count = report.damaged_count.saturating_add(1);
            if report.damaged.len() < LISTED_MAX {
                report.damaged.push(key);
            }
        }
        target.insert(&key.id, bytes.value())?;
        report.records = report.records.saturating_add(1);
    }
    Ok(())
}
