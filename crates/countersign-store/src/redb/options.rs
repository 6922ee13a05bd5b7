//! How a redb store is opened, and the seams at which tests put faults in.

use super::migrate::{FORMATS, Formats};
use super::room;
use core::fmt;
use core::time::Duration;
use countersign_core::Timestamp;
use redb::StorageBackend;
use redb::backends::FileBackend;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Who else may have the file open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Nobody. Deferred commits wait in memory for the next immediate one.
    #[default]
    Exclusive,
    /// Other processes, for reading. Deferred commits are durable at once.
    SharedReaders,
    /// This handle only reads: a store that nobody has open, or one that its writer shares with
    /// readers. It follows the writer's commits, repairs nothing, and does not check the pages,
    /// so a damaged record shows when it is read.
    ReadOnly,
}

/// What is to become of a copy that takes the place of its original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopt {
    /// What was issued stays valid: the original is gone, and the copy as new as it was.
    Keep,
    /// What was issued is ended: every subsystem's epoch moves on in the very commit that adopts
    /// the copy, since an older copy would undo revocations.
    EndAll {
        /// The instant of it.
        now: Timestamp,
    },
}

/// Makes the backend that redb reads and writes a file through.
pub type BackendHook =
    Arc<dyn Fn(&Path, File) -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// Tells how many bytes are free on the file system that holds a path.
pub type RoomHook = Arc<dyn Fn(&Path) -> io::Result<u64> + Send + Sync>;

/// How a store is opened. Nothing needs to be said: the defaults serve.
#[derive(Clone)]
pub struct RedbOptions {
    pub(super) mode: Mode,
    pub(super) cache_bytes: usize,
    pub(super) ballast_bytes: u64,
    pub(super) spare_bytes: u64,
    pub(super) queue_depth: usize,
    pub(super) backoff_min: Duration,
    pub(super) backoff_max: Duration,
    pub(super) adopt: Option<Adopt>,
    pub(super) backend: BackendHook,
    pub(super) room: RoomHook,
    /// Which formats are known: the ones of this version, except to tests of migration.
    pub(super) formats: Formats,
}

impl RedbOptions {
    /// The defaults: exclusive, a cache of 64 MiB, a ballast of 1 MiB, 4096 waiting commits.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mode: Mode::Exclusive,
            cache_bytes: 64 * 1024 * 1024,
            ballast_bytes: 1024 * 1024,
            spare_bytes: 8 * 1024 * 1024,
            queue_depth: 4096,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_millis(500),
            adopt: None,
            backend: Arc::new(|_, file| plain_backend(file)),
            room: Arc::new(room::free_bytes),
            formats: FORMATS,
        }
    }

    /// Who else may have the file open.
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether the handle would only read.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.mode == Mode::ReadOnly
    }

    /// The most bytes of pages that are kept in memory.
    #[must_use]
    pub const fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// The size of the file that is given up when a full disk would stop a revocation; 0 for none.
    #[must_use]
    pub const fn ballast_bytes(mut self, bytes: u64) -> Self {
        self.ballast_bytes = bytes;
        self
    }

    /// How many free bytes, besides the ballast's, are left to revocations: with less than that,
    /// batches that may be turned away for room are.
    #[must_use]
    pub const fn spare_bytes(mut self, bytes: u64) -> Self {
        self.spare_bytes = bytes;
        self
    }

    /// How many commits may wait. A quarter more is kept for those that shut somebody out.
    #[must_use]
    pub const fn queue_depth(mut self, commits: usize) -> Self {
        self.queue_depth = commits;
        self
    }

    /// How long to wait before a failed store is opened again: at first, and at most.
    #[must_use]
    pub const fn reopen_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff_min = min;
        self.backoff_max = max;
        self
    }

    /// Takes a copy for the store itself. Without this, a copy is refused.
    #[must_use]
    pub const fn adopt(mut self, adopt: Option<Adopt>) -> Self {
        self.adopt = adopt;
        self
    }

    /// Puts a backend of your own between redb and the file, to inject faults.
    ///
    /// It must pass the lock methods on to a `FileBackend`, or nothing keeps two processes apart.
    #[must_use]
    pub fn backend(mut self, hook: BackendHook) -> Self {
        self.backend = hook;
        self
    }

    /// Asks you how much room is left, instead of the file system.
    #[must_use]
    pub fn room(mut self, hook: RoomHook) -> Self {
        self.room = hook;
        self
    }
}

/// The backend that is used where no hook says otherwise.
fn plain_backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RedbOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbOptions")
            .field("mode", &self.mode)
            .field("cache_bytes", &self.cache_bytes)
            .field("ballast_bytes", &self.ballast_bytes)
            .field("spare_bytes", &self.spare_bytes)
            .field("queue_depth", &self.queue_depth)
            .field("backoff", &(self.backoff_min, self.backoff_max))
            .field("adopt", &self.adopt)
            .finish_non_exhaustive()
    }
}
