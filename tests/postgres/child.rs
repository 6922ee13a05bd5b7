//! A node as a process of its own: it does what its parent says, line by line.

use crate::node::{self, Node};
use countersign_store::Steady;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

const CONNECTION: &str = "COUNTERSIGN_TEST_CONNECTION";
const MARK: &str = "@ ";

/// Does nothing unless it is a child that serves.
#[test]
fn child() {
    let Ok(connection) = std::env::var(CONNECTION) else {
        return;
    };
    let node = Node::open(&connection);
    tell("ready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["issue", name] => {
                let issued = node.issue(name);
                let text = issued.token.expose().to_owned();
                tell(&format!("{} {}", issued.selector, text));
            }
            ["revoke", selector] => {
                let durable = node.revoke(selector);
                tell(&format!("{} {durable}", since_start().as_nanos()));
            }
            ["verify", token] => tell(&node.verify(token)),
            ["watch", token] => watch(&node, token),
            _ => panic!("{line}"),
        }
    }
}

fn since_start() -> Duration {
    Steady::now().since(Steady::default())
}

/// Verifies until it is let in no more, and tells when the last call began that was, and when the
/// first that was not.
fn watch(node: &Node, token: &str) {
    let mut last_in = since_start();
    assert_eq!(node.verify(token), "in");
    // It may be stopped from here on, between any two steps.
    tell("watching");
    loop {
        let began = since_start();
        if node.verify(token) != "in" {
            tell(&format!("{} {}", last_in.as_nanos(), began.as_nanos()));
            return;
        }
        last_in = began;
    }
}

fn tell(line: &str) {
    // One write, so that lines of threads do not mix.
    let text = format!("\n{MARK}{line}\n");
    std::io::stdout().write_all(text.as_bytes()).unwrap();
}

/// A node in a process of its own.
pub(crate) struct Remote {
    child: Child,
    asks: ChildStdin,
    lines: BufReader<ChildStdout>,
}

impl Remote {
    pub(crate) fn start(connection: &str, name: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
            .env(CONNECTION, node::named(connection, name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let asks = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut remote = Self { child, asks, lines };
        assert_eq!(remote.hear(), "ready");
        remote
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.asks, "{line}").unwrap();
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "it has ended");
            if let Some(told) = line.trim_end().strip_prefix(MARK) {
                return told.to_owned();
            }
        }
    }

    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// A token's selector and its text.
    pub(crate) fn issue(&mut self, name: &str) -> (String, String) {
        let told = self.ask(&format!("issue {name}"));
        let (selector, token) = told.split_once(' ').unwrap();
        (selector.to_owned(), token.to_owned())
    }

    /// Ends a token, and tells when that was acknowledged.
    pub(crate) fn revoke(&mut self, selector: &str) -> Duration {
        let told = self.ask(&format!("revoke {selector}"));
        let (at, durable) = told.split_once(' ').unwrap();
        assert_eq!(durable, "true", "it is on the medium");
        nanos(at)
    }

    /// Begins to verify without an end.
    pub(crate) fn watch(&mut self, token: &str) {
        assert_eq!(self.ask(&format!("watch {token}")), "watching");
    }

    /// When the last call began that was let in, and when the first that was not.
    pub(crate) fn watched(&mut self) -> (Duration, Duration) {
        let told = self.hear();
        let (last_in, first_out) = told.split_once(' ').unwrap();
        (nanos(last_in), nanos(first_out))
    }

    /// Its process.
    pub(crate) fn process(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }
}

fn nanos(text: &str) -> Duration {
    Duration::from_nanos(text.parse().unwrap())
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
