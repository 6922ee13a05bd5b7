//! Hazard: two nodes that make the tables at once, keys that are not those of the store, a schema
//! from another version.

use crate::support::{is_there, make, options, options_and_schema};
use countersign_core::{KeyMaterial, Keyring};
use countersign_postgres::PostgresError;
use countersign_store::Store as _;
use countersign_testkit::postgres::shared;
use countersign_testkit::samples;
use std::sync::{Arc, Barrier};
use std::thread;

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
    let options = countersign_postgres::PostgresOptions::new("host=127.0.0.1 port=1 user=nobody");
    let error = options.unwrap().open(samples::keyring()).map(drop);
    let error = error.unwrap_err();
    assert!(matches!(error, PostgresError::Unreachable(_)), "{error}");
}
