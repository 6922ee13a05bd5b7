//! What a token takes in a node's memory.

use super::Size;
use crate::database::Database;
use crate::node::SimulatedNode;
use crate::people::People;
use crate::plan::Plan;
use parking_lot::Mutex;
use std::fs;
use std::sync::Arc;

/// What a token takes.
pub type PerToken = Vec<Size>;

/// Fills one node's cache with so many tokens, and tells what the process has grown by.
#[must_use]
pub fn per_cached_token(tokens: usize) -> PerToken {
    let plan = Plan {
        users: tokens / 5,
        max_tokens: tokens as u64 * 2,
        ..Plan::day()
    };
    let people = Arc::new(People::new(plan.users, plan.tokens_each));
    let database = Arc::new(Mutex::new(Database::new(Arc::clone(&people))));
    let empty = resident();
    let node = SimulatedNode::open(&plan, &database, 0);
    let open = resident();
    for token in 0..tokens {
        let text = people.text(token);
        assert!(node.engine.access().verify(text.expose()).wait().is_ok());
        // The uses that wait to be written are another matter.
        if token % 10_000 == 0 {
            node.engine.flush().wait().unwrap();
            database.lock().forget();
        }
    }
    node.engine.flush().wait().unwrap();
    database.lock().forget();
    let full = resident();
    assert_eq!(node.engine.stats().cached_tokens, tokens);
    let each = (full - open) / tokens as f64;
    vec![
        Size::new("an engine, opened", open - empty, "bytes"),
        Size::new(
            format!("a cached token with a fifth of its principal, of {tokens}"),
            each,
            "bytes",
        ),
    ]
}

/// The memory of this process that is really there.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes
        .and_then(|text| text.parse::<f64>().ok())
        .unwrap_or(0.0)
        * 1024.0
}
