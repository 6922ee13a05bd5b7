//! Hazard: overlapping requests lose each other's changes, or attributes grow without bound (S2).

use crate::support::{World, name, quiet, set};
use countersign_sessions::{AttributeChange, AttributeFault, Denied, JsonText, Value, ValueKind};
use std::thread;

#[test]
fn two_requests_that_change_different_attributes_both_win() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let selector = opened.session.selector();
    let count = |n: usize| {
        [
            AttributeChange::Add(name("hits"), 1),
            set(&format!("a{n}"), "x"),
        ]
    };
    thread::scope(|scope| {
        for n in 0..8 {
            let world = &world;
            scope.spawn(move || {
                for _ in 0..200 {
                    quiet(world.table.update(&world.moment(), selector, &count(n))).unwrap();
                }
            });
        }
    });
    let live = world.touch(&opened.token).unwrap();
    assert_eq!(live.attributes().find("hits"), Some(&Value::Integer(1600)));
    assert_eq!(live.attributes().len(), 9);
}

#[test]
fn what_a_request_has_read_does_not_change_under_it() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let selector = opened.session.selector();
    let change = |value| {
        quiet(
            world
                .table
                .update(&world.moment(), selector, &[set("a", value)]),
        )
    };
    change("before").unwrap();
    let live = world.touch(&opened.token).unwrap();
    change("after").unwrap();
    assert_eq!(live.attributes().find("a"), Some(&"before".into()));
}

#[test]
fn a_list_of_changes_that_does_not_fit_changes_nothing() {
    let world = World::new(|policy| {
        policy.max_attributes = 2;
        policy.max_attribute_bytes = 100;
    });
    let opened = world.log_in("ann");
    let update = |changes: &[AttributeChange]| {
        let selector = opened.session.selector();
        quiet(world.table.update(&world.moment(), selector, changes))
    };
    update(&[set("a", "1")]).unwrap();
    let three = [set("a", "2"), set("b", "3"), set("c", "4")];
    let fault = AttributeFault::TooMany { count: 3, max: 2 };
    assert_eq!(update(&three), Err(Denied::Attributes(fault)));
    let large = update(&[set("b", &"x".repeat(98))]);
    let fault = AttributeFault::TooLarge {
        bytes: 101,
        max: 100,
    };
    assert_eq!(large, Err(Denied::Attributes(fault)));
    let live = world.touch(&opened.token).unwrap();
    assert_eq!((live.attributes().len(), live.attributes().bytes()), (1, 2));
}

#[test]
fn an_operator_sees_names_types_and_sizes_and_a_value_when_it_is_asked_for() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let changes = [
        set("note", "hush"),
        AttributeChange::Set(name("count"), Value::Integer(7)),
        AttributeChange::Set(name("admin"), Value::Boolean(false)),
        AttributeChange::Set(name("blob"), Value::Bytes([1, 2, 3][..].into())),
        AttributeChange::Set(name("cart"), Value::Json(JsonText::new("[1]").unwrap())),
    ];
    let selector = opened.session.selector();
    quiet(world.table.update(&world.moment(), selector, &changes)).unwrap();
    let shown = quiet(world.table.describe(&world.moment(), selector)).unwrap();
    let rows: Vec<(&str, ValueKind, usize)> = shown
        .attributes()
        .map(|attribute| (attribute.name.as_str(), attribute.kind, attribute.bytes))
        .collect();
    assert_eq!(
        rows,
        [
            ("admin", ValueKind::Boolean, 1),
            ("blob", ValueKind::Bytes, 3),
            ("cart", ValueKind::Json, 3),
            ("count", ValueKind::Integer, 8),
            ("note", ValueKind::Text, 4),
        ]
    );
    assert_eq!(shown.max_inactive_s(), 18_000);
    assert_eq!(shown.value("note"), Some(&"hush".into()));
    assert!(!format!("{shown:?}").contains("hush"));
    quiet(
        world
            .table
            .update(&world.moment(), selector, &[AttributeChange::Clear]),
    )
    .unwrap();
    assert!(world.touch(&opened.token).unwrap().attributes().is_empty());
}
