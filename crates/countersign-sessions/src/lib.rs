//! Sessions in memory: one bounded table with its principal index, its deadlines, the graves of
//! ended sessions, and a snapshot that carries it over a restart.
//!
//! Depend on it to keep sessions without an engine: a test, a model, an edge of one's own. A host
//! depends on `countersign`, the engine, which puts a clock, randomness and an audit log around
//! this crate.
//!
//! ```
//! use countersign_core::policy::Policy;
//! use countersign_core::{EpochStamp, Fresh, KeyMaterial, Keyring, Principal, Timestamp};
//! use countersign_sessions::{LogIn, Method, Moment, SessionTable, Timeouts};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Time, randomness, keys and policy are arguments: the engine's, a test's, or a fuzzer's.
//! let now = Timestamp::from_millis(1_795_341_296_789);
//! let keyring = Keyring::new(&KeyMaterial::generate(now, [1; 32], [2; 32]));
//! let policy = Policy::default();
//! let moment = Moment { now, keyring: &keyring, policy: policy.sessions() };
//! let table = SessionTable::new(policy.sessions(), &keyring);
//!
//! let mut fresh = Fresh::new([7; Fresh::LEN]);
//! let anonymous = table.start(&moment, &mut fresh, 0, Timeouts::default()).outcome?;
//! let login = LogIn {
//!     principal: &Principal::new("ann")?,
//!     method: Method::Password,
//!     fresh_for: Duration::from_secs(600),
//!     stamp: EpochStamp::default(),
//!     timeouts: Timeouts::default(),
//!     ends_by: None,
//!     series: None,
//!     carry: &[],
//! };
//! let mut fresh = Fresh::new([8; Fresh::LEN]);
//! let opened = table.log_in(&moment, &mut fresh, Some(&anonymous.session), &login);
//! let opened = opened.outcome?;
//!
//! let live = table.touch(&moment, &opened.token).outcome?;
//! assert_eq!(live.owner().map(|owner| owner.as_str()), Some("ann"));
//! assert!(live.is_fresh());
//! assert!(table.touch(&moment, &anonymous.token).outcome.is_err());
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It reads no clock (I1), draws no random byte (I2), writes no file and no log, starts no thread,
//! and knows no store (I6) and no HTTP. It judges no form token: it tells whose a token is, and
//! the secret to check it with. It does not know whether a principal may come in: the engine looks
//! at their record, and ends their sessions.

// What is passed in and out.
mod attribute;
mod attributes;
mod authentication;
mod ended;
mod live;
mod moment;
mod owner;
mod refusal;

// How it lies in memory.
mod counts;
mod grave;
mod place;
mod shard;
mod slot;
mod sync;
mod table;
mod tail;

// What can be done.
mod change;
mod describe;
mod end;
mod forms;
mod open;
mod present;
mod room;
mod sweep;

// Over a restart.
mod restore;
mod snapshot;
mod wire;

#[cfg(test)]
mod races;

pub use attribute::{
    ATTRIBUTE_NAME_MAX, AttributeChange, AttributeFault, AttributeName, JsonText,
    NotAnAttributeName, NotJson, Value, ValueKind,
};
pub use attributes::{ATTRIBUTE_CHANGES_MAX, Attributes};
pub use authentication::{Authentication, Method};
pub use change::Privilege;
pub use describe::{AttributeSummary, Description};
pub use ended::{Done, EndWord, Ended, EndedBy, Gone};
pub use forms::FormSession;
pub use live::{Live, Opened};
pub use moment::Moment;
pub use open::LogIn;
pub use open::bare::{NewBare, OpenedBare};
pub use owner::Owner;
pub use present::{Candidate, Note, Proven};
pub use refusal::{Denied, Refused};
pub use restore::{Epochs, Restored, SavedSessions, SnapshotError};
pub use slot::Timeouts;
pub use snapshot::SnapshotName;
pub use sweep::Swept;
pub use table::SessionTable;
