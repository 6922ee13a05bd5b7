//! The store on real servers of PostgreSQL, one module for each hazard.

mod conformance;
mod support;
