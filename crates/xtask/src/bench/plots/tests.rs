//! A plot is drawn where there are figures for it, and nowhere else.

use super::*;
use crate::bench::figures::read;

/// What a full run could tell; `COUNTERSIGN_PLOTS=DIR` leaves its plots there, to be looked at.
const FULL: &str = include_str!("../fixtures/figures.jsonl");

fn drawn(ids: &[&str]) -> Vec<(&'static str, String)> {
    let (figures, faults) = read(FULL);
    assert_eq!(faults, [""; 0]);
    let chosen = figures
        .iter()
        .filter(|figure| ids.contains(&figure.id.as_str()));
    draw(&chosen.collect::<Vec<_>>())
}

fn names(ids: &[&str]) -> Vec<&'static str> {
    drawn(ids).iter().map(|(name, _)| *name).collect()
}

const ALL: [&str; 7] = [
    "P1",
    "P2",
    "P6",
    "P7",
    "P8",
    "growth-verify",
    "group-commit",
];

#[test]
fn a_plot_is_drawn_for_the_figures_that_are_there() {
    assert_eq!(names(&ALL), NAMES);
    assert_eq!(names(&["P1"]), [LIMITS]);
    assert_eq!(names(&["P7"]), [PEERS]);
    assert_eq!(names(&["P8"]), [LIMITS, PEERS]);
    assert_eq!(names(&["growth-session"]), [GROWTH]);
    assert_eq!(names(&["group-commit"]), [GROUP_COMMIT]);
    assert_eq!(names(&["P5"]), [""; 0]);
}

#[test]
fn a_plot_is_plain_text_on_a_ground_of_its_own_with_names_and_units() {
    let words = [
        (
            LIMITS,
            ["nanoseconds", "P6 limit", "P6 ours", "miss", "1.10 x"],
        ),
        (
            PEERS,
            ["times as fast", "P7 argon2id", "bound", "61000 x", "10 k"],
        ),
        (
            GROWTH,
            [
                "entries (log scale)",
                "ratio",
                "nanoseconds",
                "bound 1.3",
                "10 M",
            ],
        ),
        (
            GROUP_COMMIT,
            [
                "issues per second",
                "issues per commit",
                "issuers at once",
                "Rate",
                "100",
            ],
        ),
    ];
    let all = drawn(&[&ALL[..], &["growth-session"]].concat());
    if let Some(folder) = std::env::var_os("COUNTERSIGN_PLOTS") {
        for (name, svg) in &all {
            std::fs::write(std::path::Path::new(&folder).join(name), svg).unwrap();
        }
    }
    for ((name, svg), (expected, words)) in all.iter().zip(words) {
        assert_eq!(*name, expected);
        assert!(svg.is_ascii(), "{name}");
        assert!(svg.contains("width=\"800\""), "{name}");
        assert!(
            svg.contains("<rect width=\"100%\" height=\"100%\" fill=\"white\""),
            "{name}"
        );
        for word in words {
            assert!(svg.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn only_powers_of_ten_are_named_on_an_axis_of_them() {
    let names = [0.1, 1.0, 20.0, 100.0, 1e4, 5e5, 1e6, 1e7].map(power_of_ten);
    assert_eq!(names, ["0.1", "1", "", "100", "10 k", "", "1 M", "10 M"]);
    assert_eq!((power_above(61_000.0), power_below(5.8)), (1e5, 1.0));
}
