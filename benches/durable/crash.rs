//! P14: opening with every page checked, after the process that wrote was killed.

use crate::files::{CACHE_BYTES, engine, open};
use countersign::{Engine, Maintenance};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::{issue_together, keys, roomy_policy};
use redb::Builder;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// The argument that makes this program the one that is killed; the file's path comes after it.
const VICTIM: &str = "--write-until-killed";

/// Whether it is that.
pub(crate) fn is_the_victim() -> bool {
    std::env::args().any(|argument| argument == VICTIM)
}

/// Issues and issues, and says when it has begun.
pub(crate) fn write_until_killed() {
    let mut path = std::env::args().skip_while(|argument| argument != VICTIM);
    let path = PathBuf::from(path.nth(1).unwrap());
    let store = open(&path);
    let engine = engine(&store, 1_000_000);
    print!("+");
    std::io::stdout().flush().unwrap();
    loop {
        issue_together(&engine, 100_000, 64);
    }
}

/// Both sides open what the crash has left, from a fresh copy in every round. Ours is written over
/// the file that crashed, in place: the store knows its file, and would refuse another.
pub(crate) fn open_again(path: &Path, size: &Size) {
    kill_a_writer(path);
    let (crashed, plain) = (path.with_extension("crashed"), path.with_extension("plain"));
    fs::copy(path, &crashed).unwrap();
    let mut rounds = Rounds::default();
    for round in 0..size.rounds(9) {
        fs::copy(&crashed, path).unwrap();
        fs::copy(&crashed, &plain).unwrap();
        let theirs = |rounds: &mut Rounds| {
            let mut builder = Builder::new();
            builder.set_cache_size(CACHE_BYTES);
            builder.set_check_integrity_on_open(true);
            let mut db = None;
            rounds.time("redb", 1, || db = Some(builder.open(&plain).unwrap()));
        };
        if round % 2 == 0 {
            theirs(&mut rounds);
        }
        let mut store = None;
        rounds.time("ours", 1, || store = Some(open(path)));
        let store = store.unwrap();
        let mut opened = None;
        rounds.time("engine", 1, || {
            let builder = Engine::builder().maintenance(Maintenance::HostDriven);
            let builder = builder.policy(roomy_policy(1000));
            opened = Some(
                builder
                    .open_store(Arc::clone(&store) as _, &keys())
                    .unwrap(),
            );
        });
        drop((opened, store));
        if round % 2 == 1 {
            theirs(&mut rounds);
        }
    }
    let what = format!(
        "open after SIGKILL, {} tokens, over redb's own checked open",
        size.count
    );
    let figure = rounds.ratio("P14", what, "ours", &["redb"]).at_most(1.2);
    rounds.parts(figure, &["engine"]).tell();
}

fn kill_a_writer(path: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(VICTIM)
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut begun)
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    // On Unix this is SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
}
