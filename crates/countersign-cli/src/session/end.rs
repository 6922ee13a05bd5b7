//! `session end`: ends sessions in the snapshot, while no process has the store open.

use super::{as_of, not_found};
use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::parse;
use clap::{ArgGroup, Args};
use countersign::{EndedBy, Principal, Selector};
use serde::Serialize;

/// End one session, all of a principal, or all there are
///
/// The snapshot is written again without them. To end all for certain, wherever they may be, use
/// `switch sessions off`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign session end 01934f3c-8a00-7abc-8def-0123456789ab
  countersign session end --principal ann
  countersign session end --all")]
#[command(group = ArgGroup::new("which").args(["selector", "principal", "all"]).required(true))]
pub(crate) struct End {
    /// The session's public half, as `session list` shows it
    #[arg(value_parser = parse::PublicHalf)]
    selector: Option<Selector>,

    /// Every session of this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// Every session of everybody
    #[arg(long)]
    all: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    done: &'static str,
    what: &'a str,
    sessions: u64,
}

impl End {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write_with_sessions()?;
        as_of(&mut call.out, &opened)?;
        let (sessions, by) = (opened.engine.sessions(), EndedBy::Operator);
        let (what, count) = match (self.selector, self.principal, self.all) {
            (Some(selector), None, false) => {
                let ended = sessions.end(selector, by).wait();
                ended.map_err(|error| not_found(selector, error))?;
                (selector.to_string(), 1)
            }
            (None, Some(principal), false) => {
                let ended = sessions.end_all(&principal, by).wait()?;
                (format!("sessions of {principal}"), ended)
            }
            (None, None, true) => {
                let ended = sessions.end_everything(by).wait()?;
                ("every session".to_owned(), ended)
            }
            // Nothing is ended that was not named.
            _ => return Err(Failure::usage("name one: a session, --principal, or --all")),
        };
        // It is done once the snapshot is written.
        opened.close()?;
        let told = Told {
            done: "ended",
            what: &what,
            sessions: count,
        };
        call.out
            .say(&told, format_args!("ended: {what} ({count})"))?;
        Ok(Exit::Done)
    }
}
