//! Stores for tests.

use countersign_postgres::{PostgresOptions, PostgresStore};
use countersign_testkit::samples;
use std::sync::atomic::{AtomicU64, Ordering};

/// A store in a schema of its own, on the server that the tests share.
pub(crate) fn store() -> PostgresStore {
    options().open(samples::keyring()).unwrap()
}

pub(crate) fn options() -> PostgresOptions {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("t{}_{number}", std::process::id());
    let connection = std::env::var("COUNTERSIGN_POSTGRES").expect("a server");
    PostgresOptions::new(&connection)
        .unwrap()
        .schema(&schema)
        .unwrap()
        .allow_lossy_crash()
}
