//! Hazard: nodes that commit at once, each by what it saw before the other.

use crate::support::{key, make, on, options, until};
use countersign_core::{Batch, Expect, Key, Version, Versioned};
use countersign_postgres::PostgresStore;
use countersign_store::{CommitError, Store as _};
use countersign_testkit::postgres::{Cluster, Options};
use countersign_testkit::samples;
use std::sync::Barrier;
use std::thread;

fn nodes(count: usize) -> Option<Vec<PostgresStore>> {
    let options = options()?;
    let open = |_| options.clone().open(samples::keyring()).unwrap();
    Some((0..count).map(open).collect())
}

fn found(store: &PostgresStore, number: u64) -> Option<Versioned> {
    let loaded = store.load(&[key(number)]).wait().unwrap();
    loaded.into_iter().next().flatten()
}

fn value(found: &Versioned) -> u64 {
    samples::number_of(&found.record).unwrap()
}

/// Whether it went through; anything but that and a conflict is a fault.
fn commit(store: &PostgresStore, batch: Batch) -> bool {
    match store.commit(batch).wait() {
        Ok(_) => true,
        Err(CommitError::Conflict(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn of_changes_by_several_nodes_each_is_counted_once() {
    let Some(nodes) = nodes(3) else { return };
    make(&nodes[0], 0).unwrap();
    let begin = Barrier::new(6);
    thread::scope(|scope| {
        for lane in 0..6 {
            let (node, begin) = (&nodes[lane % 3], &begin);
            scope.spawn(move || {
                begin.wait();
                for _ in 0..20 {
                    loop {
                        let there = found(node, 0).unwrap();
                        let mut batch = Batch::grow();
                        let expect = Expect::Version(there.version);
                        batch.put(key(0), expect, samples::usage(value(&there) + 1));
                        if commit(node, batch) {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(value(&found(&nodes[0], 0).unwrap()), 120);
}

/// Two that commit at once, round after round; `first` and `second` say what, and how many of them
/// may go through.
fn in_pairs(
    nodes: &[PostgresStore],
    rounds: u64,
    batch: impl Fn(u64, bool) -> Batch + Sync,
) -> Vec<(bool, bool)> {
    let begin = Barrier::new(2);
    let run = |which: bool| {
        let mut nodes = nodes.iter();
        let node = nodes.nth(usize::from(which)).unwrap();
        let (begin, batch) = (&begin, &batch);
        move || -> Vec<bool> {
            let round = |round| {
                let batch = batch(round, which);
                begin.wait();
                commit(node, batch)
            };
            (0..rounds).map(round).collect()
        }
    };
    thread::scope(|scope| {
        let (first, second) = (scope.spawn(run(false)), scope.spawn(run(true)));
        let (first, second) = (first.join().unwrap(), second.join().unwrap());
        first.into_iter().zip(second).collect()
    })
}

/// Where two each rely on what the other changes, one of them has to be refused.
#[track_caller]
fn never_both(outcomes: &[(bool, bool)]) {
    let both = outcomes.iter().filter(|both| **both == (true, true));
    assert_eq!(both.count(), 0, "{outcomes:?}");
    let either = |(first, second): &(bool, bool)| *first || *second;
    assert!(outcomes.iter().any(either), "none went through");
}

const ROUNDS: u64 = 60;

/// Two that commit at once, of which the first is stopped in the middle: its counter is held, once
/// it holds every record. Both are made by the version of what was committed before.
fn crosswise(before: Batch, batches: impl Fn(Version) -> (Batch, Batch)) -> Option<(bool, bool)> {
    let cluster = Cluster::start_or_skip(&Options::new().fsync(false))?;
    let (one, other) = (on(&cluster), on(&cluster));
    let version = one.commit(before).wait().unwrap().0;
    let (first, second) = batches(Version::new(version));
    let primary = cluster.primary();
    let held = primary.begin_sql(&format!(
        "begin; select 1 from countersign.head where shard = {} for update; select pg_sleep(600)",
        one.status().node % 64
    ));
    let waiting = || {
        let count = primary.sql(
            "select count(*) from pg_stat_activity
             where wait_event_type = 'Lock' and application_name = 'countersign'",
        );
        count.parse::<usize>().unwrap()
    };
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    until("the counter", || primary.sql(asleep) == "1");
    let outcomes = thread::scope(|scope| {
        let first = scope.spawn(|| commit(&one, first));
        until("the first to wait", || waiting() == 1);
        let second = scope.spawn(|| commit(&other, second));
        until("the second to end or to wait", || {
            second.is_finished() || waiting() == 2
        });
        // To end psql alone would leave its server asleep.
        primary.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'",
        );
        drop(held);
        (first.join().unwrap(), second.join().unwrap())
    });
    Some(outcomes)
}

#[test]
fn what_a_batch_keeps_is_not_changed_beside_it() {
    let batch = |version, own: u64, other: u64| {
        let mut batch = Batch::grow();
        batch.keep(key(other), Expect::Version(version));
        batch.put(key(own), Expect::Version(version), samples::usage(999));
        batch
    };
    let mut both = Batch::grow();
    both.put(key(1), Expect::Absent, samples::usage(1));
    both.put(key(2), Expect::Absent, samples::usage(2));
    let batches = |version| (batch(version, 1, 2), batch(version, 2, 1));
    let Some(outcomes) = crosswise(both, batches) else {
        return;
    };
    assert_eq!(outcomes, (true, false));
}

/// The system's record is kept by nearly every batch, and held by none of them.
#[test]
fn what_is_decided_under_the_switches_is_not_beside_a_change_of_them() {
    let mut before = Batch::grow();
    before.put(Key::SYSTEM, Expect::Absent, samples::system());
    let relies = |version| {
        let mut batch = Batch::grow();
        batch.keep(Key::SYSTEM, Expect::Version(version));
        batch.put(key(1), Expect::Absent, samples::usage(1));
        batch
    };
    let changes = |version| {
        let mut batch = Batch::grow();
        batch.put(Key::SYSTEM, Expect::Version(version), samples::system());
        batch.keep(key(1), Expect::Absent);
        batch
    };
    for turned in [false, true] {
        let batches = |version| match turned {
            false => (relies(version), changes(version)),
            true => (changes(version), relies(version)),
        };
        let Some((first, second)) = crosswise(before.clone(), batches) else {
            return;
        };
        assert!(first != second, "{first} {second}");
    }
}

#[test]
fn a_place_that_must_stay_empty_is_not_filled_beside_it() {
    let batch = |own: u64, other: u64| {
        let mut batch = Batch::grow();
        batch.keep(key(other), Expect::Absent);
        batch.put(key(own), Expect::Absent, samples::usage(1));
        batch
    };
    let mut before = Batch::grow();
    before.put(key(3), Expect::Absent, samples::usage(3));
    let batches = |_| (batch(1, 2), batch(2, 1));
    let Some((first, second)) = crosswise(before, batches) else {
        return;
    };
    assert!(first != second, "{first} {second}");
}

#[test]
fn of_two_that_fill_the_same_place_one_is_refused() {
    let Some(nodes) = nodes(2) else { return };
    let outcomes = in_pairs(&nodes, ROUNDS, |round, which| {
        let mut batch = Batch::grow();
        batch.put(key(round), Expect::Absent, samples::usage(u64::from(which)));
        batch.put(key(1000 + round), Expect::Any, samples::usage(1));
        batch
    });
    never_both(&outcomes);
}
