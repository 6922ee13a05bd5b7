//! Countersign as a session store for tower-sessions, and so for axum-login.
//!
//! Depend on it if your axum application uses one of the two already: the store is the line that
//! changes. A new application takes `countersign-axum`, which needs no other project's sessions.
//!
//! ```
//! use countersign::Engine;
//! use countersign_tower_sessions::CountersignStore;
//! use tower_sessions::cookie::time::Duration;
//! use tower_sessions::{Expiry, Session, SessionManagerLayer};
//!
//! async fn count(session: Session) -> String {
//!     let visits: u64 = session.get("visits").await.unwrap().unwrap_or(0);
//!     session.insert("visits", visits + 1).await.unwrap();
//!     visits.to_string()
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # std::env::set_current_dir(dir.path())?;
//! let engine = Engine::open("state.redb")?;
//! let store = CountersignStore::new(engine); // was: MemoryStore::default()
//! let layer = SessionManagerLayer::new(store)
//!     .with_expiry(Expiry::OnInactivity(Duration::hours(1)));
//! let app: axum::Router = axum::Router::new()
//!     .route("/", axum::routing::get(count))
//!     .layer(layer);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # What changes for the application
//!
//! - **The id is never kept.** It is the cookie's value and the whole secret. Here it is drawn by
//!   the engine when a session is created, and what stays is a keyed hash of it: nothing that is
//!   in memory, in a list or in the snapshot beside the store logs anybody in.
//! - **Sessions outlive a restart**, in that snapshot.
//! - **A session that is gone stays gone.** A request that was in flight while its session was
//!   deleted or ran out cannot bring it back: its save does nothing, and [`CountersignStore::late`]
//!   counts it. Neither can a save make a session of an id that was never created.
//! - **Two requests that change different keys both win.** A save is taken as the changes that its
//!   request made to what it had loaded; see [`CountersignStore`].
//! - **Sessions belong to principals** where it can be told whose they are, which for axum-login
//!   it can: see [`CountersignStore::with_principal`].
//! - **The policy's timeouts hold as well.** A session ends at its expiry, or when it has not been
//!   used for `sessions.idle_timeout` (5 hours) or has lived for `sessions.absolute_timeout` (30
//!   days), whichever comes first. An application whose layer promises more raises them.
//! - **There are bounds.** `sessions.max_sessions`, `max_anonymous`, `max_per_principal`,
//!   `max_attributes` (64 keys) and `max_attribute_bytes` (16 KiB for keys and values) hold; what
//!   is over the last two is an error of the save, and a full table ends the idlest anonymous
//!   session. A key has at most 64 bytes, where each that is no printable ASCII character, and
//!   each `%`, counts for three.
//!
//! # Which versions
//!
//! axum-login 0.18 stands on tower-sessions 0.14, and the current one is 0.15. The store is one for
//! both; the features `v0_14` and `v0_15`, which are both on, say for which of them it is built.
//!
//! # What this crate does not do
//!
//! It sets no cookie and reads none: that is the layer's. It has no form tokens, no remembered
//! devices and no bearer tokens: they are the engine's, and reached through it.

#[cfg(not(any(feature = "v0_14", feature = "v0_15")))]
compile_error!("a store of no version of tower-sessions: choose `v0_14`, `v0_15`, or both");

mod data;
mod fault;
mod loads;
mod principal;
mod store;
mod traits;

pub use principal::{NoPrincipal, axum_login};
pub use store::CountersignStore;
