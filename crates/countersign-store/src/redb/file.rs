//! Files: opened with a reason for each refusal, built beside their place, published whole.

use crate::error::OpenError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Opens the file of a store that is there; nothing is ever made or cut short.
pub(super) fn open(path: &Path, write: bool) -> Result<File, OpenError> {
    let file = OpenOptions::new().read(true).write(write).open(path);
    let mut file = file.map_err(|error| open_error(path, &error))?;
    let metadata = file.metadata().map_err(|error| open_error(path, &error))?;
    let not_a_store = |detail: &str| {
        Err(OpenError::NotAStore {
            path: path.to_owned(),
            detail: detail.to_owned(),
        })
    };
    if metadata.is_dir() {
        return not_a_store("it is a directory");
    }
    if !metadata.is_file() {
        return not_a_store("it is not a regular file");
    }
    let mut head = Vec::with_capacity(MAGIC.len());
    let read = (&mut file).take(MAGIC.len() as u64).read_to_end(&mut head);
    read.map_err(|error| open_error(path, &error))?;
    if head.is_empty() {
        return not_a_store("it is empty");
    }
    if head != MAGIC && MAGIC.starts_with(&head) {
        let detail = "it is shorter than any store, so it was truncated".to_owned();
        return Err(OpenError::Damaged {
            path: path.to_owned(),
            detail,
        });
    }
    if head != MAGIC {
        not_a_store("it begins with other bytes")
    } else {
        Ok(file)
    }
}

/// What an error of the operating system means to who opens a store.
pub(super) fn open_error(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => OpenError::NotFound(path),
        io::ErrorKind::IsADirectory => OpenError::NotAStore {
            path,
            detail: "it is a directory".to_owned(),
        },
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            OpenError::Permission {
                path,
                detail: error.to_string(),
            }
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => OpenError::NoRoom {
            path,
            detail: error.to_string(),
        },
        _ => OpenError::Io {
            path,
            detail: error.to_string(),
        },
    }
}

/// The path with something added to its last part.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Opens a new file that only its owner may read.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file under construction: removed again unless it is published.
#[derive(Debug)]
pub(super) struct Scaffold {
    path: PathBuf,
    target: PathBuf,
    standing: bool,
}

impl Scaffold {
    /// Makes an empty file beside `target`, where nothing may be yet.
    ///
    /// What a crash leaves of it is in nobody's way: `mark` is random, and a leftover of the same
    /// mark is passed over.
    pub(super) fn new(target: &Path, mark: [u8; 16]) -> Result<(Self, File), OpenError> {
        if target.symlink_metadata().is_ok() {
            return Err(OpenError::Exists(target.to_owned()));
        }
        let mark = u128::from_be_bytes(mark);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 0..16u8 {
            let path = beside(target, &format!(".new-{mark:032x}-{attempt}"));
            match create_private(&path) {
                Ok(file) => {
                    return Ok((
                        Self {
                            path,
                            target: target.to_owned(),
                            standing: true,
                        },
                        file,
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(scaffold_error(target, &error)),
            }
        }
        Err(scaffold_error(target, &last))
    }

    /// Where it is being built.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the finished file in its place, whole and on the medium, or not at all.
    pub(super) fn publish(mut self) -> Result<(), OpenError> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|error| scaffold_error(&self.target, &error))?;
        match rename_new(&self.path, &self.target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(OpenError::Exists(self.target.clone()));
            }
            Err(error) => return Err(scaffold_error(&self.target, &error)),
        }
        self.standing = false;
        sync_directory_of(&self.target).map_err(|error| {
            // It may be gone after a crash, so it is not there: nobody can have opened it yet.
            let _ = std::fs::remove_file(&self.target);
            scaffold_error(&self.target, &error)
        })
    }
}

impl Drop for Scaffold {
    fn drop(&mut self) {
        if self.standing {
            // Best effort: a leftover is in nobody's way.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// An error in making a file: that its directory is missing is no missing store.
fn scaffold_error(target: &Path, error: &io::Error) -> OpenError {
    match open_error(target, error) {
        OpenError::NotFound(path) => OpenError::Io {
            path,
            detail: "its directory does not exist".to_owned(),
        },
        other => other,
    }
}

/// Moves a file to where nothing is.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(()),
            // A file system that cannot; the way below is left.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    std::fs::hard_link(from, to)?;
    std::fs::remove_file(from)
}

/// Makes the names in the directory that holds `path` durable.
pub(super) fn sync_directory_of(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_appeared_in_the_meantime_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("state.redb");
        let (scaffold, _) = Scaffold::new(&target, [1; 16]).unwrap();
        std::fs::write(&target, b"precious").unwrap();
        assert_eq!(scaffold.publish(), Err(OpenError::Exists(target.clone())));
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_moved_to_its_place_is_told_why_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("state.redb");
        let (mut scaffold, _) = Scaffold::new(&target, [1; 16]).unwrap();
        scaffold.target = dir.path().join("gone/state.redb");
        let error = scaffold.publish().unwrap_err().to_string();
        assert!(error.contains("its directory does not exist"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn the_directory_that_is_synced_is_the_one_that_holds_the_name() {
        let dir = tempfile::tempdir().unwrap();
        assert!(sync_directory_of(&dir.path().join("state.redb")).is_ok());
        assert!(sync_directory_of(Path::new("state.redb")).is_ok());
        let gone = sync_directory_of(&dir.path().join("gone/state.redb"));
        let kind = gone.map_err(|error| error.kind());
        assert_eq!(kind, Err(io::ErrorKind::NotFound));
    }
}
