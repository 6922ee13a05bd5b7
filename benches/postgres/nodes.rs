//! The servers under test, and what is opened on them.

use countersign::core::{Keyring, Table};
use countersign::store::{KeyRange, Store};
use countersign_benches::keys;
use countersign_core::{Batch, Expect};
use countersign_postgres::{PostgresOptions, PostgresStore};
use countersign_testkit::postgres::{Cluster, Options};
use std::sync::Arc;

/// Records that are filed in one commit.
const TOGETHER: usize = 2000;

/// A server alone that syncs what it acknowledges, with room in memory for all that is asked of it.
pub(crate) fn server() -> Option<Cluster> {
    let options = Options::new()
        .setting("shared_buffers", "1GB")
        .setting("max_wal_size", "4GB")
        .setting("max_connections", "200");
    Cluster::start_or_skip(&options)
}

/// A primary and two standbys, one of which has every commit before it is acknowledged.
pub(crate) fn quorum() -> Option<Cluster> {
    Cluster::start_or_skip(&Options::new().standbys(2).synchronous(1))
}

/// A store in a schema of its own, with all defaults.
pub(crate) fn store(connection: &str, schema: &str) -> Arc<PostgresStore> {
    let options = PostgresOptions::new(connection).unwrap();
    let keyring = Arc::new(Keyring::new(&keys()));
    Arc::new(options.schema(schema).unwrap().open(keyring).unwrap())
}

/// Files everything that a token is judged by in another store as well.
pub(crate) fn copy(from: &dyn Store, to: &dyn Store) {
    for table in [Table::System, Table::Principals, Table::Grants] {
        let mut left = Some(KeyRange::all(table));
        while let Some(range) = left {
            let page = from.scan(range, TOGETHER).wait().unwrap();
            let mut batch = Batch::grow();
            for (key, found) in page.records {
                batch.put(key, Expect::Any, found.record);
            }
            to.commit(batch).wait().unwrap();
            left = page.rest;
        }
    }
}
