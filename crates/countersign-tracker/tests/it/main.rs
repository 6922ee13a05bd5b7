//! The tracker as its users, its administrators, its scripts and its enemies come to it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too"
)]

mod administration;
mod api;
mod client;
mod issues;
mod login;
mod lost_form;
mod mail_images;
mod password;
mod profile;
