//! What the tests of the redb store share: keys, records, and a backend that fails when told to.

use crate::redb::{BackendHook, RedbOptions, RedbStore};
use crate::store::{Health, Store, Watcher};
use core::ops::Bound;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use countersign_core::{
    Batch, CredentialKind, CredentialRef, Deployment, Digest, EpochStamp, Event, EventKind, Expect,
    Expiry, Grant, Key, KeyId, KeyMaterial, KeyedDigest, Keyring, Label, Principal,
    PrincipalRecord, Record, ScopeSet, Selector, SeriesRecord, ServerId, ShardTag, SystemRecord,
    Timestamp, TokenName, Usage,
};
use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const STORE_ID: [u8; 16] = [7; 16];

pub(super) fn material() -> KeyMaterial {
    KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32])
}

pub(super) fn keyring() -> Arc<Keyring> {
    Arc::new(Keyring::new(&material()))
}

pub(super) fn selector(n: u64) -> Selector {
    Selector::mint(Timestamp::from_millis(n), ShardTag::NONE, [9; 8])
}

pub(super) fn system() -> (Key, Record) {
    let server_id = ServerId::new("test").unwrap();
    let deployment = Deployment {
        word: None,
        server_id,
        created_at: Timestamp::ZERO,
    };
    (Key::SYSTEM, Record::System(SystemRecord::new(deployment)))
}

pub(super) fn principal_key(name: &str) -> Key {
    Key::principal(keyring().principal_key(&Principal::new(name).unwrap()))
}

pub(super) fn principal(name: &str, selectors: &[u64]) -> (Key, Record) {
    let mut record = PrincipalRecord::new(Principal::new(name).unwrap());
    record.credentials = selectors
        .iter()
        .map(|n| CredentialRef {
            kind: CredentialKind::Access,
            selector: selector(*n),
            ends_at: Timestamp::MAX,
        })
        .collect();
    (principal_key(name), Record::Principal(record))
}

pub(super) fn grant(name: &str, n: u64) -> (Key, Record) {
    let grant = Grant {
        principal: Principal::new(name).unwrap(),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::EMPTY,
        key_id: KeyId::FIRST,
        digest: Digest::from_bytes([3; 32]),
        created_at: Timestamp::from_millis(n),
        expiry: Expiry::Never,
        stamp: EpochStamp::default(),
        predecessor: None,
        end: None,
    };
    (Key::grant(selector(n)), Record::Grant(grant))
}

pub(super) fn series(name: &str, n: u64) -> (Key, Record) {
    let at = Timestamp::from_millis(n);
    let series = SeriesRecord {
        principal: Principal::new(name).unwrap(),
        label: Label::new("laptop").unwrap(),
        created_at: at,
        expires_at: Timestamp::MAX,
        stamp: EpochStamp::default(),
        generation: 0,
        salt: [0; 16],
        current: KeyedDigest {
            key_id: KeyId::FIRST,
            digest: Digest::from_bytes([3; 32]),
        },
        older: Vec::new(),
        rotated_at: at,
        successor_seen_at: None,
        end: None,
    };
    (Key::series(selector(n)), Record::Series(series))
}

pub(super) fn usage(n: u64, at: u64) -> (Key, Record) {
    let usage = Usage {
        last_used_at: Timestamp::from_millis(at),
        addresses: Vec::new(),
    };
    (Key::usage(selector(n)), Record::Usage(usage))
}

pub(super) fn put((key, record): (Key, Record), expect: Expect) -> Batch {
    let mut batch = Batch::grow();
    batch.put(key, expect, record);
    batch
}

/// A batch that may not be turned away: it removes `key` and writes an event.
pub(super) fn deny(key: Key, n: u64) -> Batch {
    let mut batch = Batch::deny();
    batch.delete(key, Expect::Any);
    batch.record_event(Event::new(selector(n), Timestamp::ZERO, EventKind::Revoked));
    batch
}

/// A directory with the path of a store in it.
pub(super) struct Place {
    pub dir: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("state.redb")
    }

    pub(super) fn create(&self, options: &RedbOptions) -> RedbStore {
        let initial = vec![system(), principal("ada", &[1]), grant("ada", 1)];
        options
            .create(self.path(), keyring(), STORE_ID, initial)
            .unwrap()
    }

    /// The names in the directory.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

pub(super) fn options() -> RedbOptions {
    RedbOptions::new()
        .ballast_bytes(64 * 1024)
        .cache_bytes(1024 * 1024)
}

/// Waits until the store is as it should be, at most for five seconds.
pub(super) fn wait_for(store: &RedbStore, health: Health) {
    for _ in 0..500 {
        if store.health() == health {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!(
        "it is {:?} and not {health:?}: {:?}",
        store.health(),
        store.trouble()
    );
}

/// Faults that a test switches on and off; shared by every backend made from it.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Every operation fails.
    pub broken: AtomicBool,
    /// How many reads are still done, once they are counted.
    reads: Mutex<Option<u64>>,
    /// Every sync fails.
    pub unsynced: AtomicBool,
    /// Every read panics.
    pub panics: AtomicBool,
    /// The next read panics, and none after it.
    pub panics_once: AtomicBool,
    /// The disk is full while `ballast` is there: what was written before can be written again,
    /// and nothing else.
    pub full: AtomicBool,
    pub ballast: Mutex<Option<PathBuf>>,
    /// It is the file that may not grow, not the disk that is full.
    pub file_limit: AtomicBool,
    /// A full disk takes nothing at all, as where every write goes to a new place.
    pub copies_on_write: AtomicBool,
    /// At this many more syncs, one is done and then said to have found the disk full.
    pub lying_sync: AtomicUsize,
    /// The blocks of the file that were ever written.
    blocks: Mutex<BTreeSet<u64>>,
    /// While this is held, every sync waits.
    pub gate: Mutex<()>,
    pub syncs: AtomicUsize,
    pub writes: AtomicU64,
}

impl Faults {
    pub(super) fn hook(self: &Arc<Self>) -> BackendHook {
        let faults = Arc::clone(self);
        Arc::new(move |_: &Path, file| {
            let inner = FileBackend::new(file).map_err(io::Error::other)?;
            Ok(Box::new(Faulty {
                inner,
                faults: Arc::clone(&faults),
            }))
        })
    }

    /// Lets this many reads through and fails all that follow; `u64::MAX` lets all through.
    pub(super) fn allow_reads(&self, reads: u64) {
        *self.reads.lock() = (reads < u64::MAX).then_some(reads);
    }

    fn check_reads(&self) -> io::Result<()> {
        let panics = self.panics_once.swap(false, Ordering::SeqCst);
        assert!(!panics, "a planted panic");
        match &mut *self.reads.lock() {
            Some(0) => Err(io::Error::other("a planted fault of a read")),
            Some(left) => {
                *left = left.saturating_sub(1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check(&self) -> io::Result<()> {
        assert!(!self.panics.load(Ordering::SeqCst), "a planted panic");
        if self.broken.load(Ordering::SeqCst) {
            Err(io::Error::other("a planted fault"))
        } else {
            Ok(())
        }
    }

    fn check_room(&self, offset: u64, bytes: usize) -> io::Result<()> {
        let there = self
            .ballast
            .lock()
            .as_ref()
            .is_none_or(|ballast| ballast.exists());
        let last = offset.saturating_add(bytes as u64).saturating_sub(1);
        let touched = (offset / 4096)..=(last / 4096);
        let mut blocks = self.blocks.lock();
        let grows = touched.clone().any(|block| !blocks.contains(&block));
        let grows = grows || self.copies_on_write.load(Ordering::SeqCst);
        if self.full.load(Ordering::SeqCst) && there && grows {
            let limit = self.file_limit.load(Ordering::SeqCst);
            let kind = if limit {
                io::ErrorKind::FileTooLarge
            } else {
                io::ErrorKind::StorageFull
            };
            return Err(kind.into());
        }
        blocks.extend(touched);
        Ok(())
    }
}

#[derive(Debug)]
struct Faulty {
    inner: FileBackend,
    faults: Arc<Faults>,
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.faults.check()?;
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.faults.check()?;
        self.faults.check_reads()?;
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.check()?;
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        drop(self.faults.gate.lock());
        self.faults.check()?;
        if self.faults.unsynced.load(Ordering::SeqCst) {
            return Err(io::Error::other("a planted fault of a sync"));
        }
        self.faults.syncs.fetch_add(1, Ordering::SeqCst);
        self.inner.sync_data()?;
        let left = self.faults.lying_sync.load(Ordering::SeqCst);
        self.faults
            .lying_sync
            .store(left.saturating_sub(1), Ordering::SeqCst);
        if left == 1 {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.faults.check()?;
        self.faults.check_room(offset, data.len())?;
        self.faults
            .writes
            .fetch_add(data.len() as u64, Ordering::SeqCst);
        self.inner.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.inner.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.inner.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.inner.query_lock_range(start, end)
    }
}

/// Notes what it is told.
#[derive(Default)]
pub(super) struct Listener {
    pub keys: Mutex<Vec<Key>>,
    pub resets: AtomicUsize,
}

impl Watcher for Listener {
    fn changed(&self, keys: &[Key]) {
        self.keys.lock().extend_from_slice(keys);
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}
