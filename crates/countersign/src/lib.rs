//! The embedded security state engine: who may come in, kept beside your application as SQLite
//! keeps its data.
//!
//! Depend on this crate to issue, check and revoke credentials; it brings the store with it.
//!
//! ```
//! use countersign::{Engine, Label, Method, NewLogIn, Presented, Principal};
//! use std::time::Duration;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let dir = tempfile::tempdir()?;
//! #   std::env::set_current_dir(dir.path())?;
//!     // Makes state.redb and its key file state.key the first time, and opens them afterwards.
//!     let engine = Engine::open("state.redb")?;
//!
//!     // Alice gave her password just now, and ticked the box.
//!     let alice = Principal::new("alice")?;
//!     let login = NewLogIn::new(alice.clone(), Method::Password, Duration::from_secs(600));
//!     let device = Some(Label::new("Firefox on Linux")?);
//!     let opened = engine.log_in(None, login, device).wait()?; // or `.await`: both worlds
//!     let cookie = opened.session.token; // for the session cookie, shown now or never
//!
//!     // Each request: its session, else its bearer token, else its remembered device.
//!     let presented = Presented {
//!         session: Some(cookie.expose().as_bytes()),
//!         ..Presented::default()
//!     };
//!     let request = engine.authenticate(presented).wait()?;
//!     println!("from {:?}; send back {:?}", request.who.principal(), request.session_cookie);
//!
//!     engine.credentials_changed(alice, None, None).wait()?; // all her log-ins end
//!     Ok(())
//! }
//! ```
//!
//! Scripts come in by access tokens:
//!
//! ```
//! use countersign::{Engine, Expiry, NewToken, Principal, ScopeSet, TokenName};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let dir = tempfile::tempdir()?;
//! #   std::env::set_current_dir(dir.path())?;
//!     let engine = Engine::open("state.redb")?;
//!
//!     let issued = engine
//!         .access()
//!         .issue(NewToken {
//!             principal: Principal::new("alice")?,
//!             name: TokenName::new("deploy key")?,
//!             scopes: ScopeSet::new(["repo:read".parse()?])?,
//!             expiry: Expiry::Never,
//!         })
//!         .wait()?;
//!     println!("show this once: {}", issued.token.expose());
//!
//!     match engine.access().verify(issued.token.expose()).wait()? {
//!         countersign::Verdict::In(pass) => println!("{} may come in", pass.principal()),
//!         countersign::Verdict::Refused(why) => println!("refused, for the log alone: {why}"),
//!     }
//!     engine.access().revoke(issued.selector, None).wait()?;
//!     Ok(())
//! }
//! ```
//!
//! What this crate does not do: it knows no passwords and no users beyond their names, it speaks
//! no HTTP, and it decides nothing itself: every rule is a function of `countersign-core`.

mod access;
mod admin;
mod audit;
mod authenticate;
mod builder;
mod cache;
mod clock;
mod counters;
mod denials;
mod driver;
mod engine;
mod entropy;
mod error;
mod files;
mod forms;
mod images;
mod inner;
pub mod keyfile;
mod listing;
mod logins;
mod maintenance;
mod observer;
mod refusals;
mod remember;
mod sessions;
mod sweep;
mod sync;
#[cfg(feature = "tracing")]
mod trace;
mod transfer;
mod trust;
mod usage;
mod verify;
mod worker;

pub use access::{AccessTokens, IssuedToken, Revocation};
pub use admin::{PrincipalPage, Principals, Switches};
pub use audit::{Audit, EventPage, EventQuery};
pub use authenticate::{Anonymous, Authenticated, ByDevice, CookieChange, Presented, Who};
pub use builder::{Adoption, Builder, Create};
pub use clock::{Clock, FixedClock, SystemClock};
pub use counters::VerdictCounts;
pub use engine::{Engine, EngineStats};
pub use entropy::{Entropy, SystemEntropy};
pub use error::Error;
pub use forms::{FormTokens, FormVerdict};
pub use images::{ImagePass, ImageTokens, ImageVerdict};
pub use listing::{TokenInfo, TokenPage, TokenQuery};
pub use logins::{CredentialsChanged, LogOut, LoggedIn};
pub use maintenance::{Maintenance, MaintenanceReport};
pub use observer::{NullObserver, Observer, Refused};
pub use remember::{DeviceInfo, DevicePage, DeviceQuery, Recall, Recalled, Remember, Remembered};
pub use sessions::{
    LoggedOut, NewBareSession, NewLogIn, OpenedSession, RestoreFault, RestoreReport, SessionChange,
    SessionCounts, SessionEvent, SessionPage, SessionVerdict, Sessions, SnapshotStats,
    snapshot_beside,
};
pub use sweep::SweepReport;
pub use transfer::{ExportReport, ImportReport, Tally, export_is_of};
pub use verify::{Conditions, Pass, Verdict};

pub use countersign_core as core;
pub use countersign_core::access::{GrantFilter, GrantState, NewToken, Rotation};
pub use countersign_core::csrf::{CsrfVerdict, FormAction};
pub use countersign_core::image::{AttachmentId, SignedImage};
pub use countersign_core::policy::{Draft, Policy};
pub use countersign_core::remember::{NewSeries, SeriesState};
pub use countersign_core::{
    BareId, CredentialKind, Event, EventKind, Expiry, Grant, GrantEnd, KeyId, KeyMaterial, Label,
    Principal, PrincipalKey, PrincipalRecord, PrincipalState, Reason, Refusal, Rejection, Scope,
    ScopeError, ScopeSet, SecretText, Selector, SeriesEnd, SeriesEndCause, SeriesRecord, ServerId,
    Sighting, Subsystem, SystemRecord, Timestamp, TokenFormat, TokenName, Usage,
};
pub use countersign_sessions as session;
pub use countersign_sessions::{
    AttributeChange, AttributeName, AttributeSummary, Attributes, Authentication, Denied,
    Description, EndedBy, Gone, Live, Method, OpenedBare, Owner, Refused as SessionRefused,
    Timeouts, Value,
};
pub use countersign_store as store;
pub use countersign_store::pending::Pending;
pub use countersign_store::redb::{Mode, RedbOptions};
