//! The gate: everything that a change must pass, cheapest step first.
//!
//! Installing what the steps need is the business of `.ci/run`, not of this file.

mod totals;

use std::process::Command;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::counts::{self, Counted};
use crate::ct::{self, Shown};
use crate::fuzz::{self, Fuzzed};
use crate::process::{Failure, Result, Stream, cargo, root, run as run_command, succeeds, watch};
use crate::tidy::{self, Metadata};
use totals::Totals;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Go on after a step that failed, and fail at the end
    #[arg(long)]
    keep_going: bool,

    /// Run this step alone; may be given several times
    #[arg(long, value_name = "STEP")]
    only: Vec<Step>,
}

/// The steps, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    Fmt,
    Tidy,
    Clippy,
    Test,
    Docs,
    Deny,
    Fuzz,
    Bench,
    Counts,
    Ct,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Clippy => "clippy",
            Self::Test => "test",
            Self::Docs => "docs",
            Self::Deny => "deny",
            Self::Fuzz => "fuzz",
            Self::Bench => "bench",
            Self::Counts => "counts",
            Self::Ct => "ct",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Fmt => "formatting",
            Self::Tidy => "rules of the house",
            Self::Clippy => "lints",
            Self::Test => "tests",
            Self::Docs => "documentation",
            Self::Deny => "dependencies: bans, licences, sources",
            Self::Fuzz => "fuzzing, briefly",
            Self::Bench => "the bench that counts is built",
            Self::Counts => {
                "instructions: a miss costs what a hit costs, and none costs more than before"
            }
            Self::Ct => "constant time: no branch and no address depends on a secret",
        }
    }
}

/// How a step that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Passed,
    /// Something that this machine lacks kept it from running; it has said so loudly.
    Skipped,
}

#[derive(Debug)]
struct Report {
    step: Step,
    took: Duration,
    outcome: Result<Done>,
}

/// The peers of the benches: a workspace of their own, as the fuzz targets are.
const PEERS: &str = "benches/peers/Cargo.toml";
/// What secrets are watched with: another one.
const WATCHED: &str = "ct/Cargo.toml";

/// How long each fuzz target runs in the gate: enough to see that it works and keeps its seeds.
const FUZZ_SECONDS: u32 = 5;

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut totals = Totals::default();
    let mut reports = Vec::new();
    for &step in Step::value_variants() {
        if !options.only.is_empty() && !options.only.contains(&step) {
            continue;
        }
        let report = timed(step, &mut totals);
        let stop = report.outcome.is_err() && !options.keep_going;
        reports.push(report);
        if stop {
            break;
        }
    }
    conclude(&reports, totals)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time a step takes is printed, never judged by"
)]
fn timed(step: Step, totals: &mut Totals) -> Report {
    println!("\n=== {}: {} ===", step.name(), step.what());
    let start = Instant::now();
    let outcome = perform(step, totals);
    let took = start.elapsed();
    if let Err(failure) = &outcome {
        println!("step `{}` failed: {failure}", step.name());
    }
    println!("--- {}: {:.1} s", step.name(), took.as_secs_f64());
    Report {
        step,
        took,
        outcome,
    }
}

fn perform(step: Step, totals: &mut Totals) -> Result<Done> {
    match step {
        Step::Fmt => {
            run_command(cargo(&["fmt", "--all", "--check"]))?;
            for manifest in ["fuzz/Cargo.toml", PEERS, WATCHED] {
                run_command(cargo(&[
                    "fmt",
                    "--all",
                    "--check",
                    "--manifest-path",
                    manifest,
                ]))?;
            }
        }
        Step::Tidy => tidy::run()?,
        Step::Clippy => {
            run_command(clippy(&["--workspace"]))?;
            // What all workspaces build is built once: they share a directory.
            let target = Metadata::load(&root().join("Cargo.toml"))?.target_directory;
            for manifest in [PEERS, WATCHED] {
                let mut other = clippy(&["--workspace", "--manifest-path", manifest]);
                other.env("CARGO_TARGET_DIR", &target);
                run_command(other)?;
            }
        }
        Step::Test => test(totals)?,
        Step::Docs => {
            let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
            doc.env("RUSTDOCFLAGS", "-D warnings");
            run_command(doc)?;
        }
        Step::Deny => deny()?,
        Step::Fuzz => {
            if fuzz::run(&fuzz::Options::smoke(FUZZ_SECONDS))? == Fuzzed::NothingHere {
                return Ok(Done::Skipped);
            }
        }
        // Clippy has compiled the others; to link them all would take as long as the tests.
        Step::Bench => run_command(cargo(&[
            "bench",
            "--manifest-path",
            "benches/Cargo.toml",
            "--bench",
            "counts",
            "--no-run",
        ]))?,
        Step::Counts => {
            if counts::run(&counts::Options::default())? == Counted::NothingHere {
                return Ok(Done::Skipped);
            }
        }
        Step::Ct => {
            if ct::smoke()? == Shown::NothingHere {
                return Ok(Done::Skipped);
            }
        }
    }
    Ok(Done::Passed)
}

/// Clippy on all targets of what `which` names, with no warning let through.
fn clippy(which: &[&str]) -> Command {
    let mut command = cargo(&["clippy", "--all-targets"]);
    command.args(which).args(["--", "-D", "warnings"]);
    command
}

/// One run of all tests; a failing binary does not hide the counts of those after it.
fn test(totals: &mut Totals) -> Result<()> {
    let command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    watch(command, Stream::Output, |line| {
        println!("{line}");
        totals.add_line(line);
    })?;
    if totals.passed == 0 {
        return Err(Failure::new("no test ran"));
    }
    Ok(())
}

fn deny() -> Result<()> {
    if !succeeds(cargo(&["deny", "--version"])) {
        return Err(Failure::new("cargo-deny is missing: `.ci/run` installs it"));
    }
    let checks = ["bans", "licenses", "sources"];
    let mut ours = cargo(&["deny", "check"]);
    ours.args(checks);
    run_command(ours)?;
    advisories()?;
    // Neither is in a product.
    let rules = "benches/peers/deny.toml";
    for manifest in [PEERS, WATCHED] {
        let mut other = cargo(&[
            "deny",
            "--manifest-path",
            manifest,
            "--config",
            rules,
            "check",
        ]);
        other.args(checks);
        run_command(other)?;
    }
    Ok(())
}

/// What is known against a dependency, where the database of it can be had.
fn advisories() -> Result<()> {
    let mut unreachable = false;
    let asked = cargo(&["deny", "check", "advisories"]);
    let answer = watch(asked, Stream::Error, |line| {
        unreachable |= line.contains("failed to fetch advisory database");
        println!("{line}");
    });
    if unreachable {
        println!("ADVISORIES NOT ASKED: their database cannot be reached; the list of bans holds");
        return Ok(());
    }
    answer
}

fn conclude(reports: &[Report], totals: Totals) -> Result<()> {
    println!("\n=== summary ===");
    for report in reports {
        let word = match &report.outcome {
            Ok(Done::Passed) => "ok",
            Ok(Done::Skipped) => "SKIPPED",
            Err(_) => "FAILED",
        };
        println!(
            "{:<8} {word:<8} {:>7.1} s",
            report.step.name(),
            report.took.as_secs_f64()
        );
    }
    if reports.iter().any(|report| report.step == Step::Test) {
        println!("{totals}");
    }
    verdict(reports)
}

fn verdict(reports: &[Report]) -> Result<()> {
    let failed: Vec<_> = reports
        .iter()
        .filter(|report| report.outcome.is_err())
        .map(|report| report.step.name())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("ci failed at: {}", failed.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: Step, outcome: Result<Done>) -> Report {
        Report {
            step,
            took: Duration::ZERO,
            outcome,
        }
    }

    #[test]
    fn every_step_that_failed_is_named() {
        let reports = [
            report(Step::Fmt, Ok(Done::Passed)),
            report(Step::Deny, Err(Failure::new("x"))),
            report(Step::Bench, Err(Failure::new("y"))),
        ];
        assert_eq!(
            verdict(&reports),
            Err(Failure::new("ci failed at: deny, bench"))
        );
    }

    #[test]
    fn a_skipped_step_is_no_failure() {
        let reports = [
            report(Step::Test, Ok(Done::Passed)),
            report(Step::Fuzz, Ok(Done::Skipped)),
        ];
        assert_eq!(verdict(&reports), Ok(()));
    }
}
