//! `token forecast`: which tokens are about to end, or would be under another policy.

use super::pages;
use crate::cli::Call;
use crate::failure::{Exit, Outcome};
use crate::parse;
use crate::policy;
use crate::view::TokenView;
use clap::Args;
use countersign::TokenQuery;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

/// List the tokens that end within some time, also as another policy would have it
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign token forecast --within 30d --policy stricter.toml")]
pub(crate) struct Forecast {
    /// Within so long from now
    #[arg(long, value_name = "SPAN", value_parser = parse::span)]
    within: Duration,

    /// Judge by this policy instead of the store's; it is not put in force
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Forecast {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let policy = self.policy.as_deref().map(policy::read).transpose()?;
        let opened = call.site.read()?;
        let access = opened.engine.access();
        let mut ask = |query| access.forecast(self.within, policy.clone(), query);
        let mut shown = 0usize;
        pages::walk(
            &mut call.out,
            TokenQuery::default(),
            &mut ask,
            &mut |out, tokens| {
                let views: Vec<TokenView> = tokens.iter().map(TokenView::from).collect();
                out.rows(&views, shown > 0)?;
                shown = shown.saturating_add(views.len());
                Ok(ControlFlow::Continue(()))
            },
        )?;
        opened.close()?;
        if !call.out.is_json() {
            call.out.note(format_args!("{shown} found"))?;
        }
        Ok(Exit::Done)
    }
}
