//! The embedded store: one redb file, written by one thread, read by all.
//!
//! What it promises, and where that is kept:
//! - an acknowledged commit is on the medium, in two phases (`group`, `writer`);
//! - a load that begins after the acknowledgement sees it (`shared`);
//! - no record is believed that was not written by this store in this place (`codec`);
//! - a file is checked whenever it is opened, and opened only with the right keys (`open`);
//! - no fault of the file, the disk or redb gets out as anything but an error (`contain`), and
//!   what can come back does so by itself (`writer`);
//! - a full disk stops no revocation (`room`);
//! - a store's file is whole or not there (`create`).
//!
//! It is not the place for any rule about credentials; those are decided above the `Store` trait.

mod admin;
mod backup;
mod check;
mod contain;
mod create;
mod file;
mod group;
mod handle;
mod identity;
mod meta;
mod migrate;
mod open;
mod options;
mod queue;
mod reader;
mod room;
mod shared;
mod tables;
#[cfg(test)]
mod tests;
mod tether;
mod writer;

pub use admin::{
    BackupReport, CheckReport, Compacted, LISTED_MAX, Mismatch, PageCheck, Progress, StoreStats,
    TableStats,
};
pub use options::{Adopt, BackendHook, Mode, RedbOptions, RoomHook};

use self::group::Prepared;
use self::handle::open_error;
use self::meta::Meta;
use self::open::{Opened, open};
use self::queue::Job;
use self::reader::Reader;
use self::room::Room;
use self::shared::Shared;
use self::tables::Snapshot;
use self::writer::Writer;
use crate::codec::Sealer;
use crate::error::{CommitError, OpenError, StoreError};
use crate::pending::{Answer, Pending};
use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
use core::fmt;
use countersign_core::{Batch, Key, KeyId, Keyring, Record, Versioned};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A store in a redb file.
///
/// Dropping it closes it as [`Store::close`] does, and waits until that is done.
pub struct RedbStore {
    path: PathBuf,
    options: RedbOptions,
    /// What the store said about itself when it was opened.
    meta: Meta,
    adopted: bool,
    /// The one that it was opened with: its root key, which tags, is that of any later one.
    keyring: Arc<Keyring>,
    side: Side,
}

/// The two ways to have a store open.
enum Side {
    Writing {
        shared: Arc<Shared>,
        writer: Mutex<Option<JoinHandle<()>>>,
    },
    Reading(Box<Reader>),
}

impl RedbOptions {
    /// Makes a new store that holds `initial`, and opens it.
    ///
    /// `store_id` is 16 random bytes. The file appears whole or not at all, and nothing is
    /// overwritten: it is built under another name beside its place.
    ///
    /// # Errors
    /// [`OpenError::Exists`] when there is something at `path`, and what building and opening it
    /// can meet.
    pub fn create(
        &self,
        path: impl AsRef<Path>,
        keyring: Arc<Keyring>,
        store_id: [u8; 16],
        initial: Vec<(Key, Record)>,
    ) -> Result<RedbStore, OpenError> {
        create::create(path.as_ref(), self, &keyring, store_id, &initial)?;
        drop(initial);
        self.open(path, keyring)
    }

    /// Opens a store, after checking the integrity of its file and that it belongs to `keyring`.
    ///
    /// # Errors
    /// One for each reason not to; the file is left as it is.
    pub fn open(
        &self,
        path: impl AsRef<Path>,
        keyring: Arc<Keyring>,
    ) -> Result<RedbStore, OpenError> {
        let path = path.as_ref().to_owned();
        if self.mode == Mode::ReadOnly {
            let reader = Reader::open(&path, self, Arc::clone(&keyring))?;
            let meta = reader.meta.clone();
            let side = Side::Reading(Box::new(reader));
            return Ok(RedbStore::new(path, self, meta, false, keyring, side));
        }
        let opened = match open(&path, self, &keyring, 1) {
            // What is kept for revocations also serves to open at all.
            Err(OpenError::NoRoom { .. }) if Room::sacrifice(&path) => {
                open(&path, self, &keyring, 1)?
            }
            other => other?,
        };
        self.start(path, keyring, opened)
    }

    fn start(
        &self,
        path: PathBuf,
        keyring: Arc<Keyring>,
        opened: Opened,
    ) -> Result<RedbStore, OpenError> {
        let Opened {
            handle,
            meta,
            snapshot,
            adopted,
        } = opened;
        let room = Room::new(&path, self)
            .map_err(|error| file::open_error(&file::beside(&path, ".ballast"), &error))?;
        let sealer = Sealer::new(Arc::clone(&keyring));
        let shared = Arc::new(Shared::new(sealer, snapshot, &meta, self.queue_depth));
        let writer = Writer::new(
            path.clone(),
            self.clone(),
            Arc::clone(&keyring),
            Arc::clone(&shared),
            (handle, meta.clone()),
            room,
        );
        let thread = std::thread::Builder::new().name("countersign-store".to_owned());
        let thread = thread.spawn(move || writer.run());
        let thread = thread.map_err(|error| file::open_error(&path, &error))?;
        let side = Side::Writing {
            shared,
            writer: Mutex::new(Some(thread)),
        };
        Ok(RedbStore::new(path, self, meta, adopted, keyring, side))
    }

    /// Looks for damage: in the file's pages, and if `deep` in every record and in how they agree.
    ///
    /// The pages of a store that somebody has open cannot be checked; of one that is shared with
    /// readers, the records can.
    ///
    /// # Errors
    /// When the store cannot be opened at all, not even for reading.
    pub fn check(
        &self,
        path: impl AsRef<Path>,
        keyring: Arc<Keyring>,
        deep: bool,
        progress: Progress<'_>,
    ) -> Result<CheckReport, OpenError> {
        let report = check::check(path.as_ref(), self, &keyring, deep, progress);
        drop(keyring);
        report
    }

    /// Packs the file of a store that nobody has open.
    ///
    /// # Errors
    /// As for opening it.
    pub fn compact(
        &self,
        path: impl AsRef<Path>,
        keyring: Arc<Keyring>,
    ) -> Result<Compacted, OpenError> {
        let path = path.as_ref();
        let size = || path.metadata().map_or(0, |metadata| metadata.len());
        let opened = open(path, &self.clone().mode(Mode::Exclusive), &keyring, 0)?;
        drop(keyring);
        let before_bytes = size();
        let Opened {
            mut handle,
            snapshot,
            ..
        } = opened;
        // It would hold the pages that are to be moved.
        drop(snapshot);
        let packed = handle.with_mut(|db| Ok(db.compact()?));
        let closed = handle.close();
        packed
            .and(closed)
            .map_err(|fault| open_error(path, &fault))?;
        Ok(Compacted {
            before_bytes,
            after_bytes: size(),
        })
    }

    /// Copies a store that nobody has open, or one that is shared with readers.
    ///
    /// # Errors
    /// As for opening it, and what writing the copy meets.
    pub fn backup(
        &self,
        path: impl AsRef<Path>,
        keyring: Arc<Keyring>,
        to: impl AsRef<Path>,
    ) -> Result<BackupReport, OpenError> {
        let path = path.as_ref();
        let reading = self
            .clone()
            .mode(Mode::ReadOnly)
            .open(path, Arc::clone(&keyring));
        let store = match reading {
            // After a crash it has to be put in order first, which takes writing.
            Err(OpenError::NeedsRepair(_)) => {
                self.clone().mode(Mode::Exclusive).open(path, keyring)
            }
            other => other,
        }?;
        store.backup(to)
    }
}

impl RedbStore {
    fn new(
        path: PathBuf,
        options: &RedbOptions,
        meta: Meta,
        adopted: bool,
        keyring: Arc<Keyring>,
        side: Side,
    ) -> Self {
        Self {
            path,
            options: options.clone(),
            meta,
            adopted,
            keyring,
            side,
        }
    }

    /// The 16 bytes that were given when the store was made.
    #[must_use]
    pub const fn store_id(&self) -> [u8; 16] {
        self.meta.store_id
    }

    /// Whether opening it adopted a copy.
    #[must_use]
    pub const fn was_adopted(&self) -> bool {
        self.adopted
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong, while the store is not healthy.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match &self.side {
            Side::Writing { shared, .. } => shared.trouble(),
            Side::Reading(reader) => reader.trouble(),
        }
    }

    /// One record, without the detour of a `Pending` and a list.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn load_one(&self, key: Key) -> Result<Option<Versioned>, StoreError> {
        self.read(|snapshot, sealer| snapshot.record(sealer, key))?
    }

    /// How large the store is. Reads every page.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        let mut stats = self.read(|snapshot, _| admin::stats(snapshot))?;
        stats.file_bytes = self.path.metadata().map_or(0, |metadata| metadata.len());
        Ok(stats)
    }

    /// Copies the store as it stands now into a new file, while it goes on serving.
    ///
    /// The copy must be adopted before it serves. It appears whole or not at all, and nothing is
    /// overwritten.
    ///
    /// # Errors
    /// [`OpenError::Exists`] when there is something at `to`, and what writing meets.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<BackupReport, OpenError> {
        let snapshot = match &self.side {
            Side::Writing { shared, .. } => shared.snapshot(),
            Side::Reading(reader) => reader.snapshot(),
        };
        let snapshot = snapshot.map_err(|error| OpenError::Io {
            path: self.path.clone(),
            detail: error.to_string(),
        })?;
        let mut meta = self.meta.clone();
        if let Side::Writing { shared, .. } = &self.side {
            meta.peppers = shared.peppers();
        }
        let keys = (self.sealer(), &*self.keyring);
        backup::backup(&snapshot, keys, &meta, &self.options, to.as_ref())
    }

    /// Goes on with a keyring that has more peppers, and notes them in the store.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is not of this store, or lacks a pepper that is noted.
    pub fn renew_keyring(&self, keyring: Arc<Keyring>) -> Pending<Result<(), StoreError>> {
        self.job(|answer| Job::RenewKeyring(keyring, answer))
    }

    /// Notes that a pepper is needed no more, so that the store opens without it.
    ///
    /// Reads every grant in one go, during which no commit goes through. A store that is opened
    /// again with a keyring that still has the pepper notes it again.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is the current one, or a grant still names it.
    pub fn retire_pepper(&self, id: KeyId) -> Pending<Result<(), StoreError>> {
        self.job(|answer| Job::RetirePepper(id, answer))
    }

    fn job(
        &self,
        job: impl FnOnce(Answer<Result<(), StoreError>>) -> Job,
    ) -> Pending<Result<(), StoreError>> {
        let Side::Writing { shared, .. } = &self.side else {
            return Pending::ready(Err(StoreError::ReadOnly));
        };
        let (answer, pending) = Pending::waiting(|| Err(StoreError::Closed));
        match shared.queue.push_job(job(answer)) {
            Ok(()) => pending,
            Err(error) => Pending::ready(Err(error)),
        }
    }

    fn sealer(&self) -> &Sealer {
        match &self.side {
            Side::Writing { shared, .. } => &shared.sealer,
            Side::Reading(reader) => &reader.sealer,
        }
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Snapshot, &Sealer) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        match &self.side {
            Side::Writing { shared, .. } => shared.read(|snapshot| work(snapshot, &shared.sealer)),
            Side::Reading(reader) => reader.read(|snapshot| work(snapshot, &reader.sealer)),
        }
    }
}

impl Store for RedbStore {
    fn capabilities(&self) -> Capabilities {
        let writable = matches!(self.side, Side::Writing { .. });
        Capabilities {
            writable,
            ..Capabilities::EMBEDDED
        }
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let loaded = self.read(|snapshot, sealer| snapshot.records(sealer, keys));
        Pending::ready(loaded.and_then(|records| records))
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        let not_applied = |error| Pending::ready(Err(CommitError::NotApplied(error)));
        let Side::Writing { shared, .. } = &self.side else {
            return not_applied(StoreError::ReadOnly);
        };
        if !matches!(shared.health(), Health::Healthy | Health::NoRoom) {
            return not_applied(shared.unavailable());
        }
        let prepared = match Prepared::new(&shared.sealer, &batch) {
            Ok(prepared) => prepared,
            Err(error) => return not_applied(error),
        };
        drop(batch);
        let (answer, pending) =
            Pending::waiting(|| Err(CommitError::Unknown("the store's thread ended".to_owned())));
        match shared.queue.push(prepared, answer) {
            Ok(()) => pending,
            Err(error) => not_applied(error),
        }
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        Pending::ready(self.read(|snapshot, sealer| snapshot.page(sealer, range, limit)))
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        Pending::ready(match &self.side {
            Side::Writing { shared, .. } => shared.changes(since),
            Side::Reading(reader) => reader.changes(since),
        })
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        let Side::Writing { shared, .. } = &self.side else {
            return Pending::ready(Err(StoreError::ReadOnly));
        };
        Pending::ready(match shared.health() {
            // Without room, what shuts somebody out is acknowledged all the same.
            Health::Healthy | Health::NoRoom => Ok(shared.revision()),
            _ => Err(shared.unavailable()),
        })
    }

    fn health(&self) -> Health {
        match &self.side {
            Side::Writing { shared, .. } => shared.health(),
            Side::Reading(reader) => reader.health(),
        }
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        // A handle for reading learns of changes only by asking.
        if let Side::Writing { shared, .. } = &self.side
            && shared.health() != Health::Closed
        {
            shared.watch(Some(watcher));
        }
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        match &self.side {
            Side::Writing { .. } => match self.job(Job::Close).try_ready() {
                // It was closed before.
                Ok(_) => Pending::ready(Ok(())),
                Err(pending) => pending,
            },
            Side::Reading(reader) => {
                reader.close();
                Pending::ready(Ok(()))
            }
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        drop(self.close());
        let Side::Writing { writer, .. } = &self.side else {
            return;
        };
        let Some(thread) = writer.lock().take() else {
            return;
        };
        // A watcher that lets go of the last handle does so on the store's own thread, which
        // cannot wait for itself.
        if thread.thread().id() != std::thread::current().id() {
            drop(thread.join());
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("path", &self.path)
            .field("mode", &self.options.mode)
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
