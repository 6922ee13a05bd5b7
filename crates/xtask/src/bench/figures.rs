//! Figures as the benches tell them, one line of JSON each, and whether they are reached.
//!
//! The shape is that of `benches/report.rs`, stated anew: a dependency on it would build the engine
//! for every chore. One line that both sides test against stands in `benches/fixtures`.

use serde::{Deserialize, Serialize};

/// The figures that are held to are `P1` up to this one.
const LAST: u32 = 20;

/// One figure of a run.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Figure {
    /// `P1` and its like, or the name of a series that is plotted.
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) median: f64,
    /// Between them lies half of the rounds.
    pub(crate) quartiles: [f64; 2],
    /// Nothing where the figure stands for comparison alone.
    pub(crate) reach: Option<Reach>,
    /// What the figure is made of: medians, in nanoseconds unless the name says otherwise.
    pub(crate) parts: Vec<Part>,
    /// Its place on the axis of a plot: a number of tokens, of sessions, of issuers.
    pub(crate) at: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Ratio,
    Ns,
    Bytes,
    Count,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) median: f64,
}

/// Where a figure stands to its reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Reached,
    Missed,
    /// It is held to nothing.
    Shown,
}

impl Figure {
    pub(crate) fn verdict(&self) -> Verdict {
        let reached = match self.reach {
            None => return Verdict::Shown,
            Some(Reach::AtMost(bound)) => self.median <= bound,
            Some(Reach::AtLeast(bound)) => self.median >= bound,
        };
        if reached {
            Verdict::Reached
        } else {
            Verdict::Missed
        }
    }

    pub(crate) fn part(&self, name: &str) -> Option<f64> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        Some(part.median)
    }

    /// The number in `P7`; a series that is plotted has none.
    pub(crate) fn number(&self) -> Option<u32> {
        self.id.strip_prefix('P')?.parse().ok()
    }

    /// Where it stands among the figures: those of speed, `P1` and on, before those of robustness,
    /// such as `R20`. A series that is plotted stands nowhere.
    pub(crate) fn place(&self) -> Option<(char, u32)> {
        let robust = || Some(('R', self.id.strip_prefix('R')?.parse().ok()?));
        self.number().map(|number| ('P', number)).or_else(robust)
    }

    /// The median with its unit.
    pub(crate) fn got(&self) -> String {
        let unit = match self.unit {
            Unit::Ratio => " x",
            Unit::Ns => " ns",
            Unit::Bytes => " bytes",
            Unit::Count => "",
        };
        format!("{}{unit}", short(self.median))
    }
}

impl Reach {
    pub(crate) fn bound(self) -> f64 {
        let (Self::AtMost(bound) | Self::AtLeast(bound)) = self;
        bound
    }
}

/// Every line that holds a figure, and what is wrong with those that do not.
pub(crate) fn read(lines: &str) -> (Vec<Figure>, Vec<String>) {
    let (mut figures, mut faults) = (Vec::new(), Vec::new());
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(figure) => figures.push(figure),
            Err(error) => faults.push(format!("cannot read the figure {line}: {error}")),
        }
    }
    (figures, faults)
}

/// Which of the figures that are held to have none of these numbers.
pub(crate) fn absent(told: &[Option<u32>]) -> Vec<String> {
    (1..=LAST)
        .filter(|number| !told.contains(&Some(*number)))
        .map(|number| format!("P{number}"))
        .collect()
}

/// Three digits that count, and no more.
pub(crate) fn short(value: f64) -> String {
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

    /// `benches/report.rs` asserts that it writes exactly this.
    const LINE: &str = include_str!("../../../../benches/fixtures/figure.json");

    fn one() -> Figure {
        serde_json::from_str(LINE).unwrap()
    }

    #[test]
    fn a_line_is_read_as_the_benches_write_it() {
        let part = Part {
            name: "hash".into(),
            median: 80.0,
        };
        let figure = Figure {
            id: "P0".into(),
            what: "a line".into(),
            unit: Unit::Ratio,
            median: 3.0,
            quartiles: [2.0, 5.0],
            reach: Some(Reach::AtMost(3.5)),
            parts: vec![part],
            at: Some(64.0),
        };
        assert_eq!(read(LINE), (vec![figure.clone()], vec![]));
        assert_eq!(serde_json::to_string(&figure).unwrap(), LINE.trim_end());
    }

    #[test]
    fn a_line_that_cannot_be_read_is_told_and_hides_no_other() {
        let (figures, faults) = read(&format!("{LINE}\n{{\"id\":\"P1\"}}\n{LINE}"));
        assert_eq!((figures.len(), faults.len()), (2, 1));
        assert!(faults[0].contains("{\"id\":\"P1\"}"), "{faults:?}");
    }

    #[test]
    fn a_bound_itself_is_reached() {
        let with = |reach, median| {
            let figure = Figure {
                median,
                reach,
                ..one()
            };
            figure.verdict()
        };
        assert_eq!(with(Some(Reach::AtMost(1.3)), 1.3), Verdict::Reached);
        assert_eq!(with(Some(Reach::AtMost(1.3)), 1.31), Verdict::Missed);
        assert_eq!(with(Some(Reach::AtLeast(1.8)), 1.8), Verdict::Reached);
        assert_eq!(with(Some(Reach::AtLeast(1.8)), 1.79), Verdict::Missed);
        assert_eq!(with(Some(Reach::AtMost(1.3)), f64::NAN), Verdict::Missed);
        assert_eq!(with(None, 9.0), Verdict::Shown);
    }

    #[test]
    fn figures_that_no_bench_told_are_named() {
        let told: Vec<_> = (2..=16).chain(18..=21).map(Some).chain([None]).collect();
        assert_eq!(absent(&told), ["P1", "P17"]);
    }

    #[test]
    fn what_is_held_to_is_told_from_points_of_plots() {
        let place = |id: &str| {
            let figure = Figure {
                id: id.into(),
                ..one()
            };
            figure.place()
        };
        assert_eq!(place("P18"), Some(('P', 18)));
        assert_eq!(place("R20"), Some(('R', 20)));
        assert!(place("P20") < place("R2"));
        for id in ["group-commit", "R", "Rx", "-"] {
            assert_eq!(place(id), None, "{id}");
        }
    }

    #[test]
    fn a_figure_has_three_digits_and_its_unit() {
        let shown = |median, unit| {
            let figure = Figure {
                unit,
                median,
                ..one()
            };
            figure.got()
        };
        assert_eq!(shown(1.284, Unit::Ratio), "1.28 x");
        assert_eq!(shown(61_234.4, Unit::Ns), "61234 ns");
        assert_eq!(shown(0.0, Unit::Count), "0");
        assert_eq!(shown(64.35, Unit::Bytes), "64.3 bytes");
    }
}
