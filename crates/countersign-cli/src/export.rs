//! `export`: every record of a store as a line of text.

use crate::cli::Call;
use crate::draft::Draft;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::Opened;
use crate::progress::Progress;
use crate::stop;
use clap::Args;
use countersign::{Error, ExportReport};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Write every record as a line of text, for `import` under the same keys
///
/// It holds keyed hashes and no secret. A damaged record is left out and told.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A file that is not there yet, or `-` for standard output
    file: PathBuf,
}

#[derive(Serialize)]
struct Exported {
    file: String,
    records: u64,
    damaged: usize,
}

impl Export {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let to_file = self.file != Path::new("-");
        let report = match to_file {
            true => to_new_file(&opened, &self.file)?,
            false => {
                let report = write(&opened, &mut io::stdout().lock());
                report.map_err(|error| fault(error, &self.file))?
            }
        };
        opened.close()?;
        let file = self.file.display().to_string();
        let damaged = report.damaged.len();
        let text = format!("{} records in {file}", report.records);
        let view = Exported {
            file,
            records: report.records,
            damaged,
        };
        match to_file {
            true => call.out.say(&view, text)?,
            false => call.out.remark(&view, text)?,
        }
        if damaged > 0 {
            let message = format_args!("{damaged} records are damaged and were left out");
            return Err(Failure::new(Exit::Failed, "damaged", message).about(&call.site.store));
        }
        Ok(Exit::Done)
    }
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
