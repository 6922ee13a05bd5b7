//! P11, the other half: how many issues share a commit, by how many issue at once.

use crate::files::{Commits, commit_plain, engine, plain, plain_key};
use countersign::Engine;
use countersign::store::{Store as _, Watcher};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::report::{Figure, Unit};
use countersign_benches::{request, store_at, timed};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many issue at once, what that is called, and how many each issues in a round.
const LEVELS: [(usize, [&str; 2], usize); 4] = [
    (1, ["rate 1", "group 1"], 40),
    (8, ["rate 8", "group 8"], 40),
    (64, ["rate 64", "group 64"], 40),
    (512, ["rate 512", "group 512"], 16),
];
/// Commits of one row, and writes of one page, in a round.
const ALONE: usize = 20;
const PAGE: [u8; 4096] = [0x5a; 4096];

/// Growth by concurrency: each level in turn, and beside it what the disk does.
pub(crate) fn groups(size: &Size) {
    let dir = tempfile::tempdir().unwrap();
    let store = store_at(&dir.path().join("state.redb"), 1 << 28);
    let engine = engine(&store, 100_000);
    let commits = Arc::new(Commits::default());
    store.watch(Arc::clone(&commits) as Arc<dyn Watcher>);
    let raw = plain(&dir.path().join("plain.redb"));
    let page = File::create(dir.path().join("page")).unwrap();
    let (mut rounds, mut next, mut first) = (Rounds::default(), 0, 0);
    for _ in 0..size.rounds(15) {
        rounds.time("fdatasync", ALONE, || {
            for _ in 0..ALONE {
                page.write_all_at(&PAGE, 0).unwrap();
                page.sync_data().unwrap();
            }
        });
        rounds.time("redb", ALONE, || {
            for _ in 0..ALONE {
                next += 1;
                commit_plain(&raw, &[(plain_key(next), vec![0x5a; 160])]);
            }
        });
        for (issuers, [rate, group], each) in LEVELS {
            let (before, tokens) = (commits.count(), issuers * each);
            let span = timed(|| issue(&engine, first, tokens, issuers));
            first += tokens;
            rounds.note(rate, tokens as f64 / span.as_secs_f64());
            rounds.note(group, tokens as f64 / (commits.count() - before) as f64);
        }
    }
    for (issuers, [rate, group], _) in LEVELS {
        let tell = |name: &str, what: &str| {
            let what = format!("{what}, {issuers} at once");
            let figure = Figure::of("group-commit", what, Unit::Count, rounds.of(name));
            let figure = figure.at(issuers as f64);
            rounds.parts(figure, &["fdatasync", "redb"]).tell();
        };
        tell(rate, "issues per second");
        tell(group, "issues per commit");
        if issuers == 64 {
            let what = "issues per commit with 64 issuers";
            let figure = Figure::of("P11", what, Unit::Count, rounds.of(group));
            figure.at_least(32.0).tell();
        }
    }
}

/// Ten tokens for each of principals who have none, spread so that none is met by two at once.
fn issue(engine: &Engine, first: usize, tokens: usize, issuers: usize) {
    let (next, principals) = (AtomicUsize::new(0), tokens / 10);
    let one_after_another = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= tokens {
                return;
            }
            let request = request(first + 10 * (n % principals));
            engine.access().issue(request).wait().unwrap();
        }
    };
    thread::scope(|scope| {
        for _ in 0..issuers {
            scope.spawn(one_after_another);
        }
    });
}
