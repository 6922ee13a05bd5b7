//! Engines of several nodes on one database of PostgreSQL, which is really there.
//!
//! What the store does by itself is tried in `countersign-postgres`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod apart;
mod child;
mod late;
mod models;
mod node;
mod rules;
mod sessions;
mod strain;
