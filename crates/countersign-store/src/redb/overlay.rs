//! A file that is only looked at: what is written to it stays in memory and goes with it.
//!
//! redb writes to a file as soon as it opens it. A store that is going to be refused must be left
//! byte for byte as it is, so it is opened on this.

use super::options::BackendHook;
use core::ops::Bound;
use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};
use std::io;
use std::sync::Arc;

/// Makes backends that keep what is written to themselves.
pub(super) fn over(inner: BackendHook) -> BackendHook {
    Arc::new(move |path, file| {
        let inner = inner(path, file)?;
        let length = inner.len()?;
        let written = Mutex::new(Written {
            length,
            kept: length,
            patches: Vec::new(),
        });
        Ok(Box::new(Overlay { inner, written }))
    })
}

#[derive(Debug)]
struct Overlay {
    inner: Box<dyn StorageBackend>,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    length: u64,
    /// How much of the file below still shows.
    kept: u64,
    /// Bytes by their place, later ones over earlier ones. Opening writes a handful.
    patches: Vec<(u64, Vec<u8>)>,
}

impl Overlay {
    fn below(&self, offset: u64, out: &mut [u8], kept: u64) -> io::Result<()> {
        let there = kept.saturating_sub(offset).min(out.len() as u64);
        let there = usize::try_from(there).unwrap_or(usize::MAX);
        let (below, grown) = out.split_at_mut(there.min(out.len()));
        grown.fill(0);
        if below.is_empty() {
            return Ok(());
        }
        self.inner.read(offset, below)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.lock();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.below(offset, out, written.kept)?;
        for (at, bytes) in &written.patches {
            lay_over(out, offset, bytes, *at);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut written = self.written.lock();
        written.length = length;
        written.kept = written.kept.min(length);
        written.patches.retain_mut(|(at, bytes)| {
            let left = usize::try_from(length.saturating_sub(*at)).unwrap_or(usize::MAX);
            bytes.truncate(left);
            !bytes.is_empty()
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.lock();
        let end = offset.saturating_add(data.len() as u64);
        written.length = written.length.max(end);
        written.patches.push((offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

/// Copies what `bytes`, which lie at `at`, have in common with `out`, which lies at `offset`.
fn lay_over(out: &mut [u8], offset: u64, bytes: &[u8], at: u64) {
    let distance = |from: u64, to: u64| usize::try_from(to.saturating_sub(from)).ok();
    let (Some(skip), Some(from)) = (distance(offset, at), distance(at, offset)) else {
        return;
    };
    let (Some(out), Some(bytes)) = (out.get_mut(skip..), bytes.get(from..)) else {
        return;
    };
    for (out, byte) in out.iter_mut().zip(bytes) {
        *out = *byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;

    fn overlay(bytes: &[u8]) -> Overlay {
        let inner = InMemoryBackend::new();
        inner.set_len(bytes.len() as u64).unwrap();
        inner.write(0, bytes).unwrap();
        let written = Written {
            length: bytes.len() as u64,
            kept: bytes.len() as u64,
            patches: Vec::new(),
        };
        Overlay {
            inner: Box::new(inner),
            written: Mutex::new(written),
        }
    }

    fn all(overlay: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0xee; usize::try_from(overlay.len().unwrap()).unwrap()];
        overlay.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_and_never_gets_below() {
        let it = overlay(b"abcdefgh");
        it.write(2, b"XYZ").unwrap();
        it.write(4, b"--").unwrap();
        assert_eq!(all(&it), b"abXY--gh");
        let mut part = [0; 3];
        it.read(3, &mut part).unwrap();
        assert_eq!(&part, b"Y--");
        it.set_len(3).unwrap();
        it.set_len(6).unwrap();
        assert_eq!(all(&it), b"abX\0\0\0");
        it.write(6, b"!").unwrap();
        assert_eq!(all(&it), b"abX\0\0\0!");
        assert!(it.read(5, &mut part).is_err());
        it.sync_data().unwrap();
        assert_eq!(all(&*it.inner), b"abcdefgh");
    }
}
