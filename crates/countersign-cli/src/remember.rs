//! `remember`: remembered devices, one by one and in lists.

pub(crate) mod pages;
mod revoke;

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::parse;
use crate::view::DeviceView;
use clap::{Args, Subcommand, ValueEnum};
use countersign::{DeviceQuery, Principal, Selector, SeriesState, Timestamp};
use std::time::Duration;

/// List, show and forget remembered devices
#[derive(Debug, Subcommand)]
pub(crate) enum Remember {
    List(List),
    Show(Show),
    Revoke(revoke::Revoke),
}

/// List remembered devices, oldest first: everything but their secrets
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign remember list --principal ann --state live
  countersign remember list --state reused --json
  countersign remember list --unused-for 7d")]
pub(crate) struct List {
    /// Of this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// In this state
    #[arg(long, value_enum, default_value = "all")]
    state: State,

    /// Not used, and not remembered, for so long
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    unused_for: Option<Duration>,

    /// Ending within so long, and not forgotten yet
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    expires_within: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum State {
    Live,
    Revoked,
    Reused,
    Expired,
    All,
}

/// Show everything about one device but its secret
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The public half of the device's token, as `remember list` shows it
    #[arg(value_parser = parse::PublicHalf)]
    selector: Selector,
}

impl Remember {
    pub(crate) const fn writes(&self) -> bool {
        match self {
            Self::Revoke(_) => true,
            Self::List(_) | Self::Show(_) => false,
        }
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::List(command) => command.run(call),
            Self::Show(command) => command.run(call),
            Self::Revoke(command) => command.run(call),
        }
    }
}

impl List {
    fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let query = self.query(call.site.now());
        let mut shown = false;
        pages::walk(&mut call.out, &opened.engine, query, &mut |out, devices| {
            let views: Vec<DeviceView> = devices.iter().map(DeviceView::from).collect();
            out.rows(&views, shown)?;
            shown |= !views.is_empty();
            Ok(())
        })?;
        opened.close()?;
        Ok(Exit::Done)
    }

    fn query(self, now: Timestamp) -> DeviceQuery {
        let mut query = DeviceQuery::default();
        query.principal = self.principal;
        query.state = match self.state {
            State::Live => Some(SeriesState::Live),
            State::Revoked => Some(SeriesState::Revoked),
            State::Reused => Some(SeriesState::Reused),
            State::Expired => Some(SeriesState::Expired),
            State::All => None,
        };
        query.unused_since = self.unused_for.map(|span| now.before(span));
        query.expires_before = self.expires_within.map(|span| now.after(span));
        query
    }
}

impl Show {
    fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let found = opened.engine.remember().show(self.selector).wait()?;
        opened.close()?;
        let Some(device) = found else {
            let message = format_args!("no remembered device has the selector {}", self.selector);
            return Err(Failure::not_found(message));
        };
        call.out.sheet(&DeviceView::from(&device))?;
        Ok(Exit::Done)
    }
}
