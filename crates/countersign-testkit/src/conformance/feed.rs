//! The feed of changes: whoever resumes from any revision misses nothing.

use super::{Make, commit, delete, put, usage_key, write};
use crate::must::must;
use crate::samples;
use countersign_core::{Batch, Expect, Key};
use countersign_store::{Changes, Revision};
use std::collections::BTreeSet;

pub(super) fn every_revision_can_be_resumed_from(make: &Make<'_>) {
    let store = make();
    let start = must(store.attest().wait());
    let mut commits: Vec<(Revision, Vec<Key>)> = Vec::new();
    for n in 0..12u64 {
        let (first, second) = (usage_key(n), usage_key(n.wrapping_add(1)));
        let mut batch = match n % 3 {
            0 => delete(first, Expect::Any),
            _ => put(first, Expect::Any, samples::usage(n)),
        };
        batch.put(second, Expect::Any, samples::usage(n));
        // What is only kept has not changed.
        batch.keep(usage_key(99), Expect::Absent);
        commits.push((commit(&store, batch), vec![first, second]));
    }
    let newest = commits.last().map_or(start, |(revision, _)| *revision);
    let revisions = commits.iter().map(|(revision, _)| *revision);
    for since in [start].into_iter().chain(revisions) {
        let later = commits.iter().filter(|(revision, _)| *revision > since);
        let expected: BTreeSet<Key> = later.flat_map(|(_, keys)| keys.clone()).collect();
        match must(store.changes(since).wait()) {
            Changes::Keys(keys, upto) => {
                assert_eq!(BTreeSet::from_iter(keys), expected, "since {since:?}");
                assert_eq!(upto, newest);
            }
            Changes::Reset(upto) => assert_eq!((upto, since), (newest, start)),
        }
    }
}

pub(super) fn what_was_not_applied_is_not_in_the_feed(make: &Make<'_>) {
    let store = make();
    let since = write(&store, usage_key(1), 1);
    let mut batch = put(usage_key(2), Expect::Absent, samples::usage(2));
    batch.put(usage_key(1), Expect::Absent, samples::usage(2));
    assert!(store.commit(batch).wait().is_err());
    let changes = must(store.changes(since).wait());
    assert_eq!(changes, Changes::Keys(Vec::new(), since));
}

pub(super) fn what_is_too_long_ago_is_told_whole_or_as_a_reset(make: &Make<'_>) {
    let store = make();
    let since = write(&store, usage_key(0), 0);
    let mut expected = BTreeSet::new();
    for round in 0..17u64 {
        let mut batch = Batch::grow();
        for n in 0..4096u64 {
            let key = usage_key(round.wrapping_mul(4096).wrapping_add(n));
            batch.put(key, Expect::Any, samples::usage(round));
            expected.insert(key);
        }
        commit(&store, batch);
    }
    let newest = must(store.attest().wait());
    match must(store.changes(since).wait()) {
        Changes::Reset(upto) => assert_eq!(upto, newest),
        Changes::Keys(keys, upto) => {
            assert_eq!(BTreeSet::from_iter(keys), expected);
            assert_eq!(upto, newest);
        }
    }
    let last = write(&store, usage_key(1), 1);
    let changes = must(store.changes(newest).wait());
    assert_eq!(changes, Changes::Keys(vec![usage_key(1)], last));
}

pub(super) fn a_revision_that_was_never_given_out_is_a_reset(make: &Make<'_>) {
    let store = make();
    let newest = write(&store, usage_key(1), 1);
    for since in [Revision(newest.0.saturating_add(1)), Revision(u64::MAX)] {
        let changes = must(store.changes(since).wait());
        assert_eq!(changes, Changes::Reset(newest), "{since:?}");
    }
}
