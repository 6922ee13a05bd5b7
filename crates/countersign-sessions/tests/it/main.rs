//! One binary for the hazards of the session table: each module is named by what goes wrong in it.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod attributes;
mod clock;
mod damage;
mod devices;
mod epochs;
mod fixation;
mod flood;
mod forms;
mod limits;
mod model;
mod notes;
mod races;
mod restart;
mod secrets;
mod support;
mod sweep;
mod timeouts;
mod tombstones;
mod wrong_secret;
