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
mod entry;
mod file;
mod group;
mod handle;
mod identity;
mod meta;
mod migrate;
mod open;
mod options;
mod overlay;
mod queue;
mod reader;
mod room;
mod serve;
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

use self::meta::Meta;
use self::queue::Job;
use self::reader::Reader;
use self::shared::Shared;
use self::tables::Snapshot;
use crate::codec::Sealer;
use crate::error::{OpenError, StoreError};
use crate::pending::{Answer, Pending};
use crate::store::Store;
use crate::sync::{Mutex, Worker};
use core::fmt;
use countersign_core::{Key, KeyId, Keyring, Versioned};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        writer: Mutex<Option<Worker>>,
    },
    Reading(Box<Reader>),
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
    /// [`StoreError::Invalid`] when it is the current one, or a record still names it.
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

impl Drop for RedbStore {
    fn drop(&mut self) {
        drop(self.close());
        let Side::Writing { writer, .. } = &self.side else {
            return;
        };
        let writer = writer.lock().take();
        // A watcher that lets go of the last handle does so on the store's own thread.
        if let Some(writer) = writer {
            writer.join();
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
