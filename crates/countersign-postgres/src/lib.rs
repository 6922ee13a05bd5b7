//! Countersign's records in PostgreSQL, shared by the nodes of an application.
//!
//! When an application outgrows one machine, its nodes share a database that exists already and is
//! trusted. This crate is the `Store` on it: nothing above changes but the line that opens it.
//! The statements are plain, with engines in mind that speak the same protocol; none was tried.
//!
//! - *A commit* is one transaction in one round trip, with everything in it that waits by then. If
//!   its answer is lost, the log of changes tells what became of it.
//! - *Caches stay coherent*: each node hears of the others' changes by that log, and trusts what
//!   it has in memory for as long as its lease says. A lease is renewed by a write alone that the
//!   quorum of standbys acknowledged, so a node at an old primary ends up without one.
//! - *A database that can lose what it acknowledges is refused*, unless the host has allowed just
//!   that by name.
//!
//! # What this crate does not do
//!
//! It replicates nothing, elects nobody, and knows no rule about a credential.
//!
//! Two modules are public and hidden: what the feed decides without asking anybody, for the
//! simulation of many nodes in `countersign-scale`. They are nobody else's to use.

mod aside;
mod error;
mod feed;
#[doc(hidden)]
pub mod follow;
mod gate;
mod gather;
mod group;
#[doc(hidden)]
pub mod history;
mod hub;
mod keeper;
mod line;
mod migrate;
mod options;
mod place;
mod reader;
mod row;
mod schema;
mod sent;
mod shared;
mod store;
mod tls;
mod writer;

pub use crate::error::PostgresError;
pub use crate::options::PostgresOptions;
pub use crate::place::PostgresPlace;
pub use crate::store::{PostgresStatus, PostgresStore};
pub use crate::tls::Tls;
