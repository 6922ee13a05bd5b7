//! Hazard: the redb store and the plain model in memory part ways somewhere in a long history.
//!
//! Random sequences of every operation run on both, and redb is closed and opened again in
//! between. `COUNTERSIGN_SEQUENCES` asks for so many sequences.

use crate::support::{asked, figures, options};
use countersign::store::{Revision, Store};
use countersign_models::store::Pair;
use countersign_models::{Choices, Place, drawn};
use countersign_testkit::{must, samples};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

const STEPS: u64 = 50;
/// More than the steps of a sequence can read.
const BYTES: usize = 50 * 24;

/// A file, made when it is first opened.
pub(crate) struct InFile {
    dir: TempDir,
}

impl InFile {
    pub(crate) fn new() -> Self {
        let dir = crate::support::directory();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.redb")
    }
}

impl Place for InFile {
    fn open(&mut self) -> Arc<dyn Store> {
        let (path, keyring) = (self.path(), samples::keyring());
        Arc::new(must(match path.exists() {
            true => options().open(path, keyring),
            false => options().create(path, keyring, [1; 16], vec![]),
        }))
    }

    fn snapshot(&self) -> Option<PathBuf> {
        Some(self.dir.path().join("state.sessions"))
    }
}

#[test]
fn any_history_is_the_same_in_both() {
    let mut steps = 0;
    let histories = asked("COUNTERSIGN_SEQUENCES", 200);
    for seed in 0..histories {
        let bytes = drawn(seed, BYTES);
        let mut pair = Pair::open(InFile::new());
        steps += pair.run(&mut Choices::new(&bytes), STEPS);
        pair.reopen(true);
        pair.compare();
        let (_, history) = pair.finish();
        // Here they are numbered alike, too.
        assert!(
            (1..)
                .map(Revision)
                .zip(history.revisions())
                .all(|(ours, it)| ours == *it)
        );
    }
    assert_eq!(steps, histories * STEPS);
    figures(&format!("store model: {steps} steps the same in both"));
}
