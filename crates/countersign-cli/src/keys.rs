//! `keys`: the peppers of the key file, a new one, and one less.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::{Records, ring};
use crate::out::Row;
use crate::parse;
use crate::view::Time;
use clap::{Args, Subcommand};
use countersign::core::KeyId;
use countersign::store::{Store as _, StoreError};
use countersign::{EventKind, KeyMaterial, RedbOptions, SystemEntropy, keyfile};
use serde::Serialize;
use std::sync::Arc;

/// List, rotate, retire and check the keys; a key itself is never shown
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List the peppers of the key file
    List,
    /// Add a pepper, under which everything is hashed from now on
    ///
    /// Older ones go on checking what was made under them; a token that is used is hashed anew.
    Rotate,
    Retire(Retire),
    /// Check that the key file is private, reads, and belongs to the store
    Check,
}

/// Drop a pepper that nothing needs any more
///
/// It is refused while a token is hashed under it: a token moves to the current pepper when it is
/// used, and is swept some time after its end. Backups that were made before need the pepper
/// still, so keep a copy of the key file that has it for as long as you keep them.
#[derive(Debug, Args)]
pub(crate) struct Retire {
    /// Its number, as `keys list` shows it
    #[arg(value_name = "ID", value_parser = parse::pepper)]
    id: KeyId,
}

#[derive(Serialize)]
struct PepperView {
    id: u16,
    created_at: Time,
    current: bool,
}

impl Row for PepperView {
    const HEADINGS: &'static [&'static str] = &["PEPPER", "CREATED", ""];

    fn cells(&self) -> Vec<String> {
        let mark = if self.current { "current" } else { "" };
        vec![
            self.id.to_string(),
            self.created_at.to_string(),
            mark.to_owned(),
        ]
    }
}

fn peppers(keys: &KeyMaterial) -> Vec<PepperView> {
    let current = keys.peppers().map(|(id, _)| id).max();
    keys.peppers()
        .map(|(id, created_at)| PepperView {
            id: id.number(),
            created_at: Time(created_at),
            current: Some(id) == current,
        })
        .collect()
}

impl Keys {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Rotate | Self::Retire(_))
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::List => {
                let keys = keyfile::read(&call.site.key()?)?;
                call.out.rows(&peppers(&keys), false)?;
                Ok(Exit::Done)
            }
            Self::Rotate => rotate(call),
            Self::Retire(command) => command.run(call),
            Self::Check => check(call),
        }
    }
}

/// What to do about the peppers of a database.
const NODES: &str = "its nodes would all need the changed key file in the same moment; move it to \
                     a file and back for this, as docs/MOVING.md says";

/// The store is opened first: a key file that does not belong to it is left as it is, and so is
/// one whose store another process serves from.
fn rotate(call: &mut Call) -> Outcome {
    let site = &call.site;
    let path = site.file(NODES)?;
    let old = site.keys()?;
    let store = Arc::new(RedbOptions::new().open(path, ring(&old))?);
    let rotated = keyfile::rotate(&site.key()?, &site.clock, &SystemEntropy)?;
    store.renew_keyring(ring(&rotated)).wait()?;
    let records = Records::File(Arc::clone(&store));
    let opened = site.start(store, records, &rotated, None)?;
    opened.engine.note(EventKind::KeysRotated).wait()?;
    opened.close()?;
    call.out.rows(&peppers(&rotated), false)?;
    Ok(Exit::Done)
}

impl Retire {
    /// The store lets go of it first: a call that is cut short in between leaves a key file with
    /// one pepper more than is needed, and is made again.
    fn run(self, call: &mut Call) -> Outcome {
        let (site, id) = (&call.site, self.id);
        let path = site.file(NODES)?;
        let (old, key) = (site.keys()?, site.key()?);
        if !old.peppers().any(|(held, _)| held == id) {
            let message = format_args!("{} has no pepper {id}", key.display());
            return Err(Failure::not_found(message).about(&key));
        }
        if ring(&old).current() == id {
            let message = format_args!(
                "pepper {id} is the current one: it can be retired after `countersign keys rotate`"
            );
            return Err(Failure::new(Exit::Refused, "refused", message).about(&key));
        }
        let store = RedbOptions::new().open(path, ring(&old))?;
        store
            .retire_pepper(id)
            .wait()
            .map_err(|error| match error {
                StoreError::Invalid(detail) => {
                    let message = format_args!(
                        "pepper {id} stays: {detail}; a token moves to the current one when it is \
                     used, and is swept some time after its end"
                    );
                    Failure::new(Exit::Refused, "refused", message).about(path)
                }
                error => error.into(),
            })?;
        let left = keyfile::retire(&key, id)?;
        // Only now may another process open it, and with the shorter key file.
        store.close().wait()?;
        call.out.rows(&peppers(&left), false)?;
        Ok(Exit::Done)
    }
}

fn check(call: &mut Call) -> Outcome {
    #[derive(Serialize)]
    struct Checked<'a> {
        key: &'a str,
        store: &'a str,
        fits: bool,
        peppers: usize,
        current: u16,
    }
    let opened = call.site.read()?;
    let keys = keyfile::read(&call.site.key()?)?;
    let current = opened.engine.current_key().number();
    opened.close()?;
    let key = call.site.key()?.display().to_string();
    let store = call.site.place.to_string();
    let peppers = keys.peppers().count();
    let text = format!("{key} is private, reads, and belongs to {store}");
    let view = Checked {
        key: &key,
        store: &store,
        fits: true,
        peppers,
        current,
    };
    call.out.say(&view, text)?;
    Ok(Exit::Done)
}
