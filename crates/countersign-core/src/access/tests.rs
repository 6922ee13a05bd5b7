//! Hazard: an access token that is accepted when it must not be, or refused when it must be.
//!
//! Every test goes through a store in miniature that holds each batch to its expectations.

mod check;
mod issue;
mod life;
mod model;
mod prune;
mod revoke;
mod room;
mod rotate;
mod select;
