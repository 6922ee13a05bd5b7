//! Constant time, shown in three ways: no branch and no address depends on a secret (memcheck),
//! where a secret is wrong costs no instruction (callgrind), and no time either (a t-test).
//!
//! Each of them has a leak planted beside it, or compares to the instruction, so that one that
//! sees nothing fails. What each does not see stands in `docs/THREAT_MODEL.md`.

mod memcheck;
mod public;
mod report;
mod timing;

use clap::Args;

use crate::counts;
use crate::process::{Failure, Result, has_valgrind};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many verifications the t-test measures in each case
    #[arg(long, default_value_t = SAMPLES, value_parser = clap::value_parser!(u64).range(1000..))]
    samples: u64,
}

/// What is measured in a few seconds, and sees what is worth seeing.
const SAMPLES: u64 = 10_000_000;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    All,
    /// Without valgrind two of the three cannot be done.
    NothingHere,
}

pub(crate) fn run(options: &Options) -> Result<Shown> {
    if !has_valgrind("SHOWN") {
        return Ok(Shown::NothingHere);
    }
    // All three are shown, whichever fails first.
    let outcomes = [
        memcheck::run(),
        counts::run_pairs(),
        timing::run(options.samples),
    ];
    conclude(outcomes)
}

/// The part of it that is in the gate: what it finds, it finds in one run.
pub(crate) fn smoke() -> Result<Shown> {
    if !has_valgrind("SHOWN") {
        return Ok(Shown::NothingHere);
    }
    conclude([memcheck::run()])
}

fn conclude<const N: usize>(outcomes: [Result<()>; N]) -> Result<Shown> {
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|failure| failure.to_string()))
        .collect();
    if failures.is_empty() {
        return Ok(Shown::All);
    }
    Err(Failure::new(failures.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_is_told() {
        let failed = |why: &str| Err(Failure::new(why));
        assert_eq!(conclude([Ok(()), Ok(())]), Ok(Shown::All));
        assert_eq!(
            conclude([failed("one"), Ok(()), failed("two")]),
            Err(Failure::new("one; two"))
        );
    }
}
