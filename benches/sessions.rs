//! The figures of the session table: a request (P8), memory (P9), the sweep (P10).
//!
//! Ratios taken side by side in one run, round after round, as in `figures`. Arguments: how many
//! sessions (default 1 000 000), and `--quick` for a tenth of that.
#![expect(clippy::print_stdout, reason = "the table is the point")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign_benches::limits::{Limits, Rounds, Size};
use countersign_benches::report::{Figure, HEADER, Unit, each};
use countersign_benches::signed_in::{START_MS, SignedIn, Table};
use countersign_benches::{Shuffle, timed};
use countersign_core::{CredentialKind, SplitToken};
use countersign_sessions::Moment;
use std::alloc::System;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: cap::Cap<System> = cap::Cap::new(System, usize::MAX);

const ROUNDS: usize = 201;
/// Few enough that their texts stay near: a server has just received what it checks.
const EACH: usize = 2000;
const DAY_MS: u64 = 86_400_000;

/// A table with one session for each of many principals, and the texts of their tokens.
struct Filled {
    table: Table,
    texts: Vec<String>,
}

fn main() {
    let size = Size::asked(1_000_000);
    println!("{HEADER}");
    let filled = Filled::new(size.count);
    request(&size, &filled);
    two_threads(&size, &filled);
    sweep(&filled);
    drop(filled);
    engine(&size);
}

impl Filled {
    /// P9 is told on the way.
    fn new(sessions: usize) -> Self {
        let mut tokens: Vec<SplitToken> = Vec::with_capacity(sessions);
        let before = ALLOCATOR.allocated();
        let mut table = Table::new(sessions);
        tokens.extend((0..sessions).map(|n| *table.log_in(n)));
        let bytes = ALLOCATOR.allocated() - before;
        let each = bytes as f64 / sessions as f64;
        let what =
            format!("an idle session without attributes, {sessions} of them, indexes included");
        Figure::of("P9", what, Unit::Bytes, &[each])
            .at_most(192.0)
            .tell();
        let texts = tokens.iter().map(|token| table.text(token)).collect();
        Self { table, texts }
    }

    fn request(&self, moment: &Moment<'_>, text: &str) -> bool {
        let live = self.table.request(moment, text);
        live.is_some_and(|live| live.owner().is_some_and(|owner| owner.as_str().len() == 11))
    }
}

/// P8: a request with its use in a new second each time, against its parts.
fn request(size: &Size, filled: &Filled) {
    let (mut limits, mut rounds) = (limits(filled.texts.len()), Rounds::default());
    let mut shuffle = Shuffle::new();
    for round in 0..size.rounds(ROUNDS) {
        // Fetched beforehand, so that every side finds its texts in cache.
        let picked = pick(&filled.texts, &mut shuffle);
        let moment = filled.table.moment(START_MS + 10_000 * (round as u64 + 2));
        rounds.time("ours", EACH, || {
            for text in &picked {
                assert!(filled.request(black_box(&moment), black_box(text)));
            }
        });
        limits.note(&mut rounds, &picked);
    }
    let what = format!(
        "session table: parse, load and touch, {} sessions, over parse + hash + miss",
        filled.texts.len()
    );
    told(&rounds, what);
}

/// P8 through the engine, which looks at the principal's record and the switch besides.
fn engine(size: &Size) {
    let filled = SignedIn::filled(size.count);
    let (mut limits, mut rounds) = (limits(size.count), Rounds::default());
    let mut shuffle = Shuffle::new();
    for _ in 0..size.rounds(ROUNDS) {
        let picked = pick(&filled.texts, &mut shuffle);
        rounds.time("ours", EACH, || {
            assert_eq!(filled.touch(black_box(&picked)), EACH);
        });
        limits.note(&mut rounds, &picked);
    }
    let what = format!(
        "the engine's load and touch, {} sessions, over parse + hash + miss",
        size.count
    );
    told(&rounds, what);
}

/// A session is two lines.
fn limits(sessions: usize) -> Limits {
    Limits::new(CredentialKind::Session, 2 * sessions)
}

fn told(rounds: &Rounds, what: String) {
    let figure = rounds.ratio("P8", what, "ours", &["parse", "hash", "miss"]);
    figure.at_most(1.3).tell();
}

fn pick(texts: &[String], shuffle: &mut Shuffle) -> Vec<String> {
    let picked = (0..EACH).map(|_| texts[shuffle.below(texts.len())].clone());
    picked.collect()
}

/// Two threads against one.
fn two_threads(size: &Size, filled: &Filled) {
    let run = |seed: usize, at: u64| {
        let mut shuffle = Shuffle::new();
        let moment = filled.table.moment(at);
        for _ in 0..seed {
            shuffle.below(2);
        }
        // So many that starting a thread does not count.
        for _ in 0..20 * EACH {
            let text = &filled.texts[shuffle.below(filled.texts.len())];
            assert!(filled.request(&moment, black_box(text)));
        }
    };
    let mut ratios = Vec::new();
    for round in 0..size.rounds(ROUNDS / 8) {
        let at = START_MS + 1_000_000 + 10_000 * round as u64;
        let alone = timed(|| run(0, at));
        let both = timed(|| {
            thread::scope(|scope| {
                scope.spawn(|| run(3, at + 2000));
                scope.spawn(|| run(5, at + 4000));
            });
        });
        ratios.push(2.0 * alone.as_secs_f64() / both.as_secs_f64());
    }
    let what = "session table, load and touch: two threads over one";
    Figure::ratio("-", what, &ratios).tell();
}

/// P10: a round with nothing due, then one that ends everything.
fn sweep(filled: &Filled) {
    let sessions = filled.texts.len();
    let nothing: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let moment = filled.table.moment(START_MS + DAY_MS / 24);
            let took = timed(|| {
                let swept = filled.table.table.sweep(&moment, usize::MAX);
                assert!(swept.came_round && swept.looked_at == 0);
            });
            took.as_nanos() as f64 / sessions as f64
        })
        .collect();
    let what = format!("sweep of {sessions} sessions of which none is due, for each");
    Figure::of("P10", what, Unit::Ns, &nothing)
        .at_most(1.0)
        .tell();

    let moment = filled.table.moment(START_MS + 2 * DAY_MS);
    let mut ended = 0;
    let mut longest = Duration::ZERO;
    let mut spans = Vec::new();
    while ended < sessions {
        let mut swept = None;
        // As much as a shard is held for at once.
        let took = timed(|| swept = Some(filled.table.table.sweep(&moment, 64)));
        let together = swept.unwrap().ended.len();
        ended += together;
        longest = longest.max(took);
        if together > 0 {
            spans.push(each(took, together));
        }
    }
    let what = "sweep, for each session that it ends; the peers' bench has moka's";
    Figure::of("P10", what, Unit::Ns, &spans).tell();
    let longest = [longest.as_nanos() as f64];
    let what = "sweep, longest hold of a shard";
    Figure::of("P10", what, Unit::Ns, &longest)
        .at_most(200_000.0)
        .tell();
    assert_eq!(filled.table.table.len(), (0, 0));
}
