//! The files under test: stores of ours, and plain redb files beside them.

use countersign::core::{Keyring, Table};
use countersign::store::{RedbStore, Watcher};
use countersign::{Engine, RedbOptions};
use countersign_benches::{engine_on, keys, roomy_policy};
use countersign_core::Key;
use redb::{Builder, Database, Durability, TableDefinition};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What every table of ours is to redb.
pub(crate) type Rows = TableDefinition<'static, [u8; 16], &'static [u8]>;

/// A table of a plain file.
pub(crate) const PLAIN: Rows = TableDefinition::new("plain");

/// The bytes of pages that each side may keep.
pub(crate) const CACHE_BYTES: usize = 1 << 30;

/// The name that a table of ours has in redb.
pub(crate) const fn rows_of(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// How stores are opened here.
pub(crate) fn options() -> RedbOptions {
    RedbOptions::new().cache_bytes(CACHE_BYTES)
}

/// Opens a store that is there.
pub(crate) fn open(path: &Path) -> Arc<RedbStore> {
    let keyring = Arc::new(Keyring::new(&keys()));
    Arc::new(options().open(path, keyring).unwrap())
}

/// An engine that keeps no token in memory, on a store for so many.
pub(crate) fn engine(store: &Arc<RedbStore>, tokens: usize) -> Engine {
    let mut draft = roomy_policy(tokens).to_draft();
    draft.cache.max_tokens = 0;
    draft.access_tokens.max_live_per_principal = 100;
    engine_on(Arc::clone(store) as _, draft.build().unwrap())
}

/// A new plain file.
pub(crate) fn plain(path: &Path) -> Database {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).create(path).unwrap()
}

/// One commit of redb's own, as durable as ours, of these rows.
pub(crate) fn commit_plain(db: &Database, rows: &[([u8; 16], Vec<u8>)]) {
    let mut txn = db.begin_write().unwrap();
    txn.set_durability(Durability::Immediate).unwrap();
    txn.set_two_phase_commit(true);
    let mut table = txn.open_table(PLAIN).unwrap();
    for (key, value) in rows {
        table.insert(key, value.as_slice()).unwrap();
    }
    drop(table);
    txn.commit().unwrap();
}

/// A key for a plain row, in the order of time as ours are: later ones are higher.
pub(crate) fn plain_key(n: u64) -> [u8; 16] {
    (u128::from(n) << 64).to_be_bytes()
}

/// Counts a store's commits: it is told of each once.
#[derive(Default)]
pub(crate) struct Commits(AtomicU64);

impl Commits {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Watcher for Commits {
    fn changed(&self, _: &[Key]) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn reset(&self) {}
}
