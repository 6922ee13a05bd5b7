//! Opening a store: the file's integrity, its format, its keys, and that it is no copy.
//!
//! All of it is done again when a store that failed is opened anew.

use super::contain::Fault;
use super::handle::{Handle, ReadHandle, open_error};
use super::identity::Identity;
use super::meta::{self, Meta, RawRows, Row, Unfit};
use super::options::{Adopt, RedbOptions};
use super::overlay;
use super::tables::{META, Snapshot, definition, meta_rows};
use crate::codec::Sealer;
use crate::error::OpenError;
use crate::store::Revision;
use countersign_core::keys::KeyCheck;
use countersign_core::{
    Epoch, Key, KeyId, Keyring, Record, Subsystem, SystemRecord, Table, Timestamp, Version,
};
use redb::{Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};
use std::path::Path;
use std::sync::Arc;

/// A store that was opened and found in order.
pub(super) struct Opened {
    pub handle: Handle,
    pub meta: Meta,
    pub snapshot: Snapshot,
    pub adopted: bool,
}

/// Opens a store for writing, after a look that writes nothing: what is refused is left byte for
/// byte as it is.
///
/// `generation` numbers the openings of one store within this process.
pub(super) fn open(
    path: &Path,
    options: &RedbOptions,
    keyring: &Arc<Keyring>,
    generation: u64,
) -> Result<Opened, OpenError> {
    match refusal(path, options, keyring) {
        Some(refusal) => Err(refusal),
        None => open_in_earnest(path, options, keyring, generation),
    }
}

/// Why a store would be refused, as far as it can be told without putting it in order first.
fn refusal(path: &Path, options: &RedbOptions, keyring: &Arc<Keyring>) -> Option<OpenError> {
    match open_for_reading(path, options, keyring) {
        Err(
            OpenError::NotAStore { .. }
            | OpenError::NewerFormat { .. }
            | OpenError::WrongKey(_)
            | OpenError::MissingPepper { .. }
            | OpenError::Cloned(_),
        ) => {}
        // In order, or to be put in order, or what only opening it in earnest can tell.
        _ => return None,
    }
    // Reading checks no page, so damage may look like any of these: asked again with all checks.
    let aside = options
        .clone()
        .backend(overlay::over(options.backend.clone()));
    open_in_earnest(path, &aside, keyring, 0).err()
}

fn open_in_earnest(
    path: &Path,
    options: &RedbOptions,
    keyring: &Arc<Keyring>,
    generation: u64,
) -> Result<Opened, OpenError> {
    let handle = Handle::open(path, options)?;
    let fault = |fault: Fault| open_error(path, &fault);
    let found = read_meta(path, &handle, options, keyring)?;
    let new_peppers = found
        .new_peppers(keyring)
        .map_err(|unfit| unfit_error(path, &unfit))?;
    let is_copy = !found.identity.fits(handle.identity());
    if is_copy && options.adopt.is_none() {
        return Err(OpenError::Cloned(path.to_owned()));
    }
    let adopt = options.adopt.filter(|_| is_copy);
    // An identity that is fuller than the one that was noted is noted in its place.
    let stamp = (found.identity != handle.identity()).then(|| handle.identity());
    let meta = if new_peppers.is_empty() && stamp.is_none() {
        found
    } else {
        let update = Update {
            stamp,
            new_peppers,
            adopt,
        };
        handle
            .with(|db| update.run(db, keyring, &found))
            .map_err(fault)?;
        read_meta(path, &handle, options, keyring)?
    };
    let revision = meta.revision;
    let snapshot = handle.with(|db| Snapshot::take(&db.begin_read()?, revision, generation));
    let snapshot = snapshot.map_err(|found| fault(missing_table(found)))?;
    Ok(Opened {
        handle,
        meta,
        snapshot,
        adopted: adopt.is_some(),
    })
}

/// What is learned of a store that is opened for reading.
pub(super) fn open_for_reading(
    path: &Path,
    options: &RedbOptions,
    keyring: &Keyring,
) -> Result<(ReadHandle, Meta), OpenError> {
    let handle = ReadHandle::open(path, options)?;
    let rows = handle.with(|db| meta_rows(&db.begin_read()?));
    let rows = rows.map_err(|fault: Fault| open_error(path, &fault))?;
    let meta = parse(path, &rows, keyring, options)?;
    meta.new_peppers(keyring)
        .map_err(|unfit| unfit_error(path, &unfit))?;
    // A copy may be looked at once somebody has said that they know it for one.
    if !meta.identity.fits(handle.identity()) && options.adopt.is_none() {
        return Err(OpenError::Cloned(path.to_owned()));
    }
    Ok((handle, meta))
}

/// The revision that a read transaction stands at.
pub(super) fn revision_of(txn: &ReadTransaction, keyring: &Keyring) -> Result<Revision, Error> {
    let table = txn.open_table(META)?;
    let row = ReadableTable::get(&table, &Row::Counter.key())?;
    let revision = row.and_then(|row| meta::parse_counter(keyring, row.value()));
    revision.ok_or_else(|| Error::Corrupted("its counter is not one".to_owned()))
}

/// Reads what the store says about itself, taking it to the current format on the way.
fn read_meta(
    path: &Path,
    handle: &Handle,
    options: &RedbOptions,
    keyring: &Keyring,
) -> Result<Meta, OpenError> {
    let rows = || handle.with(|db| meta_rows(&db.begin_read()?));
    let fault = |fault: Fault| open_error(path, &fault);
    let found = rows().map_err(fault)?;
    match Meta::parse(&found, keyring, options.formats.current) {
        Err(Unfit::OlderFormat(older)) => {
            let migrate = |db: &Database| {
                in_transaction(db, |txn| options.formats.migrate(txn, keyring, older))
            };
            handle.with(migrate).map_err(fault)?;
            parse(path, &rows().map_err(fault)?, keyring, options)
        }
        parsed => parsed.map_err(|unfit| unfit_error(path, &unfit)),
    }
}

fn parse(
    path: &Path,
    rows: &RawRows,
    keyring: &Keyring,
    options: &RedbOptions,
) -> Result<Meta, OpenError> {
    let parsed = Meta::parse(rows, keyring, options.formats.current);
    parsed.map_err(|unfit| match unfit {
        Unfit::NewerFormat(found) => OpenError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: options.formats.current,
        },
        other => unfit_error(path, &other),
    })
}

/// What has to be written before a store is in order.
struct Update {
    stamp: Option<Identity>,
    new_peppers: Vec<(KeyId, KeyCheck)>,
    adopt: Option<Adopt>,
}

impl Update {
    fn run(&self, db: &Database, keyring: &Arc<Keyring>, meta: &Meta) -> Result<(), Error> {
        in_transaction(db, |txn| {
            if let Some(identity) = self.stamp {
                put_meta(txn, Row::Identity, &meta::identity_row(keyring, identity))?;
            }
            if !self.new_peppers.is_empty() {
                put_peppers(txn, keyring, &with_new(&meta.peppers, &self.new_peppers))?;
            }
            match self.adopt {
                Some(Adopt::EndAll { now }) => end_all(txn, keyring, meta.revision, now),
                Some(Adopt::Keep) | None => Ok(()),
            }
        })
    }
}

/// Both lists in one, ascending.
pub(super) fn with_new(
    noted: &[(KeyId, KeyCheck)],
    new: &[(KeyId, KeyCheck)],
) -> Vec<(KeyId, KeyCheck)> {
    let mut peppers = [noted, new].concat();
    peppers.sort_unstable();
    peppers
}

/// Notes the list of peppers.
pub(super) fn put_peppers(
    txn: &WriteTransaction,
    keyring: &Keyring,
    peppers: &[(KeyId, KeyCheck)],
) -> Result<(), Error> {
    put_meta(txn, Row::Peppers, &meta::peppers_row(keyring, peppers))
}

/// Writes one row of what the store says about itself.
pub(super) fn put_meta(txn: &WriteTransaction, row: Row, bytes: &[u8]) -> Result<(), Error> {
    txn.open_table(META)?.insert(&row.key(), bytes)?;
    Ok(())
}

/// Runs `work` in a transaction of its own and commits it in two phases.
pub(super) fn in_transaction<T>(
    db: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut txn = db.begin_write()?;
    txn.set_two_phase_commit(true);
    let done = work(&txn)?;
    txn.commit()?;
    Ok(done)
}

/// Moves every subsystem's epoch on, so that nothing that was issued before is accepted.
fn end_all(
    txn: &WriteTransaction,
    keyring: &Arc<Keyring>,
    revision: Revision,
    now: Timestamp,
) -> Result<(), Error> {
    let sealer = Sealer::new(Arc::clone(keyring));
    let mut table = txn.open_table(definition(Table::System))?;
    let row = table.get(&Key::SYSTEM.id)?.map(|row| row.value().to_vec());
    let unreadable = || Error::Corrupted("the system record is missing or damaged".to_owned());
    let opened = row.and_then(|row| sealer.open(Key::SYSTEM, &row, revision).ok());
    let Some(Record::System(mut system)) = opened.map(|versioned| versioned.record) else {
        return Err(unreadable());
    };
    advance_all(&mut system, now).ok_or_else(unreadable)?;
    let next = Revision(revision.0.saturating_add(1));
    let draft = sealer.draft(Key::SYSTEM, &Record::System(system));
    let mut draft = draft.map_err(|_| unreadable())?;
    table.insert(
        &Key::SYSTEM.id,
        sealer.seal(&mut draft, Version::new(next.0)),
    )?;
    put_meta(txn, Row::Counter, &meta::counter_row(keyring, next))
}

fn advance_all(system: &mut SystemRecord, now: Timestamp) -> Option<()> {
    for subsystem in Subsystem::ALL {
        let switch = system.switch_mut(subsystem);
        let epoch: Epoch = switch.epoch.advanced(now)?;
        switch.epoch = epoch;
    }
    Some(())
}

/// A store without one of its tables has lost it: it was made with all of them.
fn missing_table(fault: Fault) -> Fault {
    match fault {
        Fault::NotOurs(detail) => Fault::Corrupt(detail),
        other => other,
    }
}

fn unfit_error(path: &Path, unfit: &Unfit) -> OpenError {
    let path = path.to_owned();
    match *unfit {
        Unfit::NotAStore(detail) => OpenError::NotAStore {
            path,
            detail: detail.to_owned(),
        },
        Unfit::NewerFormat(found) => OpenError::NewerFormat {
            path,
            found,
            supported: meta::FORMAT,
        },
        Unfit::OlderFormat(found) => OpenError::OlderFormat { path, found },
        Unfit::WrongKey => OpenError::WrongKey(path),
        Unfit::MissingPepper(id) => OpenError::MissingPepper { path, id },
        Unfit::Damaged(detail) => OpenError::Damaged {
            path,
            detail: detail.to_owned(),
        },
    }
}
