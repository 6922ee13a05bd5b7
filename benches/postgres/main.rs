//! The figures of the store on PostgreSQL, on servers that are really there: verification from
//! memory (P18), a record that is only in the database (P19), issues by many at once (P20), and
//! what pauses during a failover (R20).
//!
//! Both sides of each ratio are run in turn, round after round, on one server. Without PostgreSQL
//! nothing is measured, which is said loudly. Arguments: how many tokens (default 1 000 000),
//! `--quick` for a tenth of that and fewer rounds, and which parts to run where not all are wanted:
//! `records`, `issues`, `failover`.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench may stop, and its table is the point"
)]

mod cached;
mod failover;
mod issues;
mod missed;
mod nodes;
mod raw;

use countersign_benches::limits::Size;
use countersign_benches::report::HEADER;

fn main() {
    let size = Size::asked(1_000_000);
    println!("{HEADER}");
    if wanted("records")
        && let Some(server) = nodes::server()
    {
        let full = cached::beside_embedded(&server, &size);
        missed::one_by_one(&server, &size, &full);
    }
    if wanted("issues")
        && let Some(server) = nodes::server()
    {
        issues::together(&server, &size);
    }
    if wanted("failover")
        && let Some(cluster) = nodes::quorum()
    {
        failover::pauses(&cluster, &size);
    }
}

/// Whether a part is asked for: all of them, unless some are named.
fn wanted(part: &str) -> bool {
    let parts = ["records", "issues", "failover"];
    let arguments: Vec<String> = std::env::args().collect();
    let named = |part: &str| arguments.iter().any(|argument| argument == part);
    named(part) || !parts.into_iter().any(named)
}
