//! Models: the rules written down a second time, plainly, and sequences of calls that are made
//! both on them and on what is tried.
//!
//! Depend on it from tests and fuzz targets alone; it is not published. A sequence is read from
//! bytes ([`Choices`]), so that a fuzzer can make it as well as a number that it is [`drawn`]
//! from. What is tried lies at a [`Place`], which says how a store is opened and opened again:
//! [`store`] compares that with the plain store; [`access`], [`devices`] and [`sessions`] compare
//! an engine on it with what whoever was shown a secret was promised. Whatever is not as the model
//! says ends the test.
//!
//! ```
//! use countersign_models::{Choices, Memory, access, drawn};
//!
//! let bytes = drawn(7, 400);
//! assert!(access::run(&mut Memory::default(), &mut Choices::new(&bytes), 48) > 0);
//! ```
//!
//! What this crate does not do: it starts no server and makes no file, and it knows no store but
//! the one in memory.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on ends there, and its numbers are its own"
)]

pub mod access;
mod choices;
pub mod devices;
mod node;
mod place;
mod policy;
pub mod sessions;
pub mod store;

pub use choices::{Choices, drawn};
pub use place::{Memory, Place};
pub use policy::small;
