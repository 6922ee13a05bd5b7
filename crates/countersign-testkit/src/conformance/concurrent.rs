//! Concurrency: what races is decided once, and nothing is lost.

use super::{Make, load, number, put, usage_key, write};
use crate::must::must_be;
use crate::samples;
use countersign_core::Expect;
use countersign_store::CommitError;
use parking_lot::Mutex;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const THREADS: usize = 64;

pub(super) fn of_racing_changes_each_is_counted_once(make: &Make<'_>) {
    let store = make();
    write(&store, usage_key(1), 0);
    let (conflicts, begin) = (AtomicU64::new(0), Barrier::new(THREADS));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                begin.wait();
                loop {
                    let found = must_be(load(&store, usage_key(1)), "the record");
                    let next = samples::number_of(&found.record).unwrap_or(0);
                    let next = samples::usage(next.saturating_add(1));
                    let batch = put(usage_key(1), Expect::Version(found.version), next);
                    match store.commit(batch).wait() {
                        Ok(_) => return,
                        Err(error) => {
                            assert_eq!(error, CommitError::Conflict(usage_key(1)));
                            conflicts.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(number(&store, usage_key(1)), Some(64));
}

pub(super) fn of_racing_creations_just_one_wins(make: &Make<'_>) {
    let store = make();
    for round in 0..5 {
        let key = usage_key(round);
        let (won, begin) = (Mutex::new(Vec::new()), Barrier::new(16));
        thread::scope(|scope| {
            for n in 0..16u64 {
                let (store, won, begin) = (&store, &won, &begin);
                scope.spawn(move || {
                    begin.wait();
                    let batch = put(key, Expect::Absent, samples::usage(n));
                    match store.commit(batch).wait() {
                        Ok(_) => won.lock().push(n),
                        Err(error) => assert_eq!(error, CommitError::Conflict(key)),
                    }
                });
            }
        });
        let won = won.into_inner();
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        assert_eq!(number(&store, key), won.first().copied());
    }
}

pub(super) fn racing_commits_take_revisions_of_their_own(make: &Make<'_>) {
    let store = make();
    let revisions = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for n in 0..16u64 {
            let (store, revisions) = (&store, &revisions);
            scope.spawn(move || {
                for _ in 0..8 {
                    let revision = write(store, usage_key(n), n);
                    let version = load(store, usage_key(n)).map(|found| found.version.number());
                    assert_eq!(version, Some(revision.0));
                    revisions.lock().push(revision);
                }
            });
        }
    });
    let mut revisions = revisions.into_inner();
    revisions.sort_unstable();
    assert_eq!(revisions.len(), 128);
    assert!(
        revisions.is_sorted_by(|a, b| a < b),
        "two commits share one"
    );
}
