//! Hazard: two nodes that make the tables at once, keys that are not those of the store, a schema
//! from another version.

use crate::support::{is_there, make, options, options_and_schema};
use countersign_core::{KeyMaterial, Keyring};
use countersign_postgres::{PostgresError, PostgresOptions};
use countersign_store::{SnapshotPlace as _, Store as _};
use countersign_testkit::postgres::{Cluster, Options, shared};
use countersign_testkit::samples;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

#[test]
fn of_nodes_that_open_at_once_all_find_the_same_store() {
    let Some(options) = options() else { return };
    let begin = Barrier::new(8);
    let stores: Vec<_> = thread::scope(|scope| {
        let open = || {
            begin.wait();
            options.clone().open(samples::keyring()).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let mut nodes: Vec<i64> = stores.iter().map(|store| store.status().node).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, (1..=8).collect::<Vec<i64>>());
    make(&stores[0], 1).unwrap();
    for store in &stores {
        assert_eq!(store.store_id(), stores[0].store_id());
        assert!(is_there(store, 1));
    }
}

#[test]
fn other_keys_open_nothing() {
    let Some(options) = options() else { return };
    let store = options.clone().open(samples::keyring()).unwrap();
    store.close().wait().unwrap();
    let other = |root: u8, pepper: u8| {
        let keys = KeyMaterial::generate(samples::NOW, [root; 32], [pepper; 32]);
        let opened = options.clone().open(Arc::new(Keyring::new(&keys)));
        opened.map(drop).unwrap_err()
    };
    let wrong = |error| matches!(error, PostgresError::WrongKeys(_));
    assert!(wrong(other(0x77, 0x22)), "another root");
    assert!(wrong(other(0x11, 0x77)), "another pepper");
    assert!(options.open(samples::keyring()).is_ok());
}

#[test]
fn a_store_that_is_not_there_is_made_only_if_it_may_be() {
    let Some(options) = options() else { return };
    let refused = options.clone().create(false).open(samples::keyring());
    let error = refused.map(drop).unwrap_err();
    assert!(matches!(error, PostgresError::NotFound(_)), "{error}");
    drop(options.clone().open(samples::keyring()).unwrap());
    drop(options.create(false).open(samples::keyring()).unwrap());
}

#[test]
fn a_schema_of_a_newer_version_is_left_alone() {
    let Some((options, schema)) = options_and_schema() else {
        return;
    };
    drop(options.clone().open(samples::keyring()).unwrap());
    let shared = shared().unwrap();
    shared.sql(&format!("update {schema}.meta set schema_version = 99"));
    let error = options.open(samples::keyring()).map(drop).unwrap_err();
    assert!(
        matches!(error, PostgresError::NewerSchema { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn a_server_that_is_not_there_is_said_to_be_so() {
    let options = PostgresOptions::new("host=127.0.0.1 port=1 user=nobody");
    let error = options.unwrap().open(samples::keyring()).map(drop);
    let error = error.unwrap_err();
    assert!(matches!(error, PostgresError::Unreachable(_)), "{error}");
}

#[test]
fn an_ordinary_user_of_the_database_is_enough() {
    let options = Options::new().standbys(1).synchronous(1).fsync(false);
    let Some(cluster) = Cluster::start_or_skip(&options) else {
        return;
    };
    let primary = cluster.primary();
    primary.sql("create role app login; grant create on database postgres to app");
    let connection = primary
        .connection_string()
        .replace("user=countersign", "user=app");
    let options = PostgresOptions::new(&connection)
        .unwrap()
        .allow_lossy_crash();
    let stores = [(); 2].map(|()| options.clone().open(samples::keyring()).unwrap());
    make(&stores[0], 1).unwrap();
    assert!(is_there(&stores[1], 1));
    // A lost answer is asked for with what such a user may see and end.
    let writer = "from pg_stat_activity where usename = 'app' and query = 'COMMIT'";
    primary.sql(&format!("select pg_terminate_backend(pid) {writer}"));
    make(&stores[0], 2).unwrap();
    assert!(is_there(&stores[1], 2));
    let place = stores[0].session_place("web-1").unwrap();
    place.claim().unwrap();
    place.put(b"sessions").unwrap();
    assert!(stores[1].attest().wait().is_ok());
    let who = "select count(*) from pg_stat_activity
        where usename <> 'app' and application_name = 'countersign'";
    assert_eq!(primary.sql(who), "0");
    // The standby is seen, so that a quorum is asked for.
    primary.set("synchronous_standby_names", "");
    let refused = options.open(samples::keyring()).map(drop);
    assert!(
        matches!(refused, Err(PostgresError::NotDurable { .. })),
        "{refused:?}"
    );
}

/// A host on a runtime is told what is wrong, and not brought down by it.
#[test]
fn a_store_that_cannot_be_opened_says_so_in_async_code_as_well() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let nobody = PostgresOptions::new("host=127.0.0.1 port=1 user=nobody").unwrap();
    let nobody = nobody.commit_within(Duration::from_secs(5));
    let opened = runtime.block_on(async { nobody.open(samples::keyring()).map(drop) });
    assert!(
        matches!(opened, Err(PostgresError::Unreachable(_))),
        "{opened:?}"
    );
}
