//! Hazard: a database below the engine keeps, forgets or numbers something otherwise than the
//! stores that the models were first held to.
//!
//! The same sequences as on the embedded store, each in a schema of its own.
//! `COUNTERSIGN_SEQUENCES` asks for so many of each.

use countersign_models::store::Pair;
use countersign_models::{Choices, Place, access, devices, drawn, sessions};
use countersign_postgres::PostgresOptions;
use countersign_store::Store;
use countersign_testkit::postgres::{Shared, shared};
use countersign_testkit::samples;
use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

const STEPS: u64 = 50;
/// More than the steps of a sequence can read.
const BYTES: usize = 50 * 24;

/// A schema of its own on the server that all tests share; it goes away with this.
struct Schema {
    server: &'static Shared,
    name: String,
    /// For the sessions of a node, which are no record.
    dir: TempDir,
}

impl Schema {
    fn on(server: &'static Shared) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("m{}_{number}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        Self { server, name, dir }
    }
}

impl Place for Schema {
    fn open(&mut self) -> Arc<dyn Store> {
        let options = PostgresOptions::new(self.server.connection_string()).unwrap();
        let options = options.schema(&self.name).unwrap().allow_lossy_crash();
        Arc::new(options.open(samples::keyring()).unwrap())
    }

    fn snapshot(&self) -> Option<PathBuf> {
        Some(self.dir.path().join("sessions"))
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let name = &self.name;
        let drop = format!("set client_min_messages = error; drop schema if exists {name} cascade");
        self.server.sql(&drop);
    }
}

/// Runs sequences, each at a place of its own.
#[track_caller]
fn check(what: &str, few: u64, run: fn(Schema, &mut Choices<'_>) -> u64) {
    let Some(server) = shared() else { return };
    let asked = env::var("COUNTERSIGN_SEQUENCES");
    let sequences = asked.map_or(few, |asked| asked.parse().unwrap());
    let mut steps = 0;
    for seed in 0..sequences {
        let bytes = drawn(seed, BYTES);
        steps += run(Schema::on(server), &mut Choices::new(&bytes));
    }
    assert_eq!(steps, sequences * STEPS);
    // Past the capture of the harness: it goes into reports.
    let line = format!("\n=== {what} on PostgreSQL: {steps} steps as the model says\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn any_history_is_the_same_in_both() {
    check("store", 5, |place, choices| {
        let mut pair = Pair::open(place);
        let steps = pair.run(choices, STEPS);
        pair.reopen(true);
        pair.compare();
        drop(pair.finish());
        steps
    });
}

#[test]
fn every_access_token_is_told_what_the_model_says() {
    check("tokens", 3, |mut place, choices| {
        access::run(&mut place, choices, STEPS)
    });
}

#[test]
fn every_device_is_told_what_the_model_says() {
    check("devices", 4, |mut place, choices| {
        devices::run(&mut place, choices, STEPS)
    });
}

#[test]
fn every_session_is_told_what_the_model_says() {
    check("sessions", 4, |mut place, choices| {
        sessions::run(&mut place, choices, STEPS)
    });
}
