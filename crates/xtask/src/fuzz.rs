//! Running the fuzz targets of `fuzz/` for a while each, and telling what came of all.
//!
//! A target's bound on input length stands in `fuzz/Cargo.toml` under `package.metadata.max-len`,
//! its dictionary, if any, in `fuzz/dictionaries/TARGET.dict`. A finding does not keep the other
//! targets from running; the whole fails at the end.

mod corpus;
mod report;

use std::fs;
use std::process::Command;

use clap::Args;
use report::{Ran, Report};

use crate::process::{
    Failure, Result, Stream, missing_nightly, output, program, root, run as run_command, succeeds,
    watch,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,

    /// End a target after this many executions, if that is earlier
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,

    /// Build without the address sanitizer: several times as many executions, for our own code has
    /// no `unsafe` that it could watch
    #[arg(long)]
    no_sanitizer: bool,

    /// Build without the tracing of comparisons, which is most of the running time of a small
    /// parser: for numbers, once a run with it has left a corpus
    #[arg(long)]
    no_trace_compares: bool,

    /// Where no nightly toolchain or no cargo-fuzz is installed, say so and succeed
    #[arg(long)]
    if_available: bool,

    /// Only these targets
    targets: Vec<String>,
}

impl Options {
    /// Every target for a moment, wherever that is possible.
    pub(crate) fn smoke(seconds: u32) -> Self {
        Self {
            seconds,
            runs: None,
            no_sanitizer: false,
            no_trace_compares: false,
            if_available: true,
            targets: Vec::new(),
        }
    }

    /// A command of cargo-fuzz about one target.
    fn cargo_fuzz(&self, verb: &str, target: &str) -> Command {
        let mut command = program("cargo", &["+nightly", "fuzz", verb]);
        if self.no_sanitizer {
            command.args(["--sanitizer", "none"]);
        }
        if self.no_trace_compares {
            command.arg("--no-trace-compares");
        }
        command.arg(target);
        command
    }
}

/// Whether anything was fuzzed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fuzzed {
    All,
    /// This machine cannot, and the caller said that this is no failure.
    NothingHere,
}

/// For targets that state no bound of their own; libFuzzer's default as well.
const MAX_LEN: i64 = 4096;

/// An input that takes longer is a finding.
const INPUT_TIMEOUT_SECONDS: u32 = 10;

pub(crate) fn run(options: &Options) -> Result<Fuzzed> {
    if let Some(missing) = missing_tool() {
        println!("!!! NOT FUZZED: {missing} !!!");
        if options.if_available {
            return Ok(Fuzzed::NothingHere);
        }
        return Err(Failure::new(missing));
    }
    let manifest = manifest()?;
    let mut report = Report::default();
    for target in targets(options)? {
        // Built first, so that the time of the compiler is not taken for time of fuzzing.
        run_command(options.cargo_fuzz("build", &target))?;
        corpus::keep_small(&target, options.cargo_fuzz("run", &target))?;
        report.add(fuzz(&target, max_len(&manifest, &target), options));
    }
    println!("{report}");
    report.outcome().map(|()| Fuzzed::All)
}

fn missing_tool() -> Option<&'static str> {
    missing_nightly().or_else(|| {
        let is_there = succeeds(program("cargo", &["+nightly", "fuzz", "--version"]));
        (!is_there).then_some("no cargo-fuzz: `cargo install --locked cargo-fuzz`")
    })
}

fn targets(options: &Options) -> Result<Vec<String>> {
    let list = output(program("cargo", &["+nightly", "fuzz", "list"]))?;
    let all: Vec<String> = list.lines().map(|line| line.trim().to_owned()).collect();
    if all.is_empty() {
        return Err(Failure::new("fuzz/ has no target"));
    }
    if let Some(name) = options.targets.iter().find(|name| !all.contains(name)) {
        return Err(Failure::new(format!(
            "no target `{name}`; there are: {}",
            all.join(", ")
        )));
    }
    match options.targets.as_slice() {
        [] => Ok(all),
        named => Ok(named.to_vec()),
    }
}

fn fuzz(target: &str, max_len: i64, options: &Options) -> Ran {
    println!("fuzzing {target} for {} s", options.seconds);
    let mut command = options.cargo_fuzz("run", target);
    command.arg("--");
    command.arg(format!("-max_total_time={}", options.seconds));
    if let Some(runs) = options.runs {
        command.arg(format!("-runs={runs}"));
    }
    command.arg(format!("-max_len={max_len}"));
    command.arg(format!("-timeout={INPUT_TIMEOUT_SECONDS}"));
    command.arg("-print_final_stats=1");
    let dictionary = root()
        .join("fuzz/dictionaries")
        .join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let mut ran = Ran::new(target);
    let ended = watch(command, Stream::Error, |line| {
        eprintln!("{line}");
        ran.hear(line);
    });
    ran.ended(ended);
    ran
}

fn manifest() -> Result<toml::Table> {
    let text = fs::read_to_string(root().join("fuzz/Cargo.toml"))
        .map_err(|error| Failure::new(format!("cannot read fuzz/Cargo.toml: {error}")))?;
    text.parse()
        .map_err(|error| Failure::new(format!("fuzz/Cargo.toml: {error}")))
}

fn max_len(manifest: &toml::Table, target: &str) -> i64 {
    let own = ["package", "metadata", "max-len"]
        .iter()
        .try_fold(manifest, |table, key| table.get(*key)?.as_table())
        .and_then(|bounds| bounds.get(target)?.as_integer());
    own.unwrap_or(MAX_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_state_its_own_bound() {
        let manifest: toml::Table = "[package.metadata.max-len]\nshort = 80".parse().unwrap();
        assert_eq!(max_len(&manifest, "short"), 80);
        assert_eq!(max_len(&manifest, "other"), MAX_LEN);
        assert_eq!(max_len(&toml::Table::new(), "other"), MAX_LEN);
    }
}
