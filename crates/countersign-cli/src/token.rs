//! `token`: access tokens, one by one and in lists.

mod change;
mod forecast;
mod issue;
mod list;
pub(crate) mod pages;

pub(crate) use change::told;

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::parse;
use crate::view::TokenView;
use clap::{Args, Subcommand};
use countersign::Selector;

/// Issue, list, show, rotate and revoke access tokens
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    Issue(issue::Issue),
    List(list::List),
    Show(Show),
    Rotate(change::Rotate),
    Revoke(change::Revoke),
    Forecast(forecast::Forecast),
}

/// Show everything about one token but its secret
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The token's public half, as `token list` shows it
    #[arg(value_parser = parse::PublicHalf)]
    selector: Selector,
}

impl Token {
    pub(crate) const fn writes(&self) -> bool {
        match self {
            Self::Issue(_) | Self::Rotate(_) | Self::Revoke(_) => true,
            Self::List(_) | Self::Show(_) | Self::Forecast(_) => false,
        }
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::Issue(command) => command.run(call),
            Self::List(command) => command.run(call),
            Self::Show(command) => command.run(call),
            Self::Rotate(command) => command.run(call),
            Self::Revoke(command) => command.run(call),
            Self::Forecast(command) => command.run(call),
        }
    }
}

impl Show {
    fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.read()?;
        let found = opened.engine.access().show(self.selector).wait()?;
        opened.close()?;
        let Some(token) = found else {
            let message = format_args!("no access token has the selector {}", self.selector);
            return Err(Failure::not_found(message));
        };
        call.out.sheet(&TokenView::from(&token))?;
        Ok(Exit::Done)
    }
}
