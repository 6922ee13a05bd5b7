//! The store on real servers of PostgreSQL, one module for each hazard.

mod conformance;
mod durability;
mod failover;
mod feed;
mod opening;
mod split;
mod standbys;
mod support;
