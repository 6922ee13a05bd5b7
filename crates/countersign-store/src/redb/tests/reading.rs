//! Who only reads meets faults as well: they are said, they pass, and no other file is believed.

use super::super::file::open_error;
use super::support::{Faults, Place, grant, keyring, options, system};
use crate::error::{OpenError, StoreError};
use crate::redb::{Mode, RedbStore};
use crate::store::{Health, Store};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Who only reads a file that can be made to fail.
fn reader_of(place: &Place) -> (RedbStore, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let reading = options().mode(Mode::ReadOnly).cache_bytes(0);
    let reader = reading.backend(faults.hook()).open(place.path(), keyring());
    (reader.unwrap(), faults)
}

#[test]
fn a_fault_of_a_reader_is_told_until_the_file_opens_again() {
    let place = Place::new();
    drop(place.create(&options()));
    let (reader, faults) = reader_of(&place);
    let (key, record) = grant("ada", 1);
    let read = || reader.load_one(key).map(|found| found.unwrap().record);
    assert_eq!((reader.health(), reader.trouble()), (Health::Healthy, None));
    for _ in 0..2 {
        faults.broken.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            let outcome = read();
            assert!(
                matches!(outcome, Err(StoreError::Unavailable(_))),
                "{outcome:?}"
            );
            assert_eq!(reader.health(), Health::Degraded);
            assert!(reader.trouble().is_some());
        }
        faults.broken.store(false, Ordering::SeqCst);
        assert_eq!(read(), Ok(record.clone()));
        assert_eq!((reader.health(), reader.trouble()), (Health::Healthy, None));
    }
    reader.close().wait().unwrap();
    assert_eq!((reader.health(), reader.trouble()), (Health::Closed, None));
    assert_eq!(read(), Err(StoreError::Closed));
    let backup = reader.backup(place.dir.path().join("copy"));
    assert!(matches!(backup, Err(OpenError::Io { .. })), "{backup:?}");
}

#[test]
fn another_store_in_the_place_of_the_one_that_failed_is_not_read() {
    let place = Place::new();
    drop(place.create(&options()));
    let (reader, faults) = reader_of(&place);
    let (key, _) = grant("ada", 1);
    faults.broken.store(true, Ordering::SeqCst);
    assert!(reader.load_one(key).is_err());
    faults.broken.store(false, Ordering::SeqCst);
    std::fs::remove_file(place.path()).unwrap();
    let other = options().create(place.path(), keyring(), [8; 16], vec![system()]);
    drop(other.unwrap());
    let outcome = reader.load_one(key);
    let expected = "another file has taken its place".to_owned();
    assert_eq!(outcome, Err(StoreError::Unavailable(expected)));
    assert_eq!(reader.health(), Health::Degraded);
}

#[test]
fn what_the_system_says_of_a_file_is_told_as_what_can_be_done() {
    let told = |kind: ErrorKind| open_error(Path::new("x"), &kind.into());
    assert!(matches!(told(ErrorKind::NotFound), OpenError::NotFound(_)));
    let directory = told(ErrorKind::IsADirectory);
    assert!(
        matches!(directory, OpenError::NotAStore { .. }),
        "{directory}"
    );
    for kind in [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem] {
        assert!(matches!(told(kind), OpenError::Permission { .. }), "{kind}");
    }
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        assert!(matches!(told(kind), OpenError::NoRoom { .. }), "{kind}");
    }
    let other = told(ErrorKind::Interrupted);
    assert!(matches!(other, OpenError::Io { .. }), "{other}");
}

#[test]
fn options_are_shown_without_what_they_call() {
    let told = options()
        .queue_depth(7)
        .mode(Mode::SharedReaders)
        .reopen_backoff(Duration::from_millis(3), Duration::from_secs(4));
    let shown = format!("{told:?}");
    for part in [
        "queue_depth: 7",
        "mode: SharedReaders",
        "backoff: (3ms, 4s)",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(
        shown.ends_with(".. }") && !shown.contains("backend"),
        "{shown}"
    );
}

#[test]
fn only_who_reads_alone_is_said_to_only_read() {
    for (mode, alone) in [
        (Mode::ReadOnly, true),
        (Mode::SharedReaders, false),
        (Mode::Exclusive, false),
    ] {
        assert_eq!(options().mode(mode).is_read_only(), alone, "{mode:?}");
    }
}

#[test]
fn a_store_is_shown_without_what_it_holds() {
    let place = Place::new();
    let store = place.create(&options());
    let expected = format!(
        "RedbStore {{ path: {:?}, mode: Exclusive, health: Healthy, .. }}",
        place.path()
    );
    assert_eq!(format!("{store:?}"), expected);
}

#[test]
fn what_is_loaded_comes_in_the_order_in_which_it_was_asked_for() {
    let place = Place::new();
    let store = place.create(&options());
    let (there, missing) = (grant("ada", 1), grant("ada", 2));
    let keys = [there.0, missing.0, system().0, there.0];
    let loaded = store.load(&keys).wait().unwrap();
    let records = loaded.into_iter().map(|found| found.map(|it| it.record));
    let expected = [Some(there.1.clone()), None, Some(system().1), Some(there.1)];
    assert_eq!(records.collect::<Vec<_>>(), expected);
}
