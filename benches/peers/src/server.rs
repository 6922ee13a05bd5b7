//! Servers that are started here and stopped by their own process id, whatever happens meanwhile.
//!
//! They listen on sockets in a directory of their own and on no port. `setpriv`, of Debian's
//! `util-linux`, sees to it that they end with this process even where nothing is dropped.

use rustix::process::{Pid, Signal, kill_process};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;
use tempfile::TempDir;

/// Half a minute, in the steps in which a server is waited for.
const PATIENCE: usize = 3000;
const STEP: Duration = Duration::from_millis(10);

/// Why a peer cannot be compared on this machine.
pub struct Missing {
    /// The program that is not there.
    pub program: &'static str,
    /// Debian's package that brings it.
    pub package: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { program, package } = self;
        write!(
            f,
            "NOT COMPARED: {program} is missing; install Debian's package {package}"
        )
    }
}

impl Missing {
    /// Says so where it is seen, and answers nothing.
    pub fn tell<T>(self) -> Option<T> {
        eprintln!("{self}");
        None
    }
}

/// A running server and the directory that it lives in.
pub struct Server {
    child: Child,
    dir: TempDir,
}

impl Server {
    /// Starts it, and waits until `ready`; what it prints is thrown away.
    ///
    /// # Panics
    /// Where it ends before that, or takes too long.
    pub fn start(mut command: Command, dir: TempDir, ready: impl Fn(&Path) -> bool) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = quiet.stderr(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, dir };
        for _ in 0..PATIENCE {
            assert!(
                server.child.try_wait().unwrap().is_none(),
                "it did not stay"
            );
            if ready(server.dir()) {
                return server;
            }
            sleep(STEP);
        }
        panic!("the server does not answer");
    }

    /// Where its socket is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::INT);
        }
        for _ in 0..PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            sleep(STEP);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that runs `program` and has it end with this process; as `user`, where one is given.
pub fn bound_to_us(program: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
    }
    command.arg(program);
    command
}

/// Where the program is: on the path, or in one of `besides`.
pub fn find(program: &str, besides: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(besides.iter().cloned())
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
