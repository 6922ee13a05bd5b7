//! The durable half of Countersign: the `Store` trait, the record codec, and the redb store.

mod batch;
pub mod codec;
pub mod error;
pub mod memory;
pub mod pending;
mod recent;
pub mod redb;
pub mod store;

pub use crate::error::{CommitError, OpenError, StoreError};
pub use crate::memory::MemoryStore;
pub use crate::pending::{Answer, Pending};
pub use crate::redb::{Adopt, CheckReport, Mode, RedbOptions, RedbStore, StoreStats};
pub use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
