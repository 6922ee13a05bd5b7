//! The processes of a server: the one that was started, and the children that it made.
//!
//! Each child is in a session of its own, so no signal to a group reaches them. But all of them
//! run in the directory of the data, and nothing else does.

use super::failure::{Failure, Outcome};
use super::wait::until;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;

/// Those that run in a directory, the oldest first.
pub(super) fn running_in(directory: &Path) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut numbers: Vec<i32> = numbers
        .filter(|number| {
            // One that has ended has no directory any more, also while nobody has asked how.
            let at = fs::read_link(format!("/proc/{number}/cwd"));
            at.is_ok_and(|at| at == directory)
        })
        .collect();
    numbers.sort_unstable();
    numbers.into_iter().filter_map(Pid::from_raw).collect()
}

/// Sends a signal to the first process and then to every other one that runs in the directory,
/// until there is none that has not had it.
pub(super) fn signal_all(first: Pid, directory: &Path, signal: Signal) {
    let mut told = Vec::new();
    loop {
        let mut all = running_in(directory);
        // It makes the others, so it goes first.
        all.sort_by_key(|pid| *pid != first);
        all.retain(|pid| !told.contains(pid));
        if all.is_empty() {
            return;
        }
        for pid in all {
            // One that has ended in the meantime needs no signal.
            let _ = kill_process(pid, signal);
            told.push(pid);
        }
    }
}

/// Sends a signal to one process, if it runs in the directory.
pub(super) fn signal_one(pid: i32, directory: &Path, signal: Signal) -> Outcome<()> {
    let found = running_in(directory)
        .into_iter()
        .find(|running| running.as_raw_nonzero().get() == pid)
        .ok_or_else(|| Failure::new(format!("{pid} is no process of this server")))?;
    kill_process(found, signal).map_err(Failure::of("a signal"))?;
    let stopped = signal == Signal::STOP;
    until("a signal to take effect", || Ok(is_stopped(pid) == stopped))
}

/// Whether a process stands still because of a signal.
pub(super) fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| stat.contains(") T "))
}
