//! Instructions under callgrind: a figure that a busy machine cannot blur.
//!
//! It holds two rules: a miss costs what a hit costs, every refusal within one percent of the
//! others and the hit within ten percent of them; and no case costs more than was kept of it.

mod kept;

use std::process::Stdio;

use clap::Args;

use crate::process::{Failure, Result, cargo, root, succeeds};
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

/// Instructions of the cases, in the order in which they were counted.
type Counts = Vec<(&'static str, u64)>;

pub(crate) fn run(options: &Options) -> Result<Counted> {
    let mut valgrind = std::process::Command::new("valgrind");
    valgrind.arg("--version");
    if !succeeds(valgrind) {
        println!("NOT COUNTED: valgrind is missing; install Debian's package of that name");
        return Ok(Counted::NothingHere);
    }
    println!("{:<18} instructions", "case");
    let counts: Counts = cases().map(shown).collect::<Result<_>>()?;
    for alike in &ALIKE {
        let refusals: Vec<u64> = alike
            .refusals
            .iter()
            .map(|case| of(&counts, case))
            .collect();
        judge(&refusals, of(&counts, alike.hit))?;
    }
    let (file, here) = (root().join(kept::FILE), Place::here()?);
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

/// Every case, once.
fn cases() -> impl Iterator<Item = &'static str> {
    let alike = ALIKE.iter().flat_map(|alike| {
        let hit = std::iter::once(alike.hit);
        alike.refusals.iter().copied().chain(hit)
    });
    OTHERS.into_iter().chain(alike)
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

fn shown(case: &'static str) -> Result<(&'static str, u64)> {
    let each = count(case, RUNS)?.div_euclid(RUNS);
    println!("{case:<18} {each}");
    Ok((case, each))
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
    fn refusals_that_differ_are_told_from_those_that_do_not() {
        assert!(judge(&[1000, 1010], 1050).is_ok());
        assert!(judge(&[1000, 1011], 1050).is_err());
        assert!(judge(&[1000, 1010], 1101).is_err());
        assert!(judge(&[], 0).is_err());
    }
}
