//! Key files: read with their permissions checked, made once, never overwritten by accident.
//!
//! The text inside is the core's business; this file is about the file.

use crate::clock::Clock;
use crate::entropy::{self, Entropy};
use crate::error::Error;
use countersign_core::keys::file::{self, KEY_FILE_MAX, KeyFileError};
use countersign_core::{KeyMaterial, SecretText, Timestamp};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What is wrong with a key file. Each names the file and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileFault {
    /// The store is there but its keys are not.
    #[error(
        "no key file at {}: the store beside it needs the one it was made with; put it back, or \
         name it with --key", .0.display()
    )]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} exists already and is never overwritten", .0.display())]
    Exists(PathBuf),
    /// Others can read it.
    #[error("{} has mode {mode:04o}, so others can get at the keys: chmod 600 it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its text is not a key file's.
    #[error("{}: {fault}; put back the key file that the store was made with", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with the text.
        fault: KeyFileError,
    },
    /// The operating system refused.
    #[error("{}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
}

/// The key file beside a store: `state.redb` has `state.key`.
#[must_use]
pub fn beside(store: &Path) -> PathBuf {
    store.with_extension("key")
}

/// Reads a key file that nobody else can read.
///
/// # Errors
/// When it is missing, open to others, or not a key file.
pub fn read(path: &Path) -> Result<KeyMaterial, KeyFileFault> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileFault::Missing(path.to_owned()),
        _ => io_fault(path, &error),
    })?;
    let about = file.metadata().map_err(|error| io_fault(path, &error))?;
    if !about.is_file() {
        let detail = "not a regular file".to_owned();
        return Err(KeyFileFault::Io {
            path: path.to_owned(),
            detail,
        });
    }
    check_mode(path, &about)?;
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX.saturating_add(1)));
    let limit = u64::try_from(KEY_FILE_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit)
        .read_to_end(&mut text)
        .map_err(|error| io_fault(path, &error))?;
    file::read(&text).map_err(|fault| KeyFileFault::Content {
        path: path.to_owned(),
        fault,
    })
}

/// Makes a new key file with mode 0600 and fresh keys.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn create(path: &Path, clock: &dyn Clock, source: &dyn Entropy) -> Result<KeyMaterial, Error> {
    let (root, pepper) = (entropy::bytes(source)?, entropy::bytes(source)?);
    let material = KeyMaterial::generate(printable_now(clock), root, pepper);
    write_new(path, &file::write(&material)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileFault::Exists(path.to_owned()),
        _ => io_fault(path, &error),
    })?;
    Ok(material)
}

/// Adds a pepper to a key file, which becomes current when the store is opened next.
///
/// The file is replaced in one step, so that a crash leaves the old one or the new one.
///
/// # Errors
/// When the file does not read, is full, or cannot be written.
pub fn rotate(path: &Path, clock: &dyn Clock, source: &dyn Entropy) -> Result<KeyMaterial, Error> {
    let rotated = read(path)?
        .rotated(printable_now(clock), entropy::bytes(source)?)
        .map_err(|error| KeyFileFault::Content {
            path: path.to_owned(),
            fault: KeyFileError::Material(error),
        })?;
    replace(path, &rotated)?;
    Ok(rotated)
}

/// Writes `material` over a key file, in one step.
///
/// # Errors
/// When it cannot be written; the old file is left as it is.
pub fn replace(path: &Path, material: &KeyMaterial) -> Result<(), KeyFileFault> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let written = write_new(&fresh, &file::write(material))
        .and_then(|()| fs::rename(&fresh, path))
        .and_then(|()| sync_directory(path));
    written.map_err(|error| {
        // What is left of the attempt is ours; the old key file was not touched.
        let _ = fs::remove_file(&fresh);
        io_fault(path, &error)
    })
}

/// The present instant, or the last one that the file's text can hold: a clock that is wrong must
/// not make a file that does not read back.
fn printable_now(clock: &dyn Clock) -> Timestamp {
    clock.now().min(Timestamp::LAST_PRINTABLE)
}

fn write_new(path: &Path, text: &SecretText) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file
        .write_all(text.expose().as_bytes())
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a key file would be taken for a damaged one.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    sync_directory(path)
}

/// Makes a new name in a directory survive a crash.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(unix)]
fn check_mode(path: &Path, about: &fs::Metadata) -> Result<(), KeyFileFault> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyFileFault::Permissions {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other systems have no such bits to check"
)]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KeyFileFault> {
    Ok(())
}

fn io_fault(path: &Path, error: &io::Error) -> KeyFileFault {
    KeyFileFault::Io {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::entropy::SystemEntropy;

    fn fresh(path: &Path) -> Result<KeyMaterial, Error> {
        create(path, &SystemClock, &SystemEntropy)
    }

    #[test]
    fn a_new_file_is_private_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.key");
        fresh(&path).unwrap();
        let before = fs::read(&path).unwrap();
        assert_eq!(
            fresh(&path).unwrap_err(),
            Error::Keys(KeyFileFault::Exists(path.clone()))
        );
        assert_eq!(fs::read(&path).unwrap(), before);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.key");
        fresh(&path).unwrap();
        for mode in [0o640, 0o604, 0o666, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let fault = read(&path).unwrap_err();
            assert_eq!(
                fault,
                KeyFileFault::Permissions {
                    path: path.clone(),
                    mode
                }
            );
        }
    }

    #[test]
    fn rotation_keeps_the_old_pepper_and_leaves_no_second_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.key");
        fresh(&path).unwrap();
        let rotated = rotate(&path, &SystemClock, &SystemEntropy).unwrap();
        assert_eq!(rotated.peppers().count(), 2);
        assert_eq!(read(&path).unwrap().peppers().count(), 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_key_file_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.key");
        assert_eq!(
            read(&path).unwrap_err(),
            KeyFileFault::Missing(path.clone())
        );
        write_new(&path, &SecretText::new("hello".to_owned())).unwrap();
        assert!(matches!(
            read(&path).unwrap_err(),
            KeyFileFault::Content { .. }
        ));
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert!(matches!(
            read(dir.path()).unwrap_err(),
            KeyFileFault::Io { .. }
        ));
    }
}
