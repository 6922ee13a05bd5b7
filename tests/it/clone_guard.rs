//! Hazard: a copy of a store is taken for the store, and revocations since the copy are undone.

use crate::support::{Home, contents, is_in, issue, refused, revoke};
use countersign::store::OpenError;
use countersign::{
    Adoption, Engine, Error, EventKind, EventQuery, IssuedToken, Mode, Rejection, keyfile,
};
use std::fs;

/// A store with two tokens of which the second is revoked after the first copy was made.
struct Copied {
    original: Home,
    copy: Home,
    kept: IssuedToken,
    revoked: IssuedToken,
}

fn copied() -> Copied {
    let (original, copy) = (Home::new(), Home::new());
    let engine = original.open();
    let (kept, revoked) = (issue(&engine, "ann"), issue(&engine, "bob"));
    engine.close().wait().unwrap();
    fs::copy(original.path(), copy.path()).unwrap();
    fs::copy(original.key_path(), copy.key_path()).unwrap();
    let engine = original.open();
    revoke(&engine, revoked.selector);
    engine.close().wait().unwrap();
    Copied {
        original,
        copy,
        kept,
        revoked,
    }
}

fn adoptions(engine: &Engine) -> usize {
    let mut query = EventQuery::default();
    query.kind = Some(EventKind::Adopted);
    engine.audit().list(query).wait().unwrap().events.len()
}

#[test]
fn a_copy_is_refused_and_left_as_it_is() {
    let it = copied();
    for mode in [Mode::Exclusive, Mode::SharedReaders, Mode::ReadOnly] {
        let before = contents(it.copy.dir.path());
        let refused = it.copy.builder().mode(mode).open(it.copy.path());
        let error = refused.unwrap_err();
        assert_eq!(error, Error::Open(OpenError::Cloned(it.copy.path())));
        let text = error.to_string();
        assert!(text.contains(it.copy.path().to_str().unwrap()), "{text}");
        assert_eq!(contents(it.copy.dir.path()), before);
    }
    assert!(is_in(&it.original.open(), &it.kept));
}

#[test]
fn a_copy_that_takes_the_original_s_place_keeps_what_it_has() {
    let it = copied();
    let engine = it.copy.builder().adopt(Adoption::Keep);
    let engine = engine.open(it.copy.path()).unwrap();
    assert!(is_in(&engine, &it.kept) && is_in(&engine, &it.revoked));
    assert_eq!(adoptions(&engine), 1);
    engine.close().wait().unwrap();
    // Adopted once, it is a store of its own: it opens without being asked again.
    let engine = it.copy.open();
    assert!(is_in(&engine, &it.kept));
    assert_eq!(adoptions(&engine), 1);
}

#[test]
fn a_copy_beside_a_living_original_ends_all_that_it_has() {
    let it = copied();
    let engine = it.copy.builder().adopt(Adoption::EndAll);
    let engine = engine.open(it.copy.path()).unwrap();
    for token in [&it.kept, &it.revoked] {
        assert_eq!(refused(&engine, token), Rejection::Revoked);
    }
    let fresh = issue(&engine, "ann");
    assert!(is_in(&engine, &fresh));
    engine.close().wait().unwrap();
    let engine = it.copy.open();
    assert_eq!(refused(&engine, &it.kept), Rejection::Revoked);
    assert!(is_in(&engine, &fresh));
    drop(engine);
    let original = it.original.open();
    assert!(is_in(&original, &it.kept));
    assert_eq!(refused(&original, &it.revoked), Rejection::Revoked);
    assert_eq!(refused(&original, &fresh), Rejection::Unknown);
}

#[test]
fn what_is_no_copy_is_not_adopted() {
    let it = copied();
    for adoption in [Adoption::Keep, Adoption::EndAll] {
        let engine = it.original.builder().adopt(adoption);
        let engine = engine.open(it.original.path()).unwrap();
        assert!(
            is_in(&engine, &it.kept),
            "{adoption:?} ended what it is not for"
        );
        assert_eq!(
            adoptions(&engine),
            0,
            "{adoption:?} was told and did not happen"
        );
        engine.close().wait().unwrap();
    }
    // Nor is a new store.
    let home = Home::new();
    let engine = home.builder().adopt(Adoption::Keep).open(home.path());
    assert_eq!(adoptions(&engine.unwrap()), 0);
}

#[test]
fn a_copy_may_be_looked_at_without_becoming_a_store() {
    let it = copied();
    let before = fs::read(it.copy.path()).unwrap();
    let engine = it
        .copy
        .builder()
        .mode(Mode::ReadOnly)
        .adopt(Adoption::Keep)
        .open(it.copy.path())
        .unwrap();
    assert_eq!(adoptions(&engine), 0);
    let shown = engine.access().show(it.revoked.selector).wait().unwrap();
    assert_eq!(shown.map(|token| token.end), Some(None));
    drop(engine);
    assert!(fs::read(it.copy.path()).unwrap() == before);
    let again = it.copy.builder().open(it.copy.path()).unwrap_err();
    assert_eq!(again, Error::Open(OpenError::Cloned(it.copy.path())));
}

#[test]
fn a_store_that_was_moved_is_still_the_store() {
    let it = copied();
    let moved = it.original.dir.path().join("elsewhere.redb");
    fs::rename(it.original.path(), &moved).unwrap();
    fs::rename(it.original.key_path(), keyfile::beside(&moved)).unwrap();
    let engine = it.original.builder().open(&moved).unwrap();
    assert!(is_in(&engine, &it.kept));
    assert_eq!(refused(&engine, &it.revoked), Rejection::Revoked);
}
