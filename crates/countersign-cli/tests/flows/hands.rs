//! Hazard: a store that another process has, or that is damaged, is touched all the same.

use crate::place::Place;
use countersign::{Create, Engine, Mode};
use std::fs;
use std::path::Path;

fn held(path: &Path, mode: Mode) -> Engine {
    Engine::builder()
        .create(Create::Never)
        .mode(mode)
        .open(path)
        .unwrap()
}

#[test]
fn a_store_that_another_process_has_is_left_alone() {
    let place = Place::new();
    let path = place.path("countersign.redb");
    let engine = held(&path, Mode::Exclusive);
    for arguments in [
        &["token", "list"][..],
        &["audit"],
        &["audit", "--follow"],
        &["stats"],
        &["verify"],
        &["switch", "sessions", "off"],
        &["keys", "rotate"],
        &["sweep"],
        &["compact"],
        &["export", "e"],
    ] {
        let told = place.run(&[&["--json"], arguments].concat());
        let error = told.failed(3, "already_open");
        assert_eq!(
            error["error"]["file"], "./countersign.redb",
            "{arguments:?}"
        );
    }
    assert!(!place.path("e").exists());
    engine.close().wait().unwrap();
    place.run(&["token", "list"]).done();
}

#[test]
fn a_store_that_is_shared_with_readers_is_read_and_not_written() {
    let place = Place::new();
    let issued = place.issue("ann", &[]);
    let engine = held(&place.path("countersign.redb"), Mode::SharedReaders);
    for arguments in [
        &["token", "list"][..],
        &["token", "show", &issued.selector],
        &["principal", "list"],
        &["switch", "list"],
        &["audit"],
        &["policy", "show"],
        &["stats"],
        &["check"],
        &["backup", "copy.redb"],
        &["export", "lines.jsonl"],
        &["keys", "check"],
    ] {
        place.run(arguments).done();
    }
    let told = place
        .feed(&["verify"], format!("{}\n", issued.token).into_bytes())
        .done();
    assert!(told.out.contains(" in access "), "{told:?}");
    for arguments in [
        &["token", "revoke", "--all"][..],
        &["principal", "disable", "ann"],
        &["keys", "rotate"],
        &["sweep"],
        &["compact"],
    ] {
        place
            .run(&[&["--json"], arguments].concat())
            .failed(3, "already_open");
    }
    assert!(
        engine
            .access()
            .verify(&issued.token)
            .wait()
            .unwrap()
            .is_in()
    );
    engine.close().wait().unwrap();
}

#[test]
fn a_damaged_store_is_told_and_left_as_it_is() {
    let place = Place::new();
    place.issue("ann", &[]);
    let path = place.path("countersign.redb");
    let whole = fs::read(&path).unwrap();
    for (what, bytes) in [
        ("a byte wrong in each page", {
            let mut bytes = whole.clone();
            bytes
                .chunks_mut(4096)
                .skip(1)
                .for_each(|page| page[2048] ^= 1);
            bytes
        }),
        ("cut short", whole[..whole.len() / 2].to_vec()),
    ] {
        fs::write(&path, &bytes).unwrap();
        let error = place.run(&["--json", "token", "list"]).failed(3, "damaged");
        assert_eq!(error["error"]["file"], "./countersign.redb", "{what}");
        let checked = place.run(&["--json", "check", "--deep"]);
        assert_eq!(checked.code, Some(3), "{what}: {checked:?}");
        place.run(&["--json", "init"]).failed(1, "exists");
        place.run(&[
            "token",
            "issue",
            "--principal",
            "x",
            "--name",
            "x",
            "--never",
        ]);
        assert_eq!(fs::read(&path).unwrap(), bytes, "{what}: it was changed");
    }
}
