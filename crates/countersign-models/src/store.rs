//! Hazard: a store and the plain one in memory part ways somewhere in a long history.
//!
//! Every commit, read and scan is made on both, and the store is closed and opened again in
//! between. The two number their revisions each in its own way: what is held to is that revisions
//! grow, that a record's version is the revision of its commit, and that both answer the same
//! once numbers are put for numbers. Commits may be on their way together; they must come to what
//! they come to one after the other.

use crate::choices::Choices;
use crate::place::Place;
use core::fmt;
use countersign_core::{
    Batch, Change, Durability, Expect, Key, Purpose, Record, Table, Version, Versioned, Write,
};
use countersign_store::{
    Changes, CommitError, KeyRange, MemoryStore, Page, Pending, Revision, Store, StoreError,
};
use countersign_testkit::{must, must_be, samples};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Commits that may be on their way at once.
const FLYING_MAX: usize = 6;
/// In versions that no store gives out.
const NEVER: u64 = 1 << 62;

/// Everything that a store holds.
pub type Contents = Vec<(Key, Versioned)>;

/// Reads all of a store, which must be whole.
#[must_use]
#[track_caller]
pub fn contents(store: &dyn Store) -> Contents {
    let page = |table| must(store.scan(KeyRange::all(table), usize::MAX).wait());
    let pages = Table::ALL.map(page);
    assert!(
        pages
            .iter()
            .all(|page| page.damaged.is_empty() && page.rest.is_none())
    );
    pages.into_iter().flat_map(|page| page.records).collect()
}

/// A store at a place, and the plain one beside it.
pub struct Pair<P> {
    place: P,
    model: MemoryStore,
    store: Arc<dyn Store>,
    flying: Vec<Flying>,
    history: History,
    /// Where the feed may be asked from: what the model calls it, and what the store does.
    feed: Vec<(Revision, Revision)>,
}

/// A commit whose answer was not asked for yet.
struct Flying {
    batch: Batch,
    answer: Pending<Result<Revision, CommitError>>,
}

/// What has been committed.
#[derive(Debug)]
pub struct History {
    /// What the store calls the model's revisions; there is no revision 0, and 1 is the empty
    /// store.
    theirs: Vec<Revision>,
    /// What the model held at each of its revisions.
    states: Vec<Contents>,
    /// The store's revisions that were durable when they were acknowledged, in that order.
    durable: Vec<Revision>,
}

impl<P: Place> Pair<P> {
    /// Opens a store that must be empty.
    #[track_caller]
    pub fn open(mut place: P) -> Self {
        let store = place.open();
        assert_eq!(contents(&*store), [], "somebody was here before");
        let first = must(store.attest().wait());
        Self {
            place,
            model: MemoryStore::new([]),
            store,
            flying: Vec::new(),
            history: History {
                theirs: vec![Revision(0), first],
                states: vec![Contents::new(); 2],
                durable: Vec::new(),
            },
            feed: vec![(Revision(1), first)],
        }
    }

    /// Makes steps until the input is over, or so many are made; answers how many were.
    #[track_caller]
    pub fn run(&mut self, choices: &mut Choices<'_>, steps_max: u64) -> u64 {
        let steps = choices.steps(steps_max, |choices, _| self.step(choices));
        self.compare();
        steps
    }

    /// Lets go of the store.
    pub fn finish(mut self) -> (P, History) {
        self.settle();
        (self.place, self.history)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let step = choices.below(12);
        if step < 6 {
            self.commit(choices);
            return;
        }
        // All else is compared while no commit is on its way.
        self.settle();
        match step {
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
        if kind & 4 == 4 {
            batch.keep(samples::attachment(9, 0).0, Expect::Absent);
        }
        // Whether a batch without a change counts as a commit is each store's own affair.
        let event = samples::event(choices.byte().into());
        batch.put(event.0, Expect::Any, event.1);

        let answer = self.store.commit(self.history.translated(&batch));
        self.flying.push(Flying { batch, answer });
        let waits = kind & 8 == 0;
        if waits || self.flying.len() == FLYING_MAX {
            self.settle();
        }
    }

    fn write(&self, choices: &mut Choices<'_>) -> Write {
        let key = key(choices);
        let change = match choices.below(4) {
            0 => Change::Delete,
            1 => Change::Keep,
            _ => Change::Put(record(key, choices)),
        };
        let expect = match choices.below(6) {
            0 => Expect::Absent,
            1 => Expect::Version(self.history.some_version(choices.number())),
            2 | 3 => version_of(&self.model, key).map_or(Expect::Absent, Expect::Version),
            _ => Expect::Any,
        };
        Write {
            key,
            expect,
            change,
        }
    }

    /// Holds the answers of all commits that are on their way to the model's.
    fn settle(&mut self) {
        let before = self.history.newest();
        for Flying { batch, answer } in std::mem::take(&mut self.flying) {
            let broken = self.broken(&batch);
            let durable = batch.durability == Durability::Immediate;
            let expected = self.model.commit(batch.clone()).wait();
            match (expected, answer.wait()) {
                (Ok(ours), Ok(theirs)) => {
                    assert!(broken.is_empty(), "{batch:?} was applied over {broken:?}");
                    assert!(theirs > before, "{theirs:?} does not grow from {before:?}");
                    let state = contents(&self.model);
                    self.history.note(ours, theirs, state);
                    if durable {
                        self.history.durable.push(theirs);
                        self.place.acknowledged();
                    }
                }
                // Any expectation that does not hold may be the one that is named.
                (Err(CommitError::Conflict(_)), Err(CommitError::Conflict(key))) => {
                    assert!(broken.contains(&key), "{batch:?} did not fail by {key:?}");
                }
                (
                    Err(CommitError::NotApplied(StoreError::Invalid(_))),
                    Err(CommitError::NotApplied(StoreError::Invalid(_))),
                ) => {}
                (expected, found) => panic!("{batch:?}: {expected:?} and {found:?}"),
            }
        }
        let newest = (self.history.last(), self.history.newest());
        if self.feed.last() != Some(&newest) {
            self.feed.push(newest);
        }
    }

    /// What of a batch's expectations does not hold in the model.
    fn broken(&self, batch: &Batch) -> BTreeSet<Key> {
        // Told anew here: the stores ask their records by one and the same function.
        let holds = |write: &&Write| match (write.expect, version_of(&self.model, write.key)) {
            (Expect::Any, _) | (Expect::Absent, None) => true,
            (Expect::Version(expected), Some(found)) => expected == found,
            (Expect::Absent, Some(_)) | (Expect::Version(_), None) => false,
        };
        let broken = batch.writes.iter().filter(|write| !holds(write));
        broken.map(|write| write.key).collect()
    }

    fn load(&self, choices: &mut Choices<'_>) {
        let keys: Vec<Key> = (0..choices.below(6)).map(|_| key(choices)).collect();
        let expected = must(self.model.load(&keys).wait()).into_iter();
        let expected = expected.map(|found| found.map(|found| self.history.theirs(found)));
        let found = must(self.store.load(&keys).wait());
        assert_eq!(found, expected.collect::<Vec<_>>(), "{keys:?}");
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
        let expected = must(self.model.scan(range, limit).wait());
        let expected = Page {
            records: self.history.all_theirs(&expected.records),
            ..expected
        };
        let found = must(self.store.scan(range, limit).wait());
        assert_eq!(found, expected, "{limit} of {range:?}");
    }

    fn changes(&self, choices: &mut Choices<'_>) {
        let since = self.feed[choices.below(self.feed.len())];
        let told = |changes| match changes {
            Changes::Keys(keys, upto) => (Some(keys.into_iter().collect::<BTreeSet<_>>()), upto),
            Changes::Reset(upto) => (None, upto),
        };
        let (keys, _) = told(must(self.model.changes(since.0).wait()));
        let found = told(must(self.store.changes(since.1).wait()));
        if let Some(keys) = &keys {
            let changed = self.history.changed_since(since.0);
            assert!(changed.is_subset(keys), "{changed:?} since {since:?}");
        }
        assert_eq!(found, (keys, self.history.newest()), "since {since:?}");
    }

    /// Closes the store, or only lets go of it, and opens it again.
    #[track_caller]
    pub fn reopen(&mut self, cleanly: bool) {
        self.settle();
        self.place.leave();
        if cleanly {
            must(self.store.close().wait());
        }
        // Nobody may have it open while it is opened again.
        self.store = Arc::new(MemoryStore::new([]));
        self.store = self.place.open();
        // A store that was just opened may have forgotten its feed.
        self.feed = vec![(self.history.last(), self.history.newest())];
    }

    /// Holds everything that is there to the model.
    #[track_caller]
    pub fn compare(&mut self) {
        self.settle();
        let expected = self.history.all_theirs(&contents(&self.model));
        assert_eq!(contents(&*self.store), expected);
        let newest = must(self.store.attest().wait());
        assert_eq!(newest, self.history.newest());
    }
}

impl History {
    /// What the store must hold at one of its revisions.
    #[must_use]
    pub fn at(&self, theirs: Revision) -> Option<Contents> {
        let ours = self.theirs.iter().skip(1).position(|it| *it == theirs)?;
        Some(self.all_theirs(&self.states[ours + 1]))
    }

    /// The store's revisions, from the empty one on.
    #[must_use]
    pub fn revisions(&self) -> &[Revision] {
        &self.theirs[1..]
    }

    /// Those that were durable when they were acknowledged, in that order.
    #[must_use]
    pub fn durable(&self) -> &[Revision] {
        &self.durable
    }

    fn last(&self) -> Revision {
        Revision(self.theirs.len() as u64 - 1)
    }

    fn newest(&self) -> Revision {
        let newest = self.theirs.iter().copied().max();
        newest.unwrap_or_default()
    }

    /// The keys under which something else lies now than at one of the model's revisions.
    fn changed_since(&self, ours: Revision) -> BTreeSet<Key> {
        let then = usize::try_from(ours.0).ok();
        let then = then.and_then(|then| self.states.get(then));
        let (then, now) = (
            must_be(then, "a state of each revision"),
            self.states.last(),
        );
        let versions = |state: &Contents| -> BTreeSet<(Key, Version)> {
            state.iter().map(|(key, it)| (*key, it.version)).collect()
        };
        let (then, now) = (versions(then), now.map(versions).unwrap_or_default());
        let changed = then.symmetric_difference(&now);
        changed.map(|(key, _)| *key).collect()
    }

    fn note(&mut self, ours: Revision, theirs: Revision, state: Contents) {
        assert!(!self.theirs.contains(&theirs), "{theirs:?} came twice");
        assert_eq!(ours.0, self.theirs.len() as u64);
        self.theirs.push(theirs);
        self.states.push(state);
    }

    /// A version that was given out, or one that never is.
    fn some_version(&self, number: u64) -> Version {
        Version::new(match u32::try_from(number) {
            Ok(_) => number % self.theirs.len() as u64,
            Err(_) => number | NEVER,
        })
    }

    fn version(&self, ours: Version) -> Version {
        let known = usize::try_from(ours.number());
        let known = known.ok().filter(|known| *known > 0);
        let theirs = known.and_then(|known| self.theirs.get(known));
        theirs.map_or(ours, |theirs| Version::new(theirs.0))
    }

    fn theirs(&self, found: Versioned) -> Versioned {
        Versioned {
            version: self.version(found.version),
            ..found
        }
    }

    fn all_theirs(&self, found: &[(Key, Versioned)]) -> Contents {
        let found = found.iter().cloned();
        found.map(|(key, it)| (key, self.theirs(it))).collect()
    }

    /// A batch as the store has to be asked for it.
    fn translated(&self, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        for write in &mut batch.writes {
            if let Expect::Version(version) = &mut write.expect {
                *version = self.version(*version);
            }
        }
        batch
    }
}

fn version_of(store: &MemoryStore, key: Key) -> Option<Version> {
    let found = must(store.load(&[key]).wait());
    found
        .into_iter()
        .flatten()
        .map(|found| found.version)
        .next()
}

fn key(choices: &mut Choices<'_>) -> Key {
    let choice = choices.byte();
    let number = u64::from(choice / 4) % 6;
    match choice % 4 {
        0 if number == 5 => Key::POLICY,
        0 if number == 4 => samples::attachment(1, 0).0,
        0 => Key::SYSTEM,
        1 if (choice / 24) % 2 == 1 => Key::series(samples::selector(number)),
        1 => Key::grant(samples::selector(number)),
        2 => samples::principal(number).0,
        _ => Key::usage(samples::selector(number)),
    }
}

/// A record for a key; one in a few does not belong there.
fn record(key: Key, choices: &mut Choices<'_>) -> Record {
    let byte = choices.byte();
    let number = u64::from(byte);
    match key.table {
        _ if number == 0xff => samples::event(number).1,
        Table::System if key == Key::POLICY => Record::Policy(number.to_string()),
        Table::System => samples::system(),
        Table::Attachments => samples::attachment(1, byte.into()).1,
        Table::Grants => samples::grant(number),
        Table::Series => samples::series(number),
        Table::Principals => {
            let own = (0..6).map(samples::principal).find(|(own, _)| *own == key);
            own.expect("one of six").1
        }
        _ => samples::usage(number),
    }
}

impl<P> fmt::Debug for Pair<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
