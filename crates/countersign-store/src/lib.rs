//! The durable half of Countersign: the [`Store`] trait, the record codec, and the redb store.
//!
//! Depend on it to write a store of your own or to keep records without the engine; whoever wants
//! tokens, sessions and revocation depends on `countersign`, which does what this crate is told
//! to, and re-exports what its callers need of it.
//!
//! ```
//! use countersign_core::{Batch, Expect, Key, KeyMaterial, Keyring, Record, Timestamp};
//! use countersign_store::{RedbOptions, Store};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("state.redb");
//! // Keys and ids are random in real life.
//! let keys = KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]);
//! let keyring = Arc::new(Keyring::new(&keys));
//! let store = RedbOptions::new().create(&path, keyring, [7; 16], Vec::new())?;
//!
//! let mut batch = Batch::grow();
//! batch.put(Key::POLICY, Expect::Absent, Record::Policy("# the defaults".to_owned()));
//! let revision = store.commit(batch.clone()).wait()?;
//! assert_eq!(store.load_one(Key::POLICY)?.map(|found| found.version.number()), Some(revision.0));
//!
//! // It is there now, so a batch that expects nothing in its place is refused.
//! assert!(store.commit(batch).wait().is_err());
//! store.close().wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It makes no decision about a credential, reads no clock and no randomness, keeps no cache of
//! records, and knows neither sessions nor HTTP. It does not keep a file from being rolled back as
//! a whole by whoever can write to its disk, and a copy of the file system block by block looks to
//! it like the original.

pub mod store;

pub mod error;
pub mod lease;
pub mod pending;
pub mod place;

pub mod batch;
pub mod recent;
mod sync;
pub mod watchers;

pub mod codec;
pub mod memory;
pub mod redb;

pub use crate::error::{CommitError, OpenError, StoreError};
pub use crate::lease::{Lease, Steady};
pub use crate::memory::MemoryStore;
pub use crate::pending::{Answer, Pending};
pub use crate::place::{SnapshotPlace, Unread};
pub use crate::redb::{Adopt, CheckReport, Mode, RedbOptions, RedbStore, StoreStats};
pub use crate::store::{
    Capabilities, Changes, Health, KeyRange, Loaded, Page, Revision, Store, Watcher,
};
