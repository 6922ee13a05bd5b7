//! Closing: final, and never a hang.

use super::{Make, put, usage_key, write};
use crate::must::must;
use crate::samples;
use core::time::Duration;
use countersign_core::{Expect, Table};
use countersign_store::{CommitError, Health, KeyRange, Revision, StoreError};

pub(super) fn a_closed_store_says_so_and_does_nothing(make: &Make<'_>) {
    let store = make();
    write(&store, usage_key(1), 1);
    assert_eq!(store.health(), Health::Healthy);
    for _ in 0..2 {
        // Whoever has a turn keeps it by asking again.
        let turn = store.turn("chore", Duration::from_secs(60)).wait();
        assert_eq!(turn, Ok(true));
    }
    must(store.close().wait());
    assert_eq!(store.health(), Health::Closed);
    let closed = Err(StoreError::Closed);
    assert_eq!(
        store.load(&[usage_key(1)]).wait(),
        closed.clone().map(|()| vec![])
    );
    let scanned = store.scan(KeyRange::all(Table::Usage), 1).wait();
    assert_eq!(scanned.map(drop), closed);
    assert_eq!(store.changes(Revision(0)).wait().map(drop), closed);
    assert_eq!(store.attest().wait().map(drop), closed);
    let turn = store.turn("chore", Duration::from_secs(60)).wait();
    assert_eq!(turn.map(drop), closed);
    let batch = put(usage_key(2), Expect::Any, samples::usage(2));
    let outcome = store.commit(batch).wait();
    assert_eq!(outcome, Err(CommitError::NotApplied(StoreError::Closed)));
}

pub(super) fn closing_twice_is_no_error(make: &Make<'_>) {
    let store = make();
    write(&store, usage_key(1), 1);
    assert_eq!(store.close().wait(), Ok(()));
    assert_eq!(store.close().wait(), Ok(()));
    assert_eq!(store.health(), Health::Closed);
}
