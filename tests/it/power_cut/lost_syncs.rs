//! Hazard: a sync fails, and what it was to make durable is lost for good although it can still be
//! read, as Linux does it; a later sync goes well and says nothing of it, and the power fails.
//!
//! Whatever the store acknowledges, and whatever it stands at once it is healthy again, must
//! survive every cut that comes after.

use super::{Contents, History, Minutes, Told, made, mode, on};
use crate::support::{Dice, Home, PATIENCE, everything};
use countersign::core::{Batch, Durability, Expect, Key};
use countersign::store::{CommitError, Health, RedbStore, Revision, Store};
use countersign_testkit::{Disk, samples, wait_until};
use std::sync::Mutex;

const STEPS: u64 = 40;
const HISTORIES: u64 = 8;
const CUTS: usize = 700;

/// The contents by revision. Those that nobody saw are none that there could be.
fn see(store: &RedbStore, states: &mut Vec<Contents>) -> Revision {
    let (revision, all) = everything(store);
    let number = revision.0 as usize;
    if states.len() <= number {
        states.resize(number + 1, Contents::new());
    }
    states[number] = all.into_iter().collect();
    revision
}

fn batch(dice: &mut Dice, step: u64) -> Batch {
    let mut batch = Batch::grow();
    if dice.below(3) == 0 {
        batch.durability = Durability::Deferred;
    }
    for _ in 0..=dice.below(4) {
        let key = Key::usage(samples::selector(dice.below(200)));
        // Of one key there is one write.
        if batch.writes.iter().all(|write| write.key != key) {
            batch.put(key, Expect::Any, samples::usage(step));
        }
    }
    batch
}

/// A history in which syncs fail; and how many did.
fn history(seed: u64) -> (History, usize) {
    let (home, mode, mut dice) = (Home::new(), mode(seed), Dice(seed));
    let first = made(&home);
    let disk = Disk::holding(first.clone());
    let store = on(&disk, mode).open(home.path(), samples::keyring());
    let store = store.unwrap();
    let minutes = Minutes {
        disk: disk.clone(),
        told: Mutex::new(Vec::new()),
    };
    let (mut states, mut failed) = (Vec::new(), 0);
    see(&store, &mut states);
    for step in 0..STEPS {
        if dice.below(3) == 0 {
            disk.lose_a_sync(dice.below(3), dice.roll());
        }
        let batch = batch(&mut dice, step);
        let durable = batch.durability == Durability::Immediate;
        let before = store.attest().wait().unwrap();
        match store.commit(batch).wait() {
            Ok(revision) if durable => minutes.tell(Told::Durable(revision)),
            Ok(_) => {}
            Err(CommitError::NotApplied(_) | CommitError::Unknown(_)) => failed += 1,
            Err(other) => panic!("{other:?}"),
        }
        let healthy = || store.health() == Health::Healthy;
        assert!(wait_until(PATIENCE, healthy), "{:?}", store.trouble());
        let revision = see(&store, &mut states);
        // It came back from the disk, or stands where it was told to.
        if revision > before && durable {
            minutes.tell(Told::Durable(revision));
        }
    }
    disk.lose_no_sync();
    store.close().wait().unwrap();
    let told = minutes.told.lock().unwrap().clone();
    let history = History {
        home,
        mode,
        notes: disk.notes(first),
        told,
        states,
    };
    (history, failed)
}

#[test]
fn what_is_acknowledged_after_a_sync_that_failed_survives_a_cut() {
    let mut all = 0;
    for seed in 0..HISTORIES {
        let (history, failed) = history(seed);
        let seen = history.cut(CUTS, seed);
        assert!(seen.ahead > 0 && seen.in_recovery > 0, "{seen:?}");
        all += failed;
    }
    assert!(all > 20, "only {all} commits failed");
}
