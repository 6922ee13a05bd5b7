//! `completions` and `man`: what shells and readers of manuals want, made from the tree itself.

use crate::cli::{Call, Cli};
use crate::failure::{Exit, Failure, Outcome};
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::fs;
use std::path::PathBuf;

/// Print the completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign completions bash > ~/.local/share/bash-completion/completions/countersign")]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        // It panics where it cannot write, and whoever reads may have gone: to memory first.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "countersign", &mut text);
        call.out.bytes(&text)?;
        Ok(Exit::Done)
    }
}

/// Write the manual, a page for each command, into a directory
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// An existing directory
    dir: PathBuf,
}

impl Man {
    pub(crate) fn run(self) -> Outcome {
        clap_mangen::generate_to(Cli::command(), &self.dir)
            .and_then(|()| fs::File::open(&self.dir)?.sync_all())
            .map_err(|error| Failure::file(&self.dir, &error))?;
        Ok(Exit::Done)
    }
}
