//! Hazard: a new pepper logs everybody out, or the old one has to be kept for ever.

use crate::support::{Home, is_in, issue, options, refused};
use countersign::core::{Key, Keyring, Record};
use countersign::store::{OpenError, RedbStore, Store, StoreError};
use countersign::{Engine, Error, KeyId, Rejection, SystemClock, SystemEntropy, keyfile};
use std::sync::Arc;

const FIRST: KeyId = KeyId::FIRST;

fn second() -> KeyId {
    KeyId::new(2).unwrap()
}

/// Opens the store itself, as the operator's tool does.
fn store(home: &Home) -> RedbStore {
    let material = keyfile::read(&home.key_path()).unwrap();
    let keyring = Arc::new(Keyring::new(&material));
    options().open(home.path(), keyring).unwrap()
}

fn key_id(store: &RedbStore, key: Key) -> Option<KeyId> {
    match store.load_one(key).unwrap().map(|found| found.record) {
        Some(Record::Grant(grant)) => Some(grant.key_id),
        _ => None,
    }
}

fn rotate(home: &Home) {
    keyfile::rotate(&home.key_path(), &SystemClock, &SystemEntropy).unwrap();
}

#[test]
fn what_is_used_moves_to_the_new_pepper_and_what_is_not_still_works() {
    let home = Home::new();
    let engine = home.open();
    let (used, unused) = (issue(&engine, "ann"), issue(&engine, "bob"));
    engine.close().wait().unwrap();
    rotate(&home);

    let engine = home.open();
    assert_eq!(engine.current_key(), second());
    for _ in 0..3 {
        assert!(is_in(&engine, &used));
    }
    let fresh = issue(&engine, "cid");
    assert_eq!(fresh.grant.key_id, second());
    assert_eq!(engine.flush().wait(), Ok(2), "one digest and one use");
    assert!(is_in(&engine, &used), "under its new digest");
    engine.close().wait().unwrap();

    let store = store(&home);
    let of = |selector| key_id(&store, Key::grant(selector));
    assert_eq!(of(used.selector), Some(second()));
    assert_eq!(of(unused.selector), Some(FIRST));
    drop(store);
    let engine = home.open();
    for token in [&used, &unused, &fresh] {
        assert!(is_in(&engine, token));
    }
}

#[test]
fn a_wrong_secret_under_the_old_pepper_moves_nothing() {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    rotate(&home);
    let engine = home.open();
    let text = crate::support::with_wrong_secret(&engine, token.selector, 1);
    let verdict = engine.access().verify(&text).wait().unwrap();
    assert_eq!(verdict.rejection(), Some(Rejection::Mismatch));
    engine.close().wait().unwrap();
    assert_eq!(
        key_id(&store(&home), Key::grant(token.selector)),
        Some(FIRST)
    );
}

#[test]
fn a_token_that_was_revoked_meanwhile_is_not_brought_back_by_its_new_digest() {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    rotate(&home);
    let engine = home.open();
    assert!(is_in(&engine, &token), "a new digest waits");
    crate::support::revoke(&engine, token.selector);
    engine.flush().wait().unwrap();
    assert_eq!(refused(&engine, &token), Rejection::Revoked);
    engine.close().wait().unwrap();
    assert_eq!(refused(&home.open(), &token), Rejection::Revoked);
}

#[test]
fn an_old_pepper_is_let_go_only_once_no_grant_needs_it() {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    engine.close().wait().unwrap();
    rotate(&home);

    let needed = store(&home).retire_pepper(FIRST).wait();
    assert!(matches!(needed, Err(StoreError::Invalid(_))), "{needed:?}");
    let current = store(&home).retire_pepper(second()).wait();
    assert!(matches!(current, Err(StoreError::Invalid(_))));
    let complete = std::fs::read(home.key_path()).unwrap();
    let shorter = || {
        let material = keyfile::read(&home.key_path()).unwrap();
        let material = material.without(|id| id == FIRST);
        keyfile::replace(&home.key_path(), &material).unwrap();
    };
    shorter();
    let missing = OpenError::MissingPepper {
        path: home.path(),
        id: FIRST,
    };
    let refused = home.builder().open(home.path()).unwrap_err();
    assert_eq!(refused, Error::Open(missing));
    std::fs::write(home.key_path(), complete).unwrap();

    // One use moves the token, and then the pepper may go.
    let engine = home.open();
    assert!(is_in(&engine, &token));
    engine.close().wait().unwrap();
    let retiring = store(&home);
    assert_eq!(retiring.retire_pepper(FIRST).wait(), Ok(()));
    retiring.close().wait().unwrap();
    drop(retiring);
    shorter();
    let engine: Engine = home.open();
    assert!(is_in(&engine, &token));
    assert_eq!(engine.current_key(), second());
}
