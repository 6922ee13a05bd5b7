//! What tests of the engine and of stores share: a clock that is moved by hand, random bytes that
//! can be repeated, sample records, files with faults, and the suite that every store must pass.
//!
//! Depend on it from tests alone; it is not published. Start with [`conformance`] for a store,
//! with [`Faults`] for what the disk may do, and with [`Gated`] for races. With the feature
//! `postgres`, a module of that name starts real servers of PostgreSQL.
//!
//! What this crate does not do: it decides nothing and knows no rule of the engine's, so that no
//! test proves what it assumed.

mod backend;
pub mod clock;
pub mod conformance;
pub mod entropy;
pub mod faults;
pub mod gate;
mod must;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod power;
pub mod samples;
pub mod tamper;

pub use clock::ManualClock;
pub use conformance::Specimen;
pub use entropy::SeededEntropy;
pub use faults::{Fault, Faults, Lasting, Op};
pub use gate::Gated;
pub use must::{Ending, must, must_be, wait_until};
pub use power::{Cut, Disk};
