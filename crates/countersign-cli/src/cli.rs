//! The tree of commands, the options that all of them take, and the way from one to its work.

use crate::failure::{Failure, Outcome};
use crate::open::Site;
use crate::out::Out;
use crate::place::{DatabaseOptions, Place};
use crate::{
    audit, bench, copies, export, generate, image, import, init, inspect, keys, parse, policy,
    principal, remember, session, stats, stop, switch, token, tour, upkeep, verify,
};
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use countersign::Timestamp;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  countersign tour                      walk through everything, in a store that is thrown away
  countersign init                      make a store and its key file here
  countersign token issue --principal ann --name deploy --scope repo:read --expires 90d
  countersign verify presented.txt      judge credentials, one a line

Exit codes: 0 done; 1 refused or not found; 2 wrong usage; 3 store or key failed; 130 stopped.";

/// The credentials in a store: issue, judge, revoke, look after.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, after_help = EXAMPLES, max_term_width = 100)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// The store: a file, or a database as `postgres://...`
    #[arg(
        long,
        global = true,
        value_name = "FILE|URL",
        env = "COUNTERSIGN_STORE"
    )]
    #[arg(default_value = "./countersign.redb", hide_env_values = true)]
    #[arg(value_parser = PathBufValueParser::new().map(Place::from))]
    store: Place,

    /// Its key file [default: the store's name with `.key`]
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,

    /// One JSON object a line on standard output, errors as JSON on standard error
    #[arg(long, global = true)]
    json: bool,

    /// Judge as of this instant, such as 2026-11-22T10:00:00Z; not for commands that write
    #[arg(long, global = true, value_name = "RFC3339", value_parser = parse::instant)]
    now: Option<Timestamp>,

    /// Take --now for a command that writes too: it writes as if it were that instant
    #[arg(long, global = true, requires = "now")]
    i_know: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Tour(tour::Tour),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Remember(remember::Remember),
    #[command(subcommand)]
    Session(session::SessionCommand),
    #[command(subcommand)]
    Image(image::Image),
    Verify(verify::Verify),
    #[command(subcommand)]
    Principal(principal::PrincipalCommand),
    #[command(subcommand)]
    Switch(switch::SwitchCommand),
    Audit(audit::Audit),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Keys(keys::Keys),
    Stats(stats::Stats),
    Check(inspect::Check),
    Sweep(upkeep::Sweep),
    Compact(upkeep::Compact),
    Backup(copies::Backup),
    Restore(copies::Restore),
    Export(export::Export),
    Import(import::Import),
    Bench(bench::Bench),
    Completions(generate::Completions),
    Man(generate::Man),
}

/// One call of the command: where its store is, and where its output goes.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) site: Site,
    pub(crate) out: Out,
}

impl Cli {
    pub(crate) fn run(self) -> ExitCode {
        let Self { common, command } = self;
        let mut call = Call {
            out: Out::new(common.json),
            site: Site::new(common.store, common.database, common.key, common.now),
        };
        let outcome = if common.now.is_some() && command.writes() && !common.i_know {
            Err(Failure::usage(
                "--now is for judging, and this command writes: leave it out, or add --i-know",
            ))
        } else {
            stop::watch().and_then(|()| command.run(&mut call))
        };
        match outcome.and_then(|exit| call.out.flush().map(|()| exit)) {
            Ok(exit) => exit.into(),
            Err(failure) => call.out.fail(&failure).into(),
        }
    }
}

impl Command {
    /// Whether it changes a store or a key file.
    const fn writes(&self) -> bool {
        match self {
            Self::Token(command) => command.writes(),
            Self::Remember(command) => command.writes(),
            Self::Session(command) => command.writes(),
            Self::Image(command) => command.writes(),
            Self::Principal(command) => command.writes(),
            Self::Switch(command) => command.writes(),
            Self::Policy(command) => command.writes(),
            Self::Keys(command) => command.writes(),
            Self::Init(_)
            | Self::Tour(_)
            | Self::Bench(_)
            | Self::Sweep(_)
            | Self::Compact(_)
            | Self::Restore(_)
            | Self::Import(_) => true,
            Self::Verify(_)
            | Self::Audit(_)
            | Self::Stats(_)
            | Self::Check(_)
            | Self::Backup(_)
            | Self::Export(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }

    fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::Init(command) => command.run(call),
            Self::Tour(command) => command.run(call),
            Self::Token(command) => command.run(call),
            Self::Remember(command) => command.run(call),
            Self::Session(command) => command.run(call),
            Self::Image(command) => command.run(call),
            Self::Verify(command) => command.run(call),
            Self::Principal(command) => command.run(call),
            Self::Switch(command) => command.run(call),
            Self::Audit(command) => command.run(call),
            Self::Policy(command) => command.run(call),
            Self::Keys(command) => command.run(call),
            Self::Stats(command) => command.run(call),
            Self::Check(command) => command.run(call),
            Self::Sweep(command) => command.run(call),
            Self::Compact(command) => command.run(call),
            Self::Backup(command) => command.run(call),
            Self::Restore(command) => command.run(call),
            Self::Export(command) => command.run(call),
            Self::Import(command) => command.run(call),
            Self::Bench(command) => command.run(call),
            Self::Completions(command) => command.run(call),
            Self::Man(command) => command.run(),
        }
    }
}
