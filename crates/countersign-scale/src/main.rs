//! `countersign-scale`: a day of many nodes, and the sizes that plans are made with.
//!
//! `cargo xtask scale` builds and runs it.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool answers by printing"
)]

use clap::{Args, Parser, Subcommand};
use countersign_scale::plan::{Harm, Plan};
use countersign_scale::{day, report, sizes};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Plans past one machine.
#[derive(Debug, Parser)]
#[command(name = "countersign-scale")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulate a day of many nodes
    Day(Day),
    /// Measure rows, log and feed in a real PostgreSQL
    Sizes(Measured),
    /// Measure what a cached token takes in memory
    Memory {
        /// Tokens
        #[arg(long, default_value_t = 1_000_000)]
        tokens: usize,
    },
}

#[derive(Debug, Args)]
struct Day {
    /// Five nodes for three minutes instead
    #[arg(long)]
    smoke: bool,

    /// The same seed makes the same day
    #[arg(long)]
    seed: Option<u64>,

    /// Nodes that serve
    #[arg(long)]
    nodes: Option<usize>,

    /// Principals, with five tokens each
    #[arg(long)]
    users: Option<usize>,

    /// How many hours it is long
    #[arg(long)]
    hours: Option<f64>,

    /// At which hour of the clock it begins
    #[arg(long)]
    first_hour: Option<f64>,

    /// Verifications of a user in 24 hours
    #[arg(long)]
    verifications: Option<f64>,

    /// The share of requests that come to their user's own node
    #[arg(long)]
    sticky: Option<f64>,

    /// `access_tokens.last_used_interval`, in seconds
    #[arg(long)]
    last_used_seconds: Option<u64>,

    /// Break a rule, to see that it is told
    #[arg(long, value_enum)]
    harm: Option<Broken>,

    /// Where the report goes
    #[arg(long, default_value = "target/scale")]
    into: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Broken {
    /// A lease is renewed where reads are answered
    RenewedByReads,
    /// The cache is told of no change
    Deaf,
}

#[derive(Debug, Args)]
struct Measured {
    /// Tokens in the database
    #[arg(long, default_value_t = 1_000_000)]
    tokens: usize,

    /// Operations of each kind, one at a time
    #[arg(long, default_value_t = 2_000)]
    operations: usize,

    /// Where the report goes
    #[arg(long, default_value = "target/scale")]
    into: PathBuf,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Day(options) => simulate(&options),
        Command::Sizes(options) => measure(&options),
        Command::Memory { tokens } => {
            print!("{}", sizes::markdown(&sizes::per_cached_token(tokens)));
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long it took is told, and nothing is decided by it"
)]
fn simulate(options: &Day) -> Result<(), String> {
    let plan = plan(options);
    let began = Instant::now();
    let outcome = day::simulate(&plan, |hours, load| {
        eprintln!(
            "hour {hours}: {} verified, {} commits, {} looks; {:.0} s of real time so far",
            load.verified,
            load.commits,
            load.looks,
            began.elapsed().as_secs_f64()
        );
    });
    println!("{}", report::table(&outcome));
    for (what, late) in report::lateness(&outcome) {
        println!(
            "{what}: {} of them, p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
            late.count, late.p50, late.p99, late.worst
        );
    }
    write(&options.into, "day.md", &report::markdown(&outcome))?;
    write(&options.into, "day.json", &json(&outcome)?)?;
    match outcome.violations() {
        0 => Ok(()),
        count => Err(format!(
            "{count} times a revoked token was let in beyond the bound"
        )),
    }
}

fn plan(options: &Day) -> Plan {
    let mut plan = match options.smoke {
        true => Plan::smoke(),
        false => Plan::day(),
    };
    plan.seed = options.seed.unwrap_or(plan.seed);
    plan.nodes = options.nodes.unwrap_or(plan.nodes);
    plan.users = options.users.unwrap_or(plan.users);
    plan.first_hour = options.first_hour.unwrap_or(plan.first_hour);
    plan.verifications = options.verifications.unwrap_or(plan.verifications);
    plan.sticky = options.sticky.unwrap_or(plan.sticky);
    plan.last_used_seconds = options.last_used_seconds.unwrap_or(plan.last_used_seconds);
    if let Some(hours) = options.hours {
        plan.seconds = std::time::Duration::from_secs_f64(hours * 3600.0).as_secs();
    }
    plan.harm = match options.harm {
        None => Harm::None,
        Some(Broken::RenewedByReads) => Harm::RenewedByReads,
        Some(Broken::Deaf) => Harm::Deaf,
    };
    plan
}

fn measure(options: &Measured) -> Result<(), String> {
    let tell = |size: &sizes::Size| println!("{}: {:.1} {}", size.what, size.value, size.unit);
    let Some(sizes) = sizes::measure(options.tokens, options.operations, tell) else {
        return Ok(());
    };
    write(&options.into, "sizes.md", &sizes::markdown(&sizes))?;
    write(&options.into, "sizes.json", &json(&sizes)?)
}

fn json(value: &impl serde::Serialize) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let place = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&place, text))
        .map_err(|error| format!("{}: {error}", place.display()))?;
    println!("written: {}", place.display());
    Ok(())
}
