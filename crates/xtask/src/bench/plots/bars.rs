//! Bars: ours beside the limits it is made of, and how many times as fast as each peer it is.

use kuva::prelude::{
    BarPlot, Layout, LegendEntry, LegendPosition, LegendShape, MarkerShape, Plot, ScatterPlot,
    TextAnnotation,
};
use kuva::render::render::Scene;

use super::{
    BLUE, HEIGHT, LIMITS, PEERS, RED, STACK, WIDTH, power_above, power_below, powers_of_ten,
    single, title,
};
use crate::bench::figures::{Figure, Reach, Unit, Verdict, short};

/// How wide about a letter, the room before it, and the axis of peers are, in pixels.
const LETTER: f64 = 7.5;
const GAP: f64 = 9.0;
const AXIS: f64 = 460.0;

/// Ours and the limit of each, as two bars side by side.
pub(super) fn limits(figures: &[&Figure]) -> Option<Scene> {
    let shown: Vec<(&Figure, f64)> = figures
        .iter()
        .filter(|figure| ["P1", "P2", "P6", "P8"].contains(&figure.id.as_str()))
        .filter(|figure| figure.part("parse").is_some() && figure.part("hash").is_some())
        .filter_map(|figure| Some((*figure, figure.part("ours")?)))
        .collect();
    let names = part_names(&shown);
    let mut bars = BarPlot::new().with_stacked().with_width(0.8);
    let mut notes = Vec::new();
    let mut top = 0_f64;
    let mut place = 0.0;
    for (figure, ours) in &shown {
        let limit = names.iter().zip(STACK.iter().cycle());
        let limit: Vec<(f64, &str)> = limit
            .map(|(name, colour)| (figure.part(name).unwrap_or(0.0), *colour))
            .collect();
        let sum: f64 = limit.iter().map(|(part, _)| part).sum();
        top = top.max(sum).max(*ours);
        bars = bars
            .with_group(format!("{} limit", figure.id), limit)
            .with_group(format!("{} ours", figure.id), vec![(*ours, BLUE)]);
        place += 2.0;
        notes.push(TextAnnotation::new(figure.got(), place, *ours));
    }
    if shown.is_empty() {
        return None;
    }
    let mut legend: Vec<LegendEntry> = names
        .iter()
        .zip(STACK.iter().cycle())
        .map(|(name, colour)| entry(name, colour, LegendShape::Rect))
        .collect();
    legend.push(entry("ours", BLUE, LegendShape::Rect));
    let plots = vec![Plot::Bar(bars)];
    let layout = Layout::auto_from_plots(&plots)
        .with_width(WIDTH)
        .with_height(HEIGHT)
        .with_title(title(LIMITS))
        .with_y_label("nanoseconds")
        .with_y_axis_max(top * 1.1)
        .with_legend_entries(legend);
    let layout = notes.into_iter().fold(layout, Layout::with_annotation);
    Some(single(plots, layout))
}

/// What is ours is no limit: `ours` itself, and what is told of it beside.
fn is_ours(name: &str) -> bool {
    name == "ours" || name.starts_with("our ")
}

/// The parts that limits are made of, each once, as they come.
fn part_names<'a>(shown: &[(&'a Figure, f64)]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for part in shown.iter().flat_map(|(figure, _)| &figure.parts) {
        if !is_ours(&part.name) && !names.contains(&part.name.as_str()) {
            names.push(&part.name);
        }
    }
    names
}

/// A bar for each peer, the first on top, on an axis of powers of ten.
pub(super) fn peers(figures: &[&Figure]) -> Option<Scene> {
    let shown: Vec<(&Figure, f64)> = figures
        .iter()
        .rev()
        .filter(|figure| ["P7", "P8"].contains(&figure.id.as_str()))
        .filter(|figure| figure.unit == Unit::Ratio && figure.median > 0.0)
        .filter_map(|figure| match figure.reach? {
            Reach::AtLeast(bound) => Some((*figure, bound)),
            Reach::AtMost(_) => None,
        })
        .collect();
    if shown.is_empty() {
        return None;
    }
    let values = || shown.iter().map(|(figure, _)| figure.median);
    let both = || values().chain(shown.iter().map(|(_, bound)| *bound));
    let least = power_below(both().fold(1.0, f64::min));
    // A value is written after its bar, and must have room there.
    let most = power_above(both().fold(1.0, f64::max) * 3.0);
    let mut bars = BarPlot::new().with_horizontal(true).with_width(0.7);
    let (mut bounds, mut notes) = (Vec::new(), Vec::new());
    let mut place = 0.0;
    for (figure, bound) in &shown {
        place += 1.0;
        let colour = match figure.verdict() {
            Verdict::Missed => RED,
            Verdict::Reached | Verdict::Shown => BLUE,
        };
        bars = bars.with_colored_bar(peer(figure), figure.median, colour);
        bounds.push((*bound, place));
        let value = format!("{} x", short(figure.median));
        let end = figure.median.max(*bound) * (most / least).powf(after(&value));
        // Text stands above its place: this brings it to the middle of the bar.
        notes.push(TextAnnotation::new(value, end, place - 0.27));
    }
    let marks = ScatterPlot::new()
        .with_data(bounds)
        .with_color("#000000")
        .with_marker(MarkerShape::Diamond)
        .with_size(5.0);
    let plots = vec![Plot::Bar(bars), Plot::Scatter(marks)];
    let layout = Layout::auto_from_plots(&plots)
        .with_width(WIDTH)
        .with_height(place * 30.0 + 150.0)
        .with_title(title(PEERS))
        .with_x_label("times as fast (log scale)")
        .with_log_x()
        .with_x_axis_min(least)
        .with_x_axis_max(most)
        .with_x_tick_format(powers_of_ten())
        .with_legend_position(LegendPosition::OutsideRightTop)
        .with_legend_entries(vec![
            entry("reached", BLUE, LegendShape::Rect),
            entry("missed", RED, LegendShape::Rect),
            entry(
                "bound",
                "#000000",
                LegendShape::Marker(MarkerShape::Diamond),
            ),
        ]);
    let layout = notes.into_iter().fold(layout, Layout::with_annotation);
    Some(single(plots, layout))
}

/// How far after a bar the middle of a text is, as a share of the axis.
fn after(text: &str) -> f64 {
    let letters = text.chars().fold(0.0, |width, _| width + LETTER);
    (letters / 2.0 + GAP) / AXIS
}

/// Who we are compared with: the other part of the figure, or what the figure says.
fn peer(figure: &Figure) -> String {
    let mut others = figure.parts.iter().filter(|part| part.name != "ours");
    let name = match (others.next(), others.next()) {
        (Some(other), None) => &other.name,
        _ => &figure.what,
    };
    let name: String = name.chars().take(34).collect();
    format!("{} {name}", figure.id)
}

fn entry(label: &str, colour: &str, shape: LegendShape) -> LegendEntry {
    LegendEntry {
        label: label.to_owned(),
        color: colour.to_owned(),
        shape,
        dasharray: None,
    }
}
