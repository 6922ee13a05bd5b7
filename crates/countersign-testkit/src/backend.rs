//! What every backend here has in common: the locks of a real file.
//!
//! A store's locks must work as they do without a backend in between, or two handles that have to
//! keep apart would not. So they are passed on, and only what is done to the bytes is another's.

use core::fmt::Debug;
use core::ops::Bound;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::fs::File;
use std::io;

/// What is done to the bytes of a file.
pub(crate) trait Bytes: Debug + Send + Sync + 'static {
    fn len(&self, file: &FileBackend) -> io::Result<u64>;
    fn read(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()>;
    fn set_len(&self, file: &FileBackend, len: u64) -> io::Result<()>;
    fn sync(&self, file: &FileBackend) -> io::Result<()>;
    fn write(&self, file: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()>;
}

/// A file whose locks are its own.
#[derive(Debug)]
pub(crate) struct Locked<B> {
    file: FileBackend,
    bytes: B,
}

impl<B: Bytes> Locked<B> {
    pub(crate) fn over(file: File, bytes: B) -> io::Result<Box<dyn StorageBackend>> {
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(Self { file, bytes }))
    }
}

impl<B: Bytes> StorageBackend for Locked<B> {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len(&self.file)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(&self.file, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.set_len(&self.file, len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.bytes.sync(&self.file)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.bytes.write(&self.file, offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
