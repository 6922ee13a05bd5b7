//! Hazard: calls in an order that nobody thought of, after which a token, a device or a
//! session is told something else than its owner was promised, because of what the store below
//! keeps and forgets.
//!
//! Random sequences run on engines in memory and on files. `COUNTERSIGN_SEQUENCES` asks for so
//! many sequences of each.

use crate::store_model::InFile;
use crate::support::{asked, figures};
use countersign_models::{Choices, Memory, Place, access, devices, drawn, sessions};

const STEPS: u64 = 50;
/// More than the steps of a sequence can read.
const BYTES: usize = 50 * 8;

type Model = fn(&mut dyn Place, &mut Choices<'_>, u64) -> u64;

#[track_caller]
fn check<P: Place>(what: &str, few: u64, place: fn() -> P, model: Model) {
    let sequences = asked("COUNTERSIGN_SEQUENCES", few);
    let steps: u64 = (0..sequences)
        .map(|seed| model(&mut place(), &mut Choices::new(&drawn(seed, BYTES)), STEPS))
        .sum();
    assert_eq!(steps, sequences * STEPS);
    figures(&format!("{what}: {steps} steps as the model says"));
}

#[test]
fn every_access_token_is_told_what_the_model_says_in_memory() {
    check("tokens in memory", 60, Memory::default, access::run);
}

#[test]
fn every_access_token_is_told_what_the_model_says_on_a_file() {
    check("tokens on files", 20, InFile::new, access::run);
}

#[test]
fn every_device_is_told_what_the_model_says_in_memory() {
    check("devices in memory", 60, Memory::default, devices::run);
}

#[test]
fn every_device_is_told_what_the_model_says_on_a_file() {
    check("devices on files", 20, InFile::new, devices::run);
}

#[test]
fn every_session_is_told_what_the_model_says_in_memory() {
    check("sessions in memory", 60, Memory::default, sessions::run);
}

#[test]
fn every_session_is_told_what_the_model_says_on_a_file() {
    check("sessions on files", 20, InFile::new, sessions::run);
}
