//! The file in which sessions outlive a restart: beside the store, whole or not there.
//!
//! `state.redb` has `state.sessions`. It holds digests and what the host keeps in sessions, no
//! token, and is for its owner alone. What is in it is the session table's business; this file is
//! about the file. Whoever has the store open for writing is the only one to write it.

use crate::files::{create_private, sync_directory};
use countersign_store::place::{SnapshotPlace, Unread};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What the name of one that is being written has after the file's.
const NEW: &str = ".countersign-new";
/// What the name of one that could not be used has after it.
const DAMAGED: &str = ".damaged";

/// The file in which the sessions of a store outlive a restart: `state.redb` has `state.sessions`.
#[must_use]
pub fn snapshot_beside(store: &Path) -> PathBuf {
    store.with_extension("sessions")
}

/// A file as the place of a snapshot.
#[derive(Debug)]
pub(crate) struct FilePlace {
    pub(crate) path: PathBuf,
    pub(crate) binding: [u8; 16],
}

impl SnapshotPlace for FilePlace {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn binding(&self) -> [u8; 16] {
        self.binding
    }

    fn claim(&self) -> io::Result<()> {
        // Whoever has the store open for writing is the only one, which the store sees to.
        Ok(())
    }

    fn read(&self, max: u64) -> Result<Option<Vec<u8>>, Unread> {
        // What this machine cannot read now it will not read later either.
        read(&self.path, max).map_err(Unread::Unusable)
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        write(&self.path, bytes)
    }

    fn clear(&self) -> io::Result<()> {
        match self.path.symlink_metadata() {
            Ok(_) => remove(&self.path),
            Err(_) => Ok(()),
        }
    }

    fn release(&self) -> io::Result<()> {
        Ok(())
    }

    fn vacate(&self) -> io::Result<()> {
        self.clear()
    }

    fn set_aside(&self) -> Option<String> {
        let aside = set_aside(&self.path).ok()?;
        Some(aside.display().to_string())
    }
}

/// Its bytes, if it is there, and if they are no more than `max`.
fn read(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let too_large = || io::Error::other("it is larger than all sessions that there may be");
    if about.len() > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > max) {
        return Err(too_large());
    }
    Ok(Some(bytes))
}

/// Puts `bytes` in its place in one step: a crash leaves the one before or this one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = with_suffix(path, NEW);
    // What a writer left that was cut short.
    remove_if_there(&draft)?;
    let written = create_private(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&draft, path)) {
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    sync_directory(path)
}

/// Takes it away.
fn remove(path: &Path) -> io::Result<()> {
    match remove_if_there(path)? {
        true => sync_directory(path),
        false => Ok(()),
    }
}

/// Gives one that cannot be used another name, over the last one that could not; answers which.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = with_suffix(path, DAMAGED);
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_replaced_whole_read_within_bounds_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = snapshot_beside(&dir.path().join("state.redb"));
        assert_eq!(path, dir.path().join("state.sessions"));
        assert_eq!(read(&path, 9).unwrap(), None);
        fs::write(with_suffix(&path, NEW), b"cut short").unwrap();
        write(&path, b"first").unwrap();
        write(&path, b"second").unwrap();
        assert_eq!(read(&path, 6).unwrap().as_deref(), Some(&b"second"[..]));
        assert!(read(&path, 5).is_err());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let aside = set_aside(&path).unwrap();
        write(&path, b"third").unwrap();
        assert_eq!(set_aside(&path).unwrap(), aside);
        assert_eq!(fs::read(aside).unwrap(), b"third");
        remove(&path).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    #[test]
    fn it_goes_by_its_path_and_is_bound_to_what_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sessions");
        let (name, binding) = (path.display().to_string(), [7; 16]);
        let place = FilePlace { path, binding };
        assert_eq!((place.name(), place.binding()), (name, binding));
        let lies = || place.read(9).unwrap();
        assert_eq!(lies(), None);
        place.put(b"first").unwrap();
        place.claim().and_then(|()| place.release()).unwrap();
        assert_eq!(lies().as_deref(), Some(&b"first"[..]));
        for _ in 0..2 {
            place.vacate().unwrap();
            assert_eq!(lies(), None);
        }
    }

    #[test]
    fn what_cannot_be_taken_away_is_not_said_to_be_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.sessions");
        fs::create_dir(&path).unwrap();
        assert!(remove(&path).is_err() && path.is_dir());
        fs::remove_dir(&path).unwrap();
        assert!(remove(&path).is_ok(), "there is nothing");
        // Nor is what cannot be read said not to be there.
        fs::write(&path, b"a file").unwrap();
        assert!(read(&path.join("below"), 9).is_err());
    }
}
