//! The trials of what the engine must withstand, at their full sizes, and a report of them.
//!
//! Each is a test that anyone can run; `cargo test` runs it at a size that is quick, and a variable
//! asks for more. What a trial counted it prints on a line that begins with `===`. What this
//! machine keeps it from trying it says loudly, and then it has not held.

use std::fmt::Write as _;
use std::fs;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::bench::Machine;
use crate::process::{self, Failure, Result, Stream, cargo, program, root, text_of, watch};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --quick it takes more than an hour on two cores: the soak's, with the \
                  others beside it."
)]
pub(crate) struct Options {
    /// The sizes that `cargo test` has: to see that all run
    #[arg(long)]
    quick: bool,

    /// Copy the report into `docs/trials`; only from a full run
    #[arg(long)]
    keep: bool,

    /// Only the trials whose name holds this text
    filter: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Soak {
    /// For how long
    #[arg(long, default_value_t = 60)]
    minutes: u32,
}

/// A test, and how it is asked for its full size.
#[derive(Debug)]
struct Trial {
    name: &'static str,
    /// What must be.
    hazard: &'static str,
    package: &'static str,
    /// The test binary; the library's own where there is none.
    binary: Option<&'static str>,
    test: &'static str,
    /// The variable that asks for a size, and the full one.
    size: Option<(&'static str, &'static str)>,
    /// It goes on while the others run one after the other.
    beside: bool,
}

const SOAK: Trial = Trial::new(
    "soak",
    "soak::",
    "for an hour of faults and clock jumps nothing is forgotten and nothing grows",
)
.sized("COUNTERSIGN_SOAK_SECONDS", "3600")
.beside();

const TRIALS: [Trial; 16] = [
    Trial::new(
        "power-cut",
        "power_cut::",
        "after a power cut anywhere, everything acknowledged is there and nothing by halves",
    )
    .sized("COUNTERSIGN_POWER_CUTS", "100000"),
    Trial::new(
        "faults",
        "io_errors::after_an_error",
        "whatever operation on the file fails, nothing acknowledged is lost",
    )
    .sized("COUNTERSIGN_FAULTS_APART", "1"),
    Trial::new(
        "full-disk",
        "full_disk::",
        "on a full disk revocations go through",
    ),
    Trial::new(
        "damage",
        "damage::",
        "damage to store, snapshot and key file changes no verdict",
    )
    .sized("COUNTERSIGN_DAMAGED_FILES", "20000"),
    Trial::new(
        "kill",
        "kill::what_was",
        "what was acknowledged before a kill is there after it",
    )
    .sized("COUNTERSIGN_KILL_RUNS", "500"),
    Trial::new(
        "kill-sessions",
        "session_kill::",
        "a kill revives no session that was over for good",
    )
    .sized("COUNTERSIGN_KILL_RUNS", "500"),
    Trial::new(
        "store-model",
        "store_model::",
        "the redb store and the plain model agree",
    )
    .sized("COUNTERSIGN_SEQUENCES", "60000"),
    Trial::new(
        "engine-models",
        "engine_models::",
        "what tokens, devices and sessions are told by an engine is what the rules say",
    )
    .sized("COUNTERSIGN_SEQUENCES", "3000"),
    Trial::new(
        "postgres-models",
        "models::",
        "the same on PostgreSQL, and its store and the plain model agree",
    )
    .within("countersign-tests", Some("postgres"))
    .sized("COUNTERSIGN_SEQUENCES", "300"),
    Trial::new(
        "secrets",
        "secrets::",
        "no secret in what is printed or written, nor in the heap afterwards",
    ),
    SOAK,
    Trial::new(
        "refusals",
        "remember_flood::a_flood",
        "a million refused credentials write nothing",
    )
    .sized("COUNTERSIGN_REFUSED_COOKIES", "1000000"),
    Trial::new(
        "session-model",
        "model::",
        "the session table and the rules agree",
    )
    .within("countersign-sessions", Some("it"))
    .sized("COUNTERSIGN_SEQUENCES", "100000"),
    Trial::new(
        "session-flood",
        "flood::",
        "a flood of anonymous sessions drives out nobody who is logged in",
    )
    .within("countersign-sessions", Some("it"))
    .sized("COUNTERSIGN_FLOOD", "1000000"),
    Trial::new(
        "device-model",
        "remember::tests::model",
        "remembered devices and the rules agree",
    )
    .within("countersign-core", None)
    .sized("COUNTERSIGN_SEQUENCES", "60000"),
    Trial::new(
        "hostile-http",
        "hostile::",
        "no request through the full stack makes a 5xx or a panic",
    )
    .within("countersign-axum", Some("it"))
    .sized("COUNTERSIGN_HOSTILE_REQUESTS", "100000"),
];

impl Trial {
    /// One of the hazards, unless it says where else it is.
    const fn new(name: &'static str, test: &'static str, hazard: &'static str) -> Self {
        Self {
            name,
            hazard,
            package: "countersign-tests",
            binary: Some("it"),
            test,
            size: None,
            beside: false,
        }
    }

    const fn within(mut self, package: &'static str, binary: Option<&'static str>) -> Self {
        (self.package, self.binary) = (package, binary);
        self
    }

    const fn sized(mut self, variable: &'static str, full: &'static str) -> Self {
        self.size = Some((variable, full));
        self
    }

    const fn beside(mut self) -> Self {
        self.beside = true;
        self
    }

    /// What runs it, at the size that `cargo test` has.
    fn command(&self) -> Command {
        let mut arguments = vec!["test", "--release", "--package", self.package];
        match self.binary {
            Some(binary) => arguments.extend(["--test", binary]),
            None => arguments.push("--lib"),
        }
        arguments.extend(["--", self.test, "--nocapture"]);
        let mut command = cargo(&arguments);
        // Where there is no PostgreSQL, the tests that need one would be skipped.
        command.env("COUNTERSIGN_POSTGRES_TESTS", "required");
        command
    }
}

/// With these words a test says that it did not try what it is there for.
const NOT_TRIED: [&str; 2] = ["NOT TRIED", "SKIPPED"];

/// What a trial printed of itself.
#[derive(Debug, Default)]
struct Seen {
    counted: Vec<String>,
    /// What the harness said at the end.
    summary: Option<String>,
    /// The first thing that was not tried.
    not_tried: Option<String>,
}

impl Seen {
    fn note(&mut self, line: &str) {
        if let Some(count) = line.strip_prefix("=== ") {
            self.counted.push(count.to_owned());
        } else if line.starts_with("test result: ") {
            self.summary = Some(line.to_owned());
        } else if self.not_tried.is_none() && NOT_TRIED.iter().any(|words| line.contains(words)) {
            self.not_tried = Some(line.trim_matches(['*', ' ']).to_owned());
        }
    }

    /// Why the trial did not hold, if it did not; `ran` is how its command ended.
    fn failure(&self, ran: Result<()>) -> Option<Failure> {
        let summary = self.summary.as_deref();
        if let Err(failure) = ran {
            Some(failure)
        } else if summary.is_none_or(|line| line.contains(" 0 passed")) {
            Some(Failure::new("it ran no test"))
        } else {
            self.not_tried.as_ref().map(Failure::new)
        }
    }
}

/// How a trial went.
#[derive(Debug)]
struct Outcome {
    trial: &'static Trial,
    /// What it printed of itself.
    counted: Vec<String>,
    took: Duration,
    failure: Option<Failure>,
    command: String,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.keep && (options.quick || options.filter.is_some()) {
        return Err(Failure::new("only a full run is kept"));
    }
    let machine = Machine::look()?;
    let wanted = |trial: &&Trial| match &options.filter {
        Some(text) => trial.name.contains(text.as_str()),
        None => true,
    };
    let outcomes = all_tried(
        &TRIALS.iter().filter(wanted).collect::<Vec<_>>(),
        options.quick,
    );
    if outcomes.is_empty() {
        let names: Vec<_> = TRIALS.iter().map(|trial| trial.name).collect();
        return Err(Failure::new(format!(
            "no such trial; there are: {}",
            names.join(", ")
        )));
    }
    let text = report(&machine, &outcomes);
    let place = root().join(if options.keep {
        "docs/trials"
    } else {
        "target/trials"
    });
    let written =
        fs::create_dir_all(&place).and_then(|()| fs::write(place.join("README.md"), text));
    written.map_err(|error| Failure::new(format!("{}: {error}", place.display())))?;
    println!("written: {}", place.join("README.md").display());
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|outcome| outcome.failure.is_some())
        .map(|outcome| outcome.trial.name)
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("failed: {}", failed.join(", ")))),
    }
}

/// The soak alone, for so long.
pub(crate) fn soak(options: &Soak) -> Result<()> {
    let mut command = SOAK.command();
    let seconds = options.minutes.saturating_mul(60).to_string();
    command.envs(SOAK.size.map(|(variable, _)| (variable, seconds)));
    process::run(command)
}

/// One after the other, but those that go on beside them; told in the order that was asked for.
fn all_tried(trials: &[&'static Trial], quick: bool) -> Vec<Outcome> {
    thread::scope(|scope| {
        let (beside, others): (Vec<_>, Vec<_>) = trials.iter().partition(|trial| trial.beside);
        let beside: Vec<_> = beside
            .into_iter()
            .map(|trial| scope.spawn(move || tried(trial, quick)))
            .collect();
        let mut outcomes: Vec<_> = others
            .into_iter()
            .map(|trial| tried(trial, quick))
            .collect();
        // A trial's failure is an outcome; a panic is a fault of this program.
        let ended = beside.into_iter().map(thread::ScopedJoinHandle::join);
        outcomes.extend(ended.map(|outcome| outcome.unwrap_or_else(|panic| resume_unwind(panic))));
        outcomes.sort_by_key(|outcome| {
            trials
                .iter()
                .position(|trial| trial.name == outcome.trial.name)
        });
        outcomes
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time a trial takes is reported, never judged by"
)]
fn tried(trial: &'static Trial, quick: bool) -> Outcome {
    println!("\n=== {}: {} ===", trial.name, trial.hazard);
    let mut command = trial.command();
    let mut typed = text_of(&command);
    if let (Some((variable, full)), false) = (trial.size, quick) {
        command.env(variable, full);
        typed = format!("{variable}={full} {typed}");
    }
    let mut seen = Seen::default();
    let start = Instant::now();
    // Both streams as one: a trial tells its counts past the harness, which prints to the other.
    let merged = merged(&command);
    let ran = watch(merged, Stream::Output, |line| {
        println!("{:>13} | {line}", trial.name);
        seen.note(line);
    });
    Outcome {
        trial,
        failure: seen.failure(ran),
        counted: seen.counted,
        took: start.elapsed(),
        command: typed,
    }
}

/// The same command with both streams in one.
fn merged(command: &Command) -> Command {
    let mut merged = program("sh", &["-c", "exec \"$@\" 2>&1", "sh"]);
    merged.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            merged.env(name, value);
        }
    }
    merged
}

fn report(machine: &Machine, outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "# Trials\n\nWritten by `cargo xtask trials`.\n\
         Each is a test that anyone can run; what it counted stands as it printed it.\n\n\
         ## Machine\n\n| | |\n|---|---|\n",
    );
    // Writing to a string does not fail.
    for (name, value) in machine.lines() {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push_str("\n## Trials\n\n| trial | what must be | outcome | counted | took |\n");
    text.push_str("|---|---|---|---|---|\n");
    for outcome in outcomes {
        let held = match &outcome.failure {
            None => "held".to_owned(),
            Some(failure) => format!("**failed**: {}", how(&failure.to_string())),
        };
        let counted = match (outcome.counted.is_empty(), outcome.trial.size) {
            (false, _) => outcome.counted.join("; "),
            (true, Some((variable, size))) => format!("{variable}={size}"),
            (true, None) => String::new(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {held} | {counted} | {:.0} s |",
            outcome.trial.name,
            outcome.trial.hazard,
            outcome.took.as_secs_f64()
        );
    }
    text.push_str("\n## Commands\n\n| trial | command |\n|---|---|\n");
    for outcome in outcomes {
        let _ = writeln!(text, "| {} | `{}` |", outcome.trial.name, outcome.command);
    }
    text
}

/// How something failed, without the command, which stands in a table of its own: as it was run it
/// names places of one machine.
fn how(failure: &str) -> &str {
    failure
        .rsplit_once("` ended with ")
        .map_or(failure, |(_, how)| how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_held_what_was_counted_and_how_to_repeat_it() {
        let [first, second, ..] = &TRIALS;
        let outcome = |trial, counted: &[&str], failure| Outcome {
            trial,
            counted: counted.iter().map(|&line| line.to_owned()).collect(),
            took: Duration::from_secs(7),
            failure,
            command: "cargo test".to_owned(),
        };
        let outcomes = [
            outcome(first, &["7 cuts"], None),
            outcome(second, &[], Some(Failure::new("it ran no test"))),
        ];
        let machine = Machine::look().unwrap();
        let text = report(&machine, &outcomes);
        let rows: Vec<_> = text
            .lines()
            .filter(|line| line.contains("| 7 s |"))
            .collect();
        let expected = [
            format!(
                "| {} | {} | held | 7 cuts | 7 s |",
                first.name, first.hazard
            ),
            format!(
                "| {} | {} | **failed**: it ran no test | COUNTERSIGN_FAULTS_APART=1 | 7 s |",
                second.name, second.hazard
            ),
        ];
        assert_eq!(rows, expected);
        assert!(text.ends_with("| faults | `cargo test` |\n"), "{text}");
    }

    fn seen(lines: &[&str]) -> Seen {
        let mut seen = Seen::default();
        for line in lines {
            seen.note(line);
        }
        seen
    }

    #[test]
    fn what_ran_and_tried_everything_holds() {
        let passed = "test result: ok. 3 passed; 0 failed; 0 ignored";
        let seen = seen(&["running 3 tests", "=== 7 cuts", passed, "=== 8 kills"]);
        assert_eq!(seen.counted, ["7 cuts", "8 kills"]);
        assert_eq!(seen.failure(Ok(())), None);
        let failure = || Failure::new("`a b` ended with exit status: 1");
        assert_eq!(seen.failure(Err(failure())), Some(failure()));
    }

    #[test]
    fn what_did_not_run_or_tried_nothing_does_not_hold() {
        let passed = "test result: ok. 3 passed; 0 failed; 0 ignored";
        let nothing = Some(Failure::new("it ran no test"));
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored";
        assert_eq!(seen(&["running 0 tests", none]).failure(Ok(())), nothing);
        assert_eq!(seen(&["=== 7 cuts"]).failure(Ok(())), nothing);
        for (line, told) in [
            (
                "*** NOT TRIED: no file system could be mounted ***",
                "NOT TRIED: no file system could be mounted",
            ),
            (
                "SKIPPED models::sets: PostgreSQL is missing",
                "SKIPPED models::sets: PostgreSQL is missing",
            ),
            (
                "test a::b ... SKIPPED a::b: c",
                "test a::b ... SKIPPED a::b: c",
            ),
        ] {
            let seen = seen(&[line, "*** NOT TRIED: another ***", "=== 7 cuts", passed]);
            assert_eq!(seen.failure(Ok(())), Some(Failure::new(told)), "{line}");
            assert_eq!(seen.counted, ["7 cuts"]);
        }
    }

    #[test]
    fn a_trial_must_have_the_servers_that_it_needs() {
        for trial in &TRIALS {
            let merged = merged(&trial.command());
            let mut set = merged.get_envs();
            let required = ("COUNTERSIGN_POSTGRES_TESTS", "required");
            let is_set = set.any(|(name, value)| {
                name == required.0 && value.is_some_and(|value| value == required.1)
            });
            assert!(is_set, "{}", trial.name);
        }
    }

    #[test]
    fn a_failure_is_told_without_the_command() {
        assert_eq!(how("`a b` ended with exit status: 1"), "exit status: 1");
        assert_eq!(how("it ran no test"), "it ran no test");
    }
}
