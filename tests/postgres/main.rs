//! Engines of several nodes on one database of PostgreSQL, which is really there.
//!
//! What the store does by itself is tried in `countersign-postgres`.

mod apart;
mod child;
mod late;
mod node;
mod rules;
