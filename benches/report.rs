//! Figures: what a bench found, printed as a row and, where `COUNTERSIGN_FIGURES` names a file,
//! added to that as a line of JSON, for `cargo xtask bench` to judge and to plot.

use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

/// The variable that names the file for lines of JSON.
pub const FILE: &str = "COUNTERSIGN_FIGURES";

/// What a figure is held to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// It must not be larger.
    AtMost(f64),
    /// It must not be smaller.
    AtLeast(f64),
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One side over the other, both of this run.
    Ratio,
    /// Nanoseconds.
    Ns,
    /// Bytes.
    Bytes,
    /// Whatever `what` says is counted.
    Count,
}

/// A side of a ratio, or a limit that a figure is made of: its median.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Part {
    /// Its name: `ours`, `parse`, `hash`, `miss`, or a peer's.
    pub name: String,
    /// Its median, in nanoseconds unless the name says otherwise.
    pub median: f64,
}

/// One figure of a run: the median of its rounds, and their spread.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// Its number in the list of figures, such as `P1`.
    pub id: String,
    /// What was measured.
    pub what: String,
    /// What it counts.
    pub unit: Unit,
    /// The median.
    pub median: f64,
    /// The quartiles below and above it: between them lies half of the rounds.
    pub quartiles: [f64; 2],
    /// What it is held to; nothing where it stands for comparison alone.
    pub reach: Option<Reach>,
    /// The medians of what it is made of.
    pub parts: Vec<Part>,
    /// Where it belongs on the axis of a plot: a number of tokens, of sessions, of issuers.
    pub at: Option<f64>,
}

impl Figure {
    /// A figure that was measured in rounds.
    ///
    /// # Panics
    /// Without a round.
    #[must_use]
    pub fn of(id: &str, what: impl Into<String>, unit: Unit, rounds: &[f64]) -> Self {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quarter = sorted.len() / 4;
        Self {
            id: id.into(),
            what: what.into(),
            unit,
            median: sorted[sorted.len() / 2],
            quartiles: [sorted[quarter], sorted[sorted.len() - 1 - quarter]],
            reach: None,
            parts: Vec::new(),
            at: None,
        }
    }

    /// A ratio that was taken once in each round.
    #[must_use]
    pub fn ratio(id: &str, what: impl Into<String>, rounds: &[f64]) -> Self {
        Self::of(id, what, Unit::Ratio, rounds)
    }

    /// It must not be larger.
    #[must_use]
    pub fn at_most(mut self, bound: f64) -> Self {
        self.reach = Some(Reach::AtMost(bound));
        self
    }

    /// It must not be smaller.
    #[must_use]
    pub fn at_least(mut self, bound: f64) -> Self {
        self.reach = Some(Reach::AtLeast(bound));
        self
    }

    /// What it is made of: the median of its rounds.
    #[must_use]
    pub fn part(mut self, name: &str, rounds: &[f64]) -> Self {
        let name = name.into();
        let median = median(rounds);
        self.parts.push(Part { name, median });
        self
    }

    /// Where it belongs on the axis of a plot.
    #[must_use]
    pub const fn at(mut self, place: f64) -> Self {
        self.at = Some(place);
        self
    }

    /// Whether it is as good as it is held to be; also where it is held to nothing.
    #[must_use]
    pub fn reached(&self) -> bool {
        match self.reach {
            None => true,
            Some(Reach::AtMost(bound)) => self.median <= bound,
            Some(Reach::AtLeast(bound)) => self.median >= bound,
        }
    }

    /// Prints it, and adds it to the file if there is one.
    ///
    /// # Panics
    /// Where the file cannot be written.
    #[expect(clippy::print_stdout, reason = "the table is the point")]
    pub fn tell(&self) {
        println!("{}", self.row());
        if let Some(file) = std::env::var_os(FILE) {
            let line = serde_json::to_string(self).unwrap();
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(file)
                .unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }

    /// The row of a table in Markdown; see [`HEADER`].
    #[must_use]
    pub fn row(&self) -> String {
        let [low, high] = self.quartiles.map(short);
        let reach = match self.reach {
            None => String::new(),
            Some(Reach::AtMost(bound)) => format!("<= {bound}"),
            Some(Reach::AtLeast(bound)) => format!(">= {bound}"),
        };
        let verdict = match self.reach {
            None => "",
            Some(_) if self.reached() => "reached",
            Some(_) => "**missed**",
        };
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| format!("{} {}", part.name, short(part.median)))
            .collect();
        format!(
            "| {} | {} | {}{} | {low}-{high} | {reach} | {verdict} | {} |",
            self.id,
            self.what,
            short(self.median),
            self.unit.suffix(),
            parts.join(", ")
        )
    }
}

impl Unit {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Ratio => " x",
            Self::Ns => " ns",
            Self::Bytes => " bytes",
            Self::Count => "",
        }
    }
}

/// The head of the table that figures are the rows of.
pub const HEADER: &str = concat!(
    "| id | what | median | half of the rounds | reach | | parts (median ns) |\n",
    "|---|---|---|---|---|---|---|"
);

/// The middle one of the rounds.
///
/// # Panics
/// Without a round.
#[must_use]
pub fn median(rounds: &[f64]) -> f64 {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A span for each of `times` runs, in nanoseconds.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "a bench does not run for a century"
)]
pub fn each(span: Duration, times: usize) -> f64 {
    span.as_nanos() as f64 / times as f64
}

/// Three digits that count, and no more.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        under if under < 0.1 => format!("{value:.3}"),
        under if under < 10.0 => format!("{value:.2}"),
        under if under < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_its_median_and_half_of_its_rounds() {
        let figure = Figure::ratio("P0", "x", &[5.0, 1.0, 2.0, 9.0, 3.0]);
        assert_eq!((figure.median, figure.quartiles), (3.0, [2.0, 5.0]));
        assert_eq!(
            figure.clone().at_most(3.0).part("hash", &[80.0]).row(),
            "| P0 | x | 3.00 x | 2.00-5.00 | <= 3 | reached | hash 80.0 |"
        );
        assert!(!figure.clone().at_most(2.9).reached());
        assert!(figure.at_least(2.9).reached());
    }
}
