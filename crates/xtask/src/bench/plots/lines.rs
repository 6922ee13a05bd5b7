//! Lines over an axis of powers of ten: growth with the number of entries, and with concurrency.

use kuva::prelude::{
    Figure as Panels, Layout, LinePlot, MarkerShape, Plot, ReferenceLine, ScatterPlot, TickFormat,
};
use kuva::render::render::Scene;

use super::{BLUE, GREY, HEIGHT, RED, WIDTH, powers_of_ten};
use crate::bench::figures::{Figure, Reach, Unit};

/// A line: its name, its colour, its points.
struct Series {
    name: &'static str,
    colour: &'static str,
    points: Vec<(f64, f64)>,
}

/// One of the two sides of a plot.
struct Panel {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    bound: Option<f64>,
    series: Vec<Series>,
}

/// The ratio to the limits, and the time, of a verification and of a session.
pub(super) fn growth(figures: &[&Figure]) -> Option<Scene> {
    let all = [
        ("growth-verify", "verify", BLUE),
        ("growth-session", "session", RED),
    ];
    let series = |value: fn(&Figure) -> Option<f64>| {
        let all = all.iter().map(|(id, name, colour)| Series {
            name,
            colour,
            points: points(figures, |figure| figure.id == *id, value),
        });
        all.filter(|series| !series.points.is_empty()).collect()
    };
    let bounds = figures
        .iter()
        .filter(|figure| figure.id.starts_with("growth-"))
        .filter_map(|figure| figure.reach);
    pair([
        Panel {
            title: "Over parse + hash + miss",
            across: "entries (log scale)",
            up: "ratio",
            bound: bounds.map(Reach::bound).reduce(f64::max),
            series: series(|figure| (figure.unit == Unit::Ratio).then_some(figure.median)),
        },
        Panel {
            title: "Time",
            across: "entries (log scale)",
            up: "nanoseconds",
            bound: None,
            series: series(|figure| figure.part("ours")),
        },
    ])
}

/// How many issues a second carries, and how many a commit.
pub(super) fn group_commit(figures: &[&Figure]) -> Option<Scene> {
    let panel = |title, up, word: &str| {
        let is_it = |figure: &Figure| figure.id == "group-commit" && figure.what.contains(word);
        let points = points(figures, is_it, |figure| Some(figure.median));
        let series = Series {
            name: "issues",
            colour: BLUE,
            points,
        };
        Panel {
            title,
            across: "issuers at once (log scale)",
            up,
            bound: None,
            series: vec![series],
        }
    };
    pair([
        panel("Rate", "issues per second", "per second"),
        panel("Group", "issues per commit", "per commit"),
    ])
}

/// The points of the figures that `is_it` takes, from left to right.
fn points(
    figures: &[&Figure],
    is_it: impl Fn(&Figure) -> bool,
    value: impl Fn(&Figure) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let chosen = figures.iter().filter(|figure| is_it(figure));
    let mut points: Vec<(f64, f64)> = chosen
        .filter_map(|figure| Some((figure.at.filter(|at| *at > 0.0)?, value(figure)?)))
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    points
}

/// Two panels side by side; nothing without a point.
fn pair(panels: [Panel; 2]) -> Option<Scene> {
    let panels: Vec<Panel> = panels
        .into_iter()
        .filter(|panel| panel.series.iter().any(|series| !series.points.is_empty()))
        .collect();
    if panels.is_empty() {
        return None;
    }
    let (plots, layouts): (Vec<_>, Vec<_>) = panels.iter().map(Panel::draw).unzip();
    let grid = Panels::new(1, panels.len())
        .with_plots(plots)
        .with_layouts(layouts)
        .with_figure_size(WIDTH, HEIGHT);
    let named = panels.iter().any(|panel| panel.series.len() > 1);
    let grid = if named {
        grid.with_shared_legend_bottom()
    } else {
        grid
    };
    Some(grid.render())
}

impl Panel {
    fn draw(&self) -> (Vec<Plot>, Layout) {
        let mut plots = Vec::new();
        for series in &self.series {
            let line = LinePlot::new().with_data(series.points.clone());
            let dots = ScatterPlot::new().with_data(series.points.clone());
            let line = line.with_color(series.colour).with_stroke_width(2.0);
            let dots = dots.with_color(series.colour).with_size(4.0);
            let line = if self.series.len() > 1 {
                line.with_legend(series.name)
            } else {
                line
            };
            plots.push(Plot::Line(line));
            plots.push(Plot::Scatter(dots.with_marker(MarkerShape::Circle)));
        }
        let all = || self.series.iter().flat_map(|series| &series.points);
        let left = all().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
        let right = all().map(|(at, _)| *at).fold(1.0, f64::max);
        // Ticks stand at 1, 2 and 5 of each power: over few powers there is room to name all.
        let ticks = if right / left > 5e2 {
            powers_of_ten()
        } else {
            TickFormat::Auto
        };
        let top = all().map(|(_, value)| *value);
        let top = top.chain(self.bound).fold(0.0, f64::max);
        let layout = Layout::auto_from_plots(&plots)
            .with_title(self.title)
            .with_x_label(self.across)
            .with_y_label(self.up)
            .with_log_x()
            .with_x_axis_min(left * 0.7)
            .with_x_axis_max(right * 1.4)
            .with_x_tick_format(ticks)
            .with_y_axis_min(0.0)
            .with_y_axis_max(top * 1.15);
        let layout = match self.bound {
            None => layout,
            Some(bound) => layout.with_reference_line(
                ReferenceLine::horizontal(bound)
                    .with_color(GREY)
                    .with_label(format!("bound {bound}")),
            ),
        };
        (plots, layout)
    }
}
