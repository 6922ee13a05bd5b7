//! Hazard: a command acts on another token than the one that was named, or tells a secret that is
//! not its to tell.

use crate::place::{Place, fields};
use countersign_testkit::tamper;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_token_is_shown_rotated_and_revoked_by_its_selector() {
    let place = Place::new();
    let other = place.issue("ann", &[]);
    let old = place.issue("ann", &["--scope", "repo:read"]);

    let shown = place.json(&["token", "show", &old.selector]);
    assert_eq!(
        (&shown["state"], &shown["scopes"][0]),
        (&"live".into(), &"repo:read".into())
    );

    let new = place.json(&["token", "rotate", &old.selector, "--overlap", "1h"]);
    assert_ne!(new["selector"], old.selector.as_str());
    assert_eq!(
        (&new["name"], &new["scopes"][0]),
        (&"x".into(), &"repo:read".into())
    );
    let all = [
        "created_at",
        "expires_at",
        "name",
        "principal",
        "scopes",
        "selector",
        "token",
    ];
    assert_eq!(fields(&new), all);

    let rotated = place.json(&["token", "show", &old.selector]);
    assert_eq!(
        (&rotated["state"], &rotated["usable"]),
        (&"rotated".into(), &true.into())
    );
    assert_eq!(rotated["end"]["successor"], new["selector"]);
    let again = place.run(&["--json", "token", "rotate", &old.selector]);
    again.failed(1, "refused");

    let selector = new["selector"].as_str().unwrap();
    let revoked = place.json(&["token", "revoke", selector, "--reason", "lost"]);
    assert_eq!(
        (&revoked["done"], &revoked["already"]),
        (&"revoked".into(), &false.into())
    );
    assert_eq!(place.json(&["token", "revoke", selector])["already"], true);
    let shown = place.json(&["token", "show", selector]);
    assert_eq!(
        (&shown["state"], &shown["end"]["reason"]),
        (&"revoked".into(), &"lost".into())
    );
    assert_eq!(shown["predecessor"], old.selector.as_str());

    let events = place
        .run(&["--json", "audit", "--selector", selector])
        .done()
        .objects();
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["rotated", "revoked"]);
    let untouched = place.json(&["token", "show", &other.selector]);
    assert_eq!(
        (&untouched["state"], &untouched["usable"]),
        (&"live".into(), &true.into())
    );
}

#[test]
fn no_command_but_the_one_that_makes_it_tells_a_secret() {
    let place = Place::new();
    let issued = place.issue("ann", &[]);
    std::fs::write(place.path("presented"), &issued.token).unwrap();
    let secret = issued.token.get(30..).unwrap();
    for arguments in [
        &["token", "list"][..],
        &["token", "show", &issued.selector],
        &["verify", "presented"],
        &["audit"],
        &["principal", "show", "ann"],
        &["stats"],
        &["check", "--deep"],
        &["export", "-"],
        &["keys", "list"],
    ] {
        for json in [&["--json"][..], &[]] {
            let told = place.run(&[json, arguments].concat());
            for text in [&told.out, &told.err] {
                assert!(!text.contains(secret), "{arguments:?} tells the secret");
            }
        }
    }
}

#[test]
fn everything_that_is_made_is_for_its_owner_alone() {
    let place = Place::new();
    place.issue("ann", &[]);
    place.run(&["backup", "copy.redb"]).done();
    place.run(&["export", "lines.jsonl"]).done();
    place.run(&[
        "--store",
        "new.redb",
        "--key",
        "countersign.key",
        "restore",
        "copy.redb",
    ]);
    let adopt = ["restore", "copy.redb", "--adopt", "keep"];
    place
        .run(
            &[
                &["--store", "new.redb", "--key", "countersign.key"],
                &adopt[..],
            ]
            .concat(),
        )
        .done();
    place.run(&["keys", "rotate"]).done();
    for entry in std::fs::read_dir(place.path("")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn a_new_pepper_leaves_every_token_as_it_was() {
    let place = Place::new();
    let before = place.issue("ann", &[]);
    place.run(&["keys", "rotate"]).done();
    let after = place.issue("ann", &[]);
    let lines = format!("{}\n{}\n", before.token, after.token);
    let told = place.feed(&["verify"], lines.into_bytes()).done();
    assert_eq!(
        told.out
            .lines()
            .filter(|line| line.contains(" in access "))
            .count(),
        2
    );
}

#[test]
fn the_key_file_from_before_a_rotation_opens_the_store_no_more() {
    let place = Place::new();
    std::fs::copy(place.path("countersign.key"), place.path("old.key")).unwrap();
    place.run(&["--key", "old.key", "token", "list"]).done();
    place.run(&["keys", "rotate"]).done();
    let old = ["--json", "--key", "old.key"];
    place
        .run(&[&old[..], &["token", "list"]].concat())
        .failed(3, "missing_pepper");
    place.run(&["token", "list"]).done();
}

#[test]
fn completions_and_pages_tell_of_every_command() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let told = place.run(&["completions", shell]).done();
        assert!(told.out.contains("forecast"), "{shell}");
    }
    std::fs::create_dir(place.path("man")).unwrap();
    place.run(&["man", "man"]).done();
    let page = std::fs::read_to_string(place.path("man/countersign-token-issue.1")).unwrap();
    assert!(page.contains("\\-\\-never"));
}

#[test]
fn a_token_that_is_given_where_none_belongs_is_not_told_again() {
    let place = Place::new();
    let issued = place.issue("ann", &[]);
    let token = issued.token.as_str();
    // Its last digits hold the secret, and the text of an error may be broken anywhere.
    let secret = token.get(token.len() - 16..).unwrap();
    let bearer = format!("Bearer {token}");
    let option = format!("--selector={token}");
    let cut = token.get(..token.len() - 4).unwrap();
    for (code, arguments) in [
        (2, &["token", "show", token][..]),
        (2, &["token", "show", cut]),
        (2, &["token", "rotate", token]),
        (2, &["token", "revoke", token]),
        (2, &["token", "revoke", "--all", token]),
        (2, &["token", "show", &issued.selector, token]),
        (2, &["token", "list", token]),
        (2, &["token", token]),
        (2, &[token]),
        (2, &["audit", "--selector", token]),
        (2, &["audit", &option]),
        (2, &["audit", "--kind", token]),
        (2, &["keys", "retire", token]),
        (2, &["verify", token]),
        (2, &["verify", &bearer]),
        (2, &["verify", "--scope", token]),
        (3, &["--store", token, "token", "list"]),
        (1, &["policy", "check", token]),
    ] {
        for json in [&[][..], &["--json"]] {
            let told = place.run(&[json, arguments].concat());
            assert_eq!((told.code, told.out.as_str()), (Some(code), ""));
            let hidden = [secret, cut].iter().all(|text| !told.err.contains(text));
            assert!(hidden && !told.err.is_empty(), "{arguments:?}: {told:?}");
        }
    }
    let told = place.run(&["--json", "token", "revoke", token]);
    let error = told.failed(2, "usage");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("token list"), "{message}");
}

#[test]
fn what_is_no_token_or_event_any_more_is_told_and_hides_no_other() {
    let place = Place::new();
    for name in ["ann", "bob"] {
        place.issue(name, &[]);
    }
    let store = place.path("countersign.redb");
    for (table, what) in [("grants", "1 tokens do"), ("events", "1 events do")] {
        let rows = tamper::rows(&store, table).unwrap();
        let (id, mut bytes) = rows[0].clone();
        bytes[15] ^= 1;
        tamper::put(&store, table, id, Some(&bytes)).unwrap();
        let command: &[&str] = match table {
            "grants" => &["--json", "token", "list"],
            _ => &["--json", "audit"],
        };
        let told = place.run(command).done();
        assert_eq!(told.objects().len(), rows.len() - 1, "{table}");
        assert!(told.err.contains(what), "{}", told.err);
    }
}
