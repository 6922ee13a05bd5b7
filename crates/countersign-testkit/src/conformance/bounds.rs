//! Bounds: what a store says it takes, it takes, and nothing beyond.

use super::{Make, Specimen, commit, load, number, put, usage_key, write};
use crate::must::must;
use crate::samples;
use countersign_core::{Batch, Expect, Key, Record, Table};
use countersign_store::{CommitError, KeyRange, StoreError};

fn batch_of(writes: usize) -> Batch {
    let mut batch = Batch::grow();
    for n in (0u64..).take(writes) {
        batch.put(usage_key(n), Expect::Absent, samples::usage(n));
    }
    batch
}

fn refused(store: &Specimen, batch: Batch) {
    let outcome = store.commit(batch).wait();
    let invalid = matches!(
        outcome,
        Err(CommitError::NotApplied(StoreError::Invalid(_)))
    );
    assert!(invalid, "{outcome:?}");
}

pub(super) fn a_batch_has_at_most_so_many_writes(make: &Make<'_>) {
    let store = make();
    let most = store.capabilities().max_batch;
    refused(&store, batch_of(most.saturating_add(1)));
    assert_eq!(load(&store, usage_key(0)), None);
    commit(&store, batch_of(most));
    let last = u64::try_from(most).unwrap_or(0).saturating_sub(1);
    assert_eq!(number(&store, usage_key(last)), Some(last));

    let page = must(store.scan(KeyRange::all(Table::Usage), usize::MAX).wait());
    let bound = store.capabilities().max_page;
    assert_eq!(page.records.len(), most.min(bound));
    assert_eq!(page.rest.is_some(), most > bound);
}

pub(super) fn a_record_has_at_most_so_many_bytes(make: &Make<'_>) {
    let store = make();
    let most = store.capabilities().max_record_bytes;
    let text = |bytes: usize| Record::Policy("x".repeat(bytes));
    refused(
        &store,
        put(Key::POLICY, Expect::Any, text(most.saturating_add(1))),
    );
    assert_eq!(load(&store, Key::POLICY), None);
    let fits = text(most.saturating_sub(256));
    commit(&store, put(Key::POLICY, Expect::Any, fits.clone()));
    let found = load(&store, Key::POLICY).map(|found| found.record);
    assert!(found == Some(fits), "it came back as another one");
}

pub(super) fn attesting_answers_the_newest_revision(make: &Make<'_>) {
    let store = make();
    for n in 1..=3 {
        let revision = write(&store, usage_key(n), n);
        assert_eq!(must(store.attest().wait()), revision);
    }
    assert!(store.capabilities().writable);
}
