//! Servers of PostgreSQL that are really there, started for a test and gone with it.
//!
//! A [`Cluster`] is a primary and up to two standbys in a directory of their own, from the
//! programs of Debian's package `postgresql`. Its servers can be killed, stopped in the middle of
//! what they do, cut off from one another, and promoted. A test of SQL alone takes a [`Database`]
//! of the server that all tests share ([`shared`]).
//!
//! Everything ends with its cluster, and with the test process however that ends: a guard, which
//! is a process of its own, waits for it and clears away what is left.
//!
//! ```
//! use countersign_testkit::postgres::{Cluster, After, Options};
//!
//! let options = Options::new().standbys(2).synchronous(1).fsync(false);
//! // Nothing where PostgreSQL is missing: that is said loudly, and the test is over.
//! let Some(cluster) = Cluster::start_or_skip(&options) else {
//!     return;
//! };
//! cluster.primary().sql("create table t (v int); insert into t values (7)");
//! cluster.primary().kill();
//! let primary = cluster.failover(After::Synchronous);
//! assert_eq!(primary.sql("select v from t"), "7");
//! ```
//!
//! What it does not do: it does not watch over its servers, so nothing fails over by itself.
//! Whatever goes wrong in it ends the test, with what the server said last.

mod cluster;
mod failure;
mod home;
mod options;
mod ports;
mod processes;
mod replication;
mod server;
mod shared;
mod skip;
mod sql;
mod tools;
mod wait;

pub use cluster::{After, Cluster};
pub use failure::Failure;
pub use options::Options;
pub use server::Server;
pub use shared::{Database, SHARED, Shared, shared};
pub use skip::REQUIRED;
pub use sql::Statement;
