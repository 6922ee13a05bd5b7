//! Hazard: the redb store and the plain model in memory part ways somewhere in a long history, or
//! a commit that was acknowledged is not there once the power was cut.
//!
//! The model and the meaning of the steps are in `countersign_models::store`. The bytes of redb's
//! file are in memory; at the end of a sequence the power is cut at some point of it, and what the
//! disk holds must be what the model held after one of its commits: none earlier than the last
//! durable one that had been acknowledged by then.
#![no_main]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use countersign_models::store::{History, Pair, contents};
use countersign_models::{Choices, Place};
use countersign_store::{RedbOptions, RedbStore, Revision, Store};
use countersign_testkit::{Cut, Disk, samples};
use libfuzzer_sys::fuzz_target;

const STEPS_MAX: u64 = 32;

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

fuzz_target!(|input: &[u8]| {
    let mut choices = Choices::new(input);
    let power = Power::chosen(&mut choices);
    let disk = Disk::holding(EMPTY.with(|empty| empty.bytes.clone()));
    let mut pair = Pair::open(OnDisk(disk));
    pair.run(&mut choices, STEPS_MAX);
    let (place, history) = pair.finish();
    lose(&place.0, &history, power);
});

/// A file of redb's, of which every operation is noted.
struct OnDisk(Disk);

impl Place for OnDisk {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(open(&self.0))
    }

    fn acknowledged(&mut self) {
        self.0.mark();
    }
}

fn open(disk: &Disk) -> RedbStore {
    let opened = EMPTY.with(|empty| {
        let options = options().backend(disk.hook());
        options.open(&empty.path, samples::keyring())
    });
    opened.expect("a store that was left in order")
}

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

/// Cuts the power and looks at what the disk holds.
fn lose(disk: &Disk, history: &History, mut power: Power) {
    let notes = disk.notes(EMPTY.with(|empty| empty.bytes.clone()));
    let mut replay = notes.replay();
    for _ in 0..usize::from(power.at) % notes.len().max(1) {
        replay.step();
    }
    let cut = power.cut;
    let image = replay.image(cut, &mut |sides| power.below(sides));
    let told = history.durable()[..replay.marks()].last();
    let told = told.copied().unwrap_or(Revision(1));
    let store = open(&Disk::holding(image));
    let revision = store.attest().wait().expect("it was just opened");
    assert!(revision >= told, "{revision:?} is back behind {told:?}");
    let state = history.at(revision);
    assert_eq!(Some(contents(&store)), state, "not what {revision:?} is");
}
