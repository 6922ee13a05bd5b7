//! Room for revocations: how much is left, and the ballast that is given up for them.

use super::contain::Full;
use super::file;
use super::options::{RedbOptions, RoomHook};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The bytes that this process may still write to the file system that holds `path`.
#[cfg(unix)]
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Not asked on this platform: a full disk shows when a write fails.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "other platforms can fail")]
pub(super) fn free_bytes(_: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}

/// The room beside one store.
pub(super) struct Room {
    store: PathBuf,
    ballast: PathBuf,
    ballast_bytes: u64,
    spare_bytes: u64,
    probe: RoomHook,
    /// What is full, while it is: nothing that may be turned away is written.
    full: Option<Full>,
    has_ballast: bool,
}

impl Room {
    /// Looks at the room beside a store, and puts the ballast there.
    pub(super) fn new(store: &Path, options: &RedbOptions) -> io::Result<Self> {
        let mut room = Self {
            store: store.to_owned(),
            ballast: file::beside(store, ".ballast"),
            ballast_bytes: options.ballast_bytes,
            spare_bytes: options.spare_bytes,
            probe: options.room.clone(),
            full: None,
            has_ballast: false,
        };
        match room.restore_ballast() {
            Ok(()) => {}
            Err(error) => room.full = Some(Full::of(&error).ok_or(error)?),
        }
        Ok(room)
    }

    /// Gives up the ballast of a store that is not even open yet; says whether there was one.
    pub(super) fn sacrifice(store: &Path) -> bool {
        let ballast = file::beside(store, ".ballast");
        let removed = std::fs::remove_file(&ballast).is_ok();
        // Some file systems hand out freed blocks only once the removal is on the medium.
        let _ = file::sync_directory_of(&ballast);
        removed
    }

    /// What is full at the moment.
    pub(super) const fn full(&self) -> Option<Full> {
        self.full
    }

    /// Notes that something is full.
    pub(super) const fn note_full(&mut self, full: Full) {
        self.full = Some(full);
    }

    /// Notes that something was removed, after which a file that could not grow has room again.
    pub(super) fn note_removal(&mut self) {
        if self.full == Some(Full::File) {
            self.full = None;
        }
    }

    /// Whether `bytes` more of what may be turned away can be written; if not, why.
    pub(super) fn admits(&mut self, bytes: usize) -> Result<(), String> {
        self.look_again();
        match self.full {
            Some(Full::File) => return Err("the file may grow no further".to_owned()),
            Some(Full::Disk) => return Err("the disk is full".to_owned()),
            None => {}
        }
        // Trees are rewritten from leaf to root, so a group takes more than its own bytes.
        let group = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2);
        let needed = self.threshold().saturating_add(group);
        match self.free() {
            Some(free) if free < needed => {
                self.full = Some(Full::Disk);
                Err(format!("{free} bytes are free and {needed} are needed"))
            }
            _ => Ok(()),
        }
    }

    /// Puts the ballast back and lifts the ban, if there is room again.
    pub(super) fn look_again(&mut self) {
        if self.full != Some(Full::Disk) {
            return;
        }
        // Room for the ballast on top of what must be free, or the ban would come and go.
        let needed = self.threshold().saturating_add(self.ballast_bytes);
        let roomy = self.free().is_none_or(|free| free >= needed);
        if roomy && self.restore_ballast().is_ok() {
            self.full = None;
        }
    }

    /// Gives up the ballast; says whether there was one.
    pub(super) fn give_up_ballast(&mut self) -> bool {
        self.has_ballast = false;
        Self::sacrifice(&self.store)
    }

    const fn threshold(&self) -> u64 {
        self.ballast_bytes.saturating_add(self.spare_bytes)
    }

    /// Free bytes, or nothing where the system does not tell.
    fn free(&self) -> Option<u64> {
        let directory = self
            .store
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        (self.probe)(directory.unwrap_or(Path::new("."))).ok()
    }

    fn restore_ballast(&mut self) -> io::Result<()> {
        if self.has_ballast || self.ballast_bytes == 0 {
            return Ok(());
        }
        let there = self
            .ballast
            .metadata()
            .is_ok_and(|there| there.len() == self.ballast_bytes);
        if !there {
            match std::fs::remove_file(&self.ballast) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let written = write_ballast(&self.ballast, self.ballast_bytes);
            written.inspect_err(|_| drop(std::fs::remove_file(&self.ballast)))?;
        }
        self.has_ballast = true;
        Ok(())
    }
}

/// Writes bytes that no file system can store in less room.
fn write_ballast(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = file::create_private(path)?;
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut block = [0; 4096];
    let mut left = bytes;
    while left > 0 {
        noise.fill(&mut block);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        file.write_all(block.get(..length).unwrap_or_default())?;
        left = left.saturating_sub(length as u64);
    }
    file.sync_all()?;
    file::sync_directory_of(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;

    fn room(dir: &Path, free: &Arc<AtomicU64>) -> Room {
        let free = Arc::clone(free);
        let options = RedbOptions::new()
            .ballast_bytes(10_000)
            .spare_bytes(1_000)
            .room(Arc::new(move |_| Ok(free.load(Ordering::Relaxed))));
        Room::new(&dir.join("state.redb"), &options).unwrap()
    }

    #[test]
    fn the_ballast_is_really_there_and_comes_back_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let free = Arc::new(AtomicU64::new(1 << 30));
        let mut room = room(dir.path(), &free);
        let ballast = dir.path().join("state.redb.ballast");
        assert_eq!(ballast.metadata().unwrap().len(), 10_000);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = ballast.metadata().unwrap();
            assert!(metadata.blocks() * 512 >= 10_000, "it is not sparse");
            assert_eq!(metadata.mode() & 0o777, 0o600);
        }
        assert_eq!(room.admits(100), Ok(()));
        free.store(11_200, Ordering::Relaxed);
        assert_eq!(room.admits(100), Ok(()));
        free.store(11_199, Ordering::Relaxed);
        assert!(
            room.admits(100).is_err(),
            "ballast, spare room and twice the batch"
        );
        free.store(20_999, Ordering::Relaxed);
        assert!(
            room.admits(100).is_err(),
            "what was full stays so until there is room to spare"
        );
        free.store(21_000, Ordering::Relaxed);
        assert_eq!(room.admits(100), Ok(()));

        free.store(11_200, Ordering::Relaxed);
        assert!(room.give_up_ballast() && !room.give_up_ballast());
        room.note_full(Full::Disk);
        assert!(!ballast.exists() && room.admits(100).is_err());
        assert!(
            !ballast.exists(),
            "there is room for the batch but not for the ballast too"
        );
        free.store(21_000, Ordering::Relaxed);
        room.look_again();
        assert!(ballast.exists() && room.full().is_none());
    }

    #[test]
    fn a_ballast_has_the_size_that_was_asked_for_whatever_lies_there() {
        let dir = tempfile::tempdir().unwrap();
        let (store, ballast) = (
            dir.path().join("state.redb"),
            dir.path().join("state.redb.ballast"),
        );
        let make = |bytes| Room::new(&store, &RedbOptions::new().ballast_bytes(bytes));
        assert!(make(0).is_ok() && !ballast.exists(), "none was asked for");
        std::fs::write(&ballast, b"small").unwrap();
        assert!(make(10_000).is_ok());
        assert_eq!(ballast.metadata().unwrap().len(), 10_000);
        // What is there already is not written once more.
        std::fs::write(&ballast, [7; 5000]).unwrap();
        assert!(make(5000).is_ok());
        assert_eq!(std::fs::read(&ballast).unwrap(), [7; 5000]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_cleared_for_the_ballast_is_told_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let ballast = dir.path().join("state.redb.ballast");
        std::fs::create_dir(&ballast).unwrap();
        let room = Room::new(&dir.path().join("state.redb"), &RedbOptions::new());
        let kind = room.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::IsADirectory));
        assert!(ballast.is_dir());
    }

    #[test]
    fn room_is_looked_for_in_the_directory_of_the_store() {
        for (store, directory) in [("a/b/state.redb", "a/b"), ("state.redb", ".")] {
            let asked = Arc::new(AtomicU64::new(0));
            let right = Arc::clone(&asked);
            let options = RedbOptions::new()
                .ballast_bytes(0)
                .room(Arc::new(move |path| {
                    assert_eq!(path, Path::new(directory));
                    right.fetch_add(1, Ordering::Relaxed);
                    Ok(u64::MAX)
                }));
            let mut room = Room::new(Path::new(store), &options).unwrap();
            assert_eq!(room.admits(1), Ok(()));
            assert_eq!(asked.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn a_file_that_may_not_grow_has_room_again_after_a_removal() {
        let dir = tempfile::tempdir().unwrap();
        let mut room = room(dir.path(), &Arc::new(AtomicU64::new(1 << 30)));
        room.note_full(Full::File);
        assert!(room.admits(0).is_err());
        room.note_removal();
        assert_eq!(room.admits(0), Ok(()));
    }
}
