//! `export`: every record of a store as a line of text.

use crate::cli::Call;
use crate::draft::Draft;
use crate::failure::{Exit, Failure, Outcome};
use crate::inspect::hex;
use crate::open::{Opened, Site};
use crate::progress::Progress;
use crate::stop;
use clap::Args;
use countersign::core::Key;
use countersign::{Error, ExportReport, Tally};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Write every record as a line of text, for `import` under the same keys
///
/// It holds keyed hashes and no secret. A damaged record is left out and told, and so is that the
/// store itself is damaged: then it is read as far as it can be.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A file that is not there yet, or `-` for standard output
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,
}

#[derive(Serialize)]
struct Exported {
    file: String,
    records: u64,
    tables: BTreeMap<&'static str, u64>,
    damaged: usize,
}

impl Export {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let (opened, damage) = call.site.salvage()?;
        if let Some(detail) = &damage {
            warn(call, detail)?;
        }
        let to_file = self.file != Path::new("-");
        let report = match to_file {
            true => to_new_file(&opened, &self.file),
            false => {
                let report = write(&opened, &mut io::stdout().lock());
                report.map_err(|error| fault(error, &self.file))
            }
        };
        let report = report.map_err(|failure| match (&damage, failure.code) {
            (Some(_), "unavailable") => unreadable(&call.site, &failure),
            _ => failure,
        })?;
        opened.close()?;
        let file = self.file.display().to_string();
        let damaged = report.damaged.len();
        let text = format!("{} records in {file}", report.records);
        let view = Exported {
            file,
            records: report.records,
            tables: counts(&report.tally),
            damaged,
        };
        match to_file {
            true => call.out.say(&view, text)?,
            false => call.out.remark(&view, text)?,
        }
        report.damaged.iter().try_for_each(|key| lost(call, *key))?;
        let message = match (damage, damaged) {
            (None, 0) => return Ok(Exit::Done),
            (None, _) => format!("{damaged} records are damaged and were left out"),
            (Some(_), _) => format!(
                "{} is damaged: {damaged} records were left out, and some may not have been found",
                call.site.place
            ),
        };
        Err(damaged_store(&call.site, message))
    }
}

/// Tells that the store is damaged, and what is done about it.
fn warn(call: &mut Call, detail: &str) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Warned<'a> {
        warning: &'a str,
    }
    let warning = format!(
        "{} is damaged: {detail}; it is read all the same, without what is not whole",
        call.site.place
    );
    call.out.remark(&Warned { warning: &warning }, &warning)
}

/// What is damaged is more than records: the way to them is.
fn unreadable(site: &Site, failure: &Failure) -> Failure {
    let message = format_args!(
        "{} is damaged and was read in part only: {}; restore a backup",
        site.place, failure.message
    );
    damaged_store(site, message)
}

fn damaged_store(site: &Site, message: impl Display) -> Failure {
    let failure = Failure::new(Exit::Failed, "damaged", message);
    match site.path() {
        Some(path) => failure.about(path),
        None => failure,
    }
}

/// How many there are of each kind of record.
pub(crate) fn counts(tally: &Tally) -> BTreeMap<&'static str, u64> {
    let named = tally.iter().map(|(table, count)| (table.name(), count));
    named.collect()
}

/// Names a record that was left out.
fn lost(call: &mut Call, key: Key) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Lost<'a> {
        left_out: Named<'a>,
    }
    #[derive(Serialize)]
    struct Named<'a> {
        table: &'a str,
        key: &'a str,
    }
    let (table, id) = (key.table.name(), hex(&key.id));
    let text = format!("left out: {table} {id}");
    let left_out = Named { table, key: &id };
    call.out.remark(&Lost { left_out }, text)
}

/// The file appears when it is whole, and not at all if that does not come about.
fn to_new_file(opened: &Opened, path: &Path) -> Result<ExportReport, Failure> {
    let draft = Draft::beside(path, "export");
    let file = draft
        .create()
        .map_err(|error| Failure::file(path, &error))?;
    let mut file = BufWriter::new(file);
    let report = write(opened, &mut file).map_err(|error| fault(error, path))?;
    file.flush()
        .and_then(|()| file.get_ref().sync_all())
        .map_err(|error| Failure::file(path, &error))?;
    draft.publish(path)?;
    Ok(report)
}

fn write(opened: &Opened, to: &mut dyn Write) -> Result<ExportReport, Error> {
    let progress = Progress::new("records", None);
    opened
        .engine
        .export(&mut Stoppable(to), &mut |records| progress.at(records))
}

fn fault(error: Error, path: &Path) -> Failure {
    match error {
        Error::Io(_) if stop::asked() => Failure::stopped(),
        Error::Io(detail) => Failure::new(Exit::Failed, "io", detail).about(path),
        error => error.into(),
    }
}

/// Takes nothing more once an end was asked for.
struct Stoppable<'a>(&'a mut dyn Write);

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match stop::asked() {
            true => Err(io::Error::other("stopped")),
            false => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
