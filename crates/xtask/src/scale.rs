//! Plans past one machine: a simulated day of many nodes, and measured sizes.
//!
//! What does it is a program of its own, so that no other chore builds the engine.

use clap::Args;

use crate::process::{Result, cargo, run as run_command};

#[derive(Debug, Args)]
#[command(
    after_help = "`day` simulates, `sizes` measures in a real PostgreSQL, `memory` measures a \
                  cached token; `day --help` tells of its options."
)]
pub(crate) struct Options {
    /// What `countersign-scale` is asked for
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = cargo(&[
        "run",
        "--release",
        "--package",
        "countersign-scale",
        "--bin",
        "countersign-scale",
        "--",
    ]);
    command.args(&options.arguments);
    run_command(command)
}
