//! `backup` and `restore`: a copy of a store, and a store out of a copy.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::{Site, ring};
use crate::parse::Bytes;
use crate::stop;
use clap::{Args, ValueEnum};
use countersign::store::{Adopt, OpenError};
use countersign::{EventKind, RedbOptions};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
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
        stop::watch()?;
        let keys = call.site.keys()?;
        let report = RedbOptions::new().backup(&call.site.store, ring(&keys), &self.file)?;
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
            return Err(Failure::new(Exit::Failed, "damaged", message).about(&call.site.store));
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
        stop::watch()?;
        let fate = self.adopt.ok_or_else(|| Failure::usage(CHOICE))?;
        let adopt = match fate {
            Fate::Keep => Adopt::Keep,
            Fate::EndAll => Adopt::EndAll {
                now: call.site.now(),
            },
        };
        let adopted = if is_same(&self.file, &call.site.store) {
            adopt_at(&call.site, &self.file, adopt)?
        } else {
            restore(&call.site, &self.file, adopt)?
        };
        let store = call.site.store.display().to_string();
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
fn restore(site: &Site, from: &Path, adopt: Adopt) -> Result<bool, Failure> {
    let to = &site.store;
    if to.symlink_metadata().is_ok() {
        return Err(OpenError::Exists(to.clone()).into());
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".restore-{}", std::process::id()));
    let draft = Draft(to.with_file_name(name));
    copy(from, &draft.0)?;
    let adopted =
        adopt_at(site, &draft.0, adopt).map_err(|failure| naming(from, &draft, failure))?;
    // Unlike a rename, a link never takes the place of what has come there meanwhile.
    fs::hard_link(&draft.0, to)
        .and_then(|()| fs::remove_file(&draft.0))
        .and_then(|()| sync_directory(to))
        .map_err(|error| Failure::file(to, &error))?;
    Ok(adopted)
}

fn adopt_at(site: &Site, path: &Path, adopt: Adopt) -> Result<bool, Failure> {
    let opened = site.adopt(path, adopt)?;
    let adopted = opened.store.was_adopted();
    if adopted {
        opened.engine.note(EventKind::Adopted).wait()?;
    }
    opened.close()?;
    Ok(adopted)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let mut source = File::open(from).map_err(|error| Failure::file(from, &error))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut target = options
        .open(to)
        .map_err(|error| Failure::file(to, &error))?;
    io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .map_err(|error| Failure::file(to, &error))
}

/// A fault of the draft is one of the copy that it was made from.
fn naming(from: &Path, draft: &Draft, failure: Failure) -> Failure {
    if failure.file.as_deref() != Some(&draft.0) {
        return failure;
    }
    let (ours, theirs) = (draft.0.display().to_string(), from.display().to_string());
    let message = failure.message.replace(&ours, &theirs);
    Failure {
        message,
        file: Some(from.to_owned()),
        ..failure
    }
}

/// A file that is removed again, unless it has become the store by then.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // It is gone already where all went well.
        let _ = fs::remove_file(&self.0);
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Makes a new name in a directory survive a crash.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
