//! `backup` and `restore`: a copy of a store, and a store out of a copy.

use crate::cli::Call;
use crate::draft::Draft;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::{Site, ring};
use crate::parse::Bytes;
use clap::{Args, ValueEnum};
use countersign::store::{Adopt, OpenError};
use countersign::{EventKind, RedbOptions};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Copy the store into a new file, also while its holder shares it with readers
///
/// The copy must be adopted with `restore` before it serves. Keep the key file apart from it:
/// neither is worth anything without the other.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// A file that is not there yet
    file: PathBuf,
}

#[derive(Serialize)]
struct BackedUp {
    file: String,
    revision: u64,
    records: u64,
    damaged: u64,
    bytes: u64,
}

impl Backup {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let path = call
            .site
            .file("use `pg_dump`, or `export` for a copy in this command's own form")?;
        let keys = call.site.keys()?;
        let report = RedbOptions::new().backup(path, ring(&keys), &self.file)?;
        let file = self.file.display().to_string();
        let text = format!(
            "{} records, {} in {file}",
            report.records,
            Bytes(report.file_bytes)
        );
        let view = BackedUp {
            file,
            revision: report.revision.0,
            records: report.records,
            damaged: report.damaged_count,
            bytes: report.file_bytes,
        };
        call.out.say(&view, text)?;
        if report.damaged_count > 0 {
            let message = format_args!(
                "{} records are damaged in the store, and so in the copy; see `check --deep`",
                report.damaged_count
            );
            return Err(Failure::new(Exit::Failed, "damaged", message).about(path));
        }
        Ok(Exit::Done)
    }
}

/// Make a store out of a copy: a backup, or a file that was copied by other means
///
/// The copy is left as it is, and an existing store is never overwritten: move it away first. A
/// copy that stands in the store's place already is adopted where it is, by naming it itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign restore backup.redb --adopt end-all
  countersign --store moved.redb restore moved.redb --adopt keep")]
pub(crate) struct Restore {
    /// The copy
    file: PathBuf,

    /// What becomes of the credentials in it
    #[arg(long, value_enum)]
    adopt: Option<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// They stay valid: the original is gone, and nothing was revoked since the copy was made
    Keep,
    /// They all end: the original lives on, or the copy is older than some revocation
    EndAll,
}

const CHOICE: &str = "say what becomes of the credentials in the copy: `--adopt keep` leaves \
                      them valid, which is right when the original is gone and nothing was \
                      revoked since; `--adopt end-all` ends them, which is right when the \
                      original lives on or revocations would be undone";

#[derive(Serialize)]
struct Restored {
    store: String,
    adopted: bool,
    credentials: Fate,
}

impl Restore {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let to = call.site.file(
            "put back a dump with `pg_restore`, or an export with `import`, and end what was \
             issued by `token revoke --all` and `switch` where revocations would be undone",
        )?;
        let fate = self.adopt.ok_or_else(|| Failure::usage(CHOICE))?;
        let adopt = match fate {
            Fate::Keep => Adopt::Keep,
            Fate::EndAll => Adopt::EndAll {
                now: call.site.now(),
            },
        };
        let adopted = if is_same(&self.file, to) {
            adopt_at(&call.site, &self.file, adopt)?
        } else {
            restore(&call.site, to, &self.file, adopt)?
        };
        let store = to.display().to_string();
        let text = match (adopted, fate) {
            (true, Fate::Keep) => format!("{store} serves; its credentials are valid"),
            (true, Fate::EndAll) => format!("{store} serves; its credentials are all ended"),
            (false, _) => format!("{store} is no copy: nothing was changed"),
        };
        call.out.say(
            &Restored {
                store,
                adopted,
                credentials: fate,
            },
            text,
        )?;
        Ok(Exit::Done)
    }
}

/// Makes the store whole and adopted beside its place, and then puts it there.
fn restore(site: &Site, to: &Path, from: &Path, adopt: Adopt) -> Result<bool, Failure> {
    if to.symlink_metadata().is_ok() {
        return Err(OpenError::Exists(to.to_owned()).into());
    }
    let draft = Draft::beside(to, "restore");
    copy(from, &draft)?;
    let adopted = adopt_at(site, draft.path(), adopt);
    let adopted = adopted.map_err(|failure| naming(from, &draft, failure))?;
    draft.publish(to)?;
    Ok(adopted)
}

fn adopt_at(site: &Site, path: &Path, adopt: Adopt) -> Result<bool, Failure> {
    let (opened, adopted) = site.adopt(path, adopt)?;
    if adopted {
        opened.engine.note(EventKind::Adopted).wait()?;
    }
    opened.close()?;
    Ok(adopted)
}

fn copy(from: &Path, draft: &Draft) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(|error| Failure::file(from, &error))?;
    let made = draft.create().and_then(|mut target| {
        io::copy(&mut source, &mut target)?;
        target.sync_all()
    });
    made.map_err(|error| Failure::file(draft.path(), &error))
}

/// A fault of the draft is one of the copy that it was made from.
fn naming(from: &Path, draft: &Draft, failure: Failure) -> Failure {
    if failure.file.as_deref() != Some(draft.path()) {
        return failure;
    }
    let ours = draft.path().display().to_string();
    let message = failure.message.replace(&ours, &from.display().to_string());
    Failure {
        message,
        file: Some(from.to_owned()),
        ..failure
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
