//! Which lines of the engine and of the crates below it the tests run, by `cargo llvm-cov`.
//!
//! A line that runs is not a line that is checked: `cargo xtask mutants` asks that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::Args;

use crate::process::{Failure, Result, cargo, program, root, run as run_command, succeeds};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Copy the table into `docs/trials`
    #[arg(long)]
    keep: bool,

    /// Print the lines that no test runs
    #[arg(long)]
    lines: bool,

    /// Read what the last run wrote instead of running the tests again
    #[arg(long)]
    read: bool,
}

const CRATES: &[&str] = &[
    "countersign-core",
    "countersign-sessions",
    "countersign-store",
    "countersign",
];

/// Those whose tests run the engine as well.
const ABOVE: &[&str] = &[
    "countersign-axum",
    "countersign-tower-sessions",
    "countersign-tests",
];

/// Of the lines of each crate, so many of a hundred are run.
const AT_LEAST: usize = 95;

const FOUND: &str = "target/coverage/lcov.info";

/// How often each line of a file runs, of those that could.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    counts: BTreeMap<usize, u64>,
}

impl Lines {
    fn all(&self) -> usize {
        self.counts.len()
    }

    fn missed(&self) -> Vec<usize> {
        let missed = self.counts.iter().filter(|(_, count)| **count == 0);
        missed.map(|(number, _)| *number).collect()
    }

    fn run(&self) -> usize {
        self.counts.values().filter(|count| **count > 0).count()
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.read {
        measure()?;
    }
    let found = read(&root().join(FOUND))?;
    let mut texts = Vec::new();
    for (name, lines) in parsed(&found) {
        let Ok(name) = Path::new(&name).strip_prefix(root()).map(Path::to_path_buf) else {
            continue;
        };
        let text = read(&root().join(&name))?;
        texts.push((name.to_string_lossy().into_owned(), lines, text));
    }
    let tests = texts.iter().flat_map(|(_, _, text)| test_modules(text));
    let tests: BTreeSet<String> = tests.map(str::to_owned).collect();
    let judged = texts
        .into_iter()
        .filter(|(name, _, _)| is_judged(name, &tests));
    let files: BTreeMap<_, _> = judged
        .map(|(name, lines, text)| (name, without_tests(lines, &text)))
        .collect();
    if options.lines {
        for (name, lines) in files.iter().filter(|(_, lines)| lines.run() < lines.all()) {
            println!("{name}: {:?}", lines.missed());
        }
    }
    let (text, short) = table(&files);
    let place = if options.keep {
        "docs/trials/COVERAGE.md"
    } else {
        "target/coverage/COVERAGE.md"
    };
    fs::write(root().join(place), text)
        .map_err(|error| Failure::new(format!("{place}: {error}")))?;
    println!("written: {place}");
    match short.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "under {AT_LEAST} % of lines: {}",
            short.join(", ")
        ))),
    }
}

/// Runs the tests of the judged crates and of the whole engine, and has their counts written.
fn measure() -> Result<()> {
    if !succeeds(program("cargo", &["llvm-cov", "--version"])) {
        return Err(Failure::new(
            "`cargo install cargo-llvm-cov --locked` and `rustup component add llvm-tools` first",
        ));
    }
    let place = root().join(FOUND);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::new(error.to_string()))?;
    }
    let mut command = cargo(&["llvm-cov", "test", "--no-cfg-coverage", "--ignore-run-fail"]);
    command.args(["--lib", "--test", "it", "--lcov"]);
    command.arg("--output-path").arg(place);
    for package in CRATES.iter().chain(ABOVE) {
        command.args(["--package", package]);
    }
    // A test that kills a process leaves half of what that one counted.
    command.env("LLVM_PROFDATA_FLAGS", "-failure-mode=all");
    run_command(command)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

/// The lines of each file in a tracefile.
fn parsed(text: &str) -> Vec<(String, Lines)> {
    let mut files = Vec::new();
    let mut lines = Lines::default();
    let mut name = String::new();
    for line in text.lines() {
        if let Some(file) = line.strip_prefix("SF:") {
            name = file.to_owned();
        } else if let Some((number, count)) = line.strip_prefix("DA:").and_then(|rest| {
            let mut parts = rest.split(',');
            Some((
                parts.next()?.parse().ok()?,
                parts.next()?.parse::<u64>().ok()?,
            ))
        }) {
            let known = lines.counts.entry(number).or_default();
            *known = known.saturating_add(count);
        } else if line == "end_of_record" {
            files.push((std::mem::take(&mut name), std::mem::take(&mut lines)));
        }
    }
    files
}

/// Whether a file is of what is judged: sources of the crates, but for modules of tests.
fn is_judged(name: &str, tests: &BTreeSet<String>) -> bool {
    let within = CRATES
        .iter()
        .find_map(|package| name.strip_prefix(&format!("crates/{package}/src/")));
    within.is_some_and(|path| {
        let mut parts = path.split('/').map(|part| part.trim_end_matches(".rs"));
        !parts.any(|part| tests.contains(part))
    })
}

/// The modules in files of their own that only tests have.
fn test_modules(text: &str) -> impl Iterator<Item = &str> {
    let pairs = text.lines().zip(text.lines().skip(1));
    pairs.filter_map(|(before, line)| {
        let is_test = before.trim() == "#[cfg(test)]";
        let (_, name) = line.split_once("mod ").filter(|_| is_test)?;
        name.strip_suffix(';')
    })
}

/// The same without the modules of tests in the file, which always run.
fn without_tests(mut lines: Lines, text: &str) -> Lines {
    let mut within = false;
    let mut before = "";
    for (number, line) in (1..).zip(text.lines()) {
        within |= before == "#[cfg(test)]" && line.contains("mod ") && line.ends_with('{');
        before = line;
        if within {
            lines.counts.remove(&number);
        }
        within &= line != "}";
    }
    lines
}

fn table(files: &BTreeMap<String, Lines>) -> (String, Vec<String>) {
    let mut text = String::from(
        "# Lines that the tests run\n\nWritten by `cargo xtask coverage --keep`.\n\
         Tests themselves are not counted.\n\n\
         | crate | lines | run | share |\n|---|---|---|---|\n",
    );
    let mut short = Vec::new();
    // Writing to a string does not fail.
    for package in CRATES {
        let prefix = format!("crates/{package}/");
        let of = files.iter().filter(|(name, _)| name.starts_with(&prefix));
        let (mut all, mut run) = (0_usize, 0_usize);
        for (_, lines) in of {
            all = all.saturating_add(lines.all());
            run = run.saturating_add(lines.run());
        }
        let _ = writeln!(text, "| {package} | {all} | {run} | {} |", share(run, all));
        if run.saturating_mul(100) < all.saturating_mul(AT_LEAST) {
            short.push((*package).to_owned());
        }
    }
    text.push_str("\n| file | lines | run | share |\n|---|---|---|---|\n");
    for (name, lines) in files {
        let (all, run) = (lines.all(), lines.run());
        let _ = writeln!(text, "| `{name}` | {all} | {run} | {} |", share(run, all));
    }
    (text, short)
}

/// A share of a hundred with one digit more, rounded down.
fn share(part: usize, whole: usize) -> String {
    let thousandths = part.saturating_mul(1000).checked_div(whole).unwrap_or(1000);
    format!("{}.{} %", thousandths / 10, thousandths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
fn judged() {}
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests {
    fn not_judged() {}
}
fn judged_again() {}
";

    fn lines(counts: &[(usize, u64)]) -> Lines {
        Lines {
            counts: counts.iter().copied().collect(),
        }
    }

    #[test]
    fn a_line_runs_where_any_copy_of_its_function_runs() {
        let text =
            "SF:a.rs\nDA:1,0\nDA:2,0\nDA:1,3\nend_of_record\nSF:b.rs\nDA:7,1\nend_of_record\n";
        let expected = [
            ("a.rs".to_owned(), lines(&[(1, 3), (2, 0)])),
            ("b.rs".to_owned(), lines(&[(7, 1)])),
        ];
        assert_eq!(parsed(text), expected);
        let (_, of_a) = &expected[0];
        assert_eq!((of_a.all(), of_a.run(), of_a.missed()), (2, 1, vec![2]));
    }

    #[test]
    fn tests_are_not_counted_as_lines_that_tests_run() {
        let of_file = lines(&[(1, 1), (6, 1), (8, 0)]);
        assert_eq!(without_tests(of_file, FILE), lines(&[(1, 1), (8, 0)]));
        let modules: BTreeSet<_> = test_modules(FILE).map(str::to_owned).collect();
        assert_eq!(modules, BTreeSet::from(["model".to_owned()]));
        for (name, judged) in [
            ("crates/countersign/src/cache.rs", true),
            ("crates/countersign/src/cache/model.rs", false),
            ("crates/countersign/src/model/run.rs", false),
            ("crates/xtask/src/main.rs", false),
        ] {
            assert_eq!(is_judged(name, &modules), judged, "{name}");
        }
    }

    #[test]
    fn a_crate_under_the_bound_is_named_and_shares_are_never_rounded_up() {
        let files = BTreeMap::from([
            (
                "crates/countersign/src/a.rs".to_owned(),
                lines(&[(1, 1), (2, 0), (3, 1)]),
            ),
            (
                "crates/countersign-core/src/b.rs".to_owned(),
                lines(&[(1, 1)]),
            ),
        ]);
        let (text, short) = table(&files);
        assert_eq!(short, ["countersign"]);
        assert!(text.contains("| countersign | 3 | 2 | 66.6 % |"), "{text}");
        assert!(
            text.contains("| countersign-core | 1 | 1 | 100.0 % |"),
            "{text}"
        );
    }
}
