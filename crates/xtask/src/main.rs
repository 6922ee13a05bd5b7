//! The chores of this workspace, as one program: `cargo xtask --help` lists them.
//!
//! It holds no product code, and nothing in the workspace depends on it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool answers by printing"
)]

mod bench;
mod ci;
mod counts;
mod coverage;
mod ct;
mod fuzz;
mod mutants;
mod nightly;
mod process;
mod scale;
mod tidy;
mod trials;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the Countersign workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of the house that no compiler checks
    Tidy,
    /// Run everything that a change must pass
    Ci(ci::Options),
    /// Fuzz every target, or one of them
    Fuzz(fuzz::Options),
    /// Measure the figures that are held to, judge them, and write a report with plots
    Bench(bench::Options),
    /// Count the instructions of each verdict: a miss costs what a hit costs, and none costs more
    /// than was kept
    Counts(counts::Options),
    /// Show constant time: by memcheck, by instructions, and by a t-test
    Ct(ct::Options),
    /// Look for undefined behaviour with Miri, where there is a nightly toolchain
    Miri,
    /// Look for data races with ThreadSanitizer, where there is a nightly toolchain
    Tsan,
    /// Count the lines that the tests run, and write the table
    Coverage(coverage::Options),
    /// Change the code in every way that cargo-mutants knows, and see whether a test notices
    Mutants(mutants::Options),
    /// Try what the engine must withstand, at full size, and write a report
    Trials(trials::Options),
    /// Use everything at once under faults and clock jumps, for so many minutes
    Soak(trials::Soak),
    /// Simulate a day of many nodes, or measure the sizes that plans are made with
    Scale(scale::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Tidy => tidy::run(),
        Command::Ci(options) => ci::run(&options),
        Command::Fuzz(options) => fuzz::run(&options).map(drop),
        Command::Bench(options) => bench::run(&options),
        Command::Counts(options) => counts::run(&options).map(drop),
        Command::Ct(options) => ct::run(&options).map(drop),
        Command::Miri => nightly::miri(),
        Command::Tsan => nightly::tsan(),
        Command::Coverage(options) => coverage::run(&options),
        Command::Mutants(options) => mutants::run(&options),
        Command::Trials(options) => trials::run(&options),
        Command::Soak(options) => trials::soak(&options),
        Command::Scale(options) => scale::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
