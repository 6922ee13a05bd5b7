//! Hazard: something that only a process of its own can show: being killed, being locked out,
//! having no room or no rights.
//!
//! The test binary runs itself again with a role; what a role tells its parent are the lines of
//! its output that begin with a mark.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

const ROLE: &str = "COUNTERSIGN_TEST_ROLE";
const PATH: &str = "COUNTERSIGN_TEST_PATH";
const NUMBER: &str = "COUNTERSIGN_TEST_NUMBER";
const MARK: &str = "@ ";

/// What a child does with its path and its number.
pub(crate) type Role = fn(&Path, u64);

/// Every role, by the name under which it is asked for.
const ROLES: [(&str, Role); 8] = [
    ("full-disk", crate::full_disk::child),
    ("hold", crate::opening::child_hold),
    ("kill", crate::kill::child),
    ("kill-sessions", crate::session_kill::child),
    ("secrets", crate::secrets::child),
    ("secrets-waiting", crate::secrets::child_that_waits),
    ("traced", crate::traced::child),
    ("try-open", crate::opening::child_try_open),
];

/// Does nothing unless it is a child that runs it.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else {
        assert!(ROLES.is_sorted_by_key(|(name, _)| *name));
        return;
    };
    let path = env::var(PATH).unwrap();
    let number = env::var(NUMBER).unwrap().parse().unwrap();
    let found = ROLES.into_iter().find(|(name, _)| *name == role);
    found.unwrap().1(Path::new(&path), number);
    tell("done");
}

/// Tells the parent something.
pub(crate) fn tell(line: &str) {
    // One write, so that lines of threads do not mix.
    use std::io::Write as _;
    let text = format!("\n{MARK}{line}\n");
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

/// The command that runs this binary in a role.
pub(crate) fn command(role: &str, path: &Path, number: u64) -> Command {
    wrapped(&[], role, path, number)
}

/// The same behind another program, such as one that takes rights away.
pub(crate) fn wrapped(wrapper: &[&str], role: &str, path: &Path, number: u64) -> Command {
    let own = env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments).arg(own);
            command
        }
        None => Command::new(own),
    };
    command
        .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(PATH, path)
        .env(NUMBER, number.to_string())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a child that has ended told.
pub(crate) fn told(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let marked = text.lines().filter_map(|line| line.strip_prefix(MARK));
    marked.map(str::to_owned).collect()
}

/// A child that runs, and what it tells.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next thing that it tells; nothing once it has ended.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(told) = line.trim_end().strip_prefix(MARK) {
                return Some(told.to_owned());
            }
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
