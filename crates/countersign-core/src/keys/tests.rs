//! Hazard: a key that serves two purposes, an old pepper that stops checking, or a key in a log.

use super::*;
use std::collections::BTreeSet;

fn material() -> KeyMaterial {
    KeyMaterial::generate(Timestamp::from_millis(5), [1; 32], [2; 32])
}

/// The keys of a deployment with this root key.
fn rooted(root: u8) -> Keyring {
    Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [root; 32], [2; 32]))
}

fn digest(keyring: &Keyring, id: Option<KeyId>) -> Digest {
    let selector = Selector::mint(Timestamp::ZERO, ShardTag::NONE, [3; 8]);
    keyring.digest(
        id,
        CredentialKind::Access,
        selector,
        &Verifier::from_bytes([4; 28]),
    )
}

#[test]
fn rotation_makes_a_new_pepper_current_and_keeps_the_old_one_checking() {
    let before = Keyring::new(&material());
    let after = Keyring::new(
        &material()
            .rotated(Timestamp::from_millis(9), [5; 32])
            .unwrap(),
    );
    assert_eq!(after.current().number(), 2);
    assert_eq!(
        digest(&before, Some(KeyId::FIRST)),
        digest(&after, Some(KeyId::FIRST))
    );
    assert_ne!(
        digest(&after, Some(KeyId::FIRST)),
        digest(&after, KeyId::new(2))
    );
    let dropped = material()
        .rotated(Timestamp::ZERO, [5; 32])
        .unwrap()
        .without(|_| true);
    assert_eq!(
        dropped
            .peppers()
            .map(|(id, _)| id.number())
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn an_unknown_pepper_does_the_work_of_the_current_one() {
    let keyring = Keyring::new(&material());
    assert_eq!(digest(&keyring, None), digest(&keyring, Some(KeyId::FIRST)));
    assert_eq!(digest(&keyring, KeyId::new(77)), digest(&keyring, None));
    assert!(!keyring.holds(KeyId::new(77).unwrap()));
}

#[test]
fn everything_that_goes_into_a_successor_counts() {
    let selector = |n| Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8]);
    let derive = |root: u8, series, generation, salt: u8, secret: u8| {
        let material = KeyMaterial::generate(Timestamp::ZERO, [root; 32], [2; 32]);
        let secret = Verifier::from_bytes([secret; VERIFIER_BYTES]);
        let keyring = Keyring::new(&material);
        *keyring
            .successor(selector(series), generation, &[salt; 16], &secret)
            .expose()
    };
    let base = derive(1, 3, 5, 7, 9);
    assert_eq!(base, derive(1, 3, 5, 7, 9));
    for other in [
        derive(2, 3, 5, 7, 9),
        derive(1, 4, 5, 7, 9),
        derive(1, 3, 6, 7, 9),
        derive(1, 3, 5, 8, 9),
        derive(1, 3, 5, 7, 10),
    ] {
        assert_ne!(base, other);
    }
    // A new pepper does not change what a lost answer held.
    let secret = Verifier::from_bytes([9; VERIFIER_BYTES]);
    let rotated = KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32])
        .rotated(Timestamp::ZERO, [5; 32])
        .unwrap();
    let later = Keyring::new(&rotated).successor(selector(3), 5, &[7; 16], &secret);
    assert_eq!(base, *later.expose());
}

#[test]
fn bad_material_is_refused() {
    let pepper = |n| PepperMaterial {
        id: KeyId::new(n).unwrap(),
        key: SecretKey::from_bytes([0; 32]),
        created_at: Timestamp::ZERO,
    };
    let make = |ids: &[u16]| {
        KeyMaterial::new(
            SecretKey::from_bytes([0; 32]),
            ids.iter().map(|&n| pepper(n)).collect(),
        )
    };
    assert_eq!(make(&[]).unwrap_err(), KeyMaterialError::NoPepper);
    assert_eq!(make(&[2, 1]).unwrap_err(), KeyMaterialError::Unordered);
    assert_eq!(make(&[1, 1]).unwrap_err(), KeyMaterialError::Unordered);
    let many: Vec<u16> = (1..=33).collect();
    assert_eq!(make(&many).unwrap_err(), KeyMaterialError::TooManyPeppers);
    let last = make(&[u16::MAX]).unwrap().rotated(Timestamp::ZERO, [0; 32]);
    assert!(matches!(
        last.unwrap_err(),
        KeyMaterialError::IdsExhausted(_)
    ));
}

#[test]
fn the_parts_of_a_tag_cannot_slide_into_each_other() {
    let keyring = Keyring::new(&material());
    assert_ne!(
        keyring.record_tag(&[b"ab", b"c"]),
        keyring.record_tag(&[b"a", b"bc"])
    );
    assert_ne!(keyring.record_tag(&[b"x"]), keyring.export_tag(&[b"x"]));
}

#[test]
fn each_session_and_each_change_of_privilege_has_a_csrf_secret_of_its_own() {
    let keyring = Keyring::new(&material());
    let session = |n: u8| Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8]);
    let secret = |n: u8, generation| *keyring.csrf_secret(session(n), generation).expose();
    assert_eq!(secret(1, 0), secret(1, 0));
    assert_ne!(secret(1, 0), secret(1, 1));
    assert_ne!(secret(1, 0), secret(2, 0));
    assert_ne!(keyring.snapshot_tag(&[b"x"]), keyring.export_tag(&[b"x"]));
}

#[test]
fn debug_prints_no_key() {
    let keyring = Keyring::new(&material());
    assert_eq!(format!("{keyring:?}"), "Keyring { current: KeyId(1), .. }");
    assert!(!format!("{:?}", material()).contains("1, 1"));
}

#[test]
fn every_tag_has_a_key_of_its_own_and_covers_what_it_is_made_over() {
    let tags = |root: u8, text: &[u8]| {
        let (keyring, parts) = (rooted(root), [text]);
        [
            keyring.record_tag(&parts),
            keyring.export_tag(&parts),
            keyring.snapshot_tag(&parts),
        ]
    };
    assert_eq!(tags(1, b"x"), tags(1, b"x"));
    let all = [tags(1, b"x"), tags(1, b"y"), tags(2, b"x")].concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn an_import_is_marked_by_its_subsystem_its_instant_and_the_root_key() {
    let mark = |root, subsystem, ms| {
        let since = Timestamp::from_millis(ms);
        rooted(root).import_mark(subsystem, since)
    };
    let all = [
        mark(1, Subsystem::AccessTokens, 5),
        mark(1, Subsystem::Sessions, 5),
        mark(1, Subsystem::AccessTokens, 6),
        mark(2, Subsystem::AccessTokens, 5),
    ];
    assert_eq!(all[0], mark(1, Subsystem::AccessTokens, 5));
    assert_eq!(BTreeSet::from(all).len(), all.len());
}

#[test]
fn a_check_value_tells_each_key_from_every_other() {
    assert_eq!(
        rooted(1).root_check(),
        Keyring::new(&material()).root_check()
    );
    assert_ne!(rooted(1).root_check(), rooted(3).root_check());
    let rotated = material().rotated(Timestamp::ZERO, [5; 32]).unwrap();
    let keyring = Keyring::new(&rotated);
    let mut checks: Vec<KeyCheck> = keyring.pepper_checks().map(|(_, check)| check).collect();
    let first: Vec<_> = rooted(3).pepper_checks().collect();
    assert_eq!(
        first,
        [(KeyId::FIRST, checks[0])],
        "whatever the root key is"
    );
    checks.push(keyring.root_check());
    assert_eq!(BTreeSet::from_iter(checks).len(), 3);
}
