//! One binary for what only a browser can show: each module is named by what goes wrong in it.
//!
//! The application under test is the tracker, on this machine alone. Without Chromium and its
//! driver the tests say loudly that they were skipped; with `COUNTERSIGN_BROWSER=required`, as in
//! the gate, they fail.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too"
)]

mod chromium;
mod cookies_seen;
mod foreign;
mod forged;
mod lost_form;
mod mail_images;
mod others_ended;
mod page;
mod pages_seen;
mod plain;
mod planted;
mod remembered;
mod theft;
mod tokens_used;
mod tossed;
mod wait;
mod world;
