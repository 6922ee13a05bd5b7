//! Hazard: a device that stays remembered when it must not be, or is forgotten when it must not
//! be.
//!
//! Every test goes through a store in miniature that holds each batch to its expectations.

mod age;
mod device;
mod end;
mod model;
mod outcomes;
mod present;
mod prune;
mod races;
mod start;
