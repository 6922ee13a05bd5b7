//! The pure heart of Countersign: formats, secrets, records, policy, and every decision about
//! them as a function of its arguments.
//!
//! Depend on it to judge, parse or store what Countersign works with: a store, a tool, an edge, a
//! fuzz target. A host that wants to issue and verify credentials depends on `countersign`, the
//! engine, which puts a clock, a source of randomness and a store around this crate.
//!
//! A decision answers what is so and which writes follow, and does nothing itself:
//!
//! ```
//! use countersign_core::access::{self, NewToken};
//! use countersign_core::policy::Policy;
//! use countersign_core::{
//!     Deployment, Expiry, Fresh, KeyMaterial, Keyring, Principal, Scope, ScopeSet, ServerId,
//!     Setting, SystemRecord, Timestamp, TokenFormat, TokenName, Version, Versioned,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Time, randomness and records are arguments: the engine's, a test's, or a fuzzer's.
//! let now = Timestamp::from_millis(1_795_341_296_789);
//! let keyring = Keyring::new(&KeyMaterial::generate(now, [1; 32], [2; 32]));
//! let server_id = ServerId::new("tracker")?;
//! let deployment = Deployment { word: None, server_id, created_at: now };
//! let system = Versioned { version: Version::new(1), record: SystemRecord::new(deployment) };
//! let policy = Policy::default();
//! let setting = Setting { now, keyring: &keyring, policy: &policy, system: &system };
//!
//! let request = NewToken {
//!     principal: Principal::new("ann")?,
//!     name: TokenName::new("nightly build")?,
//!     scopes: ScopeSet::new([Scope::new("repo:read")?])?,
//!     expiry: Expiry::Never,
//! };
//! let decision = access::issue(&setting, &mut Fresh::new([7; Fresh::LEN]), None, &[], &request)?;
//! let text = TokenFormat::new(None)?.text(&decision.outcome.token).ok_or("no split token")?;
//! assert!(text.expose().starts_with("csa_"));
//! // What a store has to write, all of it or nothing, for the token to exist.
//! assert_eq!(decision.batch.writes.len(), 4);
//! # Ok(())
//! # }
//! ```
//!
//! # What this crate does not do
//!
//! It reads no clock (I1), draws no random byte (I2), opens no file, keeps no state, caches no
//! verdict (I11), and knows no store, no thread and no HTTP. It does not decide how records are
//! laid out in a file either: that is the store's codec.

// From bytes and texts to values.
mod base62;
mod checksum;
mod contexts;
mod digest;
pub mod header;
mod kind;
mod scope;
mod secret;
mod selector;
mod text;
mod time;
mod token;

// What a check is there to tell.
#[cfg(not(countersign_ct))]
mod told;
#[cfg(countersign_ct)]
pub mod told;

// Keys and policy.
mod bare;
pub mod keys;
pub mod policy;

// Records.
mod epoch;
mod event;
mod grant;
mod principal;
mod record;
mod series;
mod system;

// Decisions.
pub mod access;
pub mod csrf;
mod decision;
pub mod image;
pub mod logins;
pub mod presentation;
pub mod principals;
pub mod remember;
pub mod switches;
mod verdict;

#[cfg(test)]
mod docs;
#[cfg(test)]
mod work;
#[cfg(test)]
mod world;

pub use bare::{BareId, Unveiled};
pub use decision::{Decision, Refusal, Setting};
pub use digest::{DIGEST_BYTES, Digest};
pub use epoch::{Epoch, EpochStamp};
pub use event::{CredentialName, Event, EventKind, NotAnEventKind};
pub use grant::{ADDRESSES_MAX, EndCause, Expiry, Grant, GrantEnd, Sighting, Usage};
pub use keys::{KeyId, KeyMaterial, Keyring, PepperMaterial};
pub use kind::CredentialKind;
pub use principal::{CredentialRef, Principal, PrincipalKey, PrincipalRecord, PrincipalState};
pub use record::{
    Batch, Change, Durability, Expect, Key, Purpose, Record, Table, Version, Versioned, Write,
};
pub use scope::{Granted, SCOPE_BYTES_MAX, SCOPES_MAX, Scope, ScopeError, ScopeSet};
pub use secret::{Fresh, SecretKey, SecretText, VERIFIER_BYTES, Verifier};
pub use selector::{NotASelector, Selector, ShardTag};
pub use series::{KeyedDigest, Label, OLDER_MAX, SeriesEnd, SeriesEndCause, SeriesRecord};
pub use system::{Deployment, NotASubsystem, Subsystem, Switch, SystemRecord};
pub use text::{Reason, ServerId, TextError, TokenName};
pub use time::{Timestamp, millis};
pub use token::{InvalidWord, MalformedToken, SplitToken, TOKEN_TEXT_MAX, TokenFormat, WORD_MAX};
pub use verdict::Rejection;
