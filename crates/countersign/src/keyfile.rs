//! Key files: read with their permissions checked, made once, never overwritten by accident.
//!
//! The text inside is the core's business; this file is about the file.

mod draft;

use crate::clock::Clock;
use crate::entropy::{self, Entropy};
use crate::error::Error;
use countersign_core::keys::KeyMaterialError;
use countersign_core::keys::file::{self, KEY_FILE_MAX, KeyFileError};
use countersign_core::{KeyId, KeyMaterial, Keyring, Timestamp};
use draft::Draft;
use std::borrow::Borrow;
use std::fs::{self, File};
use std::io::{self, Read as _};
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
    /// Another call is making or changing it.
    #[error("{} is being made or changed by another process: try again", .0.display())]
    Busy(PathBuf),
    /// There is no room in it for one pepper more.
    #[error(
        "{} holds as many peppers as it can: let one go that nothing needs, with `countersign \
         keys retire`", .0.display()
    )]
    Full(PathBuf),
    /// It is not the file any more that a change began with.
    #[error("{} was changed by somebody else meanwhile and is left so: try again", .0.display())]
    Changed(PathBuf),
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
    parse(path, &text_of(path)?)
}

/// Makes a new key file with mode 0600 and fresh keys.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn create(path: &Path, clock: &dyn Clock, source: &dyn Entropy) -> Result<KeyMaterial, Error> {
    let (root, pepper) = (entropy::bytes(source)?, entropy::bytes(source)?);
    let material = KeyMaterial::generate(printable_now(clock), root, pepper);
    if path.symlink_metadata().is_ok() {
        return Err(KeyFileFault::Exists(path.to_owned()).into());
    }
    let mut draft = Draft::beside(path)?;
    let written = draft.write(&file::write(&material));
    let published = written.and_then(|()| draft.publish_new(path));
    published.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => KeyFileFault::Exists(path.to_owned()),
        _ => io_fault(path, &error),
    })?;
    Ok(material)
}

/// Adds a pepper to a key file, which becomes current when the store is opened next.
///
/// The file is replaced in one step, so that a crash leaves the old one or the new one. Where
/// `path` is a link, what it leads to is replaced.
///
/// # Errors
/// When the file does not read, is full, is being changed by somebody else, or cannot be written.
pub fn rotate(path: &Path, clock: &dyn Clock, source: &dyn Entropy) -> Result<KeyMaterial, Error> {
    change(path, |material| {
        let rotated = material.rotated(printable_now(clock), entropy::bytes(source)?);
        rotated.map_err(|error| match error {
            KeyMaterialError::TooManyPeppers => KeyFileFault::Full(path.to_owned()).into(),
            error => content_fault(path, KeyFileError::Material(error)).into(),
        })
    })
}

/// Drops a pepper from a key file; the current one stays.
///
/// The store must have let go of it first, with
/// [`RedbStore::retire_pepper`](countersign_store::RedbStore::retire_pepper), or it does not open
/// without it. Backups from before need it still, and so a key file that has it.
///
/// # Errors
/// When the file does not read, is being changed by somebody else, or cannot be written.
pub fn retire(path: &Path, id: KeyId) -> Result<KeyMaterial, KeyFileFault> {
    change(path, |material| Ok(material.without(|held| held == id)))
}

/// Writes `material`, which was made from what a key file holds, over that file, in one step.
///
/// # Errors
/// When the file holds a newer pepper than `material` or other keys, is being changed by somebody
/// else, or cannot be written; it is left as it is.
pub fn replace(path: &Path, material: &KeyMaterial) -> Result<(), KeyFileFault> {
    let fits = |found: KeyMaterial| match continues(&found, material) {
        true => Ok(material),
        false => Err(KeyFileFault::Changed(path.to_owned())),
    };
    change(path, fits).map(|_| ())
}

/// Whether `next` can follow `found`: under its root key, and with its newest pepper.
fn continues(found: &KeyMaterial, next: &KeyMaterial) -> bool {
    let (found, next) = (Keyring::new(found), Keyring::new(next));
    let newest = found.pepper_checks().last();
    found.root_check() == next.root_check()
        && next.pepper_checks().any(|pepper| Some(pepper) == newest)
}

/// Replaces a key file by what `change` makes of it, unless somebody else comes in between.
fn change<M: Borrow<KeyMaterial>, E: From<KeyFileFault>>(
    path: &Path,
    change: impl FnOnce(KeyMaterial) -> Result<M, E>,
) -> Result<M, E> {
    let target = fs::canonicalize(path).map_err(|error| open_fault(path, &error))?;
    let fault = |error: io::Error| io_fault(path, &error);
    // Whoever has the draft is the only one to change the file, of those who ask for one.
    let mut draft = Draft::beside(&target)?;
    let before = text_of(path)?;
    let changed = change(parse(path, &before)?)?;
    let text = file::write(changed.borrow());
    draft.write(&text).map_err(fault)?;
    if *text_of(&target)? != *before {
        return Err(KeyFileFault::Changed(path.to_owned()).into());
    }
    draft.publish_over(&target).map_err(fault)?;
    Ok(changed)
}

/// The present instant, or the last one that the file's text can hold: a clock that is wrong must
/// not make a file that does not read back.
fn printable_now(clock: &dyn Clock) -> Timestamp {
    clock.now().min(Timestamp::LAST_PRINTABLE)
}

/// The text of a file that nobody else can read.
fn text_of(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileFault> {
    let file = File::open(path).map_err(|error| open_fault(path, &error))?;
    let about = file.metadata().map_err(|error| io_fault(path, &error))?;
    if !about.is_file() {
        return Err(io_fault(path, &io::Error::other("not a regular file")));
    }
    check_mode(path, &about)?;
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_FILE_MAX.saturating_add(1)));
    let limit = u64::try_from(KEY_FILE_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    file.take(limit)
        .read_to_end(&mut text)
        .map_err(|error| io_fault(path, &error))?;
    Ok(text)
}

fn parse(path: &Path, text: &[u8]) -> Result<KeyMaterial, KeyFileFault> {
    file::read(text).map_err(|fault| content_fault(path, fault))
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

fn content_fault(path: &Path, fault: KeyFileError) -> KeyFileFault {
    KeyFileFault::Content {
        path: path.to_owned(),
        fault,
    }
}

fn open_fault(path: &Path, error: &io::Error) -> KeyFileFault {
    match error.kind() {
        io::ErrorKind::NotFound => KeyFileFault::Missing(path.to_owned()),
        _ => io_fault(path, error),
    }
}

fn io_fault(path: &Path, error: &io::Error) -> KeyFileFault {
    KeyFileFault::Io {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
