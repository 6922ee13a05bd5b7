//! The HTTP edge of Countersign: a tower layer, extractors for axum, and refusals with a status.
//!
//! Depend on this crate where an application on axum (or on tower, with responses that axum can
//! send) lets people in by the engine.
//!
//! ```
//! use axum::response::{Html, Redirect};
//! use axum::{Router, routing::get};
//! use countersign::{Engine, Label, Method, NewLogIn, Principal};
//! use countersign_axum::{CheckedForm, CountersignLayer, CurrentPrincipal, TurnedAway, Visit};
//! use std::time::Duration;
//!
//! #[derive(serde::Deserialize)]
//! struct LogIn {
//!     name: String,
//!     password: String,
//!     remember: Option<String>,
//! }
//!
//! async fn home(who: CurrentPrincipal) -> String {
//!     format!("Hello, {}!", who.principal())
//! }
//!
//! async fn log_in_page(visit: Visit) -> Result<Html<String>, TurnedAway> {
//!     let (field, token) = (visit.form_field(), visit.form_token(None).await?);
//!     Ok(Html(format!(
//!         "<form method=post><input type=hidden name={field} value={}>\
//!          <input name=name><input name=password type=password>\
//!          <input name=remember type=checkbox><button>Log in</button></form>",
//!         token.expose()
//!     )))
//! }
//!
//! async fn log_in(
//!     visit: Visit,
//!     CheckedForm(form): CheckedForm<LogIn>,
//! ) -> Result<Redirect, TurnedAway> {
//!     if !my_passwords_fit(&form.name, &form.password) {
//!         return Ok(Redirect::to("/log-in"));
//!     }
//!     let principal = Principal::new(&form.name)?;
//!     let login = NewLogIn::new(principal, Method::Password, Duration::from_secs(600));
//!     let label = form.remember.and_then(|_| Label::fitting("a browser"));
//!     visit.log_in(login, label).await?;
//!     Ok(Redirect::to("/"))
//! }
//!
//! fn application(engine: Engine) -> Result<Router, countersign_axum::ConfigError> {
//!     Ok(Router::new()
//!         .route("/", get(home))
//!         .route("/log-in", get(log_in_page).post(log_in))
//!         .layer(CountersignLayer::new(engine)?))
//! }
//! # fn my_passwords_fit(_: &str, _: &str) -> bool { true }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let dir = tempfile::tempdir()?;
//! #   let _ = application(Engine::open(dir.path().join("state.redb"))?)?;
//! #   Ok(())
//! # }
//! ```
//!
//! # Extractors
//!
//! | extractor | what it lets through |
//! |---|---|
//! | [`Visit`] | every request: who it comes from, log-in, log-out, cookies, form tokens |
//! | [`CurrentPrincipal`] | whoever is signed in; everybody where it is an `Option` |
//! | [`SignedIn`] | whoever is signed in with a session: whom a page is for |
//! | [`CurrentSession`] | requests with a session, with its attributes, a stranger's too |
//! | [`RecentlyAuthenticated`] | whoever gave their password lately |
//! | [`CheckedForm`], `CheckedMultipart` | forms that come from our own pages |
//! | [`Sent`] | a form and who sent it, in the order that loses no work |
//! | [`CheckedRequest`] | what else our own pages send, with the token in a header |
//! | [`ImageAccess`] | requests with an image token in their query |
//!
//! [`RequireScope`] is a layer for the routes of an API.
//!
//! # What is sent
//!
//! Every refusal is a [`TurnedAway`] with a status; the host replaces its page ([`Pages`]).
//! A stranger is told no reason. A bearer token that is no good is answered as RFC 6750 says.
//!
//! | cookie | by default | attributes |
//! |---|---|---|
//! | session | `__Host-session` | `HttpOnly`, `Secure`, `SameSite=Lax`, goes with the browser |
//! | remember-me | `__Host-seraph.rememberme.cookie` | the same, with an age |
//! | for scripts | `atlassian.xsrf.token` | `Secure`, `SameSite=Lax`, goes with the browser |
//!
//! Names, path, domain, `Secure` and age are the policy's: see
//! [`CookieNames`] for the prefix. For `http://localhost`, set `remember_me.cookie_secure` to
//! `false`: browsers take `__Host-` cookies over TLS alone.
//!
//! What this crate does not do: it checks no passwords, limits no rates, knows no templates, and
//! compresses nothing. Safe methods change nothing, if the host's handlers hold to that: neither
//! the second wall nor form tokens look at them.

mod answering;
mod builder;
mod cookies;
mod extract;
mod form;
mod image;
mod layer;
#[cfg(feature = "multipart")]
mod multipart;
mod origin;
mod pages;
mod read;
mod scope;
mod session;
mod turned_away;
mod visit;

pub use answering::Answering;
pub use builder::{ConfigError, LayerBuilder};
pub use cookies::{CookieNameError, CookieNames};
pub use extract::{CurrentPrincipal, RecentlyAuthenticated, Sent, SignedIn};
pub use form::{CheckedForm, CheckedRequest};
pub use image::{ImageAccess, OpenedImage};
pub use layer::{CountersignLayer, CountersignService};
#[cfg(feature = "multipart")]
pub use multipart::{CheckedMultipart, FilePart, Part};
pub use origin::Foreign;
pub use pages::{DefaultPages, PageFuture, Pages};
pub use read::Carrier;
pub use scope::{RequireScope, RequireScopeService};
pub use session::{AttributeError, CurrentSession};
pub use turned_away::{
    AmbiguousCredential, BadForm, BadImage, BadToken, CookiesTooLong, EngineFailed, ForeignRequest,
    LostFiles, LostForm, MissingScope, NoLayer, NoSession, NotAuthenticated, NotFresh, TooLate,
    TurnedAway, Typed,
};
pub use visit::Visit;
