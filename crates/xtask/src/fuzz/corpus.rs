//! Keeping corpora small: what the fuzzer has found stays beside the seeds from run to run, and is
//! reduced to what still teaches something once there is much of it.
//!
//! Seeds are never touched: they are kept for what they say, not for what they cover.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, Result, root, run as run_command};

/// How many found inputs a corpus may have before it is reduced.
const FOUND_MAX: usize = 1000;

/// Reduces a target's corpus if it has grown; `merge` is the command that runs the target.
pub(super) fn keep_small(target: &str, mut merge: Command) -> Result<()> {
    let corpus = root().join("fuzz/corpus").join(target);
    let found = found(&corpus)?;
    if found.len() <= FOUND_MAX {
        return Ok(());
    }
    let reduced = root().join("fuzz/target/reduced").join(target);
    if reduced.exists() {
        fs::remove_dir_all(&reduced).map_err(|error| failed(&reduced, &error))?;
    }
    fs::create_dir_all(&reduced).map_err(|error| failed(&reduced, &error))?;
    merge.args([&reduced, &corpus]).args(["--", "-merge=1"]);
    run_command(merge)?;
    for path in found {
        fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
    }
    for path in self::found(&reduced)? {
        let name = path.file_name().unwrap_or_default();
        let (from, to) = (&path, corpus.join(name));
        fs::rename(from, &to).map_err(|error| failed(&to, &error))?;
    }
    Ok(())
}

/// The inputs that are no seeds.
fn found(corpus: &Path) -> Result<Vec<PathBuf>> {
    if !corpus.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(corpus).map_err(|error| failed(corpus, &error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let paths: std::io::Result<Vec<PathBuf>> = paths.collect();
    let mut paths = paths.map_err(|error| failed(corpus, &error))?;
    let is_seed = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("seed-")
    };
    paths.retain(|path| !is_seed(path));
    Ok(paths)
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_not_counted_and_not_taken_away() {
        for corpus in ["scope", "no_such_target"] {
            let found = found(&root().join("fuzz/corpus").join(corpus)).unwrap();
            let names = found.iter().filter_map(|path| path.file_name());
            let mut names = names.map(|name| name.to_string_lossy());
            assert!(names.all(|name| !name.starts_with("seed-")));
        }
    }
}
