//! Hazard: a bad disk or somebody with an editor changes what lies in the files, and a verdict
//! comes out wrong: who was shut out comes in, or one comes in as another.
//!
//! The smoke size: a few hundred flips in the file, and each row of the store edited by itself.

use crate::support::{Dice, Home, is_in, issue, principal, revoke, verify};
use countersign::core::Table;
use countersign::store::{OpenError, StoreError};
use countersign::{Engine, Error, IssuedToken, TokenQuery};
use countersign_testkit::tamper;
use std::fs;

/// Files of a store, closed, with everything that a verdict depends on.
struct Scene {
    home: Home,
    file: Vec<u8>,
    live: Vec<IssuedToken>,
    dead: Vec<IssuedToken>,
}

fn scene() -> Scene {
    let home = Home::new();
    let engine = home.open();
    let live: Vec<_> = ["ann", "bob", "ann"]
        .map(|name| issue(&engine, name))
        .into();
    let dead: Vec<_> = ["ann", "cid", "dan"]
        .map(|name| issue(&engine, name))
        .into();
    assert!(live.iter().all(|token| is_in(&engine, token)));
    revoke(&engine, dead[0].selector);
    engine
        .access()
        .revoke_all_of(principal("cid"), None)
        .wait()
        .unwrap();
    engine
        .principals()
        .disable(principal("dan"), None)
        .wait()
        .unwrap();
    engine.close().wait().unwrap();
    let file = fs::read(home.path()).unwrap();
    Scene {
        home,
        file,
        live,
        dead,
    }
}

/// How many of the openings were refused, and how many tokens could not be judged.
#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    opened: usize,
    unjudged: usize,
}

impl Scene {
    /// Opens what lies there now and judges every token; then puts the whole file back.
    fn judge(&self, seen: &mut Seen, what: &str) {
        match self.home.builder().open(self.home.path()) {
            Err(Error::Open(error)) => {
                let names = error.to_string();
                let path = self.home.path();
                assert!(names.contains(path.to_str().unwrap()), "{what}: {names}");
                assert_ne!(error, OpenError::NotFound(path), "{what}");
                seen.refused += 1;
            }
            // The system record is the first that is read.
            Err(Error::Store(StoreError::Damaged { .. }) | Error::NoSystemRecord) => {
                seen.refused += 1;
            }
            Err(other) => panic!("{what}: {other:?}"),
            Ok(engine) => {
                seen.opened += 1;
                self.judge_all(&engine, seen, what);
            }
        }
        fs::write(self.home.path(), &self.file).unwrap();
    }

    fn judge_all(&self, engine: &Engine, seen: &mut Seen, what: &str) {
        for (number, token) in self.live.iter().chain(&self.dead).enumerate() {
            match engine.access().verify(token.token.expose()).wait() {
                Ok(verdict) => {
                    let alive = number < self.live.len();
                    if let Some(pass) = verdict.pass() {
                        assert!(alive, "{what}: token {number} came in");
                        assert_eq!(*pass.principal(), token.grant.principal, "{what}");
                    } else {
                        seen.unjudged += usize::from(alive);
                    }
                }
                Err(Error::Store(_) | Error::NoSystemRecord) => seen.unjudged += 1,
                Err(other) => panic!("{what}: {other:?}"),
            }
        }
        // Nothing else that reads records may panic on one either.
        let _ = engine.access().list(TokenQuery::default()).wait();
        let _ = engine
            .access()
            .list(TokenQuery::of(principal("ann")))
            .wait();
        let _ = engine.audit().list(Default::default()).wait();
        let _ = engine.maintain().wait();
        let _ = engine.close().wait();
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_changes_no_verdict() {
    let scene = scene();
    let (mut dice, mut seen) = (Dice(5), Seen::default());
    for _ in 0..250 {
        let mut bytes = scene.file.clone();
        let at = dice.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.below(8);
        fs::write(scene.home.path(), bytes).unwrap();
        scene.judge(&mut seen, &format!("bit in byte {at}"));
    }
    assert!(seen.refused > 0 && seen.opened > 0, "{seen:?}");
    assert_eq!(seen.unjudged, 0, "what opens is whole");
}

#[test]
fn a_row_that_was_edited_moved_or_taken_away_lets_nobody_in() {
    let scene = scene();
    let mut seen = Seen::default();
    let path = scene.home.path();
    let tables = Table::ALL
        .into_iter()
        .map(Table::name)
        .chain([tamper::META]);
    for table in tables {
        let rows = tamper::rows(&path, table).unwrap();
        for (number, (id, bytes)) in rows.iter().enumerate() {
            let what = |how: &str| format!("{table} {number} {how}");
            let put = |bytes: Option<&[u8]>| tamper::put(&path, table, *id, bytes).unwrap();
            // Whether somebody is shut out is a bit of their principal's row.
            let every = table == Table::Principals.name();
            let step = if every { 1 } else { bytes.len().div_ceil(9) };
            for at in (0..bytes.len()).step_by(step) {
                let mut edited = bytes.clone();
                edited[at] ^= 1;
                put(Some(&edited));
                scene.judge(&mut seen, &what(&format!("edited at {at}")));
            }
            put(None);
            scene.judge(&mut seen, &what("taken away"));
            put(Some(&bytes[..bytes.len() / 2]));
            scene.judge(&mut seen, &what("cut"));
            put(Some(&[]));
            scene.judge(&mut seen, &what("emptied"));
            for (other, (_, foreign)) in rows.iter().enumerate().filter(|(at, _)| *at != number) {
                put(Some(foreign));
                scene.judge(&mut seen, &what(&format!("replaced by {other}")));
            }
        }
    }
    assert!(seen.unjudged > 0 && seen.refused > 0, "{seen:?}");
}

#[test]
fn a_damaged_record_is_named_and_hides_no_other() {
    let scene = scene();
    let token = &scene.live[0];
    let key = countersign::core::Key::grant(token.selector);
    let flip = |bytes: &mut Vec<u8>| bytes[15] ^= 1;
    assert!(tamper::edit(&scene.home.path(), key, flip).unwrap());
    let engine = scene.home.open();
    let tokens = engine.access();
    let error = tokens.verify(token.token.expose()).wait().unwrap_err();
    assert!(
        matches!(error, Error::Store(StoreError::Damaged { key: named, .. }) if named == key),
        "{error:?}"
    );
    assert_eq!(error.code(), "damaged");
    for (query, whole) in [
        (TokenQuery::default(), 5),
        (TokenQuery::of(principal("ann")), 2),
    ] {
        let page = tokens.list(query).wait().unwrap();
        assert_eq!(page.damaged, [token.selector]);
        assert_eq!((page.tokens.len(), page.next), (whole, None));
    }
    // The others of the same principal are judged, and can be ended.
    assert!(is_in(&engine, &scene.live[2]));
    revoke(&engine, scene.live[2].selector);
    assert!(verify(&engine, scene.live[1].token.expose()).is_in());
    assert!(issue(&engine, "ann").grant.end.is_none());
}

#[test]
fn an_edited_key_file_opens_nothing() {
    let scene = scene();
    let key_path = scene.home.key_path();
    let whole = fs::read(&key_path).unwrap();
    for at in 0..whole.len() {
        let mut edited = whole.clone();
        edited[at] ^= 1;
        fs::write(&key_path, &edited).unwrap();
        let error = scene.home.builder().open(scene.home.path()).unwrap_err();
        assert!(matches!(error, Error::Keys(_)), "byte {at}: {error:?}");
        assert!(fs::read(&key_path).unwrap() == edited);
    }
    fs::write(&key_path, whole).unwrap();
    assert!(is_in(&scene.home.open(), &scene.live[0]));
}
