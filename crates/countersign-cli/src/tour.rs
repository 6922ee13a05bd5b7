//! `tour`: every kind of access-token life, walked through in a fresh store.
//!
//! It puts forward a clock of its own instead of waiting, and each step says what it expects: a
//! verdict that is another one fails the tour.

mod devices;
mod forms;
mod images;
mod life;
mod safety;
mod sessions;
mod stage;

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use clap::Args;
use serde::Serialize;
use stage::Stage;
use std::fs;
use std::path::PathBuf;

/// Walk every kind of credential through its life, in a store that is thrown away
///
/// One line a step: what was done, the verdict, what it cost. Exits 1 if a verdict is not the
/// expected one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign tour
  countersign tour --dir ./tour     keeps the store, to look around in it afterwards")]
pub(crate) struct Tour {
    /// Where the store is made and left [default: a temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Serialize)]
struct Summary {
    summary: Steps,
}

#[derive(Serialize)]
struct Steps {
    steps: u32,
    unexpected: u32,
}

impl Tour {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        let temporary = match &self.dir {
            Some(dir) => {
                fs::create_dir_all(dir).map_err(|error| Failure::file(dir, &error))?;
                None
            }
            None => Some(
                tempfile::tempdir()
                    .map_err(|error| Failure::file(&std::env::temp_dir(), &error))?,
            ),
        };
        let dir = match (&temporary, &self.dir) {
            (Some(temporary), _) => temporary.path(),
            (None, Some(dir)) => dir,
            (None, None) => return Err(Failure::usage("no directory")),
        };
        let mut stage = Stage::open(dir, &mut call.out)?;
        life::walk(&mut stage)?;
        devices::walk(&mut stage)?;
        sessions::walk(&mut stage)?;
        forms::walk(&mut stage)?;
        images::walk(&mut stage)?;
        safety::walk(&mut stage)?;
        let (steps, unexpected) = stage.close()?;
        let summary = Summary {
            summary: Steps { steps, unexpected },
        };
        let text = match unexpected {
            0 => format!("{steps} steps, each as expected"),
            _ => format!("{steps} steps, {unexpected} of them not as expected"),
        };
        call.out.remark(&summary, text)?;
        Ok(if unexpected == 0 {
            Exit::Done
        } else {
            Exit::Refused
        })
    }
}
