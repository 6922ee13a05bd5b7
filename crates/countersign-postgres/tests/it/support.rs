//! Stores for tests.

use countersign_core::{Batch, Expect, Key};
use countersign_postgres::{PostgresOptions, PostgresStore};
use countersign_store::{CommitError, Revision, Store, Watcher};
use countersign_testkit::postgres::{Cluster, Options, Server, shared};
use countersign_testkit::samples;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// As long as anything is waited for that has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How late these stores may hear of a change.
pub(crate) const BOUND: Duration = Duration::from_millis(1000);

/// A store in a schema of its own, on the server that the tests of a process share; `None`, with a
/// loud line, without PostgreSQL.
pub(crate) fn store() -> Option<PostgresStore> {
    Some(options()?.open(samples::keyring()).unwrap())
}

/// The options of one.
pub(crate) fn options() -> Option<PostgresOptions> {
    Some(options_and_schema()?.0)
}

/// The same, with the name of the schema.
pub(crate) fn options_and_schema() -> Option<(PostgresOptions, String)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("t{}_{number}", std::process::id());
    let options = PostgresOptions::new(shared()?.connection_string()).unwrap();
    // The server of the tests syncs nothing.
    let options = options.schema(&schema).unwrap().allow_lossy_crash();
    Some((options, schema))
}

/// A primary with two standbys, of which one has every commit.
pub(crate) fn quorum() -> Option<Cluster> {
    Cluster::start_or_skip(&Options::new().standbys(2).synchronous(1).fsync(false))
}

/// A store on all servers of a cluster.
pub(crate) fn on(cluster: &Cluster) -> PostgresStore {
    open(&cluster.connection_string())
}

/// A store that knows of one server alone.
pub(crate) fn on_server(server: &Server) -> PostgresStore {
    open(&server.connection_string())
}

fn open(connection: &str) -> PostgresStore {
    PostgresOptions::new(connection)
        .unwrap()
        .staleness(BOUND)
        .allow_lossy_crash()
        .open(samples::keyring())
        .unwrap()
}

/// A key by its number.
pub(crate) fn key(number: u64) -> Key {
    Key::usage(samples::selector(number))
}

/// Files a record in a place where none must be.
pub(crate) fn make(store: &PostgresStore, number: u64) -> Result<Revision, CommitError> {
    let mut batch = Batch::grow();
    batch.put(key(number), Expect::Absent, samples::usage(number));
    store.commit(batch).wait()
}

/// Whether a record is there.
pub(crate) fn is_there(store: &PostgresStore, number: u64) -> bool {
    let loaded = store.load(&[key(number)]).wait().unwrap();
    loaded.into_iter().next().flatten().is_some()
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(5);
    let mut left = PATIENCE.as_millis() / pause.as_millis();
    while !holds() {
        assert!(left > 0, "{what} did not come about");
        left -= 1;
        std::thread::sleep(pause);
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Listener {
    pub(crate) heard: Mutex<Vec<Key>>,
    pub(crate) resets: AtomicU64,
}

impl Watcher for Listener {
    fn changed(&self, keys: &[Key]) {
        self.heard.lock().unwrap().extend_from_slice(keys);
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}

impl Listener {
    pub(crate) fn has_heard(&self, number: u64) -> bool {
        self.heard.lock().unwrap().contains(&key(number))
    }

    pub(crate) fn resets(&self) -> u64 {
        self.resets.load(Ordering::SeqCst)
    }
}
