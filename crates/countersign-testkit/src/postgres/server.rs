//! One server: its process, and everything that may happen to that.

use super::failure::{Failure, Outcome};
use super::options::Options;
use super::ports;
use super::processes::{is_stopped, running_in, signal_all, signal_one};
use super::sql::{Psql, Statement};
use super::tools::Tools;
use super::wait::until;
use crate::must::must;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

/// Who owns every database here.
pub(super) const OWNER: &str = "countersign";
/// What the server says where somebody else had its port first.
const TAKEN: &str = "could not create any TCP/IP sockets";
/// How many ports are tried.
const PORTS: usize = 20;
/// How many of the last bytes of a log tell what went wrong.
const TOLD: usize = 2000;

/// A server of a cluster. What cannot be done ends the test.
#[derive(Debug)]
pub struct Server {
    name: String,
    tools: Arc<Tools>,
    home: PathBuf,
    port: AtomicU16,
    tcp: bool,
    process: Mutex<Option<Child>>,
    paused: AtomicBool,
}

impl Server {
    /// One that has no data yet and does not run.
    pub(super) fn planned(
        name: String,
        tools: &Arc<Tools>,
        home: &Path,
        options: &Options,
    ) -> Outcome<Self> {
        Ok(Self {
            name,
            tools: Arc::clone(tools),
            home: home.to_path_buf(),
            port: AtomicU16::new(ports::free()?),
            tcp: options.tcp,
            process: Mutex::new(None),
            paused: AtomicBool::new(false),
        })
    }

    /// Its `cluster_name`, and its name among the standbys of another server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port that it listens on, and that is part of its socket's name.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.load(Ordering::SeqCst)
    }

    /// How to connect, as `host=... port=... user=... dbname=...`: by TCP if it listens there.
    #[must_use]
    pub fn connection_string(&self) -> String {
        if self.tcp {
            return self.connection_to("127.0.0.1");
        }
        self.socket_connection_string()
    }

    /// How to connect by its socket.
    #[must_use]
    pub fn socket_connection_string(&self) -> String {
        self.connection_to(&self.home.display().to_string())
    }

    fn connection_to(&self, host: &str) -> String {
        let port = self.port();
        format!("host={host} port={port} user={OWNER} dbname=postgres")
    }

    /// What statements answer: a row a line, its values with `|` in between.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        must(self.try_sql(statements))
    }

    /// The same for statements that may fail.
    ///
    /// # Errors
    /// What the server or `psql` complained of, also when there is no answer within a minute.
    pub fn try_sql(&self, statements: &str) -> Result<String, Failure> {
        self.psql(&self.socket_connection_string()).run(statements)
    }

    /// Begins statements that may take long.
    #[track_caller]
    #[must_use]
    pub fn begin_sql(&self, statements: &str) -> Statement {
        must(
            self.psql(&self.socket_connection_string())
                .begin(statements),
        )
    }

    fn psql<'a>(&'a self, connection: &'a str) -> Psql<'a> {
        Psql {
            program: &self.tools.psql,
            connection,
            home: &self.home,
        }
    }

    /// Starts it again on the data that it has, and waits until it takes connections.
    #[track_caller]
    pub fn start(&self) {
        must(self.try_start());
    }

    /// Stops it as an operator does: sessions are cut off, and all is written.
    #[track_caller]
    pub fn stop(&self) {
        self.resume();
        let mut process = self.process.lock();
        if let Some(child) = process.as_mut() {
            let _ = kill_process(Pid::from_child(child), Signal::INT);
            must(until("the end of a server", || has_ended(child)));
        }
        *process = None;
    }

    /// Kills it and all of its children at once, as a loss of the machine does.
    #[track_caller]
    pub fn kill(&self) {
        let mut process = self.process.lock();
        if let Some(child) = process.as_mut() {
            let data = self.data();
            signal_all(Pid::from_child(child), &data, Signal::KILL);
            must(until("the end of a server", || has_ended(child)));
            must(until("the end of a server's children", || {
                Ok(running_in(&data).is_empty())
            }));
        }
        *process = None;
        self.paused.store(false, Ordering::SeqCst);
    }

    /// Stops it and all of its children where they are; connections stay open and get no answer.
    #[track_caller]
    pub fn pause(&self) {
        self.signal_all(Signal::STOP);
        self.paused.store(true, Ordering::SeqCst);
        must(until("a server to stand still", || {
            let mut running = running_in(&self.data()).into_iter();
            Ok(running.all(|pid| is_stopped(pid.as_raw_nonzero().get())))
        }));
    }

    /// Lets it go on after [`Self::pause`].
    pub fn resume(&self) {
        self.signal_all(Signal::CONT);
        self.paused.store(false, Ordering::SeqCst);
    }

    /// Stops one of its processes, such as the one that serves a connection.
    #[track_caller]
    pub fn pause_one(&self, pid: i32) {
        must(signal_one(pid, &self.data(), Signal::STOP));
    }

    /// Lets one go on after [`Self::pause_one`].
    #[track_caller]
    pub fn resume_one(&self, pid: i32) {
        must(signal_one(pid, &self.data(), Signal::CONT));
    }

    /// Whether it runs, if only to stand still.
    #[must_use]
    pub fn is_running(&self) -> bool {
        let mut process = self.process.lock();
        let running = process.as_mut().map(has_ended);
        running.is_some_and(|ended| matches!(ended, Ok(false)))
    }

    /// Whether it runs and does not stand still.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.is_running() && !self.paused.load(Ordering::SeqCst)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    fn signal_all(&self, signal: Signal) {
        if let Some(child) = self.process.lock().as_ref() {
            signal_all(Pid::from_child(child), &self.data(), signal);
        }
    }

    /// Where its data lies, as the system names it.
    pub(super) fn data(&self) -> PathBuf {
        self.home.join(&self.name)
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn tools(&self) -> &Tools {
        &self.tools
    }

    fn log_file(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// Starts it for the first time: it takes another port while somebody else has its own.
    pub(super) fn start_first(&self) -> Outcome<()> {
        for _ in 0..PORTS {
            match self.try_start() {
                Err(failure) if failure.to_string().contains(TAKEN) => {
                    self.port.store(ports::free()?, Ordering::SeqCst);
                }
                other => return other,
            }
        }
        self.try_start()
    }

    pub(super) fn try_start(&self) -> Outcome<()> {
        if self.is_running() {
            return Ok(());
        }
        let mut process = self.process.lock();
        let mut child = self.spawn().map_err(Failure::of("a server"))?;
        let ready = until("a server to be ready", || {
            if has_ended(&mut child)? {
                return Err(Failure::new("a server ended when it had to start"));
            }
            Ok(self.is_ready(child.id()))
        });
        *process = Some(child);
        drop(process);
        ready.map_err(|failure| Failure::new(format!("{failure}:\n{}", self.last_of_log())))?;
        self.settle()
    }

    fn spawn(&self) -> io::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())?;
        let listen = if self.tcp { "127.0.0.1" } else { "" };
        let mut command = self.tools.as_user(&self.tools.postgres, &self.home);
        command.arg("-D").arg(self.data());
        for (name, value) in [
            ("cluster_name", self.name.as_str()),
            ("listen_addresses", listen),
            ("port", &self.port().to_string()),
            ("unix_socket_directories", &self.home.display().to_string()),
        ] {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // What is sent to the test's group, from a terminal say, is the guard's business.
        command.process_group(0);
        command.stdout(log.try_clone()?).stderr(log).spawn()
    }

    /// Whether the process says in its lock file that it takes connections.
    fn is_ready(&self, pid: u32) -> bool {
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = lock.lines();
        let is_its_own = lines.next() == Some(pid.to_string().as_str());
        is_its_own && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    /// Waits until commits wait for standbys, where they have to.
    ///
    /// The checkpointer alone tells sessions of standbys, and does so when it gets to it. A
    /// checkpoint that was asked for twice shows that it did so after the first one at the latest.
    pub(super) fn settle(&self) -> Outcome<()> {
        let names = self.try_sql("show synchronous_standby_names")?;
        if !names.is_empty() {
            self.try_sql("checkpoint; checkpoint")?;
        }
        Ok(())
    }

    fn last_of_log(&self) -> String {
        let log = self.log();
        let from = log.len().saturating_sub(TOLD);
        let from = log.ceil_char_boundary(from);
        log.get(from..).unwrap_or_default().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard has ended it; now the system may forget how.
        if let Some(child) = self.process.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn has_ended(child: &mut Child) -> Outcome<bool> {
    let ended = child.try_wait().map_err(Failure::of("a server"))?;
    Ok(ended.is_some())
}
