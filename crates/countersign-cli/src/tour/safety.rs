//! The second half of the tour: restarts, copies, and what must not be opened at all.

use super::stage::{Stage, issue, open, word};
use crate::clock::Stopwatch;
use crate::failure::Failure;
use countersign::{Adoption, Engine, Error, Expiry, SecretText, keyfile};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a page.
const PAGE: usize = 4096;

pub(super) fn walk(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let live = issue(stage.engine(), "hal", "live", Expiry::Never)?;
    let dead = issue(stage.engine(), "hal", "dead", Expiry::Never)?;
    stage.engine().access().revoke(dead.selector, None).wait()?;
    restart(stage, &[&live.token, &dead.token])?;
    copies(stage, &live.token)?;
    refused(stage)
}

/// Verdicts are the same on the other side of a restart.
fn restart(stage: &mut Stage<'_>, tokens: &[&SecretText]) -> Result<(), Failure> {
    let before = verdicts(stage.engine(), tokens)?;
    stage.reopen()?;
    let started = Stopwatch::start();
    let after = verdicts(stage.engine(), tokens)?;
    let took = started.elapsed();
    stage.tell(
        "present a live and a revoked token again",
        &after,
        &before,
        took,
    )
}

fn verdicts(engine: &Engine, tokens: &[&SecretText]) -> Result<String, Error> {
    let verdict = |token: &&SecretText| -> Result<&str, Error> {
        Ok(word(&engine.access().verify(token.expose()).wait()?))
    };
    Ok(tokens
        .iter()
        .map(verdict)
        .collect::<Result<Vec<_>, _>>()?
        .join(", "))
}

/// A copied store is refused, until somebody says what becomes of what is in it.
fn copies(stage: &mut Stage<'_>, live: &SecretText) -> Result<(), Failure> {
    stage.engine().close().wait()?;
    let clock = stage.clock.clone();
    for (adoption, what, verdict) in [
        (
            Adoption::Keep,
            "adopt the copy, keeping what is valid",
            "in",
        ),
        (
            Adoption::EndAll,
            "adopt another copy, ending all",
            "revoked",
        ),
    ] {
        let name = if adoption == Adoption::Keep {
            "kept"
        } else {
            "ended"
        };
        let copy = copied(stage, name)?;
        if adoption == Adoption::Keep {
            stage.refused("open a copy of the store", "cloned", |_| {
                open(&clock, &copy, None)
            })?;
        }
        let engine = stage.act(what, |_| open(&clock, &copy, Some(adoption)))?;
        let started = Stopwatch::start();
        let found = engine.access().verify(live.expose()).wait()?;
        let took = started.elapsed();
        stage.tell("present the live token to it", word(&found), verdict, took)?;
        engine.close().wait()?;
    }
    stage.reopen()
}

/// Nothing that is not the whole store with its own keys is opened, or overwritten.
fn refused(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.engine().close().wait()?;
    let clock = stage.clock.clone();

    let damaged = copied(stage, "damaged")?;
    change(&damaged, |bytes| {
        for page in bytes.chunks_mut(PAGE).skip(1) {
            if let Some(middle) = page.get_mut(PAGE.div_ceil(2)) {
                *middle ^= 1;
            }
        }
    })?;
    stage.refused(
        "open a store with a bit wrong in each page",
        "damaged",
        |_| open(&clock, &damaged, None),
    )?;

    let cut = copied(stage, "cut")?;
    change(&cut, |bytes| bytes.truncate(PAGE.saturating_mul(3)))?;
    stage.refused("open a store that was cut short", "damaged", |_| {
        open(&clock, &cut, None)
    })?;

    let other = copied(stage, "other")?;
    change(&other, |bytes| {
        *bytes = b"not a store, but somebody's file".to_vec();
    })?;
    stage.refused("open a file that is no store", "not_a_store", |_| {
        open(&clock, &other, None)
    })?;

    let keyless = copied(stage, "keyless")?;
    let key = keyfile::beside(&keyless);
    fs::remove_file(&key).map_err(|error| Failure::file(&key, &error))?;
    stage.refused("open a store without its key file", "keys", |_| {
        open(&clock, &keyless, None)
    })?;

    let wrong = copied(stage, "wrong")?;
    let key = keyfile::beside(&wrong);
    fs::remove_file(&key).map_err(|error| Failure::file(&key, &error))?;
    keyfile::create(&key, &clock, &countersign::SystemEntropy)?;
    stage.refused("open a store with the keys of another", "wrong_key", |_| {
        open(&clock, &wrong, None)
    })?;
    stage.reopen()
}

/// A copy of the closed store and its key file.
fn copied(stage: &Stage<'_>, name: &str) -> Result<PathBuf, Failure> {
    let from = stage.store();
    let to = stage.dir.join(name).with_extension("redb");
    let copy = |from: &Path, to: &Path| -> io::Result<()> { fs::copy(from, to).map(drop) };
    copy(&from, &to)
        .and_then(|()| copy(&keyfile::beside(&from), &keyfile::beside(&to)))
        .map_err(|error| Failure::file(&to, &error))?;
    Ok(to)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Failure> {
    let mut bytes = fs::read(path).map_err(|error| Failure::file(path, &error))?;
    change(&mut bytes);
    fs::write(path, bytes).map_err(|error| Failure::file(path, &error))
}
