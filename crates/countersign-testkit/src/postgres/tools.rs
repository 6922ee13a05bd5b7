//! The programs of PostgreSQL on this machine, and as whom they are run.

use super::failure::{Failure, Outcome};
use super::wait::PROGRAM_S;
use rustix::process::geteuid;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Under it Debian has a folder for each major version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Whom root steps down to, for the server refuses to run as root: the first who exists.
const ORDINARY_USERS: [&str; 2] = ["postgres", "nobody"];
const MISSING: &str = "is missing: apt-get install postgresql";

/// Where the programs are.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    pub(super) initdb: PathBuf,
    pub(super) postgres: PathBuf,
    pub(super) pg_basebackup: PathBuf,
    pub(super) psql: PathBuf,
    /// Whom to step down to, if we are root.
    pub(super) user: Option<User>,
}

/// A user of this machine.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Tools {
    /// Finds them, or says which is missing.
    pub(super) fn find() -> Outcome<Self> {
        Ok(Self {
            initdb: program("initdb")?,
            postgres: program("postgres")?,
            pg_basebackup: program("pg_basebackup")?,
            psql: program("psql")?,
            user: ordinary_user()?,
        })
    }

    /// A program that is run as an ordinary user, in the home of a cluster.
    pub(super) fn as_user(&self, program: &Path, home: &Path) -> Command {
        let Some(User { uid, gid }) = &self.user else {
            return quiet(program, home);
        };
        let mut command = quiet("setpriv", home);
        command.arg(format!("--reuid={uid}"));
        command.arg(format!("--regid={gid}"));
        command.args(["--clear-groups", "--"]).arg(program);
        command
    }
}

/// A program that reads nothing, tells nobody, and is not steered by variables that are meant for
/// another server. It runs in the home of a cluster, so that the guard ends it with the rest.
pub(super) fn quiet(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", home)
        .env("LC_ALL", "C")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The same command under a bound of time.
pub(super) fn bounded(inner: &Command) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", PROGRAM_S]);
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(directory) = inner.get_current_dir() {
        command.current_dir(directory);
    }
    command
}

/// Runs a command to its end, within bounds, and has what it wrote.
pub(super) fn run(command: &Command) -> Outcome<String> {
    let name = command.get_program().display().to_string();
    let output = bounded(command).stdin(Stdio::null()).output();
    answer(&name, output.map_err(Failure::of(&name))?)
}

/// What a program wrote; where it failed, what it complained of.
pub(super) fn answer(name: &str, output: Output) -> Outcome<String> {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    if status.success() {
        let text = String::from_utf8_lossy(&stdout);
        return Ok(text.trim_end_matches('\n').to_owned());
    }
    let said = String::from_utf8_lossy(&stderr);
    Err(Failure::new(format!("{name}: {status}: {}", said.trim())))
}

/// The program `psql`, which talks to servers elsewhere as well.
pub(super) fn psql() -> Outcome<PathBuf> {
    program("psql")
}

/// A program of the newest version there is; of the path, if no version has it.
fn program(name: &str) -> Outcome<PathBuf> {
    let newest = newest().map(|version| Path::new(VERSIONS).join(version.to_string()).join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    newest
        .into_iter()
        .chain(env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| Failure::new(format!("{name} {MISSING}")))
}

/// The newest major version with a server.
fn newest() -> Option<u32> {
    let versions = fs::read_dir(VERSIONS).ok()?.flatten();
    let with_server = versions.filter(|version| version.path().join("bin/postgres").is_file());
    let majors = with_server.filter_map(|version| version.file_name().to_str()?.parse().ok());
    majors.max()
}

/// Nobody, if we are not root.
fn ordinary_user() -> Outcome<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(Failure::of("/etc/passwd"))?;
    let named = |name: &&str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(*name)).then_some(fields))?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        Some(User {
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
        })
    };
    let found = ORDINARY_USERS.iter().find_map(named);
    let missing = || Failure::new(format!("a user `postgres` {MISSING}"));
    found.ok_or_else(missing).map(Some)
}
