//! The tracker on this machine: opens its folder, listens, and says how to log in the first time.

use clap::Parser;
use countersign_tracker::{Tracker, TrackerError, TrackerOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// An issue tracker on Countersign
#[derive(Debug, Parser)]
struct Arguments {
    /// Where everything is kept
    #[arg(long, default_value = "tracker-data", value_name = "DIR")]
    dir: PathBuf,

    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "this is what the operator reads")]
async fn main() -> Result<(), TrackerError> {
    let arguments = Arguments::parse();
    let mut options = TrackerOptions::loopback(arguments.dir);
    options.listen = arguments.listen;
    let tracker = Tracker::open(options)?;
    let first = tracker.first_user().await?;
    let running = tracker.serve().await?;
    println!("http://{}", running.address);
    if let Some((name, password)) = first {
        println!("log in as {name} with the password {password} (said this once)");
    }
    told_to_stop().await;
    running.stop().await;
    Ok(())
}

/// Waits for Ctrl-C, or for what a service manager sends. Killed without either, an application
/// loses what it has not written yet: the latest log-outs among it.
async fn told_to_stop() {
    // An error means that there are no signals to wait for: then it is stopped otherwise.
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
