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
        &["remember", "list"],
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

#[test]
fn what_is_whole_in_a_damaged_store_is_exported() {
    let place = Place::new();
    for principal in ["ann", "somebody-to-lose", "zoe"] {
        place.issue(principal, &[]);
    }
    let path = place.path("countersign.redb");
    let mut bytes = fs::read(&path).unwrap();
    let (word, mut hits) = (b"somebody-to-lose", 0);
    for at in 0..bytes.len() - word.len() {
        if bytes[at..].starts_with(word) {
            bytes[at] ^= 1;
            hits += 1;
        }
    }
    assert!(hits > 1, "its records are in the file as they are");
    fs::write(&path, &bytes).unwrap();
    let refused = place.run(&["--json", "token", "list"]).failed(3, "damaged");
    let advice = refused["error"]["message"].as_str().unwrap();
    assert!(advice.contains("`countersign export`"), "{advice}");

    let told = place.run(&["export", "lines.jsonl"]);
    assert_eq!(told.code, Some(3), "{told:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
    for part in ["is damaged", "left out: grants ", "left out: principals "] {
        assert!(told.err.contains(part), "{part}: {told:?}");
    }
    let to_pipe = place.run(&["--json", "export", "-"]);
    assert_eq!(to_pipe.code, Some(3), "{to_pipe:?}");
    assert_eq!(
        to_pipe.out,
        fs::read_to_string(place.path("lines.jsonl")).unwrap()
    );
    for line in to_pipe.err.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }

    let new = ["--store", "new.redb", "--key", "countersign.key"];
    place
        .run(&[&new[..], &["import", "lines.jsonl"]].concat())
        .done();
    let listed = place
        .run(&[&new[..], &["--json", "token", "list"]].concat())
        .done();
    let principals: Vec<_> = listed
        .objects()
        .iter()
        .map(|token| token["principal"].clone())
        .collect();
    assert_eq!(principals, ["ann", "zoe"]);
    place.run(&[&new[..], &["check", "--deep"]].concat()).done();
}

#[test]
fn an_export_that_cannot_find_its_way_through_the_damage_leaves_no_file() {
    let place = Place::new();
    place.issue("somebody-to-lose", &[]);
    let path = place.path("countersign.redb");
    let mut bytes = fs::read(&path).unwrap();
    let word = b"somebody-to-lose";
    let holds = |page: &[u8]| page.windows(word.len()).any(|found| found == word);
    let pages = bytes.chunks_mut(4096).filter(|page| holds(page));
    // What kind of page it is stands at its beginning.
    pages.for_each(|page| page[0] ^= 0x55);
    fs::write(&path, &bytes).unwrap();
    let told = place.run(&["--json", "export", "lines.jsonl"]);
    assert_eq!(told.code, Some(3), "{told:?}");
    let last = told.err.lines().last().unwrap();
    assert!(last.contains("\"code\":\"damaged\""), "{last}");
    assert!(last.contains("restore a backup"), "{last}");
    assert!(!place.path("lines.jsonl").exists());
    assert_eq!(fs::read(&path).unwrap(), bytes);
}
