//! The figures of verification from memory, as ratios taken side by side in one run: P1 to P3 and
//! P5. P4 is counted, by `cargo xtask counts`.
//!
//! Criterion tells how long something takes; on a shared machine only a ratio tells anything, so
//! here both sides of each are run in turn, round after round, and the median of the pairs is
//! told. Arguments: how many tokens (default 1 000 000), and `--quick` for a tenth of that.
#![expect(clippy::print_stdout, reason = "the table is the point")]
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a bench may stop"
)]

use countersign::core::CredentialKind;
use countersign_benches::limits::{Limits, Rounds, Size};
use countersign_benches::report::{Figure, HEADER};
use countersign_benches::{Filled, Shuffle, filled, mistyped, timed};
use std::hint::black_box;
use std::thread;

const ROUNDS: usize = 201;
/// Few enough that their texts stay near: a server has just received what it checks.
const EACH: usize = 2000;

fn main() {
    let size = Size::asked(1_000_000);
    println!("{HEADER}");
    cached(
        &size,
        "P2",
        10_000.min(size.count),
        1.25,
        &["parse", "hash"],
    );
    let limits = ["parse", "hash", "miss"];
    let filled = cached(&size, "P1", size.count, 1.3, &limits);
    checksum(&size, &filled);
    two_threads(&size, &filled);
}

/// P1 and P2: a cached verification against its parts.
fn cached(size: &Size, id: &str, tokens: usize, reach: f64, over: &[&str]) -> Filled {
    let filled = filled(tokens);
    filled.warm();
    // A token's slot is two lines. The table has more than are in use, and is larger than this.
    let mut limits = Limits::new(CredentialKind::Access, 2 * tokens);
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for _ in 0..size.rounds(ROUNDS) {
        // Every side works on the same texts, fetched beforehand so that they are in cache.
        let picked = pick(&filled.texts, &mut shuffle);
        rounds.time("ours", EACH, || {
            for text in &picked {
                let verdict = filled.engine.access().verify(black_box(text)).wait();
                assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
            }
        });
        limits.note(&mut rounds, &picked);
    }
    let what = format!("verify, cached, {tokens} tokens, over {}", over.join(" + "));
    rounds.ratio(id, what, "ours", over).at_most(reach).tell();
    filled
}

/// P3: a bad checksum against one hash.
fn checksum(size: &Size, filled: &Filled) {
    let mut limits = Limits::new(CredentialKind::Access, 0);
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for _ in 0..size.rounds(ROUNDS) {
        let good = pick(&filled.texts, &mut shuffle);
        let bad: Vec<String> = good.iter().map(|text| mistyped(text)).collect();
        rounds.time("ours", EACH, || {
            for text in &bad {
                assert!(!limits.parse(text));
            }
        });
        limits.note(&mut rounds, &good);
    }
    let what = "refuse a bad checksum, over hash";
    rounds
        .ratio("P3", what, "ours", &["hash"])
        .at_most(0.3)
        .tell();
}

/// P5: two threads against one.
fn two_threads(size: &Size, filled: &Filled) {
    // So many that starting a thread does not count.
    let run = |mut shuffle: Shuffle| {
        for _ in 0..20 * EACH {
            let text = &filled.texts[shuffle.below(filled.texts.len())];
            let verdict = filled.engine.access().verify(black_box(text)).wait();
            assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
        }
    };
    let mut ratios = Vec::new();
    for _ in 0..size.rounds(ROUNDS / 8) {
        let alone = timed(|| run(Shuffle::new()));
        let both = timed(|| {
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| run(Shuffle::new()));
                }
            });
        });
        ratios.push(2.0 * alone.as_secs_f64() / both.as_secs_f64());
    }
    let what = "verify, cached: two threads over one";
    Figure::ratio("P5", what, &ratios).at_least(1.8).tell();
}

fn pick(texts: &[String], shuffle: &mut Shuffle) -> Vec<String> {
    let picked = (0..EACH).map(|_| texts[shuffle.below(texts.len())].clone());
    picked.collect()
}
