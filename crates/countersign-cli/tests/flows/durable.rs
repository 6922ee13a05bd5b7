//! Hazard: a command says that something is done which a cut of the power takes back, because a
//! file or its name was not on the medium yet.
//!
//! What was written is told by no call that reads it: that is answered from memory. So the system
//! calls of a command are watched by `strace`, and held to what a file system promises after a cut:
//! the bytes of a file are there once the file was synced, and a name, given or taken away, once
//! its directory was. Where `strace` is missing or may not watch, the tests say so and try nothing;
//! with `COUNTERSIGN_STRACE=required` they fail then.

use crate::place::{Place, Told};
use countersign::{Create, Engine, Method, NewLogIn, Principal};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const CALLS: &str = "trace=?open,?openat,?creat,?write,?pwrite64,?writev,?pwritev,?pwritev2,\
                     ?sendfile,?copy_file_range,?truncate,?ftruncate,?fallocate,?fsync,\
                     ?fdatasync,?rename,?renameat,?renameat2,?link,?linkat,?unlink,?unlinkat";

/// What a call did to a file or a name.
#[derive(Debug, PartialEq)]
enum Step {
    Made(PathBuf),
    Written(PathBuf),
    /// A file, or the names in a directory.
    Synced(PathBuf),
    Linked(PathBuf, PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
    /// Something was said on standard output.
    Told,
}

impl Step {
    /// What one call did, if it is one of these and went well.
    fn of(call: &str, dir: &Path) -> Option<Self> {
        let (name, rest) = call.split_once('(')?;
        let (arguments, answer) = rest.rsplit_once(" = ")?;
        if answer.starts_with('-') {
            return None;
        }
        let here = |path: &str| dir.join(path);
        let mut quoted = arguments.split('"').skip(1).step_by(2).map(here);
        // What a descriptor stands for is written behind it.
        let open = |text: &str| {
            let (_, path) = text.split_once('<')?;
            let (path, _) = path.split_once('>')?;
            // A pipe has no path.
            path.starts_with('/').then(|| here(path))
        };
        match name {
            "open" | "openat" | "creat" => {
                let makes = name == "creat" || arguments.contains("O_CREAT");
                makes.then(|| open(answer).map(Self::Made))?
            }
            "write" | "writev" if arguments.starts_with("1<") => Some(Self::Told),
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "sendfile" | "ftruncate"
            | "fallocate" => open(arguments).map(Self::Written),
            "copy_file_range" => open(arguments.split_once(',')?.1).map(Self::Written),
            "truncate" => quoted.next().map(Self::Written),
            "fsync" | "fdatasync" => open(arguments).map(Self::Synced),
            "link" | "linkat" => Some(Self::Linked(quoted.next()?, quoted.next()?)),
            "rename" | "renameat" | "renameat2" => {
                Some(Self::Renamed(quoted.next()?, quoted.next()?))
            }
            "unlink" | "unlinkat" => quoted.next().map(Self::Removed),
            _ => None,
        }
    }
}

/// The steps of all threads, each at the time at which its call came back.
fn steps(trace: &str, dir: &Path) -> Vec<Step> {
    let mut begun = BTreeMap::new();
    let mut steps = Vec::new();
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, beginning);
        } else if let Some(resumed) = call.strip_prefix("<... ") {
            let (_, end) = resumed.split_once(" resumed>").unwrap();
            let beginning = begun.remove(thread).unwrap();
            steps.extend(Step::of(&format!("{beginning}{end}"), dir));
        } else {
            steps.extend(Step::of(call, dir));
        }
    }
    steps
}

/// What of a directory is on the medium, and what would be lost.
#[derive(Debug)]
struct Medium {
    dir: PathBuf,
    /// Names that are durable.
    names: BTreeSet<PathBuf>,
    /// Names that were given, or else taken away, since the directory was synced.
    changed: BTreeMap<PathBuf, bool>,
    /// Files with bytes that were not synced.
    written: BTreeSet<PathBuf>,
    /// Names that finished files were given and have, in that order.
    published: Vec<PathBuf>,
}

impl Medium {
    fn of(dir: &Path) -> Self {
        let names = fs::read_dir(dir).unwrap();
        Self {
            dir: dir.to_owned(),
            names: names.map(|entry| entry.unwrap().path()).collect(),
            changed: BTreeMap::new(),
            written: BTreeSet::new(),
            published: Vec::new(),
        }
    }

    /// A name that never was on the medium is gone with what there was of its file.
    fn take(&mut self, name: &Path) {
        self.written.remove(name);
        self.published.retain(|published| published != name);
        match self.names.contains(name) {
            true => self.changed.insert(name.to_owned(), false),
            false => self.changed.remove(name),
        };
    }

    fn publish(&mut self, from: &Path, to: PathBuf) -> Result<(), String> {
        if self.written.contains(from) {
            return Err(format!("{to:?} is named before its bytes are synced"));
        }
        self.published.push(to.clone());
        self.changed.insert(to, true);
        Ok(())
    }

    fn follow(&mut self, step: Step) -> Result<(), String> {
        let inside = |path: &PathBuf| path.starts_with(&self.dir);
        match step {
            Step::Made(path) if inside(&path) && !self.names.contains(&path) => {
                self.changed.insert(path, true);
            }
            Step::Written(path) if inside(&path) => {
                self.written.insert(path);
            }
            Step::Synced(path) if path == self.dir => {
                for (name, given) in std::mem::take(&mut self.changed) {
                    match given {
                        true => self.names.insert(name),
                        false => self.names.remove(&name),
                    };
                }
            }
            Step::Synced(path) => {
                self.written.remove(&path);
            }
            Step::Linked(from, to) => self.publish(&from, to)?,
            Step::Renamed(from, to) => {
                self.publish(&from, to)?;
                self.take(&from);
            }
            Step::Removed(path) if inside(&path) => self.take(&path),
            Step::Told => self.holds()?,
            Step::Made(_) | Step::Written(_) | Step::Removed(_) => {}
        }
        Ok(())
    }

    /// Whether all of it is on the medium.
    fn holds(&self) -> Result<(), String> {
        match self.changed.is_empty() && self.written.is_empty() {
            true => Ok(()),
            false => Err(format!("this would be lost: {self:?}")),
        }
    }
}

/// Whether calls can be watched here. If not, says so, or ends the test if they must be.
#[track_caller]
fn can_watch() -> bool {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/dev/null", "true"]);
    let can = strace.output().is_ok_and(|output| output.status.success());
    if !can {
        let required = std::env::var("COUNTERSIGN_STRACE").is_ok_and(|value| value == "required");
        assert!(
            !required,
            "strace is missing or may not watch, and it is required"
        );
        let mut err = std::io::stderr();
        let _ = writeln!(err, "=== strace is missing: no order of writes was watched");
    }
    can
}

/// Runs a command that must succeed; answers which names it gave, and what it said.
#[track_caller]
fn watched(place: &Place, arguments: &[&str]) -> (Vec<String>, Told) {
    let dir = place.path("").canonicalize().unwrap();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    let plain = place.command(arguments);
    let mut command = Command::new("strace");
    command
        // No byte of what is written, for it may be a secret.
        .args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"])
        .arg(elsewhere.path())
        .arg(plain.get_program())
        .args(plain.get_args())
        .current_dir(&dir)
        .env_remove("COUNTERSIGN_STORE")
        .stdin(Stdio::null());
    let mut medium = Medium::of(&dir);
    let told = Told::from(command.output().unwrap()).done();
    let trace = fs::read_to_string(elsewhere.path()).unwrap();
    for step in steps(&trace, &dir) {
        let followed = medium.follow(step);
        assert_eq!(followed, Ok(()), "{arguments:?}:\n{trace}");
    }
    assert_eq!(medium.holds(), Ok(()), "{arguments:?}:\n{trace}");
    let name = |path: &PathBuf| path.strip_prefix(&dir).unwrap().display().to_string();
    (medium.published.iter().map(name).collect(), told)
}

/// A command that gives just these names to finished files.
#[track_caller]
fn publishes(place: &Place, names: &[&str], arguments: &[&str]) -> Told {
    let (published, told) = watched(place, arguments);
    assert_eq!(published, names, "{arguments:?}");
    told
}

#[test]
fn what_a_command_says_is_done_a_cut_of_the_power_does_not_take_back() {
    if !can_watch() {
        return;
    }
    let place = Place::new();
    let init = ["--store", "other.redb", "init"];
    publishes(&place, &["other.key", "other.redb"], &init);
    let issue = "token issue --principal ann --name x --never --json";
    let issue: Vec<_> = issue.split(' ').collect();
    let issued = publishes(&place, &[], &issue).objects();
    let selector = issued[0]["selector"].as_str().unwrap();
    publishes(&place, &[], &["token", "revoke", selector]);
    publishes(&place, &[], &["principal", "disable", "ann"]);
    publishes(&place, &["countersign.key"], &["keys", "rotate"]);
    publishes(&place, &["lines.jsonl"], &["export", "lines.jsonl"]);
    publishes(&place, &["copy.redb"], &["backup", "copy.redb"]);
    let key = ["--key", "countersign.key", "--store"];
    let import = ["moved.redb", "import", "lines.jsonl"];
    publishes(&place, &["moved.redb"], &[&key[..], &import].concat());
    let restore = ["back.redb", "restore", "copy.redb", "--adopt", "end-all"];
    publishes(&place, &["back.redb"], &[&key[..], &restore].concat());
    publishes(&place, &[], &["compact"]);
    publishes(&place, &[], &["sweep"]);
}

#[test]
fn a_session_that_was_ended_is_not_back_after_a_cut_of_the_power() {
    if !can_watch() {
        return;
    }
    let place = Place::new();
    let builder = Engine::builder().create(Create::Never);
    let engine = builder.open(place.path("countersign.redb")).unwrap();
    let opened = ["ann", "bob"].map(|name| {
        let principal = Principal::new(name).unwrap();
        let login = NewLogIn::new(principal, Method::Password, Duration::from_secs(60));
        engine.sessions().log_in(None, login).wait().unwrap()
    });
    engine.close().wait().unwrap();
    let snapshot = "countersign.sessions";
    let selector = opened[0].session.selector().to_string();
    publishes(&place, &[snapshot], &["session", "end", &selector]);
    publishes(&place, &[], &["switch", "sessions", "off"]);
}
