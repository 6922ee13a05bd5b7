//! The figures that the project holds itself to, as ratios taken side by side in one run.
//!
//! Criterion tells how long something takes; on a shared machine only a ratio tells anything, so
//! here both sides of each are run in turn, round after round, and the median of the pairs is
//! printed. Arguments: how many tokens (default 1 000 000), and `--quick` for a tenth of that.
#![expect(clippy::print_stdout, reason = "the table is the point")]
#![expect(clippy::indexing_slicing, reason = "a bench may stop")]
#![expect(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::{CredentialKind, Keyring};
use countersign_benches::{Chain, Filled, Shuffle, filled, hash_once, keys, mistyped, timed};
use std::hint::black_box;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 21;
const EACH: usize = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let given = arguments.iter().find_map(|argument| argument.parse().ok());
    let large = given.unwrap_or(if quick { 100_000 } else { 1_000_000 });
    println!("| id | what | ratio | reach | parts (median ns) |");
    println!("|---|---|---|---|---|");
    cached("P2", 10_000.min(large), 1.25, false);
    let filled = cached("P1", large, 1.3, true);
    checksum(&filled);
    two_threads(&filled);
}

/// P1 and P2: a cached verification against its parts.
fn cached(id: &str, tokens: usize, reach: f64, with_miss: bool) -> Filled {
    let filled = filled(tokens);
    filled.warm();
    let keyring = Keyring::new(&keys());
    let format = filled.engine.format().clone();
    let mut chain = Chain::new(tokens);
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        // Every side works on the same texts, fetched beforehand so that they are in cache.
        let picked = pick(&filled.texts, tokens);
        let whole = timed(|| {
            for text in &picked {
                let verdict = filled.engine.access().verify(black_box(text)).wait();
                assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
            }
        });
        let parse = timed(|| {
            for text in &picked {
                black_box(
                    format
                        .parse(CredentialKind::Access, black_box(text.as_bytes()))
                        .is_ok(),
                );
            }
        });
        let parsed: Vec<_> = picked
            .iter()
            .map(|text| format.parse_any(text.as_bytes()).unwrap())
            .collect();
        let hash = timed(|| {
            for token in &parsed {
                black_box(hash_once(&keyring, black_box(token)));
            }
        });
        let miss = timed(|| {
            for _ in 0..EACH {
                black_box(chain.step());
            }
        });
        rounds.push(
            whole,
            [parse, hash, if with_miss { miss } else { Duration::ZERO }],
        );
    }
    let limit = if with_miss {
        "parse + hash + miss"
    } else {
        "parse + hash"
    };
    rounds.print(
        id,
        &format!("verify, cached, {tokens} tokens, over ({limit})"),
        reach,
    );
    filled
}

/// P3: a bad checksum against one hash.
fn checksum(filled: &Filled) {
    let keyring = Keyring::new(&keys());
    let format = filled.engine.format().clone();
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        let good = pick(&filled.texts, filled.texts.len());
        let bad: Vec<String> = good.iter().map(|text| mistyped(text)).collect();
        let parsed: Vec<_> = good
            .iter()
            .map(|text| format.parse_any(text.as_bytes()).unwrap())
            .collect();
        let refuse = timed(|| {
            for text in &bad {
                let parsed = format.parse(CredentialKind::Access, black_box(text.as_bytes()));
                assert!(parsed.is_err());
            }
        });
        let hash = timed(|| {
            for token in &parsed {
                black_box(hash_once(&keyring, black_box(token)));
            }
        });
        rounds.push(refuse, [hash, Duration::ZERO, Duration::ZERO]);
    }
    rounds.print("P3", "refuse a bad checksum, over one hash", 0.3);
}

/// P5: two threads against one.
fn two_threads(filled: &Filled) {
    let run = |shuffle: &mut Shuffle| {
        for _ in 0..EACH {
            let text = &filled.texts[shuffle.below(filled.texts.len())];
            black_box(
                filled
                    .engine
                    .access()
                    .verify(black_box(text))
                    .wait()
                    .is_ok(),
            );
        }
    };
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let alone = timed(|| run(&mut Shuffle::new()));
        let both = timed(|| {
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| run(&mut Shuffle::new()));
                }
            });
        });
        ratios.push(2.0 * alone.as_secs_f64() / both.as_secs_f64());
    }
    let ratio = median(&mut ratios);
    println!("| P5 | two threads over one, cached | {ratio:.2} | >= 1.8 | |");
}

fn pick(texts: &[String], bound: usize) -> Vec<String> {
    thread_local! { static SHUFFLE: std::cell::RefCell<Shuffle> = Shuffle::new().into(); }
    SHUFFLE.with_borrow_mut(|shuffle| {
        (0..EACH)
            .map(|_| texts[shuffle.below(bound)].clone())
            .collect()
    })
}

/// Rounds of one measurement and of the parts that limit it.
#[derive(Default)]
struct Rounds {
    ratios: Vec<f64>,
    whole: Vec<f64>,
    parts: [Vec<f64>; 3],
}

impl Rounds {
    fn push(&mut self, whole: Duration, parts: [Duration; 3]) {
        let sum: Duration = parts.iter().sum();
        self.ratios.push(whole.as_secs_f64() / sum.as_secs_f64());
        self.whole.push(whole.as_nanos() as f64 / EACH as f64);
        for (kept, part) in self.parts.iter_mut().zip(parts) {
            kept.push(part.as_nanos() as f64 / EACH as f64);
        }
    }

    fn print(mut self, id: &str, what: &str, reach: f64) {
        let ratio = median(&mut self.ratios);
        let whole = median(&mut self.whole);
        let parts: Vec<String> = self
            .parts
            .iter_mut()
            .map(|part| format!("{:.0}", median(part)))
            .collect();
        println!(
            "| {id} | {what} | {ratio:.2} | <= {reach} | {whole:.0} : {} |",
            parts.join(" + ")
        );
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
