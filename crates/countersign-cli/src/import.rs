//! `import`: the lines of an export, into a new store of the same keys.

use crate::cli::Call;
use crate::database::Tables;
use crate::draft::Draft;
use crate::export::counts;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Site;
use crate::place::Place;
use crate::progress::Progress;
use crate::stop::{self, Patient};
use clap::Args;
use countersign::{
    Create, Engine, Error, ImportReport, Maintenance, RedbOptions, export_is_of, keyfile,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// File the records of an export in a new store, under the keys that it was made with
///
/// Each record carries a keyed tag, so an edited or cut export, or one of other keys, is refused
/// at the line where it shows; at the end all is read back and compared. Where there is no store,
/// one is made, for which the key file must be there. A file appears when all is in it, and not at
/// all if that does not come about; a database, or a store that was there, stays closed to
/// everybody until then, and an import that was cut off goes on when it is begun again. A store
/// that was used is left alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign --store new.redb --key old.key import export.jsonl
  countersign --store old.redb export | countersign --store postgres://... --key old.key import")]
pub(crate) struct Import {
    /// The export, or `-` for standard input
    #[arg(default_value = "-", hide_default_value = true)]
    file: PathBuf,

    /// Into a store that was used: replace what differs, and remove what the export has not
    ///
    /// For a store that takes another one's place, with that one's newest export: what was revoked
    /// since the export was made is valid again. Events stay.
    #[arg(long)]
    replace: bool,
}

#[derive(Serialize)]
struct Imported {
    records: u64,
    tables: BTreeMap<&'static str, u64>,
    filed: u64,
    present: u64,
    replaced: u64,
    removed: u64,
}

impl Import {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        // The file first: a store is not made for one that is not there.
        let mut source: Box<dyn BufRead> = match self.file == Path::new("-") {
            true => Box::new(BufReader::new(Patient::new(io::stdin().lock(), || ()))),
            false => {
                let file = File::open(&self.file);
                let file = file.map_err(|error| Failure::file(&self.file, &error))?;
                Box::new(BufReader::new(file))
            }
        };
        let report = self.import(&call.site, &mut source)?;
        call.out.say(&view(&report), text(&report))?;
        Ok(Exit::Done)
    }

    fn import(&self, site: &Site, source: &mut dyn BufRead) -> Result<ImportReport, Failure> {
        let draft = match &site.place {
            Place::File(path) if path.symlink_metadata().is_err() => {
                Some((Draft::beside(path, "import"), path))
            }
            _ => None,
        };
        let mut start = Vec::new();
        let engine = match (&draft, &site.place) {
            (Some((draft, _)), _) => make(site, draft)?,
            (None, Place::File(_)) => site.write()?.engine,
            (None, Place::Database(_)) => {
                let keys = keyfile::read(&site.key()?)?;
                start = begin(source).map_err(|error| self.fault(site, draft.is_none(), error))?;
                // Tables take the keys that they are made with for good.
                export_is_of(&keys, &mut &*start)
                    .map_err(|error| self.fault(site, draft.is_none(), error))?;
                let records = site.tables(Tables::Made, &keys)?;
                site.make_in_database(records, &keys, |builder| builder)?
                    .engine
            }
        };
        if self.file == Path::new("-") {
            let (engine, draft) = (engine.clone(), draft.as_ref());
            let draft = draft.map(|(draft, _)| draft.path().to_owned());
            stop::at_parting(move || {
                // There is nobody to tell how it went.
                let _ = engine.close().wait();
                let _ = draft.map(fs::remove_file);
            });
        }
        let progress = Progress::new("records", None);
        let mut tell = |records| progress.at(records);
        let mut source = Stoppable(start.chain(source));
        let report = match self.replace {
            true => engine.import_over(&mut source, &mut tell),
            false => engine.import(&mut source, &mut tell),
        };
        drop(progress);
        let report = report.map_err(|error| self.fault(site, draft.is_none(), error));
        // What was filed is there if it goes on another time.
        let closed = engine.close().wait();
        let report = report?;
        closed?;
        if let Some((draft, path)) = draft {
            draft.publish(path)?;
        }
        Ok(report)
    }

    fn fault(&self, site: &Site, leaves_traces: bool, error: Error) -> Failure {
        match error {
            _ if stop::asked() && leaves_traces => Failure::new(
                Exit::Stopped,
                "stopped",
                "stopped; begin the import again with the same export: until it comes to its \
                 end the store may be closed to everybody",
            ),
            _ if stop::asked() => Failure::stopped(),
            error @ Error::Import { .. } => Failure::from(error).about(&self.file),
            error @ Error::NotEmpty { .. } => {
                let mut failure = Failure::from(error);
                failure.file = site.path().map(Path::to_owned);
                failure.message.push_str(OR_REPLACE);
                failure
            }
            error => error.into(),
        }
    }
}

/// Behind that a store is in use.
const OR_REPLACE: &str = ", or say `--replace` if nothing in it counts beside the export";

fn view(report: &ImportReport) -> Imported {
    Imported {
        records: report.tally.total(),
        tables: counts(&report.tally),
        filed: report.filed,
        present: report.present,
        replaced: report.replaced,
        removed: report.removed,
    }
}

/// All that was read, by its kind, and what of it was there already.
fn text(report: &ImportReport) -> String {
    let some = report.tally.iter().filter(|(_, count)| *count > 0);
    let kinds: Vec<String> = some
        .map(|(table, count)| format!("{count} {}", table.name()))
        .collect();
    let mut text = format!("{} records: {}", report.tally.total(), kinds.join(", "));
    for (count, what) in [
        (report.present, "there already"),
        (report.replaced, "in another one's place"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {what}"));
        }
    }
    if report.removed > 0 {
        text.push_str(&format!("; {} others removed", report.removed));
    }
    text
}

/// The first two lines: as much as tells whose keys the export was made under.
fn begin(source: &mut dyn BufRead) -> Result<Vec<u8>, Error> {
    let mut start = Vec::new();
    for _ in 0..2 {
        let read = source.take(START_MAX).read_until(b'\n', &mut start);
        read.map_err(|error| Error::Io(error.to_string()))?;
    }
    Ok(start)
}

/// More than any of the first lines has; a longer one is refused when it is read.
const START_MAX: u64 = 512 * 1024;

/// Makes the store, but never its keys: under new ones no line would be taken.
fn make(site: &Site, draft: &Draft) -> Result<Engine, Failure> {
    let keys = keyfile::read(&site.key()?)?;
    let engine = Engine::builder()
        .keys(keys)
        .clock(site.clock)
        .maintenance(Maintenance::HostDriven)
        .create(Create::Always)
        // The ballast belongs beside the place where the store is to serve.
        .redb(RedbOptions::new().ballast_bytes(0))
        .open(draft.path())?;
    Ok(engine)
}

/// Fails once an end was asked for, which the import takes as an end between two batches.
struct Stoppable<R>(R);

impl<R> Stoppable<R> {
    fn check() -> io::Result<()> {
        match stop::asked() {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        }
    }
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::check()?;
        self.0.read(buffer)
    }
}

impl<R: BufRead> BufRead for Stoppable<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Self::check()?;
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
