//! One binary for every hazard: each module is named by what goes wrong in it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod access_tokens;
mod answers;
mod audit;
mod authenticate;
mod bare_sessions;
mod child;
mod clock;
mod clone_guard;
mod compliance;
mod conformance;
mod damage;
mod denials;
mod engine_models;
mod forms;
mod full_disk;
mod image_jwt;
mod images;
mod io_errors;
mod keys;
mod kill;
mod last_uses;
mod lease;
mod limits;
mod listing;
mod logins;
mod maintenance;
mod opening;
mod power_cut;
mod randomness;
mod remember_age;
mod remember_denials;
mod remember_flood;
mod remember_lists;
mod remember_outcomes;
mod remember_races;
mod remember_revoked;
mod remember_theft;
mod revalidated;
mod revocation_races;
mod secrets;
mod session_clock;
mod session_epochs;
mod session_flood;
mod session_help;
mod session_kill;
mod session_races;
mod session_restart;
mod shutdown;
mod soak;
mod store_model;
mod support;
mod sweep;
mod taken_over;
mod traced;
mod transfer;
mod wrong_secret;

/// Counts what is allocated, so that a test can tell whether it grows.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);
