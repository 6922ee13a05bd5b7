//! An open file with redb on it: opened with its integrity checked, closed with its errors told.

use super::contain::{Fault, Full, contain, contain_callback};
use super::file;
use super::identity::Identity;
use super::options::{Mode, RedbOptions};
use super::tether::{Backend, Tether};
use crate::error::OpenError;
use redb::{Builder, ConcurrencyMode, Database, Error, ReadOnlyDatabase};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// A file that is open for writing.
pub(super) struct Handle {
    /// Taken out when it is closed.
    db: Option<Database>,
    tether: Arc<Tether>,
    identity: Identity,
}

impl Handle {
    /// Opens a store's file, checks every page of it, and repairs what a crash left undone.
    pub(super) fn open(path: &Path, options: &RedbOptions) -> Result<Self, OpenError> {
        let file = file::open(path, true)?;
        Self::on(path, file, options).map_err(|fault| open_error(path, &fault))
    }

    /// Puts redb on an open file; an empty one becomes a database without tables.
    pub(super) fn on(path: &Path, file: File, options: &RedbOptions) -> Result<Self, Fault> {
        let identity = Identity::of(&file).map_err(|error| Fault::from_io(&error))?;
        let (tether, backend) = backend(path, file, options)?;
        let opened = contain(|| {
            let mut builder = builder(options, options.mode == Mode::SharedReaders);
            builder.set_check_integrity_on_open(true);
            Ok(builder.create_with_backend(backend)?)
        });
        match opened {
            Ok(db) => Ok(Self {
                db: Some(db),
                tether,
                identity,
            }),
            Err(fault) => {
                // A panic may have left the locks behind.
                let _ = tether.let_go();
                Err(fault_or_full(fault, &tether))
            }
        }
    }

    pub(super) const fn identity(&self) -> Identity {
        self.identity
    }

    /// Runs `work` on the database inside the boundary.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let Some(db) = &self.db else {
            return Err(Fault::Io("it was closed".to_owned()));
        };
        contain(|| work(db)).map_err(|fault| fault_or_full(fault, &self.tether))
    }

    /// As `with`, for what needs the database to itself.
    pub(super) fn with_mut<T>(
        &mut self,
        work: impl FnOnce(&mut Database) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let Some(db) = &mut self.db else {
            return Err(Fault::Io("it was closed".to_owned()));
        };
        contain(|| work(db)).map_err(|fault| fault_or_full(fault, &self.tether))
    }

    /// Lets go of the file as it is: redb commits once more when it is dropped, and finds it gone.
    ///
    /// For a handle that has failed, on which nothing is to be built, and for a file that is not to
    /// be written to. What was deferred is lost.
    pub(super) fn abandon(self) {
        let _ = self.tether.let_go();
        drop(self);
    }

    /// Closes the file; deferred commits are made durable.
    pub(super) fn close(mut self) -> Result<(), Fault> {
        let Some(db) = self.db.take() else {
            return Ok(());
        };
        let closed = contain(|| Ok(db.close()?));
        let released = self.tether.let_go().map_err(|error| Fault::from_io(&error));
        closed
            .map_err(|fault| fault_or_full(fault, &self.tether))
            .and(released)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let db = self.db.take();
        contain_callback(|| drop(db));
        // A second time is nothing; the first one may have been lost in a panic.
        let _ = self.tether.let_go();
    }
}

/// Whether bytes of a file can be locked here, which sharing with a writer takes.
const LOCKS_BYTES: bool = cfg!(any(target_os = "linux", target_vendor = "apple", windows));

/// A file that is open for reading, perhaps while its writer goes on.
pub(super) struct ReadHandle {
    db: Option<ReadOnlyDatabase>,
    tether: Arc<Tether>,
    identity: Identity,
}

impl ReadHandle {
    pub(super) fn open(path: &Path, options: &RedbOptions) -> Result<Self, OpenError> {
        let file = file::open(path, false)?;
        let opened = || {
            let identity = Identity::of(&file).map_err(|error| Fault::from_io(&error))?;
            let (tether, backend) = backend(path, file, options)?;
            // The mode that shares with a writer also reads what nobody has open.
            let db =
                contain(|| Ok(builder(options, LOCKS_BYTES).open_read_only_with_backend(backend)?));
            let db = db.inspect_err(|_| drop(tether.let_go()))?;
            Ok(Self {
                db: Some(db),
                tether,
                identity,
            })
        };
        opened().map_err(|fault| open_error(path, &fault))
    }

    pub(super) const fn identity(&self) -> Identity {
        self.identity
    }

    /// Runs `work` on the database inside the boundary.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&ReadOnlyDatabase) -> Result<T, Error>,
    ) -> Result<T, Fault> {
        let Some(db) = &self.db else {
            return Err(Fault::Io("it was closed".to_owned()));
        };
        contain(|| work(db))
    }
}

impl Drop for ReadHandle {
    fn drop(&mut self) {
        let db = self.db.take();
        contain_callback(|| drop(db));
        let _ = self.tether.let_go();
    }
}

fn backend(
    path: &Path,
    file: File,
    options: &RedbOptions,
) -> Result<(Arc<Tether>, Backend), Fault> {
    let inner = (options.backend)(path, file).map_err(|error| Fault::from_io(&error))?;
    Ok(Tether::around(inner))
}

fn builder(options: &RedbOptions, shared: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    if shared {
        builder.set_concurrency_mode(ConcurrencyMode::SingleWriter);
    }
    builder
}

/// redb tells only of the first error; the backend remembers whether something was full.
fn fault_or_full(fault: Fault, tether: &Tether) -> Fault {
    match tether.full() {
        Some(full) => Fault::NoRoom(full, fault.detail()),
        None => fault,
    }
}

/// What a fault means to who opens a store.
pub(super) fn open_error(path: &Path, fault: &Fault) -> OpenError {
    let detail = fault.detail();
    let path = path.to_owned();
    match fault {
        Fault::AlreadyOpen => OpenError::AlreadyOpen(path),
        Fault::NoRoom(Full::Disk | Full::File, _) => OpenError::NoRoom { path, detail },
        Fault::NeedsRepair => OpenError::NeedsRepair(path),
        Fault::OldFile(_) | Fault::NotOurs(_) => OpenError::NotAStore { path, detail },
        Fault::Corrupt(_) | Fault::Panic(_) => OpenError::Damaged { path, detail },
        Fault::Io(_) => OpenError::Io { path, detail },
    }
}
