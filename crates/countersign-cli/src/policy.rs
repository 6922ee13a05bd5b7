//! `policy`: the one in force, one in a file, and putting that in force.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use clap::Subcommand;
use countersign::Policy;
use countersign::core::policy::POLICY_TEXT_MAX;
use serde::Serialize;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Show, check and set the policy
#[derive(Debug, Subcommand)]
#[command(after_help = "\
A policy is TOML; what it leaves out has its default. Unknown keys and values out of bounds are
errors that name the line.

Example:
  countersign policy show > policy.toml     edit it, then
  countersign policy check policy.toml && countersign policy set policy.toml")]
pub(crate) enum PolicyCommand {
    /// Print the policy in force, every value of it, as TOML
    Show,
    /// Check a policy without a store
    Check {
        /// The policy as TOML
        file: PathBuf,
    },
    /// Put a policy in force; tightened bounds hold for what exists already
    Set {
        /// The policy as TOML
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Told<'a> {
    done: &'static str,
    file: &'a str,
}

impl PolicyCommand {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Set { .. })
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::Show => {
                let opened = call.site.read()?;
                let policy = opened.engine.policy();
                opened.close()?;
                match call.out.is_json() {
                    true => call.out.object(&policy.to_draft())?,
                    false => call.out.line(policy.to_toml().trim_end())?,
                }
            }
            Self::Check { file } => {
                read(&file)?;
                tell(call, "checked", &file, "is a policy")?;
            }
            Self::Set { file } => {
                let policy = read(&file)?;
                let opened = call.site.write()?;
                opened.engine.set_policy(policy).wait()?;
                opened.close()?;
                tell(call, "set", &file, "is in force")?;
            }
        }
        Ok(Exit::Done)
    }
}

fn tell(call: &mut Call, done: &'static str, file: &Path, text: &str) -> Result<(), Failure> {
    let file = file.display().to_string();
    call.out
        .say(&Told { done, file: &file }, format_args!("{file} {text}"))
}

/// Reads a policy out of a file.
pub(crate) fn read(path: &Path) -> Result<Policy, Failure> {
    let limit = u64::try_from(POLICY_TEXT_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut text = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut text))
        .map_err(|error| Failure::file(path, &error))?;
    let text = String::from_utf8(text).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format_args!("{}: not UTF-8 at byte {at}", path.display());
        Failure::new(Exit::Refused, "policy", message).about(path)
    })?;
    Policy::from_toml(&text).map_err(|error| Failure::policy(path, &error))
}
