//! The durable half of Countersign: the `Store` trait, the record codec, and the redb store.

pub mod error;
pub mod pending;
pub mod store;
