//! One binary for the store under tower-sessions and axum-login: each module is named by what it
//! shows, or by what would go wrong.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod bounds;
mod browser;
mod disclosure;
mod expiry;
mod flood;
mod held_up;
mod lost_updates;
mod memory_store_cases;
mod ownership;
mod restart;
mod resurrection;
mod route_cases;
mod sign_in;
mod support;
