//! Hazard: keys are lost, told to others, or shut the store for ever, because a call that makes or
//! changes a key file was cut short or met another one.

use super::*;
use crate::clock::{FixedClock, SystemClock};
use crate::entropy::SystemEntropy;
use countersign_core::keys::PEPPERS_MAX;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
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

/// Does something while a rotation waits for its randomness: after it read the key file, and
/// before it replaces it.
struct Meanwhile<F>(F);

impl<F: Fn() + Send + Sync + 'static> Entropy for Meanwhile<F> {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        (self.0)();
        SystemEntropy.fill(bytes)
    }
}

impl<F> fmt::Debug for Meanwhile<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
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
fn what_keeps_a_draft_from_being_made_is_told_and_left_alone() {
    let place = Place::empty();
    let fault = |path: &Path| match fresh(path) {
        Err(Error::Keys(KeyFileFault::Io { detail, .. })) => detail,
        made => panic!("{made:?}"),
    };
    let detail = fault(&place.beside("nowhere/state.key"));
    assert!(detail.starts_with("No such file"), "{detail}");
    fs::write(place.beside("precious"), "precious").unwrap();
    let draft = place.beside("state.key.countersign-new");
    std::os::unix::fs::symlink("precious", &draft).unwrap();
    assert_eq!(fault(&place.path), "not a regular file");
    assert_eq!(place.names(), ["precious", "state.key.countersign-new"]);
    assert_eq!(fs::read(&draft).unwrap(), b"precious");
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

#[test]
fn a_file_of_somebody_elses_beside_it_is_left_alone() {
    let place = Place::new();
    for name in ["state.key.new", "state.key.old", "state.new"] {
        fs::write(place.beside(name), "precious").unwrap();
    }
    rotate_now(&place.path).unwrap();
    for name in ["state.key.new", "state.key.old", "state.new"] {
        assert_eq!(fs::read(place.beside(name)).unwrap(), b"precious", "{name}");
    }
}

#[test]
fn a_link_to_the_file_stays_one() {
    let place = Place::empty();
    fs::create_dir(place.beside("keys")).unwrap();
    let kept = place.beside("keys/kept.key");
    fresh(&kept).unwrap();
    std::os::unix::fs::symlink("keys/kept.key", &place.path).unwrap();
    rotate_now(&place.path).unwrap();
    assert!(place.path.is_symlink());
    assert_eq!((count(&kept), count(&place.path)), (2, 2));
    let names = fs::read_dir(place.beside("keys")).unwrap().count();
    assert_eq!((names, place.names().len()), (1, 2));
}

#[test]
fn a_change_that_was_made_meanwhile_is_not_lost() {
    let (place, other) = (Place::new(), Place::new());
    let theirs = fs::read(&other.path).unwrap();
    let (path, text) = (place.path.clone(), theirs.clone());
    let meddle = Meanwhile(move || fs::write(&path, &text).unwrap());
    let fault = rotate(&place.path, &SystemClock, &meddle).unwrap_err();
    assert_eq!(
        fault,
        Error::Keys(KeyFileFault::Changed(place.path.clone()))
    );
    assert_eq!(fs::read(&place.path).unwrap(), theirs);
    assert_eq!(place.names(), ["state.key"]);
}

#[test]
fn of_two_rotations_at_once_neither_undoes_the_other() {
    let place = Place::new();
    let inner = Arc::new(Mutex::new(None));
    let (path, told) = (place.path.clone(), Arc::clone(&inner));
    let other = Meanwhile(move || *told.lock().unwrap() = Some(rotate_now(&path)));
    let outer = rotate(&place.path, &SystemClock, &other);
    let inner = inner.lock().unwrap().take().unwrap();
    let done = [&outer, &inner].iter().filter(|done| done.is_ok()).count();
    assert_eq!(count(&place.path), 1 + done, "{outer:?} {inner:?}");
    assert!(done > 0);
    assert_eq!(place.names(), ["state.key"]);
    rotate_now(&place.path).unwrap();
}

#[test]
fn keys_that_lack_the_newest_pepper_are_not_written_over_it() {
    let (place, other) = (Place::new(), Place::new());
    let changed = KeyFileFault::Changed(place.path.clone());
    let stale = read(&place.path).unwrap();
    rotate_now(&place.path).unwrap();
    let theirs = read(&other.path).unwrap();
    let ours = fs::read(&place.path).unwrap();
    for keys in [stale, theirs] {
        assert_eq!(replace(&place.path, &keys), Err(changed.clone()));
        assert_eq!(fs::read(&place.path).unwrap(), ours);
    }
    let shorter = read(&place.path).unwrap().without(|_| true);
    assert_eq!(replace(&place.path, &shorter), Ok(()));
    assert_eq!(count(&place.path), 1);
}

#[test]
fn a_full_file_says_so_and_takes_a_pepper_again_once_one_is_retired() {
    let place = Place::new();
    while count(&place.path) < PEPPERS_MAX {
        rotate_now(&place.path).unwrap();
    }
    let full = Error::Keys(KeyFileFault::Full(place.path.clone()));
    assert_eq!(rotate_now(&place.path).unwrap_err(), full);
    let left = retire(&place.path, KeyId::FIRST).unwrap();
    assert_eq!(left.peppers().count(), PEPPERS_MAX - 1);
    let rotated = rotate_now(&place.path).unwrap();
    let ids: Vec<u16> = rotated.peppers().map(|(id, _)| id.number()).collect();
    assert_eq!((ids.len(), ids[0], ids[31]), (PEPPERS_MAX, 2, 33));
}

#[test]
fn a_key_file_says_when_each_of_its_peppers_was_made() {
    let place = Place::empty();
    let [first, second] = [1_795_341_296_000, 1_795_341_297_000].map(Timestamp::from_millis);
    create(&place.path, &FixedClock(first), &SystemEntropy).unwrap();
    rotate(&place.path, &FixedClock(second), &SystemEntropy).unwrap();
    let made = |path: &Path| -> Vec<_> {
        let material = read(path).unwrap();
        material.peppers().map(|(_, made_at)| made_at).collect()
    };
    assert_eq!(made(&place.path), [first, second]);
    // Later than a file can say: it says the last instant that it can.
    let late = place.beside("late.key");
    let end = FixedClock(Timestamp::from_millis(u64::MAX));
    create(&late, &end, &SystemEntropy).unwrap();
    assert_eq!(made(&late), [Timestamp::LAST_PRINTABLE]);
}

/// With a slash behind it nothing is found by that name, and yet it is taken.
#[test]
fn a_name_that_turns_out_to_be_taken_is_told_as_such() {
    let place = Place::new();
    let before = fs::read(&place.path).unwrap();
    let slashed = place.beside("state.key/");
    assert!(slashed.symlink_metadata().is_err());
    let error = fresh(&slashed).unwrap_err();
    assert_eq!(error, Error::Keys(KeyFileFault::Exists(slashed)));
    assert_eq!(fs::read(&place.path).unwrap(), before);
    assert_eq!(place.names(), ["state.key"]);
}
