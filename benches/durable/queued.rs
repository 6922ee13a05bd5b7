//! P12: many issues queued at once, against one commit of redb's own of as many rows.

use crate::files::{Commits, commit_plain, engine, plain, plain_key};
use countersign::store::{Store as _, Watcher};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{request, store_at};
use std::sync::Arc;

const QUEUED: usize = 1000;

/// The whole of issuing counts: deciding, encoding, sealing, and the records of the principals.
///
/// Theirs are given the bytes of everything that one issue leaves: as one row each, which is what
/// is held to, and for comparison as three, which is how many ours are.
pub(crate) fn at_once(size: &Size) {
    let dir = tempfile::tempdir().unwrap();
    let store = store_at(&dir.path().join("state.redb"), 1 << 28);
    let engine = engine(&store, 100_000);
    let commits = Arc::new(Commits::default());
    store.watch(Arc::clone(&commits) as Arc<dyn Watcher>);
    let queue = |round: usize| {
        // Each for another principal, and for others in every round.
        let first = QUEUED * round;
        let requests: Vec<_> = (0..QUEUED).map(|n| request(10 * (first + n))).collect();
        let before = commits.count();
        let mut rounds = Rounds::default();
        rounds.time("ours", 1, || {
            let issued: Vec<_> = requests
                .iter()
                .map(|request| engine.access().issue(request.clone()))
                .collect();
            // The last one first: whoever waits for each in turn is woken a thousand times.
            for issued in issued.into_iter().rev() {
                issued.wait().unwrap();
            }
        });
        (rounds.of("ours")[0], (commits.count() - before) as f64)
    };
    let before = store.stats().unwrap().stored_bytes;
    queue(0);
    let after = store.stats().unwrap().stored_bytes;
    let each = usize::try_from(after - before).unwrap() / QUEUED;
    let raw = plain(&dir.path().join("plain.redb"));
    let mut next = 0;
    let mut rows = |count: usize, bytes: usize| -> Vec<([u8; 16], Vec<u8>)> {
        let mut row = || {
            next += 1;
            (plain_key(next), vec![0x5a; bytes - 16])
        };
        (0..count).map(|_| row()).collect()
    };
    let mut rounds = Rounds::default();
    for round in 0..size.rounds(61) {
        let (whole, split) = (rows(QUEUED, each), rows(3 * QUEUED, each / 3));
        rounds.time("redb", 1, || commit_plain(&raw, &whole));
        let (ours, groups) = queue(round + 1);
        rounds.note("ours", ours);
        rounds.note("groups (count)", groups);
        rounds.time("redb, 3 rows each", 1, || commit_plain(&raw, &split));
    }
    let what = format!("rate of {QUEUED} issues at once over redb's own commit of their bytes");
    let figure = rounds.ratio("P12", what, "redb", &["ours"]).at_least(0.5);
    rounds.parts(figure, &["groups (count)"]).tell();
    let what = "the same over redb's own commit of as many rows as ours are";
    rounds
        .ratio("P12", what, "redb, 3 rows each", &["ours"])
        .tell();
    let what = "bytes of one issue, as they lie in the tables";
    Figure::of("P12", what, Unit::Bytes, &[each as f64]).tell();
}
