//! Hazard: keys are lost, told to others, or shut the store for ever, because a call that makes or
//! changes a key file was cut short or met another one.

use super::*;
use crate::clock::SystemClock;
use crate::entropy::SystemEntropy;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use tempfile::TempDir;

/// A directory with a key file in it.
struct Place {
    dir: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let place = Self::empty();
        fresh(&place.path).unwrap();
        place
    }

    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.key");
        Self { dir, path }
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn fresh(path: &Path) -> Result<KeyMaterial, Error> {
    create(path, &SystemClock, &SystemEntropy)
}

fn rotate_now(path: &Path) -> Result<KeyMaterial, Error> {
    rotate(path, &SystemClock, &SystemEntropy)
}

fn count(path: &Path) -> usize {
    read(path).unwrap().peppers().count()
}

#[test]
fn a_new_file_is_private_and_is_never_overwritten() {
    let place = Place::new();
    let before = fs::read(&place.path).unwrap();
    assert_eq!(
        fresh(&place.path).unwrap_err(),
        Error::Keys(KeyFileFault::Exists(place.path.clone()))
    );
    assert_eq!(fs::read(&place.path).unwrap(), before);
    let mode = fs::metadata(&place.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(place.names(), ["state.key"]);
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let place = Place::new();
    for mode in [0o640, 0o604, 0o666, 0o620] {
        fs::set_permissions(&place.path, fs::Permissions::from_mode(mode)).unwrap();
        let fault = read(&place.path).unwrap_err();
        let path = place.path.clone();
        assert_eq!(fault, KeyFileFault::Permissions { path, mode });
    }
}

#[test]
fn what_is_no_key_file_is_named_and_left_alone() {
    let place = Place::empty();
    let path = &place.path;
    assert_eq!(read(path).unwrap_err(), KeyFileFault::Missing(path.clone()));
    assert_eq!(
        rotate_now(path).unwrap_err(),
        Error::Keys(KeyFileFault::Missing(path.clone()))
    );
    fs::write(path, "hello").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(
        read(path).unwrap_err(),
        KeyFileFault::Content { .. }
    ));
    assert!(rotate_now(path).is_err());
    assert_eq!(fs::read(path).unwrap(), b"hello");
    assert_eq!(place.names(), ["state.key"]);
    assert!(matches!(
        read(place.dir.path()).unwrap_err(),
        KeyFileFault::Io { .. }
    ));
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    for _ in 0..200 {
        let place = Place::empty();
        let looker = {
            let path = place.path.clone();
            thread::spawn(move || {
                loop {
                    match read(&path) {
                        Err(KeyFileFault::Missing(_)) => {}
                        seen => return seen.map(|_| ()),
                    }
                }
            })
        };
        fresh(&place.path).unwrap();
        assert_eq!(looker.join().unwrap(), Ok(()));
    }
}

#[test]
fn of_creations_at_the_same_moment_one_makes_the_file() {
    for _ in 0..50 {
        let place = Place::empty();
        let threads = [(); 4].map(|()| {
            let path = place.path.clone();
            thread::spawn(move || fresh(&path).is_ok())
        });
        let made = threads.map(|thread| thread.join().unwrap());
        assert_eq!(made.iter().filter(|made| **made).count(), 1);
        assert_eq!(count(&place.path), 1);
        assert_eq!(place.names(), ["state.key"]);
    }
}

#[test]
fn a_leftover_of_a_call_that_was_cut_short_is_in_nobodys_way() {
    let place = Place::empty();
    let leftover = place.beside("state.key.countersign-new");
    for text in [
        "",
        "countersign-key",
        "a whole key file, as far as it matters",
    ] {
        fs::write(&leftover, text).unwrap();
        match place.path.exists() {
            true => drop(rotate_now(&place.path).unwrap()),
            false => drop(fresh(&place.path).unwrap()),
        }
        assert_eq!(place.names(), ["state.key"], "{text}");
    }
    assert_eq!(count(&place.path), 3);
}

#[test]
fn rotation_keeps_the_old_pepper_and_leaves_no_second_file() {
    let place = Place::new();
    assert_eq!(rotate_now(&place.path).unwrap().peppers().count(), 2);
    assert_eq!(count(&place.path), 2);
    assert_eq!(place.names(), ["state.key"]);
    let mode = fs::metadata(&place.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
