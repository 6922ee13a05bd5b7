//! Instructions under callgrind: a figure that a busy machine cannot blur.
//!
//! It holds three rules: a miss costs what a hit costs, every refusal within one percent of the
//! others and the hit within ten percent of them; where a secret is wrong costs nothing; and no
//! case costs more than was kept of it.

mod kept;

use std::process::Stdio;

use clap::Args;

use crate::process::{Failure, Result, cargo, has_valgrind, root};
use kept::{Kept, Place};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Keep these counts: from now on they are what a case may cost
    #[arg(long)]
    keep: bool,
}

/// Refusals that must be alike from outside, and the hit that they must be like.
struct Alike {
    refusals: &'static [&'static str],
    hit: &'static str,
}

const ALIKE: [Alike; 2] = [
    Alike {
        refusals: &[
            "mismatch",
            "unknown",
            "revoked",
            "expired",
            "disabled",
            "switched-off",
        ],
        hit: "hit",
    },
    // The same through the engine, with the records in memory.
    Alike {
        refusals: &["engine-mismatch", "engine-revoked", "engine-disabled"],
        hit: "engine-hit",
    },
];
/// A secret that is wrong in its first byte, and one that is wrong in its last.
struct Pair {
    cases: [&'static str; 2],
    hit: &'static str,
    /// By how much all runs together may differ.
    slack: u64,
}

/// Where each run does the same: where a secret is wrong costs nothing, to the instruction.
const EXACTLY: u64 = 0;
/// Where credentials lie in a table is chance, anew in each process, which costs some runs a few
/// instructions: less than one each.
const BY_CHANCE: u64 = RUNS;

const PAIRS: [Pair; 5] = [
    Pair {
        cases: ["mismatch-first", "mismatch-last"],
        hit: "hit",
        slack: EXACTLY,
    },
    Pair {
        cases: ["engine-mismatch-first", "engine-mismatch-last"],
        hit: "engine-hit",
        slack: BY_CHANCE,
    },
    Pair {
        cases: ["session-mismatch-first", "session-mismatch-last"],
        hit: "session-hit",
        slack: BY_CHANCE,
    },
    Pair {
        cases: ["form-mismatch-first", "form-mismatch-last"],
        hit: "form-hit",
        slack: EXACTLY,
    },
    Pair {
        cases: ["image-mismatch-first", "image-mismatch-last"],
        hit: "image-hit",
        slack: EXACTLY,
    },
];
/// What is counted beside them.
const OTHERS: [&str; 11] = [
    "parse",
    "hash",
    "checksum",
    "session-hit",
    "session-mismatch",
    "session-unknown",
    "session-ended",
    "form-hit",
    "form-mismatch",
    "image-hit",
    "image-mismatch",
];
/// Runs of a case, counted together.
const RUNS: u64 = 2000;
/// The function of the bench within which callgrind counts; what sets a case up, and hashes with
/// keys that are new in each process, is not in it.
const WITHIN: &str = "counts::counted";

/// How counting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    All,
    /// Without valgrind there is nothing to count with.
    NothingHere,
}

/// Instructions of all runs of each case, in the order in which they were counted.
type Counts = Vec<(&'static str, u64)>;

pub(crate) fn run(options: &Options) -> Result<Counted> {
    if !has_valgrind("COUNTED") {
        return Ok(Counted::NothingHere);
    }
    println!("{:<28} {:>8}", "instructions", "each");
    let counts: Counts = cases().map(shown).collect::<Result<_>>()?;
    for alike in &ALIKE {
        let refusals: Vec<u64> = alike
            .refusals
            .iter()
            .map(|case| each(of(&counts, case)))
            .collect();
        judge(&refusals, each(of(&counts, alike.hit)))?;
    }
    judge_pairs(&counts)?;
    let (file, here) = (root().join(kept::FILE), Place::here()?);
    let counts: Counts = counts
        .into_iter()
        .map(|(case, all)| (case, each(all)))
        .collect();
    if options.keep {
        Kept::new(here, &counts).write(&file)?;
        println!("kept in {}", kept::FILE);
    } else {
        for note in Kept::read(&file)?.judge(&here, &counts)? {
            println!("{note}");
        }
    }
    Ok(Counted::All)
}

/// The pairs alone, each with the hit that it belongs to.
pub(crate) fn run_pairs() -> Result<()> {
    println!("{:<28} {:>8}", "instructions", "each");
    let cases = PAIRS.iter().flat_map(|pair| {
        let [first, last] = pair.cases;
        [pair.hit, first, last]
    });
    let counts: Counts = cases.map(shown).collect::<Result<_>>()?;
    judge_pairs(&counts)
}

/// Every case, once.
fn cases() -> impl Iterator<Item = &'static str> {
    let alike = ALIKE.iter().flat_map(|alike| {
        let hit = std::iter::once(alike.hit);
        alike.refusals.iter().copied().chain(hit)
    });
    let pairs = PAIRS.iter().flat_map(|pair| pair.cases);
    OTHERS.into_iter().chain(alike).chain(pairs)
}

fn of(counts: &Counts, case: &str) -> u64 {
    let found = counts.iter().find(|(counted, _)| *counted == case);
    found.map_or(0, |(_, count)| *count)
}

/// Refusals within one percent of one another, and the hit within ten percent of them.
fn judge(refusals: &[u64], hit: u64) -> Result<()> {
    let least = refusals.iter().copied().min().unwrap_or(0);
    let most = refusals.iter().copied().max().unwrap_or(0);
    let percent = |of: u64| of.div_euclid(100);
    if least == 0 || most.saturating_sub(least) > percent(least) {
        return Err(Failure::new(format!(
            "refusals take between {least} and {most} instructions: more than 1 % apart"
        )));
    }
    if hit.abs_diff(least) > percent(least).saturating_mul(10) {
        return Err(Failure::new(format!(
            "a hit takes {hit} instructions and a refusal {least}: more than 10 % apart"
        )));
    }
    println!("refusals lie between {least} and {most}, the hit at {hit}");
    Ok(())
}

/// Where a secret is wrong costs nothing.
fn judge_pairs(counts: &Counts) -> Result<()> {
    for pair in &PAIRS {
        let [first, last] = pair.cases;
        let (one, other) = (of(counts, first), of(counts, last));
        if one == 0 || one.abs_diff(other) > pair.slack {
            return Err(Failure::new(format!(
                "{RUNS} runs of {first} take {one} instructions and of {last} {other}: the place \
                 tells"
            )));
        }
    }
    Ok(())
}

fn shown(case: &'static str) -> Result<(&'static str, u64)> {
    let all = count(case, RUNS)?;
    println!("{case:<28} {:>8}", each(all));
    Ok((case, all))
}

fn each(all: u64) -> u64 {
    all.div_euclid(RUNS)
}

fn count(case: &str, runs: u64) -> Result<u64> {
    let mut bench = cargo(&["bench", "--quiet", "--manifest-path", "benches/Cargo.toml"]);
    bench.args(["--bench", "counts", "--", case, &runs.to_string()]);
    let runner = format!(
        "valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect={WITHIN}*"
    );
    bench.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", &runner);
    bench.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", &runner);
    let output = bench.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::new(error.to_string()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(Failure::new(format!("case {case} failed:\n{told}")));
    }
    collected(&told).ok_or_else(|| Failure::new(format!("no count for {case}:\n{told}")))
}

/// The number after `Collected :` in valgrind's report; nothing was run if it is zero.
fn collected(report: &str) -> Option<u64> {
    let (_, after) = report.split_once("Collected :")?;
    let digits: String = after
        .lines()
        .next()?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_the_report() {
        let report = "==1== Events    : Ir\n==1== Collected : 1338215\n==1== more 5";
        assert_eq!(collected(report), Some(1_338_215));
        assert_eq!(collected("==1== Collected : 0\n"), None);
        assert_eq!(collected("nothing"), None);
    }

    #[test]
    fn a_pair_that_differs_is_found() {
        let counts = |last: u64| -> Counts {
            let cases = PAIRS.iter().flat_map(|pair| pair.cases);
            let mut counts: Counts = cases.map(|case| (case, 1_000_000)).collect();
            counts.last_mut().unwrap().1 = last;
            counts
        };
        assert!(judge_pairs(&counts(1_000_000)).is_ok());
        assert!(judge_pairs(&counts(1_000_001)).is_err());
        assert!(judge_pairs(&Vec::new()).is_err());
    }

    #[test]
    fn refusals_that_differ_are_told_from_those_that_do_not() {
        assert!(judge(&[1000, 1010], 1050).is_ok());
        assert!(judge(&[1000, 1011], 1050).is_err());
        assert!(judge(&[1000, 1010], 1101).is_err());
        assert!(judge(&[], 0).is_err());
    }
}
