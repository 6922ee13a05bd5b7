//! What an operator asks of a store, also of a damaged one.

use super::support::{
    Place, STORE_ID, grant, keyring, options, principal, put, selector, series, system, usage,
};
use crate::error::OpenError;
use crate::redb::open::in_transaction;
use crate::redb::tables::definition;
use crate::redb::{Adopt, CheckReport, LISTED_MAX, Mismatch, Mode, PageCheck, Progress};
use crate::store::{Revision, Store};
use countersign_core::{
    Batch, CredentialKind, CredentialRef, Expect, Key, Record, Table, Timestamp,
};
use redb::{Database, ReadableDatabase};

fn check_of(place: &Place, progress: Progress<'_>) -> CheckReport {
    let report = options().check(place.path(), keyring(), true, progress);
    report.unwrap()
}

fn check(place: &Place) -> CheckReport {
    let mut told = Vec::new();
    let report = check_of(place, &mut |done, total| told.push((done, total)));
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
fn what_is_damaged_in_one_table_does_not_hide_what_is_in_another() {
    let place = Place::new();
    drop(place.create(&options()));
    let bytes = std::fs::read(place.path()).unwrap();
    let needle = [3u8; 32];
    let at = bytes.windows(32).position(|window| window == needle);
    let page = at.unwrap() / 4096 * 4096;
    let db = Database::open(place.path()).unwrap();
    let odd = usage(1, 1).0;
    in_transaction(&db, |txn| {
        let mut rows = txn.open_table(definition(Table::Usage))?;
        rows.insert(&odd.id, b"odd".as_slice())?;
        Ok(())
    })
    .unwrap();
    drop(db);
    // What says how the page of the grant is laid out.
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(place.path())
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 8], page as u64).unwrap();
    let report = check(&place);
    let named = |name| {
        let unreadable = report.unreadable.iter();
        unreadable.filter(|text| text.starts_with(name)).count()
    };
    assert!(matches!(report.pages, PageCheck::Damaged(_)), "{report:?}");
    assert_eq!(named("table grants: "), 1, "{report:?}");
    let damaged: Vec<Key> = report.damaged.iter().map(|(key, _)| *key).collect();
    assert_eq!(damaged, [odd], "{report:?}");
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_reported_as_that() {
    let place = Place::new();
    drop(place.create(&options()));
    let mut bytes = std::fs::read(place.path()).unwrap();
    // All but the head of the file.
    for byte in &mut bytes[4096..] {
        *byte ^= 0x55;
    }
    std::fs::write(place.path(), bytes).unwrap();
    let report = check_of(&place, &mut |_, _| ());
    assert!(matches!(report.pages, PageCheck::Damaged(_)), "{report:?}");
    assert_eq!((report.unreadable.len(), report.records.len()), (1, 0));
    assert!(!report.is_sound());
}

#[test]
fn a_thousand_of_what_is_found_is_listed_and_all_of_it_counted() {
    const COUNT: u64 = LISTED_MAX as u64 + 1;
    let place = Place::new();
    let store = place.create(&options());
    let mut batch = Batch::grow();
    for n in 0..COUNT {
        let (key, record) = grant("eve", 1000 + n);
        batch.put(key, Expect::Any, record);
    }
    store.commit(batch).wait().unwrap();
    drop(store);
    let db = Database::open(place.path()).unwrap();
    in_transaction(&db, |txn| {
        let mut rows = txn.open_table(definition(Table::Usage))?;
        for n in 0..COUNT {
            rows.insert(&usage(n, n).0.id, b"odd".as_slice())?;
        }
        Ok(())
    })
    .unwrap();
    drop(db);
    let report = check(&place);
    assert_eq!(
        (report.damaged_count, report.damaged.len()),
        (COUNT, LISTED_MAX)
    );
    assert_eq!(
        (report.mismatch_count, report.mismatches.len()),
        (COUNT, LISTED_MAX)
    );
    let to = place.dir.path().join("backup.redb");
    let copied = options().backup(place.path(), keyring(), to).unwrap();
    assert_eq!(copied.records, 2 * COUNT + 3);
    assert_eq!(
        (copied.damaged_count, copied.damaged.len()),
        (COUNT, LISTED_MAX)
    );
    assert_eq!(copied.damaged[0], usage(0, 0).0);
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
    assert_eq!(stats.revision, Revision(6));
    assert!(stats.file_bytes > 0 && stats.stored_bytes > 0);
    drop(store);
    let packed = options().compact(place.path(), keyring()).unwrap();
    assert!(packed.after_bytes < packed.before_bytes, "{packed:?}");
    let store = options().open(place.path(), keyring()).unwrap();
    assert!(store.load_one(usage(9, 0).0).unwrap().is_some());
    assert_eq!(store.attest().wait(), Ok(Revision(6)));
}
