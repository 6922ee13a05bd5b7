//! A directory with a store in it, and the command run there.

use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// With a new store.
    pub(crate) fn new() -> Self {
        let place = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        place.run(&["init", "--prefix", "acme"]).done();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .current_dir(self.dir.path())
            .env_remove("COUNTERSIGN_STORE")
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Told {
        self.command(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    }

    /// With something on standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: Vec<u8>) -> Told {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = thread::spawn(move || stdin.write_all(&input));
        let told = child.wait_with_output().unwrap().into();
        writer.join().unwrap().unwrap();
        told
    }

    /// One that must succeed, and says one object.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [&["--json"], arguments].concat();
        let objects = self.run(&arguments).done().objects();
        assert_eq!(objects.len(), 1, "{arguments:?} says one object");
        objects.into_iter().next().unwrap()
    }

    /// A new token that does not expire.
    pub(crate) fn issue(&self, principal: &str, more: &[&str]) -> Issued {
        let issue = [
            "token",
            "issue",
            "--principal",
            principal,
            "--name",
            "x",
            "--never",
        ];
        let object = self.json(&[&issue, more].concat());
        let text = |field: &str| object[field].as_str().unwrap().to_owned();
        Issued {
            token: text("token"),
            selector: text("selector"),
        }
    }
}

pub(crate) struct Issued {
    pub(crate) token: String,
    pub(crate) selector: String,
}

impl Told {
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// That it failed so, with nothing on standard output.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, name: &str) -> Value {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.out, "");
        let object: Value = serde_json::from_str(self.err.trim_end()).unwrap();
        assert_eq!(object["error"]["code"], name, "{object}");
        assert!(!object["error"]["message"].as_str().unwrap().is_empty());
        object
    }

    #[track_caller]
    pub(crate) fn objects(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl From<Output> for Told {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Which fields an object has, sorted: how a parsed one is ordered is up to features of the
/// parser, which any crate that is built along may turn on.
pub(crate) fn fields(object: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    fields
}
