//! The mutants of the workspace as cargo-mutants lists them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::process::{Failure, Result, cargo, output};

/// A place in a file; lines and columns begin with one.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Span {
    pub(super) start: Place,
    pub(super) end: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Mutant {
    pub(super) name: String,
    pub(super) package: String,
    pub(super) file: PathBuf,
    pub(super) genre: Genre,
    pub(super) replacement: String,
    pub(super) span: Span,
}

impl Mutant {
    /// What it is without the line and the column, which change with every edit above it.
    pub(super) fn lasting_name(&self) -> String {
        let file = self.file.display().to_string();
        let what = self.name.split_once(": ").map_or("", |(_, what)| what);
        format!("{file}: {what}")
    }
}

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Fate {
    /// A test failed.
    Caught,
    /// The tests did not end.
    Timeout,
    /// Every test that runs it passed.
    Missed,
    /// No test runs it.
    Unreached,
    /// It does not compile.
    Unviable,
    /// It cannot be chosen while the program runs, as in a constant: cargo-mutants is asked.
    Apart,
}

/// All mutants of these packages that `.cargo/mutants.toml` does not exclude.
pub(super) fn listed(packages: &[&str]) -> Result<Vec<Mutant>> {
    let mut command = cargo(&["mutants", "--list", "--json"]);
    for package in packages {
        command.args(["--package", package]);
    }
    let text = output(command)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("the list of cargo-mutants: {error}")))
}

impl Fate {
    pub(super) const ALL: &[Self] = &[
        Self::Caught,
        Self::Timeout,
        Self::Missed,
        Self::Unreached,
        Self::Unviable,
        Self::Apart,
    ];

    pub(super) fn named(text: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|fate| format!("{fate:?}") == text).copied()
    }
}
