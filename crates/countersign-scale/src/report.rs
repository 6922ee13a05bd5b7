//! A day's report: a table for the terminal, Markdown, and JSON.

use crate::day::Outcome;
use crate::load::Load;
use crate::probe::Lateness;
use comfy_table::{Table, presets};
use std::fmt::Write as _;

/// The columns of an hour, each a rate of one second unless it says otherwise.
const HEADER: [&str; 14] = [
    "hour",
    "verified/s",
    "hits %",
    "reads/s",
    "commits/s",
    "log rows/s",
    "rows/s",
    "last uses/s",
    "beats/s",
    "looks/s",
    "log reads/s",
    "feed MB/s",
    "errors",
    "cached a node",
];

/// The hours as a table for a terminal.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(HEADER);
    for row in rows(outcome) {
        table.add_row(row);
    }
    table.to_string()
}

/// The whole report.
#[must_use]
pub fn markdown(outcome: &Outcome) -> String {
    let plan = &outcome.plan;
    let mut text = String::from("# A day at many nodes\n\nWritten by `cargo xtask scale day`.\n");
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{} nodes, {} users with {} tokens each, {} s from {:02.0}:00, seed {}; {} events.",
        plan.nodes,
        plan.users,
        plan.tokens_each,
        plan.seconds,
        plan.first_hour,
        plan.seed,
        outcome.events
    );
    text.push_str("\n## How late\n\nIn milliseconds after the revocation was acknowledged.\n\n");
    text.push_str(
        "| what | count | p50 | p99 | worst | beyond the bound |\n|---|---|---|---|---|---|\n",
    );
    for (what, late) in lateness(outcome) {
        let _ = writeln!(
            text,
            "| {what} | {} | {:.1} | {:.1} | {:.1} | {} |",
            late.count, late.p50, late.p99, late.worst, late.beyond
        );
    }
    let _ = writeln!(
        text,
        "\nThe bound is {} ms; let in beyond it: {}.\n\
         The mass revocation ended {} tokens in {} ms.",
        plan.staleness_ms,
        outcome.violations(),
        outcome.mass_tokens,
        outcome.mass_ms
    );
    text.push_str("\n## Load\n\n");
    let _ = writeln!(text, "| {} |", HEADER.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(HEADER.len()));
    for row in rows(outcome) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// What was late, and how much.
#[must_use]
pub fn lateness(outcome: &Outcome) -> [(&'static str, Lateness); 4] {
    [
        ("let in, revoked one at a time", outcome.one),
        ("let in, revoked with many", outcome.mass),
        ("let in, a principal at every node", outcome.principal),
        ("heard of, by every node", outcome.heard),
    ]
}

fn rows(outcome: &Outcome) -> Vec<Vec<String>> {
    let last = outcome.hours.len().saturating_sub(1);
    let each = outcome.hours.iter().enumerate();
    each.map(|(number, hour)| {
        let seconds = match number == last {
            true => outcome.plan.seconds - 3600 * last as u64,
            false => 3600,
        };
        row(outcome, number, hour, seconds)
    })
    .collect()
}

fn row(outcome: &Outcome, number: usize, hour: &Load, seconds: u64) -> Vec<String> {
    let rate = |count: u64| {
        let rate = count as f64 / seconds as f64;
        match rate < 100.0 {
            true => format!("{rate:.2}"),
            false => format!("{rate:.0}"),
        }
    };
    let clock = (outcome.plan.first_hour as usize + number) % 24;
    vec![
        format!("{clock:02}"),
        rate(hour.verified),
        format!("{:.1}", 100.0 * hour.hit_rate()),
        rate(hour.reads),
        rate(hour.commits),
        rate(hour.entries),
        rate(hour.rows),
        rate(hour.usages),
        rate(hour.beats),
        rate(hour.looks),
        rate(hour.log_reads),
        format!("{:.2}", hour.feed_bytes as f64 / seconds as f64 / 1e6),
        hour.errors.to_string(),
        (hour.cached / outcome.plan.nodes as u64).to_string(),
    ]
}
