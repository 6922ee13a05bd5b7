//! The ways to a store: making one, opening one, and what an operator does to one that is closed.

use super::admin::{BackupReport, CheckReport, Compacted, Progress};
use super::handle::open_error;
use super::open::{Opened, open};
use super::options::{Mode, RedbOptions};
use super::reader::Reader;
use super::room::Room;
use super::shared::Shared;
use super::writer::Writer;
use super::{RedbStore, Side, check, create, file};
use crate::codec::Sealer;
use crate::error::OpenError;
use crate::sync::{Mutex, Worker};
use countersign_core::{Key, Keyring, Record};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        let thread = Worker::start("countersign-store", move || writer.run())
            .map_err(|error| file::open_error(&path, &error))?;
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
