//! The draft of a key file: written beside its place, and put there whole or not at all.
//!
//! There is one draft to a key file, and whoever has it holds a lock on it, so that one call at a
//! time makes or changes the keys. The lock ends with its process: a draft that nobody holds was
//! left by a call that was cut short, and is removed by the next one.

use super::{KeyFileFault, io_fault};
use crate::files::{create_private, sync_directory};
use countersign_core::SecretText;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// What a draft's name has after the key file's. No name that an operator would give to a copy.
const SUFFIX: &str = ".countersign-new";

/// How often others may come first, before it is said that they do.
const ATTEMPTS: usize = 16;

/// Has its name to itself as long as it is standing, and is removed again unless it is published.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    /// Open for as long as the lock is to be held.
    file: File,
    standing: bool,
}

impl Draft {
    /// The draft of the key file at `target`, empty, and this call's alone.
    pub(super) fn beside(target: &Path) -> Result<Self, KeyFileFault> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(SUFFIX);
        let path = target.with_file_name(name);
        for _ in 0..ATTEMPTS {
            match create_private(&path) {
                Ok(file) if holds(&file, &path) => {
                    return Ok(Self {
                        path,
                        file,
                        standing: true,
                    });
                }
                // Somebody took it for a leftover before it was locked, and removes it.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_leftover(target, &path)?;
                }
                Err(error) => return Err(io_fault(target, &error)),
            }
        }
        Err(KeyFileFault::Busy(target.to_owned()))
    }

    /// Puts `text` on the medium.
    pub(super) fn write(&mut self, text: &SecretText) -> io::Result<()> {
        self.file.write_all(text.expose().as_bytes())?;
        self.file.sync_all()
    }

    /// Gives it its name, where nothing may be yet.
    pub(super) fn publish_new(self, target: &Path) -> io::Result<()> {
        // Unlike a rename, a link never takes the place of what is there.
        fs::hard_link(&self.path, target)?;
        drop(self);
        sync_directory(target)
    }

    /// Puts it in the place of the file at `target`, in one step.
    pub(super) fn publish_over(mut self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)?;
        // From here on the draft's name is free for another one.
        self.standing = false;
        sync_directory(target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.standing {
            // What cannot be removed now is a leftover for the next call.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Locks a draft that was just made, and answers whether it still has its name.
///
/// Where files cannot be locked, that its name was free is what keeps others away.
fn holds(file: &File, path: &Path) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && is_at(file, path)
}

/// Removes a draft that nobody holds.
fn remove_leftover(target: &Path, path: &Path) -> Result<(), KeyFileFault> {
    let fault = |error: &io::Error| io_fault(path, error);
    match path.symlink_metadata() {
        Ok(about) if about.is_file() => {}
        Ok(_) => return Err(fault(&io::Error::other("not a regular file"))),
        Err(error) => return gone(error).map_err(|error| fault(&error)),
    }
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) => return gone(error).map_err(|error| fault(&error)),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(KeyFileFault::Busy(target.to_owned())),
        // Whether somebody holds it cannot be told here.
        Err(TryLockError::Error(error)) => return Err(fault(&error)),
    }
    // Only who has the lock removes it, so its name is not another draft's by now.
    match is_at(&file, path) {
        true => fs::remove_file(path)
            .or_else(gone)
            .map_err(|error| fault(&error)),
        false => Ok(()),
    }
}

fn gone(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// Whether `path` names the file that is open.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |about: fs::Metadata| (about.dev(), about.ino());
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(open), Ok(named)) => id(open) == id(named),
        _ => false,
    }
}

/// Elsewhere a name that is there is taken for this file's.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
