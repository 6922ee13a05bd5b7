//! Commits: all or nothing, on the conditions that they name.

use super::{Make, commit, conflict, delete, load, number, put, usage_key, write};
use crate::samples;
use countersign_core::{Batch, Change, Durability, Expect, Key, Record, Version, Write};
use countersign_store::{CommitError, StoreError};

pub(super) fn what_is_created_is_there_and_is_created_only_once(make: &Make<'_>) {
    let store = make();
    let key = usage_key(1);
    assert_eq!(load(&store, key), None, "a store is made empty");
    commit(&store, put(key, Expect::Absent, samples::usage(1)));
    assert_eq!(number(&store, key), Some(1));
    conflict(&store, put(key, Expect::Absent, samples::usage(2)), key);
    assert_eq!(number(&store, key), Some(1), "the first one stays");
}

pub(super) fn each_expectation_holds_for_just_what_it_says(make: &Make<'_>) {
    let store = make();
    let changes = [Change::Keep, Change::Put(samples::usage(7)), Change::Delete];
    for there in [false, true] {
        for change in &changes {
            for which in 0..4 {
                let key = usage_key(1);
                commit(&store, delete(key, Expect::Any));
                let before = there.then(|| write(&store, key, 1));
                let version = before.map_or(0, |revision| revision.0);
                let (expect, holds) = match which {
                    0 => (Expect::Any, true),
                    1 => (Expect::Absent, !there),
                    2 => (Expect::Version(Version::new(version)), there),
                    _ => (
                        Expect::Version(Version::new(version.wrapping_add(1))),
                        false,
                    ),
                };
                let mut batch = Batch::grow();
                let change = change.clone();
                let case = format!("{there} {change:?} {expect:?}");
                let put = matches!(change, Change::Put(_));
                let kept = matches!(change, Change::Keep);
                batch.writes.push(Write {
                    key,
                    expect,
                    change,
                });
                let outcome = store.commit(batch).wait();
                assert_eq!(outcome.is_ok(), holds, "{case}");
                let after = match (holds, put, kept) {
                    (true, true, _) => Some(7),
                    (true, false, false) => None,
                    _ => there.then_some(1),
                };
                assert_eq!(number(&store, key), after, "{case}");
            }
        }
    }
    // Nor is a version of zero another word for nothing in a place that no commit has named yet.
    let (key, none) = (usage_key(2), Expect::Version(Version::new(0)));
    conflict(&store, put(key, none, samples::usage(1)), key);
    assert_eq!(number(&store, key), None);
}

pub(super) fn a_conflict_names_its_record_and_leaves_nothing_of_the_batch(make: &Make<'_>) {
    let store = make();
    let keys = [usage_key(1), usage_key(2), usage_key(3)];
    let [first, taken, last] = keys;
    let before = write(&store, taken, 9);
    for at in 0..3 {
        // The write that cannot be stands first, in the middle, and last.
        let mut order = [first, last, taken];
        order.swap(at, 2);
        let mut batch = Batch::grow();
        for key in order {
            batch.put(key, Expect::Absent, samples::usage(1));
        }
        let (event_key, event) = samples::event(1);
        batch.put(event_key, Expect::Absent, event);
        conflict(&store, batch, taken);
        let found = keys.map(|key| number(&store, key));
        assert_eq!(found, [None, Some(9), None]);
        assert_eq!(load(&store, event_key), None);
    }
    // A kept record holds the batch to its condition as well.
    let mut batch = Batch::grow();
    batch.put(first, Expect::Absent, samples::usage(1));
    batch.keep(taken, Expect::Absent);
    conflict(&store, batch, taken);
    assert_eq!(number(&store, first), None);
    assert!(write(&store, first, 1) > before);
}

pub(super) fn a_record_that_was_changed_or_made_anew_conflicts_with_its_old_version(
    make: &Make<'_>,
) {
    let store = make();
    let key = usage_key(1);
    let old = write(&store, key, 1);
    let stale = Expect::Version(Version::new(old.0));
    let new = write(&store, key, 2);
    for batch in [put(key, stale, samples::usage(3)), delete(key, stale)] {
        conflict(&store, batch, key);
        assert_eq!(number(&store, key), Some(2));
    }
    commit(&store, delete(key, Expect::Version(Version::new(new.0))));
    conflict(&store, put(key, stale, samples::usage(3)), key);
    write(&store, key, 1);
    conflict(&store, put(key, stale, samples::usage(3)), key);
    assert_eq!(number(&store, key), Some(1));
}

pub(super) fn two_changes_of_one_record_are_refused(make: &Make<'_>) {
    let store = make();
    let key = usage_key(1);
    write(&store, key, 1);
    let changes = [Change::Put(samples::usage(2)), Change::Delete];
    for first in &changes {
        for second in &changes {
            let mut batch = Batch::grow();
            for change in [first, second] {
                batch.writes.push(Write {
                    key,
                    expect: Expect::Any,
                    change: change.clone(),
                });
            }
            let outcome = store.commit(batch).wait();
            let invalid = matches!(
                outcome,
                Err(CommitError::NotApplied(StoreError::Invalid(_)))
            );
            assert!(invalid, "{outcome:?}");
            assert_eq!(number(&store, key), Some(1));
        }
    }
}

pub(super) fn expectations_are_held_to_what_was_there_before_the_batch(make: &Make<'_>) {
    let store = make();
    let (there, absent) = (usage_key(1), usage_key(2));
    let version = Version::new(write(&store, there, 1).0);
    // Beside the changes stand expectations that only hold before or only hold after them.
    let mut batch = Batch::grow();
    batch.delete(there, Expect::Any);
    batch.keep(there, Expect::Version(version));
    batch.put(absent, Expect::Any, samples::usage(2));
    batch.keep(absent, Expect::Absent);
    commit(&store, batch);
    assert_eq!(
        (number(&store, there), number(&store, absent)),
        (None, Some(2))
    );
    let mut batch = Batch::grow();
    batch.delete(absent, Expect::Any);
    batch.keep(absent, Expect::Absent);
    conflict(&store, batch, absent);
    assert_eq!(number(&store, absent), Some(2));
}

pub(super) fn a_record_is_filed_only_where_it_belongs(make: &Make<'_>) {
    let store = make();
    let (event_key, event) = samples::event(1);
    let (other_event, _) = samples::event(2);
    let grant_key = Key::grant(samples::selector(1));
    for (key, record) in [
        (Key::SYSTEM, Record::Policy(String::new())),
        (Key::POLICY, samples::system()),
        (grant_key, samples::usage(1)),
        (usage_key(1), samples::grant(1)),
        (event_key, samples::grant(1)),
        (other_event, event),
    ] {
        let outcome = store.commit(put(key, Expect::Any, record)).wait();
        let invalid = matches!(
            outcome,
            Err(CommitError::NotApplied(StoreError::Invalid(_)))
        );
        assert!(invalid, "{key:?}: {outcome:?}");
        assert_eq!(load(&store, key), None);
    }
}

pub(super) fn versions_are_the_revisions_of_their_commits_and_only_grow(make: &Make<'_>) {
    let store = make();
    let (key, other) = (usage_key(1), usage_key(2));
    let mut last = write(&store, other, 0);
    for round in 0..5 {
        let mut batch = put(key, Expect::Any, samples::usage(round));
        batch.put(other, Expect::Any, samples::usage(round));
        let revision = commit(&store, batch);
        assert!(revision > last, "a commit has a revision of its own");
        for key in [key, other] {
            let version = load(&store, key).map(|found| found.version.number());
            assert_eq!(version, Some(revision.0));
        }
        last = commit(&store, delete(key, Expect::Any));
        assert!(last > revision, "so has a removal");
    }
}

pub(super) fn a_batch_that_only_keeps_changes_nothing(make: &Make<'_>) {
    let store = make();
    let key = usage_key(1);
    let before = write(&store, key, 1);
    let mut batch = Batch::grow();
    batch.keep(key, Expect::Version(Version::new(before.0)));
    batch.keep(usage_key(2), Expect::Absent);
    assert!(commit(&store, batch) >= before);
    assert!(commit(&store, Batch::grow()) >= before);
    let version = load(&store, key).map(|found| found.version.number());
    assert_eq!(version, Some(before.0));
    assert!(write(&store, key, 2) > before);
}

pub(super) fn what_is_deferred_is_seen_at_once(make: &Make<'_>) {
    let store = make();
    for round in 0..100 {
        let mut batch = put(usage_key(1), Expect::Any, samples::usage(round));
        batch.durability = Durability::Deferred;
        commit(&store, batch);
        assert_eq!(number(&store, usage_key(1)), Some(round));
    }
}
