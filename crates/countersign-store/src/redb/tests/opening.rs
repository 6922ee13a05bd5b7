//! A file that is not this store, or not whole, is refused for the right reason and left alone.

use super::support::{Place, STORE_ID, grant, keyring, material, options, put, system};
use crate::error::{OpenError, StoreError};
use crate::redb::meta::{Row, header_row};
use crate::redb::migrate::{Formats, Step};
use crate::redb::open::{in_transaction, put_meta};
use crate::redb::{Adopt, Mode, RedbOptions};
use crate::store::{Changes, Health, Revision, Store};
use countersign_core::{Expect, Key, KeyMaterial, Keyring, Record, Subsystem, Timestamp};
use redb::{Database, Error, ReadableDatabase, WriteTransaction};
use std::path::Path;
use std::sync::Arc;

fn refused(options: &RedbOptions, path: &Path) -> OpenError {
    let before = std::fs::read(path).ok();
    let error = options.open(path, keyring()).map(drop).unwrap_err();
    assert_eq!(
        std::fs::read(path).ok(),
        before,
        "it was left as it is: {error}"
    );
    error
}

#[test]
fn what_is_no_store_is_told_apart() {
    let place = Place::new();
    let path = place.path();
    assert_eq!(
        refused(&options(), &path),
        OpenError::NotFound(path.clone())
    );
    for (bytes, expected) in [
        (&b""[..], "empty"),
        (b"SQLite format 3\0 and more", "other bytes"),
        (b"redb\x1a\x0a", "truncated"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = refused(&options(), &path);
        assert!(error.to_string().contains(expected), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let error = options().open(&path, keyring()).unwrap_err();
    assert!(matches!(&error, OpenError::NotAStore { detail, .. } if detail.contains("directory")));
    assert!(
        place.names() == ["state.redb"],
        "no ballast beside what is no store"
    );
}

#[test]
fn somebody_elses_redb_file_is_no_store() {
    let place = Place::new();
    drop(Database::create(place.path()).unwrap());
    let error = options().open(place.path(), keyring()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error:?}");
}

#[test]
fn what_is_refused_is_left_as_it_is_to_the_byte() {
    let place = Place::new();
    drop(place.create(&options()));
    let check = |path: &Path, options: &RedbOptions, keys: &Arc<Keyring>| {
        let before = std::fs::read(path).unwrap();
        let opened = options.open(path, Arc::clone(keys));
        let error = opened.map(drop).unwrap_err();
        let after = std::fs::read(path).unwrap();
        assert!(before == after, "it was written to: {error}");
        error
    };
    let path = place.path();
    for (root, pepper) in [([8; 32], [2; 32]), ([1; 32], [8; 32])] {
        let wrong = KeyMaterial::generate(Timestamp::ZERO, root, pepper);
        let error = check(&path, &options(), &Arc::new(Keyring::new(&wrong)));
        assert_eq!(error, OpenError::WrongKey(path.clone()));
    }
    let copy = place.dir.path().join("copy.redb");
    std::fs::copy(&path, &copy).unwrap();
    let error = check(&copy, &options(), &keyring());
    assert_eq!(error, OpenError::Cloned(copy));
    let more = material().rotated(Timestamp::ZERO, [5; 32]).unwrap();
    let mut newer = options();
    newer.formats = Formats {
        current: 2,
        steps: &[],
    };
    drop(newer.open(&path, Arc::new(Keyring::new(&more))).unwrap());
    let error = check(&path, &newer, &keyring());
    assert!(matches!(error, OpenError::MissingPepper { .. }), "{error}");
    let error = check(&path, &options(), &keyring());
    assert!(matches!(error, OpenError::NewerFormat { .. }), "{error}");
    let other = place.dir.path().join("other.redb");
    drop(Database::create(&other).unwrap());
    let error = check(&other, &options(), &keyring());
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
}

#[test]
fn a_file_that_was_cut_short_is_damaged() {
    let place = Place::new();
    drop(place.create(&options()));
    let whole = std::fs::read(place.path()).unwrap();
    for keep in [9, 64, 320, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(place.path(), &whole[..keep]).unwrap();
        let error = options()
            .open(place.path(), keyring())
            .map(drop)
            .unwrap_err();
        assert!(
            matches!(error, OpenError::Damaged { .. }),
            "{keep} bytes: {error:?}"
        );
    }
}

#[test]
fn a_flipped_byte_anywhere_is_refused_or_harms_nothing() {
    let place = Place::new();
    drop(place.create(&options()));
    let whole = std::fs::read(place.path()).unwrap();
    let (mut refused, mut harmless) = (0, 0);
    // Every byte of the head, and a sample of the rest.
    for offset in (0..512).chain((512..whole.len()).step_by(4099)) {
        let mut bytes = whole.clone();
        bytes[offset] ^= 0xff;
        std::fs::write(place.path(), &bytes).unwrap();
        match options()
            .adopt(Some(Adopt::Keep))
            .open(place.path(), keyring())
        {
            Err(_) => refused += 1,
            Ok(store) => {
                let (key, record) = grant("ada", 1);
                assert_eq!(
                    store.load_one(key).unwrap().unwrap().record,
                    record,
                    "byte {offset}"
                );
                harmless += 1;
            }
        }
    }
    assert!(
        refused > 50 && harmless > 0,
        "{refused} refused, {harmless} harmless"
    );
}

#[test]
fn a_second_handle_is_kept_out_while_the_first_is_open() {
    let place = Place::new();
    let store = place.create(&options());
    assert_eq!(
        refused(&options(), &place.path()),
        OpenError::AlreadyOpen(place.path())
    );
    let reading = options().mode(Mode::ReadOnly);
    assert_eq!(
        refused(&reading, &place.path()),
        OpenError::AlreadyOpen(place.path())
    );
    assert_eq!(store.health(), Health::Healthy);
    store.close().wait().unwrap();
    drop(options().open(place.path(), keyring()).unwrap());
}

#[test]
fn a_copy_is_refused_until_it_is_adopted() {
    let place = Place::new();
    drop(place.create(&options()));
    let copy = place.dir.path().join("copy.redb");
    std::fs::copy(place.path(), &copy).unwrap();
    let open = |options: RedbOptions| options.open(&copy, keyring());
    assert_eq!(
        open(options()).unwrap_err(),
        OpenError::Cloned(copy.clone())
    );
    // A look at it stamps nothing.
    drop(open(options().mode(Mode::ReadOnly).adopt(Some(Adopt::Keep))).unwrap());
    assert_eq!(
        open(options()).unwrap_err(),
        OpenError::Cloned(copy.clone())
    );
    let adopted = open(options().adopt(Some(Adopt::Keep))).unwrap();
    assert!(adopted.was_adopted());
    drop(adopted);
    assert!(!open(options()).unwrap().was_adopted());
    assert!(
        !options()
            .open(place.path(), keyring())
            .unwrap()
            .was_adopted()
    );
}

#[test]
fn adopting_a_copy_can_end_everything_in_the_same_commit() {
    let place = Place::new();
    let original = place.create(&options());
    let epochs = |record: Record| match record {
        Record::System(system) => Subsystem::ALL.map(|s| system.switch(s).epoch.number()),
        other => panic!("{other:?}"),
    };
    let at = |store: &crate::RedbStore| store.load_one(Key::SYSTEM).unwrap().unwrap();
    assert_eq!(epochs(at(&original).record), [0; 4]);
    drop(original);
    let copy = place.dir.path().join("copy.redb");
    std::fs::copy(place.path(), &copy).unwrap();
    let end_all = options().adopt(Some(Adopt::EndAll {
        now: Timestamp::from_millis(5),
    }));
    let adopted = end_all.open(&copy, keyring()).unwrap();
    assert_eq!(epochs(at(&adopted).record), [1; 4]);
    assert_eq!(at(&adopted).version.number(), 2);
    drop(adopted);
    // It is the store now, and is not adopted a second time.
    assert_eq!(
        epochs(at(&end_all.open(&copy, keyring()).unwrap()).record),
        [1; 4]
    );
}

#[test]
fn a_newer_format_is_refused_and_an_older_one_brought_up_to_date() {
    fn two(txn: &WriteTransaction, keyring: &Keyring) -> Result<(), Error> {
        // What a step could do: here it files a row that the older format did not have.
        let header = header_row(keyring, 2, STORE_ID);
        put_meta(txn, Row::Header, &header)
    }
    const STEPS: &[Step] = &[
        Step { to: 2, run: two },
        Step {
            to: 3,
            run: |_, _| Ok(()),
        },
    ];
    let place = Place::new();
    drop(place.create(&options()));
    let mut newer = options();
    newer.formats = Formats {
        current: 3,
        steps: STEPS,
    };
    let reading = newer
        .clone()
        .mode(Mode::ReadOnly)
        .open(place.path(), keyring());
    assert!(
        matches!(reading, Err(OpenError::OlderFormat { found: 1, .. })),
        "{reading:?}"
    );
    let migrated = newer.open(place.path(), keyring()).unwrap();
    assert_eq!(migrated.store_id(), STORE_ID);
    assert!(migrated.load_one(grant("ada", 1).0).unwrap().is_some());
    drop(migrated);
    drop(newer.open(place.path(), keyring()).unwrap());
    let error = options().open(place.path(), keyring()).unwrap_err();
    let expected = OpenError::NewerFormat {
        path: place.path(),
        found: 3,
        supported: 1,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_format_is_migrated_by_the_steps_behind_it_alone() {
    const FIRST: &[Step] = &[Step {
        to: 2,
        run: |_, _| Ok(()),
    }];
    const BOTH: &[Step] = &[
        Step {
            to: 2,
            run: |_, _| Err(Error::Corrupted("it was done before".to_owned())),
        },
        Step {
            to: 3,
            run: |_, _| Ok(()),
        },
    ];
    let place = Place::new();
    drop(place.create(&options()));
    for (current, steps) in [(2, FIRST), (3, BOTH)] {
        let mut newer = options();
        newer.formats = Formats { current, steps };
        let opened = newer.open(place.path(), keyring()).unwrap();
        assert_eq!(opened.store_id(), STORE_ID);
    }
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    const STEPS: &[Step] = &[Step {
        to: 2,
        run: |txn, keyring| {
            put_meta(txn, Row::Header, &header_row(keyring, 2, [0; 16]))?;
            Err(Error::Corrupted("planted".to_owned()))
        },
    }];
    let place = Place::new();
    drop(place.create(&options()));
    let mut newer = options();
    newer.formats = Formats {
        current: 2,
        steps: STEPS,
    };
    newer.open(place.path(), keyring()).unwrap_err();
    assert_eq!(
        options().open(place.path(), keyring()).unwrap().store_id(),
        STORE_ID
    );
}

#[test]
fn rows_that_were_swapped_put_back_or_edited_are_not_believed() {
    let place = Place::new();
    let store = place.create(&options());
    let (one, two) = (grant("ada", 1), grant("ada", 2));
    store
        .commit(put(two.clone(), Expect::Absent))
        .wait()
        .unwrap();
    store.close().wait().unwrap();
    let table = crate::redb::tables::definition(countersign_core::Table::Grants);
    let db = Database::open(place.path()).unwrap();
    let row = |key: Key| {
        let rows = db.begin_read().unwrap().open_table(table).unwrap();
        rows.get(&key.id).unwrap().unwrap().value().to_vec()
    };
    let (a, b) = (row(one.0), row(two.0));
    in_transaction(&db, |txn| {
        let mut rows = txn.open_table(table)?;
        rows.insert(&one.0.id, b.as_slice())?;
        let mut edited = a.clone();
        edited[20] ^= 1;
        rows.insert(&two.0.id, edited.as_slice())?;
        Ok(())
    })
    .unwrap();
    drop(db);
    let store = options().open(place.path(), keyring()).unwrap();
    for key in [one.0, two.0] {
        let error = store.load_one(key).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { key: found, .. } if found == key));
        let together = store.load(&[Key::SYSTEM, key]).wait();
        assert_eq!(together, Err(error), "one of many is not left out");
        // Nothing is built on it, and the store serves the others.
        let conflicting = put((key, one.1.clone()), Expect::Absent);
        store.commit(conflicting).wait().unwrap_err();
    }
    assert!(store.load_one(Key::SYSTEM).unwrap().is_some());
    let page = store
        .scan(crate::KeyRange::all(one.0.table), 10)
        .wait()
        .unwrap();
    assert_eq!((page.records.len(), page.damaged), (0, vec![one.0, two.0]));
    assert_eq!(store.health(), Health::Healthy);
}

#[test]
fn a_reader_follows_a_writer_that_shares() {
    let place = Place::new();
    let writer = place.create(&options().mode(Mode::SharedReaders));
    let reader = options()
        .mode(Mode::ReadOnly)
        .open(place.path(), keyring())
        .unwrap();
    let (key, record) = grant("ada", 2);
    assert_eq!(reader.load_one(key), Ok(None));
    let since = Revision(1);
    assert_eq!(
        reader.changes(since).wait(),
        Ok(Changes::Keys(vec![], since))
    );
    let mut deferred = put((key, record.clone()), Expect::Absent);
    deferred.durability = countersign_core::Durability::Deferred;
    writer.commit(deferred).wait().unwrap();
    assert_eq!(reader.load_one(key).unwrap().unwrap().record, record);
    assert_eq!(
        reader.changes(since).wait(),
        Ok(Changes::Reset(Revision(2)))
    );
    assert!(!reader.capabilities().writable && !reader.capabilities().watched);
    let refused = reader.commit(put(system(), Expect::Any)).wait();
    assert_eq!(
        refused,
        Err(crate::CommitError::NotApplied(StoreError::ReadOnly))
    );
    // Another writer is kept out by both.
    let second = options()
        .mode(Mode::SharedReaders)
        .open(place.path(), keyring());
    assert!(
        matches!(second, Err(OpenError::AlreadyOpen(_))),
        "{second:?}"
    );
    reader.close().wait().unwrap();
    assert_eq!(reader.load_one(key), Err(StoreError::Closed));
}
