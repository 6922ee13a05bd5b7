//! Running the benches and pointing at their report.

use clap::Args;

use crate::process::{Result, cargo, root, run as run_command};
use crate::tidy::Metadata;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Few samples: to see that all run, not to compare figures
    #[arg(long)]
    quick: bool,

    /// Only the benches whose name holds this text
    filter: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = cargo(&["bench", "--manifest-path", "benches/Cargo.toml", "--"]);
    if options.quick {
        command.arg("--quick");
    }
    command.args(&options.filter);
    run_command(command)?;

    let criterion = Metadata::load(&root().join("Cargo.toml"))?
        .target_directory
        .join("criterion");
    let page = criterion.join("report").join("index.html");
    let report = if page.is_file() { page } else { criterion };
    println!("report: {}", report.display());
    Ok(())
}
