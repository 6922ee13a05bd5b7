//! `session`: the sessions that were carried over last, from the snapshot beside the store.
//!
//! What a running process has in memory since is not in it. Never shown are tokens and csrf
//! secrets, which are in no snapshot, and values of attributes, unless they are asked for.

mod end;
mod view;

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::open::{Opened, SESSIONS};
use crate::out::Out;
use crate::parse;
use crate::stop;
use clap::{Args, Subcommand};
use countersign::session::Description;
use countersign::{Denied, Error, Principal, Selector};
use std::path::Path;
use view::SessionView;

/// Rows of one table.
const ROWS: usize = 512;

/// List, show and end sessions, as they were last carried over
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    List(List),
    Show(Show),
    End(end::End),
}

/// List sessions: everything but what is in their attributes
///
/// They are those of the snapshot beside the store: the process that has the store open may have
/// opened and ended others since. Sessions of one principal are listed oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign session list --principal ann
  countersign session list --json --values")]
pub(crate) struct List {
    /// Of this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// With the values of their attributes
    #[arg(long)]
    values: bool,
}

/// Show everything about one session but what is in its attributes
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The session's public half, as `session list` shows it
    #[arg(value_parser = parse::PublicHalf)]
    selector: Selector,

    /// With the values of its attributes
    #[arg(long)]
    values: bool,
}

impl SessionCommand {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::End(_))
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::List(command) => command.run(call),
            Self::Show(command) => command.run(call),
            Self::End(command) => command.run(call),
        }
    }
}

impl List {
    fn run(self, call: &mut Call) -> Outcome {
        call.site.file(SESSIONS)?;
        let opened = call.site.read_with_sessions()?;
        as_of(&mut call.out, &opened)?;
        let sessions = opened.engine.sessions();
        if let Some(principal) = self.principal {
            let found = sessions.list(principal).wait()?;
            for (number, rows) in found.chunks(ROWS).enumerate() {
                show(&mut call.out, rows, self.values, number > 0)?;
            }
        } else {
            let (mut rows, mut shown) = (Vec::new(), false);
            let mut page = 0usize;
            loop {
                stop::check()?;
                let found = sessions.page(page).wait()?;
                rows.extend(found.sessions);
                page = page.saturating_add(1);
                let last = page >= found.pages;
                if rows.len() >= ROWS || last {
                    rows.sort_unstable_by_key(|session: &Description| session.selector);
                    show(&mut call.out, &rows, self.values, shown)?;
                    shown |= !rows.is_empty();
                    rows.clear();
                }
                if last {
                    break;
                }
            }
        }
        opened.close()?;
        Ok(Exit::Done)
    }
}

impl Show {
    fn run(self, call: &mut Call) -> Outcome {
        call.site.file(SESSIONS)?;
        let opened = call.site.read_with_sessions()?;
        as_of(&mut call.out, &opened)?;
        let found = opened.engine.sessions().describe(self.selector).wait();
        opened.close()?;
        let session = found.map_err(|error| not_found(self.selector, error))?;
        let view = SessionView::new(&session, self.values);
        call.out.sheet(&view)?;
        Ok(Exit::Done)
    }
}

fn show(out: &mut Out, sessions: &[Description], values: bool, more: bool) -> Result<(), Failure> {
    let view = |session| SessionView::new(session, values);
    let views: Vec<SessionView> = sessions.iter().map(view).collect();
    out.rows(&views, more)
}

/// Tells people how old what they are shown is.
///
/// # Errors
/// When there is a snapshot that cannot be used: an empty list would look like nobody there.
fn as_of(out: &mut Out, opened: &Opened) -> Result<(), Failure> {
    let snapshot = opened.engine.stats().session_snapshot;
    let Some(report) = snapshot.restored else {
        if out.is_json() {
            return Ok(());
        }
        let policy = opened.engine.policy();
        return match (policy.sessions().snapshot, &snapshot.place) {
            (false, _) => out.note("the policy has no sessions carried over"),
            (true, None) => Ok(()),
            (true, Some(place)) => out.note(format_args!(
                "no sessions were carried over: there is no {place}"
            )),
        };
    };
    usable(opened)?;
    match report.outcome {
        Ok(restored) if !out.is_json() => {
            out.note(format_args!("sessions as of {}", restored.written_at))
        }
        _ => Ok(()),
    }
}

/// Whether the sessions that were carried over last, if any were, are there.
///
/// # Errors
/// When there is a snapshot that cannot be used.
pub(crate) fn usable(opened: &Opened) -> Result<(), Failure> {
    let Some(report) = opened.engine.stats().session_snapshot.restored else {
        return Ok(());
    };
    let Err(fault) = report.outcome else {
        return Ok(());
    };
    let aside = report.set_aside.map_or_else(String::new, |aside| {
        format!("; it was set aside as {aside}")
    });
    let text = format_args!("{}: {fault}{aside}", report.place);
    Err(Failure::new(Exit::Failed, "snapshot", text).about(Path::new(&report.place)))
}

/// Names the session that is not there.
fn not_found(selector: Selector, error: Error) -> Failure {
    match error {
        Error::Session(Denied::Unknown | Denied::Gone(_)) => {
            Failure::not_found(format_args!("no session has the selector {selector}"))
        }
        error => error.into(),
    }
}
