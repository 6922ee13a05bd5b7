//! Reads: in order, of one moment, and never older than what was acknowledged.

use super::{Make, commit, delete, number, put, usage_key, write};
use crate::must::{Ending, must};
use crate::samples;
use countersign_core::{Batch, Expect, Key, Table, Versioned};
use countersign_store::{KeyRange, Page, Store};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

fn numbers(found: &[Option<Versioned>]) -> Vec<Option<u64>> {
    let number = |found: &Versioned| samples::number_of(&found.record);
    found
        .iter()
        .map(|found| found.as_ref().and_then(number))
        .collect()
}

fn scan(store: &dyn Store, range: KeyRange, limit: usize) -> Page {
    let page = must(store.scan(range, limit).wait());
    assert!(page.damaged.is_empty(), "nothing was damaged");
    page
}

/// The numbers of a page's keys, which have to ascend.
fn keys_of(page: &Page) -> Vec<Key> {
    let keys: Vec<Key> = page.records.iter().map(|(key, _)| *key).collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    keys
}

pub(super) fn records_are_loaded_in_the_order_of_their_keys(make: &Make<'_>) {
    let store = make();
    for n in 1..=4 {
        write(&store, usage_key(n), n);
    }
    commit(&store, put(Key::SYSTEM, Expect::Absent, samples::system()));
    let keys = [3, 9, 1, 1, 4].map(usage_key);
    let loaded = must(store.load(&keys).wait());
    let expected = [Some(3), None, Some(1), Some(1), Some(4)];
    assert_eq!(numbers(&loaded), expected);
    let across = must(store.load(&[usage_key(2), Key::SYSTEM, Key::POLICY]).wait());
    let there: Vec<bool> = across.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false]);
    assert!(must(store.load(&[]).wait()).is_empty());
}

pub(super) fn a_load_is_of_one_moment(make: &Make<'_>) {
    let store = make();
    let keys = [1, 2, 3].map(usage_key);
    let both = |n: u64| {
        let mut batch = Batch::grow();
        for key in keys {
            batch.put(key, Expect::Any, samples::usage(n));
        }
        batch
    };
    commit(&store, both(0));
    let done = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let last = done.load(Ordering::SeqCst);
                    let found = numbers(&must(store.load(&keys).wait()));
                    let same = found.iter().all(|n| Some(n) == found.first());
                    assert!(same, "a load saw half of a commit: {found:?}");
                    reads.fetch_add(1, Ordering::SeqCst);
                    if last {
                        return;
                    }
                }
            });
        }
        let _ending = Ending(&done);
        for n in 1..=100 {
            commit(&store, both(n));
        }
    });
    assert!(reads.load(Ordering::SeqCst) > 0);
    assert_eq!(number(&store, usage_key(1)), Some(100));
}

pub(super) fn a_load_after_the_acknowledgement_sees_what_was_written(make: &Make<'_>) {
    let store = make();
    let acknowledged = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    write(&store, usage_key(1), 0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let seen = number(&store, usage_key(1));
                    assert!(seen >= Some(before), "{seen:?} after {before}");
                    let range = KeyRange::all(Table::Usage);
                    let page = scan(&*store, range, 1);
                    let found = page.records.first();
                    let seen = found.and_then(|(_, found)| samples::number_of(&found.record));
                    assert!(seen >= Some(before), "{seen:?} scanned after {before}");
                }
            });
        }
        let _ending = Ending(&done);
        for n in 1..=100 {
            write(&store, usage_key(1), n);
            acknowledged.store(n, Ordering::SeqCst);
        }
    });
    assert_eq!(number(&store, usage_key(1)), Some(100));
}

pub(super) fn a_scan_ascends_within_its_range_and_its_table(make: &Make<'_>) {
    let store = make();
    for n in [5, 2, 9, 4, 7] {
        write(&store, usage_key(n), n);
        let key = Key::grant(samples::selector(n));
        commit(&store, put(key, Expect::Absent, samples::grant(n)));
    }
    let all = scan(&*store, KeyRange::all(Table::Usage), 100);
    assert_eq!(keys_of(&all), [2, 4, 5, 7, 9].map(usage_key));
    assert_eq!(all.rest, None);
    assert!(
        scan(&*store, KeyRange::all(Table::Events), 100)
            .records
            .is_empty()
    );

    let between = |from: u64, to: u64| KeyRange {
        table: Table::Usage,
        from: usage_key(from).id,
        to: usage_key(to).id,
    };
    for (from, to, expected) in [
        (4, 7, vec![4, 5, 7]),
        (3, 8, vec![4, 5, 7]),
        (4, 4, vec![4]),
        (3, 3, vec![]),
        (9, 4, vec![]),
    ] {
        let page = scan(&*store, between(from, to), 100);
        let expected: Vec<Key> = expected.into_iter().map(usage_key).collect();
        assert_eq!(keys_of(&page), expected, "{from}..={to}");
        assert_eq!(page.rest, None);
    }
}

pub(super) fn pages_hold_what_was_asked_for_and_the_rest_is_told(make: &Make<'_>) {
    let store = make();
    let mut batch = Batch::grow();
    for n in 0..20 {
        batch.put(usage_key(n), Expect::Absent, samples::usage(n));
    }
    commit(&store, batch);
    let expected: Vec<Key> = (0..20).map(usage_key).collect();
    for limit in [1, 3, 19, 20, 21, usize::MAX] {
        let mut found = Vec::new();
        let mut next = Some(KeyRange::all(Table::Usage));
        while let Some(range) = next {
            let page = scan(&*store, range, limit);
            assert!(page.records.len() <= limit.max(1));
            assert!(!page.records.is_empty(), "a rest has something in it");
            found.extend(keys_of(&page));
            next = page.rest;
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
    // None asked for is as good as one: whoever pages comes to an end.
    let page = scan(&*store, KeyRange::all(Table::Usage), 0);
    assert!(page.records.len() <= 1 && page.rest.is_some());
}

pub(super) fn paging_under_change_shows_what_stayed_just_once(make: &Make<'_>) {
    let store = make();
    for n in 0..30u64 {
        write(&store, usage_key(n.wrapping_mul(10)), n);
    }
    let mut found = Vec::new();
    let mut next = Some(KeyRange::all(Table::Usage));
    let mut page_number = 0u64;
    while let Some(range) = next {
        let page = scan(&*store, range, 4);
        found.extend(keys_of(&page));
        next = page.rest;
        // Between two pages something comes and something goes, before and behind.
        let base = page_number.wrapping_mul(40);
        write(&store, usage_key(base.wrapping_add(1)), 99);
        write(&store, usage_key(base.wrapping_add(61)), 99);
        let gone = usage_key(base.wrapping_add(90));
        commit(&store, delete(gone, Expect::Any));
        page_number = page_number.wrapping_add(1);
        assert!(page_number < 100, "paging came to no end");
    }
    assert!(found.is_sorted_by(|a, b| a < b), "each once, ascending");
    let gone: Vec<u64> = (0..page_number)
        .map(|page| page.wrapping_mul(40).wrapping_add(90))
        .collect();
    for n in (0..30u64).map(|n| n.wrapping_mul(10)) {
        if !gone.contains(&n) {
            assert!(found.contains(&usage_key(n)), "{n} was missed");
        }
    }
}
