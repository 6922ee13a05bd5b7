//! A store goes with its keys, and with no others.

use super::support::{Place, grant, keyring, material, options, put};
use crate::error::{OpenError, StoreError};
use crate::store::Store;
use countersign_core::{Expect, KeyId, KeyMaterial, Keyring, Timestamp};
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
    let place = Place::new();
    drop(place.create(&options()));
    drop(options().open(place.path(), ring(&rotated())).unwrap());
    let error = options().open(place.path(), keyring()).unwrap_err();
    let id = KeyId::new(2).unwrap();
    assert_eq!(
        error,
        OpenError::MissingPepper {
            path: place.path(),
            id
        }
    );
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
    store
        .commit(super::support::deny(grant("ada", 1).0, 9))
        .wait()
        .unwrap();
    assert!(
        invalid(store.retire_pepper(KeyId::new(2).unwrap()).wait()),
        "it is current now"
    );
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
