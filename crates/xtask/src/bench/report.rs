//! What a run found: a table for the terminal, a page of Markdown, JSON, and plots.

mod page;

use std::fs;
use std::path::Path;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::figures::{Figure, Reach, Verdict, absent, short};
use super::machine::Machine;
use super::plots;
use crate::process::{Failure, Result};

/// A bench that was run, and why it failed if it did.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    pub(super) name: String,
    pub(super) command: String,
    pub(super) failure: Option<String>,
}

/// A figure, what is thought of it, and the bench that told it.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    figure: Figure,
    verdict: Verdict,
    bench: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    machine: Machine,
    quick: bool,
    benches: Vec<Ran>,
    figures: Vec<Row>,
    /// Which of the figures that are held to were not told.
    absent: Vec<String>,
}

impl Report {
    pub(super) fn new(machine: Machine, quick: bool) -> Self {
        Self {
            machine,
            quick,
            benches: Vec::new(),
            figures: Vec::new(),
            absent: absent(&[]),
        }
    }

    pub(super) fn add(&mut self, ran: Ran, figures: Vec<Figure>) {
        let rows = figures.into_iter().map(|figure| Row {
            verdict: figure.verdict(),
            bench: ran.name.clone(),
            figure,
        });
        self.figures.extend(rows);
        // The order is stable: what was told of one figure stays as it was told.
        self.figures.sort_by_cached_key(|row| {
            let place = row.figure.place();
            (place.is_none(), place, row.figure.id.clone())
        });
        let told: Vec<_> = self.figures.iter().map(|row| row.figure.number()).collect();
        self.absent = absent(&told);
        self.benches.push(ran);
    }

    /// The table for the terminal.
    pub(super) fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["id", "what", "got", "reach", "verdict"]);
        for row in &self.figures {
            table.add_row([
                row.id(),
                row.figure.what.clone(),
                row.figure.got(),
                row.reach(),
                row.verdict().to_owned(),
            ]);
        }
        format!("{table}\n")
    }

    /// What a reader looks for first: the last lines of a run.
    pub(super) fn closing(&self) -> String {
        let mut lines = Vec::new();
        let failed = self.failed();
        if !failed.is_empty() {
            lines.push(format!("benches that failed: {}", failed.join(", ")));
        }
        if !self.absent.is_empty() {
            lines.push(format!(
                "no figure in this run: {}{}",
                self.absent.join(", "),
                self.hint()
            ));
        }
        let held = |row: &&Row| row.verdict != Verdict::Shown;
        let of = self.figures.iter().filter(held).count();
        let reached = self
            .figures
            .iter()
            .filter(|row| row.verdict == Verdict::Reached);
        let mut last = format!("{} of {of} figures reached", reached.count());
        let missed = self.missed();
        if !missed.is_empty() {
            last.push_str("; missed: ");
            last.push_str(&missed.join(", "));
        }
        lines.push(last);
        lines.join("\n")
    }

    fn hint(&self) -> &'static str {
        if self.absent.iter().any(|id| id == "P4") {
            " (P4 is counted by `cargo xtask counts`)"
        } else {
            ""
        }
    }

    /// The figures that are missed, each named once.
    pub(super) fn missed(&self) -> Vec<&str> {
        let missed = self
            .figures
            .iter()
            .filter(|row| row.verdict == Verdict::Missed);
        let mut ids: Vec<&str> = missed.map(|row| row.figure.id.as_str()).collect();
        ids.dedup();
        ids
    }

    pub(super) fn failed(&self) -> Vec<&str> {
        let failed = self.benches.iter().filter(|ran| ran.failure.is_some());
        failed.map(|ran| ran.name.as_str()).collect()
    }

    /// Writes the page, the JSON and the plots that there are figures for.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        self.write_as("report.md", folder)
    }

    /// Replaces what was kept before.
    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).map_err(|error| unwritten(folder, &error))?;
        for name in plots::NAMES {
            let stale = folder.join(name);
            if stale.exists() {
                fs::remove_file(&stale).map_err(|error| unwritten(&stale, &error))?;
            }
        }
        self.write_as("README.md", folder)
    }

    fn write_as(&self, page: &str, folder: &Path) -> Result<()> {
        let figures: Vec<&Figure> = self.figures.iter().map(|row| &row.figure).collect();
        let plots = plots::draw(&figures);
        let names: Vec<&str> = plots.iter().map(|(name, _)| *name).collect();
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Failure::new(format!("cannot write the report: {error}")))?;
        let mut files = vec![
            (page, self.page(&names)),
            ("report.json", format!("{json}\n")),
        ];
        files.extend(plots);
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(|error| unwritten(&path, &error))?;
        }
        Ok(())
    }
}

impl Row {
    /// Its number, or its series and the place in that.
    fn id(&self) -> String {
        let id = &self.figure.id;
        match self.figure.at {
            Some(at) if self.figure.number().is_none() => format!("{id} at {at}"),
            _ => id.clone(),
        }
    }

    fn reach(&self) -> String {
        match self.figure.reach {
            None => String::new(),
            Some(Reach::AtMost(bound)) => format!("<= {bound}"),
            Some(Reach::AtLeast(bound)) => format!(">= {bound}"),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.verdict {
            Verdict::Reached => "reached",
            Verdict::Missed => "MISSED",
            Verdict::Shown => "",
        }
    }

    fn quartiles(&self) -> String {
        let [low, high] = self.figure.quartiles.map(short);
        format!("{low}-{high}")
    }

    fn parts(&self) -> String {
        let parts = self.figure.parts.iter();
        let parts: Vec<String> = parts
            .map(|part| format!("{} {}", part.name, short(part.median)))
            .collect();
        parts.join(", ")
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
