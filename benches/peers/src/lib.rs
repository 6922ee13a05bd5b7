//! What users would take instead of the engine, each as fast as it goes, at the same work and size
//! and in the same process, round by round beside it.
//!
//! A package and a workspace of its own, so that nothing else depends on what the peers bring
//! along. Servers are Debian's, started here on unix sockets in a directory that goes away; where
//! one is missing, a line says so and the rest is compared all the same.
//!
//! What is compared is the fastest that is fair: prepared statements, one connection that is kept,
//! keys and rules that were parsed beforehand, servers that need not survive a power cut. Where a
//! choice favours one side, it favours the peer, and its module says so.

pub mod kept;
pub mod options;
pub mod passwords;
pub mod postgres;
pub mod redis;
pub mod sealed;
pub mod server;
pub mod session_stores;
pub mod side_by_side;
pub mod sqlite;

pub use options::Options;
pub use side_by_side::{Comparison, Side};
