//! What came of each target, heard from the fuzzer's closing statistics, and all of it in a table.

use std::fmt;

use crate::process::{Failure, Result};

/// What is known of one target's run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ran {
    target: String,
    executions: u64,
    per_second: u64,
    /// The input that it failed on, where the fuzzer has written one.
    input: Option<String>,
    failure: Option<String>,
}

impl Ran {
    pub(super) fn new(target: &str) -> Self {
        Self {
            target: target.to_owned(),
            ..Self::default()
        }
    }

    /// Takes what a line of the fuzzer tells, if it tells anything.
    pub(super) fn hear(&mut self, line: &str) {
        let number = |name: &str| line.strip_prefix(name)?.trim().parse().ok();
        if let Some(count) = number("stat::number_of_executed_units:") {
            self.executions = count;
        }
        if let Some(rate) = number("stat::average_exec_per_sec:") {
            self.per_second = rate;
        }
        if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.input = Some(path.trim().to_owned());
        }
    }

    /// Notes how it ended. A fuzzer that executed nothing has found nothing out.
    pub(super) fn ended(&mut self, outcome: Result<()>) {
        self.failure = match outcome {
            Err(failure) => Some(failure.to_string()),
            Ok(()) if self.executions == 0 => Some("the fuzzer executed nothing".to_owned()),
            Ok(()) => None,
        };
    }

    fn found(&self) -> &str {
        match (&self.failure, &self.input) {
            (None, _) => "-",
            (Some(_), Some(input)) => input,
            (Some(failure), None) => failure,
        }
    }
}

/// All targets of a run.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Ran>);

impl Report {
    pub(super) fn add(&mut self, ran: Ran) {
        self.0.push(ran);
    }

    fn failed(&self) -> impl Iterator<Item = &Ran> {
        self.0.iter().filter(|ran| ran.failure.is_some())
    }

    /// A failure that names the targets that have found something.
    pub(super) fn outcome(&self) -> Result<()> {
        let failed: Vec<&str> = self.failed().map(|ran| ran.target.as_str()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "fuzzing failed in {}",
            failed.join(", ")
        )))
    }
}

/// A line for each target, and one for all.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.0.iter().map(|ran| ran.target.len());
        let width = widths.max().unwrap_or(0).max("target".len());
        writeln!(
            f,
            "{:width$}  {:>12}  {:>8}  found",
            "target", "executions", "a second"
        )?;
        for ran in &self.0 {
            writeln!(
                f,
                "{:width$}  {:>12}  {:>8}  {}",
                ran.target,
                ran.executions,
                ran.per_second,
                ran.found()
            )?;
        }
        let executions = self.0.iter().map(|ran| ran.executions);
        let executions = executions.fold(0u64, u64::saturating_add);
        let (targets, failed) = (self.0.len(), self.failed().count());
        write!(
            f,
            "{executions} executions of {targets} targets, {failed} findings"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(target: &str, lines: &[&str], outcome: Result<()>) -> Ran {
        let mut ran = Ran::new(target);
        for line in lines {
            ran.hear(line);
        }
        ran.ended(outcome);
        ran
    }

    #[test]
    fn what_the_fuzzer_says_at_its_end_is_in_the_table() {
        let mut report = Report::default();
        report.add(ran(
            "scope",
            &[
                "#2 INITED cov: 12",
                "stat::number_of_executed_units: 1180331",
                "stat::average_exec_per_sec:     107302",
            ],
            Ok(()),
        ));
        assert_eq!(report.outcome(), Ok(()));
        report.add(ran(
            "selector",
            &["artifact_prefix='./'; Test unit written to fuzz/artifacts/selector/crash-1"],
            Err(Failure::new("ended with 77")),
        ));
        report.add(ran("key_file", &[], Ok(())));
        let shown = report.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "target      executions  a second  found",
                "scope          1180331    107302  -",
                "selector             0         0  fuzz/artifacts/selector/crash-1",
                "key_file             0         0  the fuzzer executed nothing",
                "1180331 executions of 3 targets, 2 findings",
            ]
        );
        let failure = report.outcome().unwrap_err();
        assert_eq!(failure.to_string(), "fuzzing failed in selector, key_file");
    }
}
