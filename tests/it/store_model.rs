//! Hazard: the redb store and the plain model in memory part ways somewhere in a long history.
//!
//! Random sequences of every operation run on both, and redb is closed and opened again in
//! between. Answers, versions and everything readable must be the same after each step.
//! `COUNTERSIGN_SEQUENCES` asks for so many sequences.

use crate::support::{Dice, asked, figures, options};
use countersign::core::{Batch, Change, Durability, Expect, Key, Table, Version, Write};
use countersign::store::{
    Changes, CommitError, KeyRange, MemoryStore, RedbStore, Revision, Store, StoreError,
};
use countersign_testkit::{must, samples};
use std::collections::BTreeSet;
use std::path::Path;

const STEPS: u64 = 50;

struct Pair {
    model: MemoryStore,
    redb: Option<RedbStore>,
    /// The revision of every commit so far.
    history: Vec<Revision>,
}

impl Pair {
    fn new(path: &Path) -> Self {
        let made = options().create(path, samples::keyring(), [1; 16], vec![]);
        Self {
            model: MemoryStore::new([]),
            redb: Some(must(made)),
            history: vec![Revision(1)],
        }
    }

    fn redb(&self) -> &RedbStore {
        self.redb.as_ref().unwrap()
    }

    fn reopen(&mut self, path: &Path, cleanly: bool) {
        let store = self.redb.take().unwrap();
        if cleanly {
            store.close().wait().unwrap();
        }
        drop(store);
        self.redb = Some(must(options().open(path, samples::keyring())));
        // A store that was just opened may have forgotten its feed.
        self.history = vec![*self.history.last().unwrap()];
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(10) {
            0..=5 => self.commit(dice),
            6 => self.load(dice),
            7 | 8 => self.scan(dice),
            _ => self.changes(dice),
        }
    }

    fn commit(&mut self, dice: &mut Dice) {
        let mut batch = Batch::grow();
        if dice.below(4) == 0 {
            batch.durability = Durability::Deferred;
        }
        if dice.below(3) == 0 {
            batch.purpose = countersign::core::Purpose::Deny;
        }
        for _ in 0..=dice.below(4) {
            let write = self.write(dice);
            batch.writes.push(write);
        }
        // Whether a batch without a change counts as a commit is each store's own affair.
        batch.keep(Key::POLICY, Expect::Absent);
        let event = samples::event(dice.roll() >> 20);
        batch.put(event.0, Expect::Any, event.1);

        let expected = self.model.commit(batch.clone()).wait();
        let found = self.redb().commit(batch.clone()).wait();
        let same = match (&expected, &found) {
            (
                Err(CommitError::NotApplied(StoreError::Invalid(_))),
                Err(CommitError::NotApplied(StoreError::Invalid(_))),
            ) => true,
            (expected, found) => expected == found,
        };
        assert!(same, "{batch:?}: {expected:?} and {found:?}");
        self.history.extend(expected.ok());
    }

    fn write(&self, dice: &mut Dice) -> Write {
        let key = key(dice);
        let change = match dice.below(5) {
            0 => Change::Delete,
            1 => Change::Keep,
            _ => Change::Put(record(key, dice)),
        };
        let found = self.model.load(&[key]).wait().unwrap().remove(0);
        let version = found.as_ref().map(|found| found.version);
        let expect = match dice.below(6) {
            0 => Expect::Absent,
            1 => Expect::Version(Version::new(dice.below(60))),
            2 | 3 => version.map_or(Expect::Absent, Expect::Version),
            _ => Expect::Any,
        };
        Write {
            key,
            expect,
            change,
        }
    }

    fn load(&self, dice: &mut Dice) {
        let keys: Vec<Key> = (0..dice.below(6)).map(|_| key(dice)).collect();
        let expected = self.model.load(&keys).wait();
        assert_eq!(self.redb().load(&keys).wait(), expected);
    }

    fn scan(&self, dice: &mut Dice) {
        let (a, b) = (key(dice), key(dice));
        let whole = dice.below(2) == 0;
        let range = if whole {
            KeyRange::all(a.table)
        } else {
            KeyRange {
                table: a.table,
                from: a.id,
                to: b.id,
            }
        };
        let limit = dice.below(7) as usize;
        let expected = self.model.scan(range, limit).wait();
        assert_eq!(self.redb().scan(range, limit).wait(), expected);
    }

    fn changes(&self, dice: &mut Dice) {
        let at = dice.below(self.history.len() as u64) as usize;
        let since = self.history[at];
        let answers = [self.model.changes(since), self.redb().changes(since)];
        let [expected, found] = answers.map(|answer| match answer.wait().unwrap() {
            Changes::Keys(keys, upto) => (Some(keys.into_iter().collect::<BTreeSet<_>>()), upto),
            Changes::Reset(upto) => (None, upto),
        });
        assert_eq!(found, expected, "since {since:?}");
    }

    /// Everything that is there, in both.
    fn compare(&self) {
        for table in Table::ALL {
            let range = KeyRange::all(table);
            let expected = self.model.scan(range, usize::MAX).wait().unwrap();
            let found = self.redb().scan(range, usize::MAX).wait().unwrap();
            assert_eq!(found, expected);
        }
        let expected = self.model.attest().wait();
        assert_eq!(self.redb().attest().wait(), expected);
    }
}

fn key(dice: &mut Dice) -> Key {
    let number = dice.below(6);
    match dice.below(4) {
        0 => Key::SYSTEM,
        1 => Key::grant(samples::selector(number)),
        2 => samples::principal(number).0,
        _ => Key::usage(samples::selector(number)),
    }
}

fn record(key: Key, dice: &mut Dice) -> countersign::core::Record {
    let number = dice.below(1000);
    match key.table {
        // One in ten does not belong there.
        _ if dice.below(10) == 0 => samples::event(number).1,
        Table::System => samples::system(),
        Table::Grants => samples::grant(number),
        Table::Principals => {
            let all = (0..6).map(samples::principal);
            let own = all.into_iter().find(|(own, _)| *own == key);
            own.unwrap().1
        }
        _ => samples::usage(number),
    }
}

#[test]
fn any_history_is_the_same_in_both() {
    let mut steps = 0;
    let histories = asked("COUNTERSIGN_SEQUENCES", 200);
    for seed in 0..histories {
        let dir = crate::support::directory();
        let path = dir.path().join("state.redb");
        let mut dice = Dice(seed);
        let mut pair = Pair::new(&path);
        for _ in 0..STEPS {
            pair.step(&mut dice);
            steps += 1;
            if dice.below(25) == 0 {
                pair.reopen(&path, dice.below(2) == 0);
            }
        }
        pair.compare();
        pair.reopen(&path, true);
        pair.compare();
    }
    assert_eq!(steps, histories * STEPS);
    figures(&format!("store model: {steps} steps the same in both"));
}
