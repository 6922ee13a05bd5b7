//! Plans past one machine: what a day costs at many nodes, and how large what it leaves is.
//!
//! Nobody depends on it; `cargo xtask scale` runs it. It has two halves.
//!
//! - *A day, simulated* ([`day`]): an engine for each node, with its own cache, lease and watchers,
//!   and the feed's own decisions, over a model of the database that they share. Requests,
//!   revocations and faults come in the order of a clock of its own, so that a day of a hundred
//!   nodes is over in minutes and is the same each time for one seed.
//! - *Sizes, measured* ([`sizes`]): rows and log of a real PostgreSQL that was filled through the
//!   real store, and the memory that a cached token takes.
//!
//! # What this crate does not do
//!
//! The simulated database keeps records and counts what is asked of it; it has no locks to wait
//! for, no disk that fills and no limit of what it can do. What a real one takes is measured, and
//! `docs/SCALING.md` holds the one against the other.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a simulation may stop, and its numbers are far from where these bite"
)]

pub mod day;
pub mod load;
pub mod plan;
pub mod probe;

mod database;
mod hand;
mod node;
mod people;
mod queue;
mod random;
mod shared;

pub mod report;
pub mod sizes;
