//! Hazard: what is dead piles up, or the sweep that removes it takes a living token along, holds
//! everything up, or never gets past some record.

use crate::support::{
    DAY, Ears, Home, in_memory, is_in, issue, on_store, principal, refused, request, revoke,
};
use countersign::core::{Key, Table};
use countersign::store::{KeyRange, MemoryStore, Store};
use countersign::{
    Engine, EventKind, Expiry, GrantEnd, GrantState, IssuedToken, Rejection, SweepReport,
    Timestamp, TokenQuery,
};
use countersign_testkit::{Gated, ManualClock, samples, tamper};
use std::sync::Arc;
use std::time::Duration;

fn expiring(engine: &Engine, name: &str, at: Timestamp) -> IssuedToken {
    let mut wanted = request(name);
    wanted.expiry = Expiry::At(at);
    engine.access().issue(wanted).wait().unwrap()
}

/// Sweeps until it has come round.
fn sweep_all(engine: &Engine) -> SweepReport {
    let mut sum = SweepReport::default();
    for _ in 0..1000 {
        let report = engine.sweep(64).wait().unwrap();
        sum.expired += report.expired;
        sum.removed += report.removed;
        sum.events_removed += report.events_removed;
        if report.complete {
            sum.complete = true;
            return sum;
        }
    }
    panic!("it never comes round");
}

#[test]
fn no_sweep_looks_at_more_than_its_budget_and_all_of_them_see_everything() {
    for budget in [1, 2, 7, 64, 1000] {
        let (engine, clock) = in_memory();
        let at = samples::NOW.after(DAY);
        for n in 0..40 {
            expiring(&engine, &format!("principal-{n}"), at);
        }
        clock.set(at);
        let (mut expired, mut rounds) = (0, 0);
        loop {
            let report = engine.sweep(budget).wait().unwrap();
            assert!(report.examined <= budget, "{report:?} of {budget}");
            assert!(report.expired <= report.examined);
            expired += report.expired;
            rounds += 1;
            assert!(rounds < 200, "budget {budget} never gets to the end");
            if report.complete {
                break;
            }
        }
        assert_eq!(expired, 40, "budget {budget}");
    }
}

#[test]
fn an_expiry_is_noted_once_and_told() {
    let clock = ManualClock::default();
    let ears = Ears::default();
    let engine = crate::support::builder(&clock)
        .observer(ears.clone())
        .open_store(Arc::new(MemoryStore::new([])), &crate::support::keys())
        .unwrap();
    let at = samples::NOW.after(DAY);
    let (token, other) = (expiring(&engine, "ann", at), issue(&engine, "ann"));
    assert_eq!(sweep_all(&engine).expired, 0, "not before its time");
    clock.set(at.after(DAY));
    assert_eq!(sweep_all(&engine).expired, 1);
    assert_eq!(sweep_all(&engine).expired, 0, "noted once");
    let shown = engine
        .access()
        .show(token.selector)
        .wait()
        .unwrap()
        .unwrap();
    assert_eq!(shown.state, GrantState::Expired);
    assert_eq!(shown.end.map(|end: GrantEnd| end.at), Some(at));
    let told = ears.events.lock().unwrap();
    let told: Vec<_> = told
        .iter()
        .filter(|event| event.kind == EventKind::Expired)
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].credential.unwrap().selector, token.selector);
    assert!(is_in(&engine, &other));
}

#[test]
fn what_has_been_dead_for_thirty_days_is_removed_with_its_usage_and_nothing_else_is() {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = on_store(&clock, Arc::clone(&store) as _);
    let dead = issue(&engine, "ann");
    let by_time = expiring(&engine, "ann", samples::NOW.after(DAY));
    let (living, by_epoch) = (issue(&engine, "ann"), issue(&engine, "bob"));
    for token in [&dead, &by_time, &living, &by_epoch] {
        assert!(is_in(&engine, token));
    }
    engine.flush().wait().unwrap();
    revoke(&engine, dead.selector);
    let all_of = engine.access().revoke_all_of(principal("bob"), None);
    all_of.wait().unwrap();

    clock.advance(DAY * 30 - Duration::from_millis(1));
    assert_eq!(sweep_all(&engine).removed, 0);
    clock.advance(Duration::from_millis(2));
    assert_eq!(sweep_all(&engine).removed, 2, "the revoked ones");
    clock.advance(DAY);
    assert_eq!(sweep_all(&engine).removed, 1, "the expired one");
    clock.advance(DAY * 20);
    assert_eq!(sweep_all(&engine).removed, 0);

    assert!(is_in(&engine, &living));
    for token in [&dead, &by_time, &by_epoch] {
        assert_eq!(refused(&engine, token), Rejection::Unknown);
    }
    let left = |table| {
        let page = store.scan(KeyRange::all(table), 100).wait().unwrap();
        page.records
            .into_iter()
            .map(|(key, _)| key)
            .collect::<Vec<_>>()
    };
    assert_eq!(left(Table::Grants), [Key::grant(living.selector)]);
    assert_eq!(left(Table::Usage), [Key::usage(living.selector)]);
    let listed = engine.principals().show(principal("ann")).wait().unwrap();
    let listed = listed.unwrap().credentials;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].selector, living.selector);
}

#[test]
fn audit_events_are_kept_for_ninety_days() {
    let (engine, clock) = in_memory();
    for n in 0..300 {
        issue(&engine, &format!("principal-{n}"));
    }
    clock.advance(DAY * 60);
    issue(&engine, "late");
    let count = || {
        let mut query = countersign::EventQuery::default();
        query.limit = 1000;
        engine.audit().list(query).wait().unwrap().events.len()
    };
    clock.advance(DAY * 30);
    assert_eq!(sweep_all(&engine).events_removed, 0);
    assert_eq!(count(), 301);
    clock.advance(Duration::from_millis(1));
    assert_eq!(sweep_all(&engine).events_removed, 300);
    assert_eq!(count(), 1);
}

#[test]
fn a_damaged_record_does_not_stop_the_sweep() {
    for damaged in [
        Table::Grants,
        Table::Principals,
        Table::Usage,
        Table::Events,
    ] {
        let home = Home::new();
        let engine = home.open();
        let at = samples::NOW.after(DAY);
        let tokens: Vec<_> = (0..6)
            .map(|n| expiring(&engine, &format!("principal-{n}"), at))
            .collect();
        for token in &tokens {
            assert!(is_in(&engine, token));
        }
        engine.close().wait().unwrap();
        let rows = tamper::rows(&home.path(), damaged.name()).unwrap();
        let (id, mut bytes) = rows[2].clone();
        bytes[20] ^= 1;
        tamper::put(&home.path(), damaged.name(), id, Some(&bytes)).unwrap();

        home.clock.set(at);
        let engine = home.open();
        let swept = sweep_all(&engine);
        assert!(swept.expired >= 5, "{}: {swept:?}", damaged.name());
        home.clock.advance(DAY * 31);
        let swept = sweep_all(&engine);
        assert!(swept.removed >= 5, "{}: {swept:?}", damaged.name());
        let left = engine.access().list(TokenQuery::default()).wait().unwrap();
        assert!(left.tokens.len() <= 1, "{}", damaged.name());
    }
}

#[test]
fn what_is_another_nodes_chore_is_left_to_it_and_what_is_asked_for_is_done() {
    let clock = ManualClock::at(samples::NOW);
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&store) as _);
    let at = samples::NOW.after(DAY);
    expiring(&engine, "ann", at);
    clock.set(at);
    store.leave_chores(true);
    let swept = engine.maintain().wait().unwrap().swept;
    assert_eq!((swept.examined, swept.expired), (0, 0));
    assert!(
        swept.complete,
        "there is nothing for this node to go on with"
    );
    store.leave_chores(false);
    assert_eq!(engine.maintain().wait().unwrap().swept.expired, 1);
    expiring(&engine, "bob", at.after(DAY));
    clock.set(at.after(DAY));
    store.leave_chores(true);
    assert_eq!(engine.sweep(64).wait().unwrap().expired, 1);
}
