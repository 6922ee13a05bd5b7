//! What stands between redb and a file hands its locks on, notes what was full, and lets go of the
//! file whatever else fails or still reads.

use super::super::contain::Full;
use super::super::handle::{Handle, ReadHandle};
use super::super::overlay;
use super::super::tables::Snapshot;
use super::super::tether::{Backend, Tether};
use super::support::{Faults, Place, keyring, options};
use crate::redb::BackendHook;
use crate::store::Revision;
use core::ops::Bound;
use core::sync::atomic::Ordering;
use parking_lot::Mutex;
use redb::{BackendError, ReadableDatabase, StorageBackend};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What one below is asked, in its order, and what it answers.
#[derive(Debug, Default)]
struct Script {
    asked: Mutex<Vec<&'static str>>,
    is_free: bool,
    writes: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct Below(Arc<Script>);

impl Below {
    fn asked(&self, what: &'static str) {
        self.0.asked.lock().push(what);
    }

    fn is_free(&self, what: &'static str) -> bool {
        self.asked(what);
        self.0.is_free
    }

    /// One that waits cannot, where somebody else has it.
    fn wait(&self, what: &'static str) -> Result<(), BackendError> {
        let free = self.is_free(what);
        free.then_some(()).ok_or(BackendError::Unsupported)
    }

    fn change(&self) -> io::Result<()> {
        self.0.writes.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl StorageBackend for Below {
    fn len(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn read(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        self.change()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change()
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        self.change()
    }

    fn close(&self) -> io::Result<()> {
        self.asked("close");
        Ok(())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.is_free("try"))
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.is_free("try shared"))
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        self.wait("wait")
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        self.wait("wait shared")
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        self.wait("unlock")
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.is_free("query"))
    }
}

/// Asks for every lock, and then to be closed.
fn check_locks(name: &str, above: &dyn StorageBackend, below: &Script) {
    let (start, end) = (Bound::Included(1), Bound::Excluded(2));
    let is_free = below.is_free;
    for answer in [
        above.try_lock_range(start, end),
        above.try_lock_shared_range(start, end),
        above.query_lock_range(start, end),
    ] {
        assert_eq!(answer.ok(), Some(is_free), "{name}");
    }
    for answer in [
        above.lock_range(start, end),
        above.lock_shared_range(start, end),
        above.unlock_range(start, end),
    ] {
        assert_eq!(answer.is_ok(), is_free, "{name}");
    }
    above.close().unwrap();
    let asked = [
        "try",
        "try shared",
        "query",
        "wait",
        "wait shared",
        "unlock",
        "close",
    ];
    assert_eq!(*below.asked.lock(), asked, "{name}");
}

fn scripted(script: &Arc<Script>) -> Box<dyn StorageBackend> {
    Box::new(Below(Arc::clone(script)))
}

#[test]
fn locks_are_those_of_the_file_and_it_is_closed_with_what_stands_before_it() {
    for is_free in [true, false] {
        let script = || {
            Arc::new(Script {
                is_free,
                ..Script::default()
            })
        };
        let below = script();
        let (_, backend) = Tether::around(scripted(&below));
        assert_eq!(format!("{backend:?}"), format!("{:?}", Below(script())));
        check_locks("tether", &backend, &below);
        let below = script();
        let inner = Arc::clone(&below);
        let hook: BackendHook = Arc::new(move |_, _| Ok(scripted(&inner)));
        let place = Place::new();
        let file = File::create(place.path()).unwrap();
        let backend = overlay::over(hook)(&place.path(), file).unwrap();
        check_locks("overlay", &*backend, &below);
    }
}

#[test]
fn what_was_full_is_remembered_whichever_change_met_it() {
    type Change = fn(&Backend) -> io::Result<()>;
    let changes: [Change; 3] = [
        |backend| backend.set_len(1),
        |backend| backend.sync_data(),
        |backend| backend.write(0, b"x"),
    ];
    for (kind, full) in [
        (io::ErrorKind::StorageFull, Some(Full::Disk)),
        (io::ErrorKind::QuotaExceeded, Some(Full::Disk)),
        (io::ErrorKind::FileTooLarge, Some(Full::File)),
        (io::ErrorKind::Other, None),
    ] {
        for change in changes {
            let script = Script {
                writes: Some(kind),
                ..Script::default()
            };
            let (tether, backend) = Tether::around(scripted(&Arc::new(script)));
            assert_eq!(tether.full(), None);
            assert!(change(&backend).is_err());
            assert_eq!(tether.full(), full, "{kind:?}");
        }
    }
}

/// Whether a store's file can be opened, which it cannot while somebody has it.
fn is_let_go(path: &Path) -> bool {
    options().open(path, keyring()).is_ok()
}

#[test]
fn a_handle_whose_end_panics_lets_go_of_the_file_all_the_same() {
    let place = Place::new();
    drop(place.create(&options()));
    let faults = Arc::new(Faults::default());
    let failing = options().backend(faults.hook());
    let handle = Handle::open(&place.path(), &failing).unwrap();
    let held = handle.with(|db| Snapshot::take(&db.begin_read()?, Revision(1), 1));
    let held = held.unwrap();
    assert!(!is_let_go(&place.path()));
    faults.panics.store(true, Ordering::SeqCst);
    drop(handle);
    faults.panics.store(false, Ordering::SeqCst);
    assert!(is_let_go(&place.path()));
    drop(held);
}

#[test]
fn who_only_reads_lets_go_of_the_file_while_a_long_read_goes_on() {
    let place = Place::new();
    drop(place.create(&options()));
    let handle = ReadHandle::open(&place.path(), &options()).unwrap();
    let held = handle.with(|db| Snapshot::take(&db.begin_read()?, Revision(1), 1));
    let held = held.unwrap();
    assert!(!is_let_go(&place.path()));
    drop(handle);
    assert!(is_let_go(&place.path()));
    drop(held);
}
