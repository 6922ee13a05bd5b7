//! A store goes with its keys, and with no others.

use super::support::{Place, deny, grant, keyring, material, options, put, series};
use crate::error::{OpenError, StoreError};
use crate::store::Store;
use countersign_core::{Expect, KeyId, KeyMaterial, Keyring, Record, Timestamp};
use std::path::PathBuf;
use std::sync::Arc;

fn rotated() -> KeyMaterial {
    material().rotated(Timestamp::ZERO, [5; 32]).unwrap()
}

fn ring(material: &KeyMaterial) -> Arc<Keyring> {
    Arc::new(Keyring::new(material))
}

#[test]
fn another_root_key_or_another_pepper_of_the_same_name_is_refused() {
    let place = Place::new();
    drop(place.create(&options()));
    for (root, pepper) in [([8; 32], [2; 32]), ([1; 32], [8; 32])] {
        let wrong = ring(&KeyMaterial::generate(Timestamp::ZERO, root, pepper));
        let error = options().open(place.path(), wrong).unwrap_err();
        assert_eq!(error, OpenError::WrongKey(place.path()));
    }
}

#[test]
fn a_new_pepper_is_noted_and_missed_from_then_on() {
    let missing = |path: PathBuf, opened: Result<_, OpenError>| {
        let id = KeyId::new(2).unwrap();
        assert_eq!(opened.map(drop), Err(OpenError::MissingPepper { path, id }));
    };
    for while_it_is_open in [false, true] {
        let place = Place::new();
        let store = place.create(&options());
        if while_it_is_open {
            store.renew_keyring(ring(&rotated())).wait().unwrap();
            let copy = place.dir.path().join("copy.redb");
            store.backup(&copy).unwrap();
            missing(copy.clone(), options().open(copy, keyring()));
            drop(store);
        } else {
            drop(store);
            drop(options().open(place.path(), ring(&rotated())).unwrap());
        }
        missing(place.path(), options().open(place.path(), keyring()));
    }
}

#[test]
fn a_pepper_is_retired_only_when_no_grant_names_it() {
    let place = Place::new();
    let store = place.create(&options());
    let invalid = |result| matches!(result, Err(StoreError::Invalid(_)));
    assert!(
        invalid(store.retire_pepper(KeyId::FIRST).wait()),
        "it is the current one"
    );
    store.renew_keyring(ring(&rotated())).wait().unwrap();
    assert!(
        invalid(store.retire_pepper(KeyId::FIRST).wait()),
        "a grant names it"
    );
    store.commit(deny(grant("ada", 1).0, 9)).wait().unwrap();
    let second = KeyId::new(2).unwrap();
    assert!(
        invalid(store.retire_pepper(second).wait()),
        "it is current now"
    );
    // What names another one is not in its way.
    let (issued, remembered) = (grant("ada", 2), series("ada", 3));
    let (Record::Grant(mut token), Record::Series(mut device)) = (issued.1, remembered.1) else {
        panic!("a grant and a series");
    };
    (token.key_id, device.current.key_id) = (second, second);
    for (key, record) in [
        (issued.0, Record::Grant(token)),
        (remembered.0, Record::Series(device)),
    ] {
        let filed = put((key, record), Expect::Absent);
        store.commit(filed).wait().unwrap();
    }
    store.retire_pepper(KeyId::FIRST).wait().unwrap();
    // The store goes on, and opens without the retired one.
    store
        .commit(put(super::support::usage(3, 3), Expect::Absent))
        .wait()
        .unwrap();
    drop(store);
    let without = rotated().without(|id| id == KeyId::FIRST);
    drop(options().open(place.path(), ring(&without)).unwrap());
}

#[test]
fn a_pepper_that_a_remembered_device_names_is_not_retired() {
    let place = Place::new();
    let store = place.create(&options());
    let first = deny(grant("ada", 1).0, 9);
    store.commit(first).wait().unwrap();
    store.renew_keyring(ring(&rotated())).wait().unwrap();
    let (key, record) = series("ada", 5);
    let Record::Series(mut device) = record else {
        panic!("a series");
    };
    // Once as the current secret's, and once as that of one before it.
    let old = device.current;
    device.current.key_id = KeyId::new(2).unwrap();
    for (current, older) in [(old, vec![]), (device.current, vec![old])] {
        (device.current, device.older) = (current, older);
        device.generation = u32::try_from(device.older.len()).unwrap();
        let filed = put((key, Record::Series(device.clone())), Expect::Any);
        store.commit(filed).wait().unwrap();
        let refused = store.retire_pepper(KeyId::FIRST).wait();
        assert!(
            matches!(refused, Err(StoreError::Invalid(_))),
            "{refused:?}"
        );
    }
    store.commit(deny(key, 10)).wait().unwrap();
    store.retire_pepper(KeyId::FIRST).wait().unwrap();
}

#[test]
fn a_keyring_of_another_store_or_with_less_is_not_renewed_to() {
    let place = Place::new();
    let store = place.create(&options());
    let other = ring(&KeyMaterial::generate(Timestamp::ZERO, [8; 32], [2; 32]));
    assert!(matches!(
        store.renew_keyring(other).wait(),
        Err(StoreError::Invalid(_))
    ));
    store.renew_keyring(ring(&rotated())).wait().unwrap();
    assert!(matches!(
        store.renew_keyring(keyring()).wait(),
        Err(StoreError::Invalid(_))
    ));
}
