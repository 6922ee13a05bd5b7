//! Hazard: a command shows a device's secret, forgets another one than was named, or says that one
//! is forgotten that still comes in.

use crate::place::{Place, fields};
use countersign::{Create, Engine, Label, NewSeries, Principal, Recall, Remembered};
use std::net::IpAddr;

fn engine(place: &Place) -> Engine {
    let builder = Engine::builder().create(Create::Never);
    builder.open(place.path("countersign.redb")).unwrap()
}

/// Devices of some principals, each used once.
fn devices(place: &Place, names: &[&str]) -> Vec<Remembered> {
    let engine = engine(place);
    let start = |name: &&str| {
        let request = NewSeries {
            principal: Principal::new(name).unwrap(),
            label: Label::new("Firefox on Linux").unwrap(),
        };
        let started = engine.remember().start(request).wait().unwrap();
        let address = Some(IpAddr::from([10, 0, 0, 7]));
        let text = started.token.expose();
        let recall = engine.remember().present(text, address).wait().unwrap();
        assert!(matches!(recall, Recall::In(_)));
        started
    };
    let started = names.iter().map(start).collect();
    engine.close().wait().unwrap();
    started
}

fn is_in(place: &Place, device: &Remembered) -> bool {
    let engine = engine(place);
    let check = engine.remember().check(device.token.expose()).wait();
    engine.close().wait().unwrap();
    check.unwrap().is_in()
}

#[test]
fn a_device_is_listed_shown_and_forgotten_by_its_selector() {
    let place = Place::new();
    let all = devices(&place, &["ann", "ann", "bob"]);
    let [device, other, _] = &all[..] else {
        panic!("three were started")
    };
    let listed = place.run(&["--json", "remember", "list"]).done().objects();
    assert_eq!(listed.len(), 3);
    // In the order of their selectors, which is that of time but within one instant.
    let mut selectors: Vec<String> = all.iter().map(|one| one.selector.to_string()).collect();
    selectors.sort();
    let told: Vec<_> = listed
        .iter()
        .map(|found| found["selector"].clone())
        .collect();
    assert_eq!(told, selectors);
    let selector = device.selector.to_string();
    let own = place.run(&["--json", "remember", "list", "--principal", "bob"]);
    assert_eq!(own.done().objects().len(), 1);

    let shown = place.json(&["remember", "show", &selector]);
    let wanted = [
        "addresses",
        "created_at",
        "end",
        "ends_at",
        "expires_at",
        "generation",
        "label",
        "last_used_at",
        "principal",
        "rotated_at",
        "selector",
        "state",
        "usable",
    ];
    assert_eq!(fields(&shown), wanted);
    assert_eq!(shown["label"], "Firefox on Linux");
    assert_eq!(
        (&shown["state"], &shown["usable"], &shown["generation"]),
        (&"live".into(), &true.into(), &0.into())
    );
    assert_eq!(shown["addresses"][0]["address"], "10.0.0.7");

    let revoked = place.json(&["remember", "revoke", &selector, "--reason", "lost"]);
    assert_eq!(
        (&revoked["done"], &revoked["already"]),
        (&"revoked".into(), &false.into())
    );
    let again = place.json(&["remember", "revoke", &selector]);
    assert_eq!(again["already"], true);
    assert!(!is_in(&place, device) && is_in(&place, other));
    let shown = place.json(&["remember", "show", &selector]);
    assert_eq!(
        (&shown["state"], &shown["end"]["reason"]),
        (&"revoked".into(), &"lost".into())
    );
    let live = place.run(&["--json", "remember", "list", "--state", "live"]);
    assert_eq!(live.done().objects().len(), 2);
    let stats = place.json(&["stats"]);
    assert_eq!(
        (&stats["devices"]["live"], &stats["devices"]["revoked"]),
        (&2.into(), &1.into())
    );
    assert_eq!(stats["records"]["series"], 3);
}

#[test]
fn all_of_one_but_one_and_all_of_everybody_are_forgotten() {
    let place = Place::new();
    let all = devices(&place, &["ann", "ann", "ann", "bob"]);
    let kept = all[1].selector.to_string();
    let forget = ["remember", "revoke", "--principal", "ann", "--keep", &kept];
    assert_eq!(place.json(&forget)["already"], false);
    let ins: Vec<_> = all.iter().map(|device| is_in(&place, device)).collect();
    assert_eq!(ins, [false, true, false, true]);
    place.json(&["remember", "revoke", "--all"]);
    assert!(!all.iter().any(|device| is_in(&place, device)));
    let states = place.run(&["--json", "remember", "list"]).done().objects();
    assert!(states.iter().all(|device| device["state"] == "revoked"));
}

#[test]
fn no_list_and_no_sheet_tells_a_secret() {
    let place = Place::new();
    let all = devices(&place, &["ann"]);
    let text = all[0].token.expose();
    // Behind the prefix comes the selector, and behind that the secret.
    let (_, secret) = text.split_at(text.len() - 44);
    let selector = all[0].selector.to_string();
    for arguments in [
        &["remember", "list"][..],
        &["remember", "show", &selector],
        &["audit"],
        &["principal", "show", "ann"],
        &["remember", "revoke", &selector],
    ] {
        for json in [&[][..], &["--json"]] {
            let told = place.run(&[json, arguments].concat()).done();
            assert!(!told.out.contains(secret), "{arguments:?}");
            assert!(!told.err.contains(secret), "{arguments:?}");
        }
    }
    let told = place.run(&["remember", "show", text]);
    assert_eq!(told.code, Some(2));
    assert!(!told.err.contains(secret), "{}", told.err);
}
