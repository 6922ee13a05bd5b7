//! How the time of a check grows with the table (P16): tokens in memory, and sessions.
//!
//! At each size a check is held against its own limits, with a miss in a table of that size. The
//! sizes are 10 000, 100 000 and 1 000 000; with `--full` also 10 000 000, which takes about 16 GB
//! of memory, and with `--quick` not the last. A number among the arguments takes the place of the
//! largest.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench may stop, and its table is the point"
)]

use countersign::core::CredentialKind;
use countersign_benches::limits::{Limits, Rounds, Size};
use countersign_benches::report::{Figure, HEADER, median};
use countersign_benches::signed_in::{START_MS, Table};
use countersign_benches::{Shuffle, filled};
use std::hint::black_box;

/// Few enough that their texts stay near.
const EACH: usize = 2000;
const LIMITS: [&str; 3] = ["parse", "hash", "miss"];

fn main() {
    let size = Size::asked(1_000_000);
    let largest = if size.full { 10_000_000 } else { size.count };
    println!("{HEADER}");
    let sizes = [10_000, 100_000, 1_000_000, 10_000_000];
    let mut sizes: Vec<usize> = sizes.into_iter().filter(|size| *size < largest).collect();
    sizes.push(largest);
    grow("growth-verify", "verify, cached", &size, &sizes, tokens);
    grow(
        "growth-session",
        "session load and touch",
        &size,
        &sizes,
        sessions,
    );
}

/// One check after the other, of each size; then what became of both over all sizes.
fn grow(id: &str, what: &str, size: &Size, sizes: &[usize], measure: fn(usize, usize) -> Rounds) {
    let all: Vec<Rounds> = sizes
        .iter()
        .map(|count| {
            let rounds = measure(*count, size.rounds(101));
            let what = format!("{what}, {count}, over (parse + hash + miss)");
            let figure = rounds.ratio(id, what, "ours", &LIMITS);
            figure.at(*count as f64).tell();
            rounds
        })
        .collect();
    let ratios: Vec<Figure> = all
        .iter()
        .map(|rounds| rounds.ratio(id, what, "ours", &LIMITS))
        .collect();
    let worst = ratios
        .into_iter()
        .max_by(|a, b| a.median.total_cmp(&b.median));
    let mut worst = worst.unwrap().at_most(1.3);
    worst.id = "P16".to_owned();
    worst.what = format!("{what}, the worst of all sizes over (parse + hash + miss)");
    worst.tell();

    let [first, last] = [&all[0], &all[all.len() - 1]].map(|rounds| rounds.of("ours"));
    // The sizes were not measured in turn, so only what is usual at each can be compared.
    let growth = [median(last) / median(first)];
    let what = format!(
        "{what}, time at {} over time at {}",
        sizes[sizes.len() - 1],
        sizes[0]
    );
    Figure::ratio("P16", what, &growth)
        .at_most(3.0)
        .part("last", last)
        .part("first", first)
        .tell();
}

/// As P1.
fn tokens(count: usize, times: usize) -> Rounds {
    let filled = filled(count);
    filled.warm();
    // The first use of a copy lists its token among those whose use is to be written.
    filled.warm();
    let verify = |text: &String| {
        let verdict = filled.engine.access().verify(black_box(text)).wait();
        assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
    };
    measured(CredentialKind::Access, times, &filled.texts, |_| verify)
}

/// As P8: each use in a new second.
fn sessions(count: usize, times: usize) -> Rounds {
    let mut table = Table::new(count);
    let start = |n| {
        let token = table.log_in(n);
        table.text(&token)
    };
    let texts: Vec<String> = (0..count).map(start).collect();
    measured(CredentialKind::Session, times, &texts, |round| {
        let moment = table.moment(START_MS + 200_000 + 10_000 * round as u64);
        let table = &table;
        move |text: &String| {
            let live = table.request(black_box(&moment), text);
            assert!(live.is_some_and(|live| live.owner().is_some()));
        }
    })
}

/// A check of texts in no order, beside its limits. A record is two lines.
fn measured<C: Fn(&String)>(
    kind: CredentialKind,
    times: usize,
    texts: &[String],
    check: impl Fn(usize) -> C,
) -> Rounds {
    let mut limits = Limits::new(kind, 2 * texts.len());
    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for round in 0..times {
        // Fetched beforehand, so that every side finds its texts in cache.
        let pick = |_| texts[shuffle.below(texts.len())].clone();
        let picked: Vec<String> = (0..EACH).map(pick).collect();
        let check = check(round);
        rounds.time("ours", EACH, || picked.iter().for_each(&check));
        limits.note(&mut rounds, &picked);
    }
    rounds
}
