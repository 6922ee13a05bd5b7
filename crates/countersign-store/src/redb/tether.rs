//! The backend between redb and the file: it notes that something was full, and lets go of the
//! file's locks when it is told to, so that a store can be opened again after redb has failed.

use super::contain::Full;
use core::fmt;
use core::ops::Bound;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use redb::{BackendError, StorageBackend};
use std::io;
use std::sync::Arc;

/// What a handle keeps of its backend.
#[derive(Debug)]
pub(super) struct Tether {
    inner: Box<dyn StorageBackend>,
    closed: AtomicBool,
    full: AtomicU8,
}

/// What redb is given.
pub(super) struct Backend(Arc<Tether>);

impl Tether {
    /// Puts a tether around a backend.
    pub(super) fn around(inner: Box<dyn StorageBackend>) -> (Arc<Self>, Backend) {
        let closed = AtomicBool::new(false);
        let tether = Arc::new(Self {
            inner,
            closed,
            full: AtomicU8::new(0),
        });
        (Arc::clone(&tether), Backend(tether))
    }

    /// What was full, if anything was. redb tells it only of the first error that it meets.
    pub(super) fn full(&self) -> Option<Full> {
        match self.full.load(Ordering::Acquire) {
            1 => Some(Full::Disk),
            2 => Some(Full::File),
            _ => None,
        }
    }

    /// Releases the file and its locks, once; reads through redb fail from then on.
    pub(super) fn let_go(&self) -> io::Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            Ok(())
        } else {
            self.inner.close()
        }
    }

    fn open(&self) -> io::Result<&dyn StorageBackend> {
        if self.closed.load(Ordering::Acquire) {
            return Err(io::Error::other("the file was let go"));
        }
        Ok(&*self.inner)
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && let Some(full) = Full::of(error)
        {
            let code = if full == Full::Disk { 1 } else { 2 };
            self.full.store(code, Ordering::Release);
        }
        result
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.open()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.open()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.noted(self.0.open()?.set_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.noted(self.0.open()?.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.noted(self.0.open()?.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.0.let_go()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.open()?.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.open()?.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.open()?.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.open()?.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.open()?.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.open()?.query_lock_range(start, end)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.inner.fmt(f)
    }
}
