//! Commits that come together are written together, each held to what it expects.

use super::super::group::Prepared;
use super::support::{Faults, Listener, Place, deny, grant, options, put, usage};
use crate::batch::BATCH_BYTES_MAX;
use crate::codec::{Dice, Sealer, encoded_len};
use crate::error::{CommitError, StoreError};
use crate::memory::MemoryStore;
use crate::store::{Changes, Revision, Store};
use core::sync::atomic::Ordering;
use core::time::Duration;
use countersign_core::{
    Batch, Durability, Expect, Grant, Key, Record, SCOPES_MAX, Scope, ScopeSet, Version,
};
use std::sync::Arc;

#[test]
fn what_waits_is_written_in_one_commit_and_each_gets_its_own_revision() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    let gate = faults.gate.lock();
    let first = store.commit(put(usage(0, 0), Expect::Absent));
    // The first one is being synced; the others wait for it.
    std::thread::sleep(Duration::from_millis(50));
    let others: Vec<_> = (1..=100)
        .map(|n| store.commit(put(usage(n, n), Expect::Absent)))
        .collect();
    let before = faults.syncs.load(Ordering::SeqCst);
    drop(gate);
    assert_eq!(first.wait(), Ok(Revision(2)));
    let revisions: Vec<u64> = others
        .into_iter()
        .map(|other| other.wait().unwrap().0)
        .collect();
    assert_eq!(revisions, (3..=102).collect::<Vec<u64>>());
    assert_eq!(
        faults.syncs.load(Ordering::SeqCst) - before,
        4,
        "two commits of two syncs"
    );
    let found = store.load_one(usage(50, 50).0).unwrap().unwrap();
    assert_eq!(found.version, Version::new(52));
}

#[test]
fn a_group_fills_its_pages_in_whatever_order_it_came() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().queue_depth(2000).backend(faults.hook()));
    let mut dice = Dice::new(5);
    let mut next = 1000u64;
    for _ in 0..8 {
        let gate = faults.gate.lock();
        let first = store.commit(put(usage(next, 0), Expect::Absent));
        std::thread::sleep(Duration::from_millis(20));
        // Ids of one moment, as issuers on many threads bring them.
        let mut ids: Vec<u64> = (next + 1..next + 500).collect();
        for at in (1..ids.len()).rev() {
            ids.swap(at, dice.below(at + 1));
        }
        let grants = ids.iter().map(|n| put(grant("ada", *n), Expect::Absent));
        let others: Vec<_> = grants.map(|batch| store.commit(batch)).collect();
        drop(gate);
        first.wait().unwrap();
        others
            .into_iter()
            .for_each(|other| assert!(other.wait().is_ok()));
        next += 500;
    }
    let stats = store.stats().unwrap();
    let filled = stats.stored_bytes * 100 / (stats.stored_bytes + stats.fragmented_bytes);
    assert!(filled >= 85, "only {filled} in a hundred bytes are used");
}

#[test]
fn of_two_that_expect_the_same_only_the_first_of_a_group_is_written() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().backend(faults.hook()));
    let (key, record) = grant("ada", 1);
    let version = store.load_one(key).unwrap().unwrap().version;
    let gate = faults.gate.lock();
    let first = store.commit(put(usage(0, 0), Expect::Absent));
    std::thread::sleep(Duration::from_millis(50));
    let expect = Expect::Version(version);
    let mut with_event = put((key, record.clone()), expect);
    with_event.record_event(countersign_core::Event::new(
        super::support::selector(77),
        countersign_core::Timestamp::ZERO,
        countersign_core::EventKind::Rotated,
    ));
    let winner = store.commit(put((key, record), expect));
    let loser = store.commit(with_event);
    let bystander = store.commit(put(usage(5, 5), Expect::Absent));
    drop(gate);
    assert_eq!(first.wait(), Ok(Revision(2)));
    assert_eq!(winner.wait(), Ok(Revision(3)));
    assert_eq!(loser.wait(), Err(CommitError::Conflict(key)));
    assert_eq!(bystander.wait(), Ok(Revision(4)));
    let event = Key::event(super::support::selector(77));
    assert_eq!(
        store.load_one(event),
        Ok(None),
        "nothing of the loser is there"
    );
}

#[test]
fn a_batch_is_held_to_what_it_only_looks_at() {
    let place = Place::new();
    let store = place.create(&options());
    let (key, _) = grant("ada", 1);
    let mut batch = put(usage(1, 1), Expect::Absent);
    batch.keep(key, Expect::Absent);
    assert_eq!(store.commit(batch).wait(), Err(CommitError::Conflict(key)));
    assert_eq!(store.load_one(usage(1, 1).0), Ok(None));
    // One that changes nothing takes no revision.
    let mut only_looks = Batch::grow();
    only_looks.keep(key, Expect::Version(Version::new(1)));
    assert_eq!(store.commit(only_looks).wait(), Ok(Revision(1)));
}

#[test]
fn a_batch_that_no_store_takes_is_refused() {
    let place = Place::new();
    let store = place.create(&options());
    let refused = |batch| {
        let result = store.commit(batch).wait();
        assert!(
            matches!(result, Err(CommitError::NotApplied(StoreError::Invalid(_)))),
            "{result:?}"
        );
    };
    let (key, record) = usage(1, 1);
    let mut twice = put((key, record.clone()), Expect::Any);
    twice.delete(key, Expect::Any);
    refused(twice);
    refused(put((Key::SYSTEM, record), Expect::Any));
    refused(put(
        (Key::POLICY, Record::Policy("x".repeat(70_000))),
        Expect::Any,
    ));
    let (_, ada) = super::support::principal("ada", &[]);
    refused(put(
        (super::support::principal_key("bob"), ada),
        Expect::Any,
    ));
    assert_eq!(store.attest().wait(), Ok(Revision(1)));
}

#[test]
fn a_full_queue_is_busy_but_keeps_room_for_revocations() {
    let place = Place::new();
    let faults = Arc::new(Faults::default());
    let store = place.create(&options().queue_depth(4).backend(faults.hook()));
    let gate = faults.gate.lock();
    let mut waiting = vec![store.commit(put(usage(0, 0), Expect::Absent))];
    std::thread::sleep(Duration::from_millis(50));
    let mut fill = |batch: Batch| match store.commit(batch).try_ready() {
        Ok(result) => Some(result),
        Err(pending) => {
            waiting.push(pending);
            None
        }
    };
    let busy = Some(Err(CommitError::NotApplied(StoreError::Busy)));
    for n in 1..=4 {
        assert_eq!(fill(put(usage(n, n), Expect::Absent)), None);
    }
    assert_eq!(fill(put(usage(9, 9), Expect::Absent)), busy);
    assert_eq!(fill(deny(grant("ada", 1).0, 50)), None, "the reserve");
    assert_eq!(fill(deny(grant("ada", 1).0, 51)), busy, "it has an end too");
    drop(gate);
    for pending in waiting {
        pending.wait().unwrap();
    }
}

#[test]
fn a_watcher_hears_of_what_changed_before_the_answer_comes() {
    let place = Place::new();
    let store = place.create(&options());
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    let (key, record) = grant("ada", 2);
    let mut batch = put((key, record), Expect::Absent);
    batch.keep(Key::SYSTEM, Expect::Any);
    store.commit(batch).wait().unwrap();
    assert_eq!(
        *listener.keys.lock(),
        [key],
        "what was only looked at has not changed"
    );
    assert_eq!(
        store.changes(Revision(1)).wait(),
        Ok(Changes::Keys(vec![key], Revision(2)))
    );
    assert_eq!(
        store.changes(Revision(0)).wait(),
        Ok(Changes::Reset(Revision(2)))
    );
}

#[test]
fn pages_of_a_scan_meet_end_to_end() {
    let place = Place::new();
    let store = place.create(&options());
    let mut batch = Batch::grow();
    for n in 0..25 {
        let (key, record) = usage(n, n);
        batch.put(key, Expect::Absent, record);
    }
    store.commit(batch).wait().unwrap();
    let mut range = Some(crate::KeyRange::all(countersign_core::Table::Usage));
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(next) = range {
        let page = store.scan(next, 10).wait().unwrap();
        seen.extend(page.records.into_iter().map(|(key, _)| key));
        range = page.rest;
        pages += 1;
    }
    assert_eq!((pages, seen), (3, (0..25).map(|n| usage(n, n).0).collect()));
}

#[test]
fn a_range_may_be_of_one_key_or_of_none() {
    let place = Place::new();
    let store = place.create(&options());
    let model = MemoryStore::new([1, 2, 3].map(|n| usage(n, n)));
    let mut batch = Batch::grow();
    for n in [1, 2, 3] {
        let (key, record) = usage(n, n);
        batch.put(key, Expect::Absent, record);
    }
    store.commit(batch).wait().unwrap();
    let ids = [1, 2, 3].map(|n| usage(n, n).0.id);
    let table = countersign_core::Table::Usage;
    let stores: [&dyn Store; 2] = [&store, &model];
    for (from, to, expected) in [
        (ids[1], ids[1], &ids[1..2]),
        (ids[1], ids[2], &ids[1..]),
        (ids[2], ids[1], &[]),
    ] {
        for store in stores {
            let range = crate::KeyRange { table, from, to };
            let page = store.scan(range, 10).wait().unwrap();
            let found: Vec<_> = page.records.iter().map(|(key, _)| key.id).collect();
            assert_eq!((&*found, page.rest), (expected, None));
        }
    }
}

/// Grants that are as large as they can be, and a policy that makes up what is missing to so many
/// bytes.
fn batch_of(bytes: usize) -> Batch {
    let scope = |n: u64| Scope::new(&format!("{n:0>64}")).unwrap();
    let scopes = ScopeSet::new((0..SCOPES_MAX as u64).map(scope)).unwrap();
    let large = |n| {
        let (key, record) = grant("ada", n);
        let Record::Grant(grant) = record else {
            panic!("a grant");
        };
        let scopes = scopes.clone();
        (key, Record::Grant(Grant { scopes, ..grant }))
    };
    let each = encoded_len(&large(0).1).unwrap();
    let policy = |text: usize| Record::Policy("x".repeat(text));
    let around = encoded_len(&policy(0)).unwrap();
    let mut batch = Batch::grow();
    let mut left = bytes;
    while left >= each.saturating_add(around) {
        let (key, record) = large(left as u64);
        batch.put(key, Expect::Any, record);
        left = left.saturating_sub(each);
    }
    let text = left.saturating_sub(around);
    batch.put(Key::POLICY, Expect::Any, policy(text));
    batch
}

#[test]
fn a_batch_has_at_most_so_many_bytes_whatever_store_it_is_for() {
    let store = MemoryStore::new([]);
    let sealer = Sealer::new(super::support::keyring());
    let whole = batch_of(BATCH_BYTES_MAX);
    let prepared = Prepared::new(&sealer, &whole).map(|prepared| prepared.bytes);
    assert_eq!(prepared, Ok(BATCH_BYTES_MAX));
    assert!(store.commit(whole).wait().is_ok());
    let large = batch_of(BATCH_BYTES_MAX + 1);
    let refused = Prepared::new(&sealer, &large).map(drop).unwrap_err();
    assert!(refused.to_string().contains("more bytes"), "{refused}");
    assert_eq!(
        store.commit(large).wait(),
        Err(CommitError::NotApplied(refused))
    );
}

/// A batch of random writes on few records, so that many conflict.
fn random_batch(dice: &mut Dice) -> Batch {
    let mut batch = if dice.below(2) == 0 {
        Batch::grow()
    } else {
        Batch::deny()
    };
    if dice.below(4) == 0 {
        batch.durability = Durability::Deferred;
    }
    for _ in 0..=dice.below(3) {
        let n = dice.below(12) as u64;
        let (key, record) = if dice.below(3) == 0 {
            grant("ada", n)
        } else {
            usage(n, n)
        };
        let expect = match dice.below(4) {
            0 => Expect::Any,
            1 | 2 => Expect::Absent,
            _ => Expect::Version(Version::new(dice.below(60) as u64)),
        };
        match dice.below(6) {
            0 => batch.keep(key, expect),
            1 | 2 => batch.delete(key, expect),
            _ => batch.put(key, expect, record),
        }
    }
    batch
}

#[test]
fn groups_have_the_outcome_of_one_batch_after_the_other() {
    let mut dice = Dice::new(11);
    let (mut applied, mut conflicts) = (0, 0);
    for _ in 0..8 {
        let place = Place::new();
        let store = place.create(&options());
        let model = MemoryStore::new([
            super::support::system(),
            super::support::principal("ada", &[1]),
            grant("ada", 1),
        ]);
        for _ in 0..10 {
            let batches: Vec<Batch> = (0..30).map(|_| random_batch(&mut dice)).collect();
            let answers: Vec<_> = batches
                .iter()
                .map(|batch| store.commit(batch.clone()))
                .collect();
            for (batch, answer) in batches.into_iter().zip(answers) {
                let expected = model.commit(batch).wait();
                match &expected {
                    Ok(_) => applied += 1,
                    Err(_) => conflicts += 1,
                }
                assert_eq!(answer.wait(), expected);
            }
            for table in countersign_core::Table::ALL {
                let all = crate::KeyRange::all(table);
                assert_eq!(store.scan(all, 100).wait(), model.scan(all, 100).wait());
            }
        }
    }
    assert!(
        applied > 200 && conflicts > 200,
        "{applied} applied, {conflicts} conflicts"
    );
}
