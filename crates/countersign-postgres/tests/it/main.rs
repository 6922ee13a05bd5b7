//! The store on real servers of PostgreSQL, one module for each hazard.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod conformance;
mod durability;
#[cfg(feature = "tls")]
mod encrypted;
mod failover;
mod feed;
mod opening;
mod places;
mod plans;
mod racing;
mod silence;
mod split;
mod standbys;
mod support;
