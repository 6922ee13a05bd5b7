//! Instructions under callgrind: a figure that a busy machine cannot blur.
//!
//! It holds the rule that a miss costs what a hit costs: every refusal within one percent of the
//! others, and the hit within ten percent of them.

use std::process::Stdio;

use crate::process::{Failure, Result, cargo, succeeds};

/// Refusals that must be alike from outside.
const REFUSALS: [&str; 6] = [
    "mismatch",
    "unknown",
    "revoked",
    "expired",
    "disabled",
    "switched-off",
];
/// The same through the engine, with the records in memory.
const ENGINE_REFUSALS: [&str; 3] = ["engine-mismatch", "engine-revoked", "engine-disabled"];
/// What is shown beside them.
const OTHERS: [&str; 3] = ["parse", "hash", "checksum"];
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

pub(crate) fn run() -> Result<Counted> {
    let mut valgrind = std::process::Command::new("valgrind");
    valgrind.arg("--version");
    if !succeeds(valgrind) {
        println!("NOT COUNTED: valgrind is missing; install Debian's package of that name");
        return Ok(Counted::NothingHere);
    }
    println!("{:<18} instructions", "case");
    for case in OTHERS {
        shown(case)?;
    }
    judge(&all_shown(&REFUSALS)?, shown("hit")?)?;
    judge(&all_shown(&ENGINE_REFUSALS)?, shown("engine-hit")?)?;
    Ok(Counted::All)
}

fn all_shown(cases: &[&str]) -> Result<Vec<u64>> {
    cases.iter().map(|case| shown(case)).collect()
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

fn shown(case: &str) -> Result<u64> {
    let each = count(case, RUNS)?.div_euclid(RUNS);
    println!("{case:<18} {each}");
    Ok(each)
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
