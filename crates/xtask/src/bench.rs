//! Running the benches that tell figures, judging these, and writing a report of them.
//!
//! What is run stands in [`SUITES`]. Criterion's benches, which tell times and no figures, are run
//! beside them with `--criterion`, or alone by `cargo bench`.

mod figures;
mod machine;
mod plots;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::process::{Failure, Result, cargo, root, run as run_command, text_of};
use crate::tidy::Metadata;
use figures::Figure;
pub(crate) use machine::Machine;
use report::{Ran, Report};

/// The variable by which a bench learns where to tell its figures.
const FIGURES: &str = "COUNTERSIGN_FIGURES";

#[derive(Debug, Default, Args)]
#[command(
    after_help = "Criterion's benches (parse, verify, store and others) tell times and no figures: \
    `cargo bench` runs them, and --criterion does so beside the others."
)]
pub(crate) struct Options {
    /// Few and small rounds: to see that all run, not to compare figures
    #[arg(long)]
    quick: bool,

    /// The comparison with peers too: some of them have to be installed
    #[arg(long)]
    peers: bool,

    /// The growth from ten thousand to ten million too: it takes memory and time
    #[arg(long)]
    growth: bool,

    /// The store on PostgreSQL too: its programs have to be installed
    #[arg(long)]
    postgres: bool,

    /// Criterion's benches too, and where their report is
    #[arg(long)]
    criterion: bool,

    /// Copy the report into `docs/benchmarks`; only from a full run
    #[arg(long)]
    keep: bool,

    /// Fail where a figure is missed
    #[arg(long)]
    strict: bool,

    /// Only the benches whose name holds this text
    filter: Option<String>,
}

/// When a bench is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    Growth,
    Postgres,
    Peers,
}

/// A bench that tells figures.
#[derive(Debug)]
struct Suite {
    /// A name in the manifest of its workspace.
    bench: &'static str,
    when: When,
    /// Which figures it is run for.
    tells: &'static str,
}

const SUITES: [Suite; 11] = [
    Suite::new("figures", When::Always, "P1-P5"),
    Suite::new("sessions", When::Always, "P8-P10"),
    Suite::new("durable", When::Always, "P6, P11-P14"),
    Suite::new("images", When::Always, "P15"),
    Suite::new("edge_figures", When::Always, "P17"),
    Suite::new("growth", When::Growth, "P16"),
    Suite::new("postgres", When::Postgres, "P18-P20, R20"),
    Suite::new("verify", When::Peers, "P7"),
    Suite::new("sessions", When::Peers, "P8"),
    Suite::new("memory", When::Peers, "P9"),
    Suite::new("durable", When::Peers, "P11, P12"),
];

/// The benches that criterion measures.
const CRITERION: [&str; 9] = [
    "parse",
    "digest",
    "verify",
    "session_ops",
    "store",
    "image_ops",
    "csrf",
    "remember",
    "edge",
];

impl Suite {
    const fn new(bench: &'static str, when: When, tells: &'static str) -> Self {
        Self { bench, when, tells }
    }

    fn manifest(&self) -> &'static str {
        match self.when {
            When::Always | When::Growth | When::Postgres => "benches/Cargo.toml",
            When::Peers => "benches/peers/Cargo.toml",
        }
    }

    /// What the filter looks at; the peers have benches named as ours are.
    fn name(&self) -> String {
        match self.when {
            When::Always | When::Growth | When::Postgres => self.bench.to_owned(),
            When::Peers => format!("peers/{}", self.bench),
        }
    }

    fn command(&self, quick: bool) -> Command {
        let mut command = cargo(&["bench", "--manifest-path", self.manifest()]);
        command.args(["--bench", self.bench]);
        match (quick, self.when) {
            (true, _) => command.args(["--", "--quick"]),
            (false, When::Growth) => command.args(["--", "--full"]),
            (false, _) => &mut command,
        };
        command
    }

    /// Runs it and takes what it added to `lines`; a bench that fails keeps what it told before.
    fn run(&self, quick: bool, lines: &Path) -> (Ran, Vec<Figure>) {
        println!("\n=== {}: {} ===", self.name(), self.tells);
        let before = fs::read_to_string(lines).unwrap_or_default().len();
        let mut command = self.command(quick);
        let text = text_of(&command);
        command.env(FIGURES, lines);
        let outcome = run_command(command).map_err(|failure| failure.to_string());
        let all = fs::read_to_string(lines).unwrap_or_default();
        let (told, faults) = figures::read(all.get(before..).unwrap_or_default());
        let failure = match outcome {
            Err(failure) => Some(failure),
            Ok(()) if told.is_empty() && faults.is_empty() => Some("it told no figure".into()),
            Ok(()) => faults.into_iter().next(),
        };
        if let Some(failure) = &failure {
            println!("!!! BENCH FAILED: {}: {failure} !!!", self.name());
        }
        let ran = Ran {
            name: self.name(),
            command: text,
            failure,
        };
        (ran, told)
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        let partial = self.quick || self.filter.is_some();
        if self.keep && partial {
            let why = "--keep takes a full run: without --quick and without a filter";
            return Err(Failure::new(why));
        }
        Ok(())
    }

    fn wants(&self, when: When) -> bool {
        match when {
            When::Always => true,
            When::Growth => self.growth,
            When::Postgres => self.postgres,
            When::Peers => self.peers,
        }
    }

    fn passes(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|text| name.contains(text))
    }

    fn suites(&self) -> Result<Vec<&'static Suite>> {
        let wanted = SUITES.iter().filter(|suite| self.wants(suite.when));
        let chosen: Vec<_> = wanted.filter(|suite| self.passes(&suite.name())).collect();
        if chosen.is_empty() && self.criteria().is_empty() {
            let all: Vec<String> = SUITES.iter().map(Suite::name).collect();
            return Err(Failure::new(format!(
                "no such bench; there are {}, the peers with --peers, growth with --growth and \
                 postgres with --postgres",
                all.join(", ")
            )));
        }
        Ok(chosen)
    }

    /// Criterion's benches that are to run.
    fn criteria(&self) -> Vec<&'static str> {
        let all = CRITERION.into_iter();
        all.filter(|name| self.criterion && self.passes(name))
            .collect()
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    options.check()?;
    let suites = options.suites()?;
    let target = Metadata::load(&root().join("Cargo.toml"))?.target_directory;
    let folder = target.join("bench-report");
    let lines = emptied(&folder)?;
    let mut report = Report::new(Machine::look()?, options.quick);
    for suite in suites {
        let (ran, figures) = suite.run(options.quick, &lines);
        report.add(ran, figures);
    }
    if !options.criteria().is_empty() {
        criterion(options, &target)?;
    }
    report.write(&folder)?;
    println!("\nreport: {}\n", folder.join("report.md").display());
    print!("{}", report.table());
    println!("{}", report.closing());
    let failed = report.failed();
    if !failed.is_empty() {
        let failed = failed.join(", ");
        return Err(Failure::new(format!("benches that failed: {failed}")));
    }
    if options.keep {
        report.keep(&root().join("docs/benchmarks"))?;
    }
    if options.strict && !report.missed().is_empty() {
        return Err(Failure::new("not every figure is reached"));
    }
    Ok(())
}

/// The file for lines of figures, in a folder that holds nothing of the run before.
fn emptied(folder: &Path) -> Result<PathBuf> {
    let failed = |error| Failure::new(format!("cannot write {}: {error}", folder.display()));
    if folder.is_dir() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let lines = folder.join("figures.jsonl");
    fs::write(&lines, "").map_err(failed)?;
    Ok(lines)
}

fn criterion(options: &Options, target: &Path) -> Result<()> {
    let mut command = cargo(&["bench", "--manifest-path", "benches/Cargo.toml"]);
    for bench in options.criteria() {
        command.args(["--bench", bench]);
    }
    if options.quick {
        command.args(["--", "--quick"]);
    }
    run_command(command)?;
    let criterion = target.join("criterion");
    let page = criterion.join("report").join("index.html");
    let report = if page.is_file() { page } else { criterion };
    println!("criterion's report: {}", report.display());
    Ok(())
}

#[cfg(test)]
mod tests;
