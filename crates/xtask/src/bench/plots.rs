//! The plots of a report, as SVG: each is drawn where the run has figures for it.
//!
//! They are as wide as a page shows them, and have a ground of their own, so that they can be read
//! on a dark page as well.

mod bars;
mod lines;

use kuva::prelude::{Layout, Plot, SvgBackend, TickFormat, render_multiple};
use kuva::render::render::Scene;
use std::sync::Arc;

use super::figures::Figure;

const LIMITS: &str = "limits.svg";
const PEERS: &str = "peers.svg";
const GROWTH: &str = "growth.svg";
const GROUP_COMMIT: &str = "group-commit.svg";

/// All files that may be drawn.
pub(super) const NAMES: [&str; 4] = [LIMITS, PEERS, GROWTH, GROUP_COMMIT];

/// In pixels.
const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 420.0;

/// Colours that remain apart for those who see fewer of them.
const BLUE: &str = "#4477aa";
const RED: &str = "#cc3311";
const GREY: &str = "#555555";
const STACK: [&str; 6] = [
    "#ddcc77", "#88ccaa", "#ee99aa", "#aa99cc", "#99ddff", "#bbbbbb",
];

/// What the plot of this file shows.
pub(super) fn title(name: &str) -> &'static str {
    match name {
        LIMITS => "Ours against the limits",
        PEERS => "Times as fast as each peer",
        GROWTH => "Growth with the number of entries",
        _ => "Durable issues by concurrency",
    }
}

/// The plots that there are figures for, by the names of their files.
pub(super) fn draw(figures: &[&Figure]) -> Vec<(&'static str, String)> {
    let drawn = [
        (LIMITS, bars::limits(figures)),
        (PEERS, bars::peers(figures)),
        (GROWTH, lines::growth(figures)),
        (GROUP_COMMIT, lines::group_commit(figures)),
    ];
    let there = drawn.into_iter();
    there
        .filter_map(|(name, scene)| Some((name, svg(&scene?))))
        .collect()
}

fn svg(scene: &Scene) -> String {
    let mut text = SvgBackend::default().render_scene(scene);
    text.push('\n');
    text
}

fn single(plots: Vec<Plot>, layout: Layout) -> Scene {
    render_multiple(plots, layout)
}

/// Powers of ten alone: what lies between them has no room for its name.
fn powers_of_ten() -> TickFormat {
    TickFormat::Custom(Arc::new(power_of_ten))
}

fn power_of_ten(value: f64) -> String {
    let power = value.log10();
    if (power - power.round()).abs() > 1e-6 {
        return String::new();
    }
    match value {
        below if below < 1.0 => format!("{below}"),
        below if below < 9e2 => format!("{below:.0}"),
        below if below < 9e5 => format!("{:.0} k", below / 1e3),
        _ => format!("{:.0} M", value / 1e6),
    }
}

/// The power of ten at or above the value.
fn power_above(value: f64) -> f64 {
    10_f64.powf(value.log10().ceil())
}

/// The power of ten at or below the value.
fn power_below(value: f64) -> f64 {
    10_f64.powf(value.log10().floor())
}

#[cfg(test)]
mod tests;
