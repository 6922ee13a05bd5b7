//! Branches and addresses that depend on a secret, found by valgrind's memcheck in `ct/`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use super::public;
use super::report::{Report, reports};
use crate::process::{Failure, Result, cargo, output, root, run as run_command};
use crate::tidy::Metadata;

/// The cases: a workspace of its own.
const MANIFEST: &str = "ct/Cargo.toml";

/// A name, and whether it is a leak that has to be found.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    name: String,
    is_planted: bool,
}

/// What was reported of a case.
#[derive(Debug)]
struct Watched {
    case: Case,
    /// How often something was, by valgrind's own count.
    reports: u64,
    /// Places that are public on purpose.
    public: usize,
    /// All the others.
    leaks: Vec<Report>,
}

pub(super) fn run() -> Result<()> {
    run_command(in_release("build", &[])?)?;
    println!(
        "{:<28} {:>8} {:>7} {:>6}",
        "memcheck", "reports", "public", "leaks"
    );
    let mut failed = Vec::new();
    for case in cases()? {
        let watched = watch(case)?;
        watched.print();
        if !watched.is_as_expected() {
            failed.push(watched.case.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "memcheck: a leak, or a planted one that was not found: {}",
        failed.join(", ")
    )))
}

/// Cargo on the cases as a release builds them, but for the core's telling what becomes public.
fn in_release(command: &str, arguments: &[&str]) -> Result<Command> {
    let mut cargo = cargo(&[command, "--quiet", "--release", "--manifest-path", MANIFEST]);
    cargo.args(arguments);
    let target = Metadata::load(&root().join("Cargo.toml"))?.target_directory;
    cargo.env("CARGO_TARGET_DIR", target);
    cargo.env("RUSTFLAGS", "--cfg countersign_ct");
    Ok(cargo)
}

fn cases() -> Result<Vec<Case>> {
    let list = output(in_release("run", &["--", "list"])?)?;
    let cases: Vec<Case> = list.lines().filter_map(case_of).collect();
    if cases.iter().all(|case| case.is_planted) || !cases.iter().any(|case| case.is_planted) {
        return Err(Failure::new(
            "there are no cases in ct/, or no planted ones",
        ));
    }
    Ok(cases)
}

fn case_of(line: &str) -> Option<Case> {
    let (name, expected) = line.split_once(' ')?;
    Some(Case {
        name: name.to_owned(),
        is_planted: expected == "planted",
    })
}

fn watch(case: Case) -> Result<Watched> {
    let mut command = in_release("run", &["--", &case.name])?;
    let runner = "valgrind --leak-check=no --num-callers=12 --error-limit=no --fullpath-after=";
    command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| Failure::new(error.to_string()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let answer = String::from_utf8_lossy(&output.stdout);
    let reports_count = answer.trim().strip_prefix("reports ");
    let reports_count = reports_count.and_then(|count| count.parse().ok());
    let (true, Some(count)) = (output.status.success(), reports_count) else {
        let name = case.name;
        return Err(Failure::new(format!("case {name} failed:\n{answer}{told}")));
    };
    let found = reports(&told);
    if (count == 0) != found.is_empty() {
        let name = case.name;
        return Err(Failure::new(format!(
            "case {name}: reports that cannot be read:\n{told}"
        )));
    }
    Ok(Watched::of(case, count, found))
}

impl Watched {
    fn of(case: Case, reports: u64, found: Vec<Report>) -> Self {
        let mut sources: BTreeMap<&str, String> = BTreeMap::new();
        for line in public::LINES {
            let text = fs::read_to_string(root().join(line.file)).unwrap_or_default();
            sources.insert(line.file, text);
        }
        let line_at = |file: &str, line: usize| {
            let text = sources.get(file)?.lines().nth(line.checked_sub(1)?)?;
            Some(text.to_owned())
        };
        let all = found.len();
        let is_leak = |report: &Report| !public::is_listed(report, line_at);
        let leaks: Vec<Report> = found.into_iter().filter(is_leak).collect();
        Self {
            case,
            reports,
            public: all.saturating_sub(leaks.len()),
            leaks,
        }
    }

    fn is_as_expected(&self) -> bool {
        self.leaks.is_empty() != self.case.is_planted
    }

    fn print(&self) {
        let Self {
            case,
            reports,
            public,
            leaks,
        } = self;
        let note = match (case.is_planted, self.is_as_expected()) {
            (true, true) => "  as planted",
            (false, true) => "",
            (_, false) => "  !!!",
        };
        let name = &case.name;
        println!(
            "{name:<28} {reports:>8} {public:>7} {:>6}{note}",
            leaks.len()
        );
        if self.is_as_expected() {
            return;
        }
        for leak in leaks {
            println!("    {}", leak.what);
            let frames = leak.frames.iter();
            for frame in frames.filter(|frame| !public::is_of_the_language(&frame.path)) {
                println!("        {} {}:{}", frame.function, frame.path, frame.line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(is_planted: bool, found: usize) -> bool {
        let case = Case {
            name: "case".to_owned(),
            is_planted,
        };
        let report = || Report {
            what: "Conditional jump".to_owned(),
            frames: Vec::new(),
        };
        let found = std::iter::repeat_with(report).take(found).collect();
        Watched::of(case, 1, found).is_as_expected()
    }

    #[test]
    fn a_leak_fails_and_so_does_a_planted_one_that_is_not_found() {
        assert!(watched(false, 0));
        assert!(!watched(false, 1));
        assert!(watched(true, 2));
        assert!(!watched(true, 0));
    }

    #[test]
    fn cases_are_read_from_their_list() {
        let planted = |name: &str, is_planted| {
            Some(Case {
                name: name.to_owned(),
                is_planted,
            })
        };
        assert_eq!(case_of("core-form clean"), planted("core-form", false));
        assert_eq!(
            case_of("planted-table planted"),
            planted("planted-table", true)
        );
        assert_eq!(case_of(""), None);
    }
}
