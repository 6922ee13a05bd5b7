//! One binary for every hazard of the HTTP edge: each module is named by what goes wrong in it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that cannot go on ends there, in its helpers too, and its numbers are its own"
)]

mod answers;
mod application;
mod attributes;
mod bearer;
mod browser;
mod cookies;
mod forms;
mod hostile;
mod images;
mod leaks;
mod off_thread;
mod order;
mod overtaking;
mod pages;
mod second_wall;
mod streamed;
mod uploads;
mod withheld;
