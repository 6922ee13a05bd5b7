//! `import`: the lines of an export, into a store of the same keys.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Opened;
use crate::progress::Progress;
use crate::stop::{self, Patient};
use clap::Args;
use countersign::{Create, Engine, Error, Maintenance, TokenQuery, keyfile};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// File the records of an export in a new store, under the keys that it was made with
///
/// Each record carries a keyed tag, so an edited or cut export, or one of other keys, is refused
/// at the line where it shows. Where there is no store, one is made, for which the key file must
/// be there. An import that was stopped goes on with --resume.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign --store new.redb --key old.key import export.jsonl")]
pub(crate) struct Import {
    /// The export, or `-` for standard input
    file: PathBuf,

    /// Into a store that has records already; those stay as they are, but for the system record
    #[arg(long)]
    resume: bool,
}

#[derive(Serialize)]
struct Imported {
    filed: u64,
    present: u64,
}

impl Import {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        stop::watch()?;
        // The file first: a store is not made for one that is not there.
        let file = match self.file == Path::new("-") {
            true => None,
            false => {
                Some(File::open(&self.file).map_err(|error| Failure::file(&self.file, &error))?)
            }
        };
        if call.site.store.symlink_metadata().is_err() {
            make(call)?;
        }
        let opened = call.site.write()?;
        if !self.resume {
            must_be_new(call, &opened)?;
        }
        let report = match file {
            Some(file) => import(&opened, &mut BufReader::new(file)),
            None => {
                let stdin = Patient::new(io::stdin().lock(), &opened.engine);
                import(&opened, &mut BufReader::new(stdin))
            }
        };
        let report = report.map_err(|error| match error {
            _ if stop::asked() => Failure::new(
                Exit::Stopped,
                "stopped",
                "stopped between two batches; go on with `import --resume`",
            ),
            error => Failure::from(error).about(&self.file),
        })?;
        opened.close()?;
        let (filed, present) = (report.filed, report.present);
        let text = format!("{filed} records filed, {present} there already");
        call.out.say(&Imported { filed, present }, text)?;
        Ok(Exit::Done)
    }
}

/// Makes the store, but never its keys: under new ones no line would be taken.
fn make(call: &Call) -> Result<(), Failure> {
    let keys = keyfile::read(&call.site.key)?;
    let engine = Engine::builder()
        .keys(keys)
        .clock(call.site.clock)
        .maintenance(Maintenance::HostDriven)
        .create(Create::Always)
        .open(&call.site.store)?;
    Ok(engine.close().wait()?)
}

/// A store in use would get its switches and epochs replaced, which undoes revocations.
fn must_be_new(call: &Call, opened: &Opened) -> Result<(), Failure> {
    let mut query = TokenQuery::default();
    query.limit = 1;
    let tokens = opened.engine.access().list(query).wait()?;
    let principals = opened.engine.principals().list(None, 1).wait()?;
    if tokens.tokens.is_empty() && tokens.damaged.is_empty() && principals.principals.is_empty() {
        return Ok(());
    }
    let message = format_args!(
        "{} has records already: import into a new store, or go on with --resume",
        call.site.store.display()
    );
    Err(Failure::new(Exit::Refused, "not_empty", message).about(&call.site.store))
}

fn import(opened: &Opened, from: &mut dyn BufRead) -> Result<countersign::ImportReport, Error> {
    let progress = Progress::new("records", None);
    opened
        .engine
        .import(&mut Stoppable(from), &mut |records| progress.at(records))
}

/// Fails once an end was asked for, which the import takes as an end between two batches.
struct Stoppable<'a>(&'a mut dyn BufRead);

impl Stoppable<'_> {
    fn check() -> io::Result<()> {
        match stop::asked() {
            true => Err(io::Error::other("stopped")),
            false => Ok(()),
        }
    }
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Self::check()?;
        self.0.read(buffer)
    }
}

impl BufRead for Stoppable<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Self::check()?;
        self.0.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
