//! Tests on a machine without PostgreSQL: skipped loudly, or failed where they must run.

use std::env;
use std::io::{self, Write as _};
use std::thread;

/// The variable of the environment that, being `required`, makes a test fail that would be skipped.
pub const REQUIRED: &str = "COUNTERSIGN_POSTGRES_TESTS";

/// Says that a test is skipped; where it must run, ends it.
#[track_caller]
pub(super) fn skip(missing: &str) {
    let required = env::var(REQUIRED).is_ok_and(|value| value == "required");
    assert!(!required, "{missing}, and {REQUIRED} is `required`");
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    let line = format!("SKIPPED {test}: {missing}\n");
    // Not by `eprintln!`, which is kept from view where a test passes. Who cannot be told by this
    // cannot be told at all.
    let _ = io::stderr().write_all(line.as_bytes());
}
