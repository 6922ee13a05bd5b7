//! Hazards of the redb store, one file for each kind.

mod backends;
mod create;
mod durability;
mod faults;
mod group;
mod keys;
mod models;
mod opening;
mod operator;
mod reading;
mod room;
mod support;
mod watching;
