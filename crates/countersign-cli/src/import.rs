//! `import`: the lines of an export, into a new store of the same keys.

use crate::cli::Call;
use crate::draft::Draft;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Site;
use crate::progress::Progress;
use crate::stop::{self, Patient};
use clap::Args;
use countersign::{Create, Engine, Error, ImportReport, Maintenance, RedbOptions, keyfile};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// File the records of an export in a new store, under the keys that it was made with
///
/// Each record carries a keyed tag, so an edited or cut export, or one of other keys, is refused
/// at the line where it shows. Where there is no store, one is made, for which the key file must
/// be there; it appears when all is in it, and not at all if that does not come about. A store
/// that was used is left alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign --store new.redb --key old.key import export.jsonl")]
pub(crate) struct Import {
    /// The export, or `-` for standard input
    file: PathBuf,
}

#[derive(Serialize)]
struct Imported {
    records: u64,
}

impl Import {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        // The file first: a store is not made for one that is not there.
        let file = match self.file == Path::new("-") {
            true => None,
            false => {
                Some(File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?)
            }
        };
        let fault = |error: Error| match error {
            _ if stop::asked() => Failure::stopped(),
            error @ Error::Import { .. } => Failure::from(error).about(&self.file),
            error @ Error::NotEmpty { .. } => Failure::from(error).about(&call.site.store),
            error => error.into(),
        };
        let report = match call.site.store.symlink_metadata() {
            Ok(_) => {
                let opened = call.site.write()?;
                let report = import(&opened.engine, file, None).map_err(fault)?;
                opened.close()?;
                report
            }
            Err(_) => {
                let draft = Draft::beside(&call.site.store, "import");
                let engine = make(&call.site, &draft)?;
                let report = import(&engine, file, Some(&draft)).map_err(fault)?;
                engine.close().wait()?;
                draft.publish(&call.site.store)?;
                report
            }
        };
        let records = report.filed.saturating_add(report.present);
        call.out
            .say(&Imported { records }, format_args!("{records} records"))?;
        Ok(Exit::Done)
    }
}

/// Makes the store, but never its keys: under new ones no line would be taken.
fn make(site: &Site, draft: &Draft) -> Result<Engine, Failure> {
    let keys = keyfile::read(&site.key)?;
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

fn import(
    engine: &Engine,
    file: Option<File>,
    draft: Option<&Draft>,
) -> Result<ImportReport, Error> {
    let progress = Progress::new("records", None);
    let mut tell = |records| progress.at(records);
    let Some(file) = file else {
        let (engine_then, draft) = (engine.clone(), draft.map(|draft| draft.path().to_owned()));
        let stdin = Patient::new(io::stdin().lock(), move || {
            // There is nobody to tell how it went.
            let _ = engine_then.close().wait();
            let _ = draft.map(fs::remove_file);
        });
        return engine.import(&mut Stoppable(BufReader::new(stdin)), &mut tell);
    };
    engine.import(&mut Stoppable(BufReader::new(file)), &mut tell)
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
