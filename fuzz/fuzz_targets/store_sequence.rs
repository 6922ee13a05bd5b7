//! Hazard: the redb store and the plain model in memory part ways somewhere in a long history, or
//! a commit that was acknowledged is not there once the power was cut.
//!
//! Each few bytes of an input are a step, made on both. The bytes of redb's file are in memory; at
//! the end of a sequence the power is cut at some point of it, and what the disk holds must be
//! what the model held after one of its commits: none earlier than the last durable one that had
//! been acknowledged by then.
#![no_main]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use countersign_core::{
    Batch, Change, Durability, Expect, Key, Purpose, Record, Table, Version, Versioned, Write,
};
use countersign_fuzz::Choices;
use countersign_store::{
    Changes, CommitError, KeyRange, MemoryStore, RedbOptions, RedbStore, Revision, Store,
    StoreError,
};
use countersign_testkit::{Cut, Disk, samples};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: usize = 32;

/// An empty store, where it lies, and its bytes.
///
/// Held by the thread, so that the directory goes away with it.
struct Empty {
    _directory: tempfile::TempDir,
    path: PathBuf,
    bytes: Vec<u8>,
}

thread_local! {
    static EMPTY: Empty = Empty::new();
}

impl Empty {
    fn new() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let directory = directory.expect("a directory");
        let path = directory.path().join("state.redb");
        let made = options().create(&path, samples::keyring(), [1; 16], Vec::new());
        let closed = made.expect("a store").close().wait();
        closed.expect("nothing waits");
        let bytes = std::fs::read(&path).expect("a file");
        Self {
            _directory: directory,
            path,
            bytes,
        }
    }
}

fn options() -> RedbOptions {
    let backoff = Duration::from_millis(1);
    RedbOptions::new()
        .cache_bytes(1 << 20)
        .ballast_bytes(0)
        .spare_bytes(0)
        .reopen_backoff(backoff, backoff)
}

type Contents = Vec<(Key, Versioned)>;

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let power = Power::chosen(&mut choices);
    let mut pair = Pair::new();
    for _ in 0..STEPS_MAX {
        if choices.is_over() {
            break;
        }
        pair.step(&mut choices);
    }
    pair.compare();
    pair.lose(power);
});

/// Where the power is cut, and what is left of what was not synced.
struct Power {
    at: u16,
    cut: Cut,
    dice: u64,
}

impl Power {
    fn chosen(choices: &mut Choices<'_>) -> Self {
        Self {
            at: u16::from_be_bytes(choices.bytes()),
            cut: Cut::ALL[choices.below(Cut::ALL.len())],
            dice: choices.byte().into(),
        }
    }

    /// A number below `sides`: splitmix64.
    fn below(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }
}

struct Pair {
    model: MemoryStore,
    disk: Disk,
    redb: Option<RedbStore>,
    /// The revisions that the feed may be asked from.
    feed: Vec<Revision>,
    /// What the model held at each revision; there is no revision 0, and 1 is the empty store.
    states: Vec<Contents>,
    /// The revisions that were durable when they were acknowledged.
    durable: Vec<Revision>,
}

fn open(disk: &Disk) -> RedbStore {
    let opened = EMPTY.with(|empty| {
        let options = options().backend(disk.hook());
        options.open(&empty.path, samples::keyring())
    });
    opened.expect("a store that was left in order")
}

fn contents(store: &dyn Store) -> Contents {
    let page = |table| store.scan(KeyRange::all(table), usize::MAX).wait();
    let pages = Table::ALL.map(|table| page(table).expect("a store that is open"));
    assert!(
        pages
            .iter()
            .all(|page| page.damaged.is_empty() && page.rest.is_none())
    );
    pages.into_iter().flat_map(|page| page.records).collect()
}

impl Pair {
    fn new() -> Self {
        let disk = Disk::holding(EMPTY.with(|empty| empty.bytes.clone()));
        Self {
            model: MemoryStore::new([]),
            redb: Some(open(&disk)),
            disk,
            feed: vec![Revision(1)],
            states: vec![Contents::new(); 2],
            durable: Vec::new(),
        }
    }

    fn redb(&self) -> &RedbStore {
        self.redb.as_ref().expect("it is open")
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(12) {
            0..=5 => self.commit(choices),
            6 => self.load(choices),
            7 | 8 => self.scan(choices),
            9 => self.changes(choices),
            10 => self.compare(),
            _ => self.reopen(choices.flag()),
        }
    }

    fn commit(&mut self, choices: &mut Choices<'_>) {
        let mut batch = Batch::grow();
        let kind = choices.byte();
        if kind & 1 == 1 {
            batch.durability = Durability::Deferred;
        }
        if kind & 2 == 2 {
            batch.purpose = Purpose::Deny;
        }
        for _ in 0..=choices.below(4) {
            let write = self.write(choices);
            batch.writes.push(write);
        }
        // Whether a batch without a change counts as a commit is each store's own affair.
        let event = samples::event(choices.byte().into());
        batch.put(event.0, Expect::Any, event.1);

        let durable = batch.durability == Durability::Immediate;
        let expected = self.model.commit(batch.clone()).wait();
        if let Ok(revision) = expected {
            assert_eq!(revision.0 as usize, self.states.len());
            self.states.push(contents(&self.model));
        }
        let found = self.redb().commit(batch.clone()).wait();
        let invalid = |outcome: &Result<Revision, CommitError>| {
            matches!(
                outcome,
                Err(CommitError::NotApplied(StoreError::Invalid(_)))
            )
        };
        let same = expected == found || invalid(&expected) && invalid(&found);
        assert!(same, "{batch:?}: {expected:?} and {found:?}");
        if let Ok(revision) = found {
            self.feed.push(revision);
            if durable {
                self.durable.push(revision);
                self.disk.mark();
            }
        }
    }

    fn write(&self, choices: &mut Choices<'_>) -> Write {
        let key = key(choices);
        let change = match choices.below(4) {
            0 => Change::Delete,
            1 => Change::Keep,
            _ => Change::Put(record(key, choices)),
        };
        let found = self.model.load(&[key]).wait().expect("a store in memory");
        let version = found.first().and_then(|found| found.as_ref());
        let version = version.map(|found| found.version);
        let expect = match choices.below(6) {
            0 => Expect::Absent,
            1 => Expect::Version(Version::new(choices.number())),
            2 | 3 => version.map_or(Expect::Absent, Expect::Version),
            _ => Expect::Any,
        };
        Write {
            key,
            expect,
            change,
        }
    }

    fn load(&self, choices: &mut Choices<'_>) {
        let keys: Vec<Key> = (0..choices.below(6)).map(|_| key(choices)).collect();
        let expected = self.model.load(&keys).wait();
        assert_eq!(self.redb().load(&keys).wait(), expected);
    }

    fn scan(&self, choices: &mut Choices<'_>) {
        let (from, to) = (key(choices), key(choices));
        let range = match choices.flag() {
            true => KeyRange::all(from.table),
            false => KeyRange {
                table: from.table,
                from: from.id,
                to: to.id,
            },
        };
        let limit = choices.below(7);
        let expected = self.model.scan(range, limit).wait();
        assert_eq!(self.redb().scan(range, limit).wait(), expected);
    }

    fn changes(&self, choices: &mut Choices<'_>) {
        let since = self.feed[choices.below(self.feed.len())];
        let answers = [self.model.changes(since), self.redb().changes(since)];
        let [expected, found] =
            answers.map(
                |answer| match answer.wait().expect("a store that is open") {
                    Changes::Keys(keys, upto) => {
                        (Some(keys.into_iter().collect::<BTreeSet<_>>()), upto)
                    }
                    Changes::Reset(upto) => (None, upto),
                },
            );
        assert_eq!(found, expected, "since {since:?}");
    }

    fn reopen(&mut self, cleanly: bool) {
        let store = self.redb.take().expect("it is open");
        if cleanly {
            store.close().wait().expect("nothing is in the way");
        }
        drop(store);
        self.redb = Some(open(&self.disk));
        // A store that was just opened may have forgotten its feed.
        self.feed = vec![Revision(self.states.len() as u64 - 1)];
    }

    /// Everything that is there, in both.
    fn compare(&self) {
        assert_eq!(contents(self.redb()), contents(&self.model));
        let expected = self.model.attest().wait();
        assert_eq!(self.redb().attest().wait(), expected);
    }

    /// Cuts the power and looks at what the disk holds.
    fn lose(mut self, mut power: Power) {
        drop(self.redb.take());
        let notes = self.disk.notes(EMPTY.with(|empty| empty.bytes.clone()));
        let mut replay = notes.replay();
        for _ in 0..usize::from(power.at) % notes.len().max(1) {
            replay.step();
        }
        let cut = power.cut;
        let image = replay.image(cut, &mut |sides| power.below(sides));
        let told = self.durable[..replay.marks()].last();
        let told = told.copied().unwrap_or(Revision(1));
        let store = open(&Disk::holding(image));
        let revision = store.attest().wait().expect("it was just opened");
        assert!(revision >= told, "{revision:?} is back behind {told:?}");
        let state = &self.states[revision.0 as usize];
        assert_eq!(&contents(&store), state, "not what {revision:?} is");
    }
}

fn key(choices: &mut Choices<'_>) -> Key {
    let choice = choices.byte();
    let number = u64::from(choice / 4) % 6;
    match choice % 4 {
        0 => Key::SYSTEM,
        1 => Key::grant(samples::selector(number)),
        2 => samples::principal(number).0,
        _ => Key::usage(samples::selector(number)),
    }
}

/// A record for a key; one in a few does not belong there.
fn record(key: Key, choices: &mut Choices<'_>) -> Record {
    let number = u64::from(choices.byte());
    match key.table {
        _ if number == 0xff => samples::event(number).1,
        Table::System => samples::system(),
        Table::Grants => samples::grant(number),
        Table::Principals => {
            let own = (0..6).map(samples::principal).find(|(own, _)| *own == key);
            own.expect("one of six").1
        }
        _ => samples::usage(number),
    }
}
