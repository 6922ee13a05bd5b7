//! What an operator asks of a store, also of a damaged one.

use super::support::{
    Place, STORE_ID, grant, keyring, options, principal, put, selector, series, system, usage,
};
use crate::error::OpenError;
use crate::redb::open::in_transaction;
use crate::redb::tables::definition;
use crate::redb::{Adopt, CheckReport, Mismatch, Mode, PageCheck};
use crate::store::{Revision, Store};
use countersign_core::{
    Batch, CredentialKind, CredentialRef, Expect, Key, Record, Table, Timestamp,
};
use redb::{Database, ReadableDatabase};

fn check(place: &Place) -> CheckReport {
    let mut told = Vec::new();
    let report = options()
        .check(place.path(), keyring(), true, &mut |done, total| {
            told.push((done, total));
        })
        .unwrap();
    assert!(told.last().is_some_and(|(done, total)| done == total));
    report
}

#[test]
fn a_sound_store_is_found_sound_and_left_as_it_was() {
    let place = Place::new();
    drop(place.create(&options()));
    let report = check(&place);
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(
        (report.pages, report.revision),
        (PageCheck::Whole, Revision(1))
    );
    let counts: Vec<u64> = report.records.iter().map(|(_, count)| *count).collect();
    assert_eq!(counts, [1, 1, 1, 0, 0, 0, 0]);
    drop(options().open(place.path(), keyring()).unwrap());
}

#[test]
fn damaged_records_are_listed_each_by_name() {
    let place = Place::new();
    drop(place.create(&options()));
    let (key, _) = grant("ada", 1);
    let db = Database::open(place.path()).unwrap();
    let row = {
        let rows = db
            .begin_read()
            .unwrap()
            .open_table(definition(Table::Grants))
            .unwrap();
        let row = rows.get(&key.id).unwrap().unwrap();
        row.value().to_vec()
    };
    in_transaction(&db, |txn| {
        let mut row = row.clone();
        row[30] ^= 1;
        txn.open_table(definition(Table::Grants))?
            .insert(&key.id, row.as_slice())?;
        // And one in a table where it does not belong.
        txn.open_table(definition(Table::Usage))?
            .insert(&key.id, row.as_slice())?;
        Ok(())
    })
    .unwrap();
    drop(db);
    let report = check(&place);
    assert!(!report.is_sound());
    let keys: Vec<Key> = report.damaged.iter().map(|(key, _)| *key).collect();
    assert_eq!(
        keys,
        [
            key,
            Key {
                table: Table::Usage,
                ..key
            }
        ]
    );
    assert_eq!(
        report.mismatch_count, 0,
        "a damaged grant is not reported as missing too"
    );
}

#[test]
fn principals_and_grants_that_do_not_agree_are_listed() {
    let place = Place::new();
    let store = place.create(&options());
    let mut batch = Batch::grow();
    for (key, record) in [
        principal("bob", &[2, 3]),
        grant("bob", 2),
        // Listed by Bob, but Eve's; and Eve has no record.
        grant("eve", 3),
        // Nobody lists it.
        grant("bob", 4),
    ] {
        batch.put(key, Expect::Any, record);
    }
    store.commit(batch).wait().unwrap();
    drop(store);
    let mut found = check(&place).mismatches;
    found.sort_by_key(|mismatch| format!("{mismatch:?}"));
    let bob = super::support::principal_key("bob");
    assert_eq!(
        found,
        [
            Mismatch::NoRecord {
                principal: bob,
                selector: selector(3)
            },
            Mismatch::NotListed {
                record: grant("-", 3).0
            },
            Mismatch::NotListed {
                record: grant("-", 4).0
            },
        ]
        .map(|m| m)
    );
}

#[test]
fn remembered_devices_are_held_to_the_lists_as_devices() {
    let place = Place::new();
    let store = place.create(&options());
    let listed = |n, kind| CredentialRef {
        kind,
        selector: selector(n),
        ends_at: Timestamp::MAX,
    };
    let (key, bob) = principal("bob", &[]);
    let Record::Principal(mut bob) = bob else {
        panic!("no principal")
    };
    bob.credentials = vec![
        listed(1, CredentialKind::Remember),
        // Lost; another one's; and one that is listed as what it is not.
        listed(2, CredentialKind::Remember),
        listed(3, CredentialKind::Remember),
        listed(4, CredentialKind::Access),
        // Of these there are no records.
        listed(5, CredentialKind::Session),
    ];
    let mut batch = Batch::grow();
    batch.put(key, Expect::Any, Record::Principal(bob));
    for (key, record) in [series("bob", 1), series("ada", 3), series("bob", 4)] {
        batch.put(key, Expect::Any, record);
    }
    store.commit(batch).wait().unwrap();
    drop(store);
    let mut found = check(&place).mismatches;
    found.sort_by_key(|mismatch| format!("{mismatch:?}"));
    let no_record = |n| Mismatch::NoRecord {
        principal: key,
        selector: selector(n),
    };
    let not_listed = |n| Mismatch::NotListed {
        record: Key::series(selector(n)),
    };
    let expected = [
        no_record(2),
        no_record(3),
        no_record(4),
        not_listed(3),
        not_listed(4),
    ];
    assert_eq!(found, expected);
}

#[test]
fn of_a_file_with_damaged_pages_as_much_is_found_as_can_be_read() {
    let place = Place::new();
    drop(place.create(&options()));
    let mut bytes = std::fs::read(place.path()).unwrap();
    // A page with a grant in it.
    let needle = [3u8; 32];
    let at = bytes
        .windows(32)
        .position(|window| window == needle)
        .unwrap();
    bytes[at] ^= 1;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    drop(file);
    assert!(matches!(
        options().open(place.path(), keyring()),
        Err(OpenError::Damaged { .. })
    ));
    let report = check(&place);
    assert!(matches!(report.pages, PageCheck::Damaged(_)), "{report:?}");
    assert!(!report.is_sound());
}

#[test]
fn a_store_in_use_is_checked_as_far_as_it_shares() {
    let place = Place::new();
    let store = place.create(&options());
    let checked = options().check(place.path(), keyring(), true, &mut |_, _| ());
    assert_eq!(checked, Err(OpenError::AlreadyOpen(place.path())));
    drop(store);
    let store = options()
        .mode(Mode::SharedReaders)
        .open(place.path(), keyring())
        .unwrap();
    let report = check(&place);
    assert_eq!(report.pages, PageCheck::Skipped);
    assert!(report.is_sound());
    drop(store);
}

#[test]
fn a_backup_of_a_living_store_is_a_copy_that_must_be_adopted() {
    let place = Place::new();
    let store = place.create(&options());
    store
        .commit(put(usage(1, 1), Expect::Absent))
        .wait()
        .unwrap();
    let to = place.dir.path().join("backup.redb");
    let report = store.backup(&to).unwrap();
    assert_eq!(
        (report.revision, report.records, report.damaged_count),
        (Revision(2), 4, 0)
    );
    assert_eq!(
        store.backup(&to).unwrap_err(),
        OpenError::Exists(to.clone())
    );
    let open = |adopt| options().adopt(adopt).open(&to, keyring());
    assert_eq!(open(None).unwrap_err(), OpenError::Cloned(to.clone()));
    let copy = open(Some(Adopt::Keep)).unwrap();
    assert_eq!(copy.store_id(), STORE_ID);
    for key in [system().0, usage(1, 1).0, grant("ada", 1).0] {
        assert_eq!(copy.load_one(key), store.load_one(key));
        assert!(copy.load_one(key).unwrap().is_some());
    }
    drop((copy, store));
    let second = place.dir.path().join("second.redb");
    options().backup(place.path(), keyring(), &second).unwrap();
    assert!(
        options()
            .check(second, keyring(), true, &mut |_, _| ())
            .unwrap()
            .is_sound()
    );
}

#[test]
fn compaction_wins_room_and_loses_nothing() {
    let place = Place::new();
    let store = place.create(&options());
    for round in 0..4 {
        let mut batch = Batch::grow();
        for n in 0..2000 {
            let (key, record) = usage(n, round);
            batch.put(key, Expect::Any, record);
        }
        store.commit(batch).wait().unwrap();
    }
    let mut batch = Batch::deny();
    for n in 10..2000 {
        batch.delete(usage(n, 0).0, Expect::Any);
    }
    store.commit(batch).wait().unwrap();
    let stats = store.stats().unwrap();
    assert_eq!(stats.tables[3].records, 10);
    assert!(stats.file_bytes > 0 && stats.stored_bytes > 0);
    drop(store);
    let packed = options().compact(place.path(), keyring()).unwrap();
    assert!(packed.after_bytes < packed.before_bytes, "{packed:?}");
    let store = options().open(place.path(), keyring()).unwrap();
    assert!(store.load_one(usage(9, 0).0).unwrap().is_some());
    assert_eq!(store.attest().wait(), Ok(Revision(6)));
}
