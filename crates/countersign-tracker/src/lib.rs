//! An issue tracker that adopts Countersign: the example of an application on the engine.
//!
//! Nobody depends on this crate; read it to see how an axum application does it, and run it with
//! `cargo run --release --example tracker`. Tests drive it from outside:
//!
//! ```
//! use countersign_tracker::{PasswordCost, Tracker, TrackerOptions};
//!
//! # async fn example(dir: &std::path::Path) -> Result<(), countersign_tracker::TrackerError> {
//! let mut options = TrackerOptions::loopback(dir);
//! options.listen.set_port(0);
//! options.password_cost = PasswordCost::for_tests();
//! let running = Tracker::start(options).await?;
//! running.add_user("ann", "correct horse", true).await?;
//! println!("http://{}", running.address);
//! running.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Where to look:
//!
//! | of the seeds | here |
//! |---|---|
//! | a session and its attributes | `routes::issues` (the filter), `draft`, `routes::admin` |
//! | "remember my login" | `routes::login`, `routes::sessions` |
//! | a form whose token is lost | `turned_away`, `draft` |
//! | the forged request | `routes::users`: nothing but an extractor |
//! | access tokens | `routes::tokens`, `routes::api` |
//! | images in mails | `routes::mail`, `routes::attachments` |
//!
//! What this crate does not do: it sends no mail, limits no log-in attempts by address, and keeps
//! its issues in files that are written whole, which is fit for hundreds of them.

mod app;
mod board;
mod counts;
mod draft;
mod error;
mod json_file;
mod mail;
mod options;
mod outbox;
mod passwords;
mod person;
mod plot;
mod render;
mod routes;
mod steps;
mod tracker;
mod trouble;
mod turned_away;
mod users;

pub use error::TrackerError;
pub use options::{PasswordCost, TrackerOptions};
pub use tracker::{Running, Tracker};
