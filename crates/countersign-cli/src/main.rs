//! The `countersign` command: what an operator does to a store, and what a newcomer runs first.
//!
//! It asks the engine for everything and decides nothing about credentials itself. A secret is
//! read from a file or standard input, never from an argument, and printed only by the command
//! that makes it.

mod audit;
mod bench;
mod cli;
mod clock;
mod copies;
mod database;
mod discreet;
mod draft;
mod export;
mod failure;
mod generate;
mod image;
mod import;
mod init;
mod inspect;
mod keys;
mod open;
mod out;
mod parse;
mod place;
mod policy;
mod principal;
mod progress;
mod reading;
mod remember;
mod session;
mod stats;
mod stop;
mod switch;
mod token;
mod tour;
mod upkeep;
mod verify;
mod view;

use clap::Parser as _;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli.run(),
        Err(error) => failure::wrong_usage(&arguments, &error),
    }
}
