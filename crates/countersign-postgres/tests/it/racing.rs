//! Hazard: nodes that commit at once, each by what it saw before the other.

use crate::support::{key, make, options};
use countersign_core::{Batch, Expect, Version, Versioned};
use countersign_postgres::PostgresStore;
use countersign_store::{CommitError, Store as _};
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
        let (node, begin, batch) = (&nodes[usize::from(which)], &begin, &batch);
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

#[test]
fn what_a_batch_keeps_is_not_changed_beside_it() {
    let Some(nodes) = nodes(2) else { return };
    let mut versions = Vec::new();
    for number in 0..2 * ROUNDS {
        versions.push(make(&nodes[0], number).unwrap());
    }
    let at = |number: u64| {
        let number = usize::try_from(number).unwrap();
        Expect::Version(Version::new(versions[number].0))
    };
    let outcomes = in_pairs(&nodes, ROUNDS, |round, which| {
        let (own, other) = match which {
            false => (2 * round, 2 * round + 1),
            true => (2 * round + 1, 2 * round),
        };
        let mut batch = Batch::grow();
        batch.keep(key(other), at(other));
        batch.put(key(own), at(own), samples::usage(999));
        batch
    });
    never_both(&outcomes);
}

#[test]
fn a_place_that_must_stay_empty_is_not_filled_beside_it() {
    let Some(nodes) = nodes(2) else { return };
    let outcomes = in_pairs(&nodes, ROUNDS, |round, which| {
        let (own, other) = match which {
            false => (2 * round, 2 * round + 1),
            true => (2 * round + 1, 2 * round),
        };
        let mut batch = Batch::grow();
        batch.keep(key(other), Expect::Absent);
        batch.put(key(own), Expect::Absent, samples::usage(1));
        batch
    });
    never_both(&outcomes);
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
