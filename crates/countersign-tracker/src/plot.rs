//! The plot of the last minutes: three lines in an SVG that is made here and styled by the sheet.

use crate::counts::{EVERY, SAMPLES, Sample};
use serde::Serialize;

/// The drawing's width and height, in its own units.
const WIDTH: u64 = 600;
const HEIGHT: u64 = 160;

/// What the template draws.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plot {
    width: u64,
    height: u64,
    /// How many minutes it spans.
    minutes: u64,
    /// What the top stands for.
    most: u64,
    lines: Vec<Line>,
}

/// One of its lines.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    name: &'static str,
    class: &'static str,
    /// All that is drawn, added up.
    sum: u64,
    /// Pairs of coordinates.
    points: String,
}

impl Plot {
    /// Of samples, oldest first.
    pub(crate) fn of(samples: &[Sample]) -> Self {
        let every = |sample: &Sample| [sample.admitted, sample.refused, sample.evicted];
        // A plot of nothing has a top too.
        let most = samples.iter().flat_map(every).max().unwrap_or(0).max(10);
        let line = |name, class, value: fn(&Sample) -> u64| {
            let values: Vec<u64> = samples.iter().map(value).collect();
            Line {
                name,
                class,
                sum: values
                    .iter()
                    .fold(0, |sum, value| sum.saturating_add(*value)),
                points: points(&values, most),
            }
        };
        let span = EVERY.as_secs().saturating_mul(SAMPLES as u64);
        Self {
            width: WIDTH,
            height: HEIGHT,
            minutes: span / 60,
            most,
            lines: vec![
                line("verified", "verified", |sample| sample.admitted),
                line("refused", "refused", |sample| sample.refused),
                line("evicted or expired", "evicted", |sample| sample.evicted),
            ],
        }
    }
}

/// The newest stands at the right edge, zero at the bottom.
fn points(values: &[u64], most: u64) -> String {
    let count = values.len() as u64;
    let places = values.iter().zip(0_u64..).map(|(value, at)| {
        let ago = count.saturating_sub(at).saturating_sub(1);
        let left = ago.saturating_mul(WIDTH).checked_div(SAMPLES as u64);
        let up = value.saturating_mul(HEIGHT).checked_div(most);
        let x = WIDTH.saturating_sub(left.unwrap_or(0));
        let y = HEIGHT.saturating_sub(up.unwrap_or(0).min(HEIGHT));
        format!("{x},{y}")
    });
    places.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(admitted: u64) -> Sample {
        Sample {
            admitted,
            ..Sample::default()
        }
    }

    #[test]
    fn the_newest_stands_at_the_right_and_the_most_at_the_top() {
        let plot = Plot::of(&[sample(0), sample(20), sample(10)]);
        let line = plot.lines.first().unwrap();
        assert_eq!((plot.most, line.sum), (20, 30));
        assert_eq!(line.points, "590,160 595,0 600,80");
    }

    #[test]
    fn nothing_and_too_much_are_drawn_within_the_frame() {
        assert_eq!(Plot::of(&[]).most, 10);
        for values in [vec![sample(u64::MAX); 2], vec![sample(1); 10 * SAMPLES]] {
            let plot = Plot::of(&values);
            for point in plot.lines.iter().flat_map(|line| line.points.split(' ')) {
                let (x, y) = point.split_once(',').unwrap();
                let (x, y): (u64, u64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!(x <= WIDTH && y <= HEIGHT, "{point}");
            }
        }
    }
}
