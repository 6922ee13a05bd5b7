//! What only a nightly toolchain shows of the workspace: undefined behaviour and leaks by Miri,
//! data races by ThreadSanitizer. `docs/CONCURRENCY.md` says what each of them covers.

use crate::process::{Failure, Result, missing_nightly, output, program, root, run};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What Miri runs: tests that touch no file and start no model, and how it is told to.
const MIRI: &[(&[&str], &[&str], &str)] = &[
    (&["countersign-core", "--lib"], CORE, ""),
    (&["countersign-store", "--lib"], STORE, ""),
    // What threads see of each other's writes is drawn by the seed.
    (
        &["countersign", "--test", "seqlock"],
        &[],
        "-Zmiri-many-seeds",
    ),
];

/// Of the core, what parses, hashes and wipes: it calls the crates that have `unsafe`. The tests
/// of the rules above walk through every case, which would take hours.
const CORE: &[&str] = &[
    "base62::",
    "checksum::",
    "digest::",
    "header::",
    "kind::",
    "scope::",
    "secret::",
    "selector::",
    "time::",
    "token::",
];

/// Of the store, each record once and an answer between threads. What tries every bit of every
/// record hashes for hours.
const STORE: &[&str] = &[
    "codec::tests::a_record_from_the_future",
    "codec::tests::golden::",
    "pending::tests::both",
];

/// What ThreadSanitizer runs: the integration tests in which threads meet.
const TSAN: &[&str] = &[
    "revocation_races::",
    "limits::",
    "remember_races::",
    "session_races::",
    "shutdown::",
];

pub(crate) fn miri() -> Result<()> {
    if !is_there("INTERPRETED", &["miri", "rust-src"]) {
        return Ok(());
    }
    all(MIRI.iter().map(|(package, tests, flags)| {
        let mut command = program("cargo", &["+nightly", "miri", "test", "--package"]);
        command.args(*package).arg("--").args(*tests);
        // A property is tried a few times: one case takes as long as a thousand elsewhere.
        command
            .env("MIRIFLAGS", format!("-Zmiri-disable-isolation {flags}"))
            .env("PROPTEST_CASES", "2");
        run(command)
    }))
}

pub(crate) fn tsan() -> Result<()> {
    if !is_there("SANITIZED", &["rust-src"]) {
        return Ok(());
    }
    let sanitized = |arguments: &[&str], tests: &[&str]| {
        let mut command = program("cargo", &["+nightly", "test", "-Zbuild-std"]);
        command.args(["--target", TARGET]).args(arguments);
        command.arg("--").args(tests);
        // The flags are not those of other builds, so neither is the place.
        command.env("RUSTFLAGS", "-Zsanitizer=thread");
        command.env("CARGO_TARGET_DIR", root().join("target/tsan"));
        run(command)
    };
    let engine = ["--package", "countersign-tests", "--test", "it"];
    let store = ["--package", "countersign-store", "--lib"];
    // shuttle changes stacks under the sanitizer's feet, and its threads are none.
    let but_models = ["redb::tests::", "--skip", "models::"];
    all([sanitized(&engine, TSAN), sanitized(&store, &but_models)])
}

/// Whether nightly has these components; where it has not, says loudly what is not done.
fn is_there(not_done: &str, components: &[&str]) -> bool {
    if let Some(missing) = missing_nightly() {
        println!("!!! NOT {not_done}: {missing} !!!");
        return false;
    }
    let installed = ["component", "list", "--installed", "--toolchain", "nightly"];
    let installed = output(program("rustup", &installed)).unwrap_or_default();
    let missing = components.iter().find(|name| !lists(&installed, name));
    if let Some(missing) = missing {
        println!("!!! NOT {not_done}: `rustup component add {missing} --toolchain nightly` !!!");
    }
    missing.is_none()
}

fn lists(installed: &str, component: &str) -> bool {
    installed.lines().any(|line| line.starts_with(component))
}

/// Runs all, whichever fails first, and tells of every failure.
fn all(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|failure| failure.to_string()))
        .collect();
    if failures.is_empty() {
        return Ok(());
    }
    Err(Failure::new(failures.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_known_by_its_name_before_the_target() {
        let installed = "cargo-x86_64-unknown-linux-gnu\nmiri-x86_64-unknown-linux-gnu\nrust-src\n";
        assert!(lists(installed, "miri") && lists(installed, "rust-src"));
        assert!(!lists(installed, "llvm-tools"));
    }

    #[test]
    fn every_failure_is_told() {
        let failed = |why: &str| Err(Failure::new(why));
        assert_eq!(all([Ok(()), Ok(())]), Ok(()));
        let outcome = all([failed("one"), Ok(()), failed("two")]);
        assert_eq!(outcome, Err(Failure::new("one; two")));
    }
}
