//! Hazard: a primary that dies in the middle of commits. What was acknowledged is there, what was
//! told as not done is not, and nothing is done twice.

use crate::support::{is_there, make, on, quorum, until};
use countersign_postgres::PostgresStore;
use countersign_store::{CommitError, Store as _};
use countersign_testkit::postgres::{After, Cluster};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const WRITERS: u64 = 8;

/// Failovers in a row; `COUNTERSIGN_FAILOVERS` says how many.
fn rounds() -> u64 {
    let asked = std::env::var("COUNTERSIGN_FAILOVERS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// What became of the commits of one round.
#[derive(Default)]
struct Told {
    done: Vec<u64>,
    refused: Vec<u64>,
    unknown: Vec<u64>,
}

/// Commits from several threads, through whatever `harm` does.
fn under_load(store: &PostgresStore, base: u64, harm: impl FnOnce()) -> Told {
    let (over, done) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (over, done) = (&over, &done);
                scope.spawn(move || {
                    let mut told = Told::default();
                    let mut number = base + writer * 100_000;
                    while !over.load(Ordering::SeqCst) {
                        number += 1;
                        match make(store, number) {
                            Ok(_) => {
                                done.fetch_add(1, Ordering::SeqCst);
                                told.done.push(number);
                            }
                            Err(CommitError::NotApplied(_)) => told.refused.push(number),
                            Err(CommitError::Unknown(_)) => told.unknown.push(number),
                            // Its place was empty, so only its own double could be in it.
                            Err(error) => panic!("{number} was done twice: {error}"),
                        }
                    }
                    told
                })
            })
            .collect();
        until("some commits", || done.load(Ordering::SeqCst) > 200);
        harm();
        let before = done.load(Ordering::SeqCst);
        until("commits after it", || {
            done.load(Ordering::SeqCst) > before + 200
        });
        over.store(true, Ordering::SeqCst);
        let mut all = Told::default();
        for writer in writers {
            let told = writer.join().unwrap();
            all.done.extend(told.done);
            all.refused.extend(told.refused);
            all.unknown.extend(told.unknown);
        }
        all
    })
}

#[track_caller]
fn compare(store: &PostgresStore, told: &Told) {
    let lost = told.done.iter().filter(|n| !is_there(store, **n)).count();
    let undone = told.refused.iter().filter(|n| is_there(store, **n)).count();
    assert_eq!((lost, undone), (0, 0), "lost, and done though refused");
}

fn fail_over(cluster: &Cluster) {
    let old = cluster.primary();
    old.kill();
    cluster.failover(After::Synchronous);
    cluster.rejoin(old);
}

#[test]
fn a_killed_primary_loses_nothing_that_was_acknowledged() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    let mut all = Told::default();
    let mut round = 0;
    // Until one was hit with a commit under way, which a kill may miss.
    while round < rounds() || store.status().unanswered == 0 {
        assert!(round < rounds() + 10, "none was under way");
        round += 1;
        let told = under_load(&store, round * 10_000_000, || fail_over(&cluster));
        compare(&store, &told);
        all.done.extend(told.done);
        all.refused.extend(told.refused);
        all.unknown.extend(told.unknown);
    }
    compare(&store, &all);
    println!(
        "{round} failovers: {} commits acknowledged, {} refused, {} unknown; {:?}",
        all.done.len(),
        all.refused.len(),
        all.unknown.len(),
        store.status()
    );
    assert_eq!(store.status().resets, 0, "no history was lost");
    until("the lease", || store.attest().wait().is_ok());
}

#[test]
fn a_primary_that_is_started_again_is_found_again() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    let told = under_load(&store, 0, || {
        cluster.primary().kill();
        cluster.primary().start();
    });
    compare(&store, &told);
}
