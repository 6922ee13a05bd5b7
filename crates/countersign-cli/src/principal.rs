//! `principal`: who there is, and what stops everything of theirs at once.

use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::stop;
use crate::token::told;
use crate::view::PrincipalView;
use clap::{Args, Subcommand};
use countersign::{Principal, Reason};

/// Principals asked for at once.
const CHUNK: usize = 1024;

/// List principals, and stop everything that one of them has
#[derive(Debug, Subcommand)]
pub(crate) enum PrincipalCommand {
    /// List all principals, in no particular order
    List,
    /// Show one principal
    Show {
        /// Who
        principal: Principal,
    },
    /// Accept no credential of theirs and issue none, until they are enabled again
    Disable(Act),
    /// Let them in again with what they had
    Enable(Act),
    /// End everything that was issued to them, for good
    Revoke(Act),
}

/// Whom, and why.
#[derive(Debug, Args)]
pub(crate) struct Act {
    /// Who
    principal: Principal,

    /// Why, for the audit log
    #[arg(long)]
    reason: Option<Reason>,
}

impl PrincipalCommand {
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Disable(_) | Self::Enable(_) | Self::Revoke(_))
    }

    pub(crate) fn run(self, call: &mut Call) -> Outcome {
        match self {
            Self::List => list(call),
            Self::Show { principal } => show(call, &principal),
            Self::Disable(act) => {
                let opened = call.site.write()?;
                let what = act.principal.to_string();
                let done = opened
                    .engine
                    .principals()
                    .disable(act.principal, act.reason)
                    .wait()?;
                opened.close()?;
                told(&mut call.out, "disabled", &what, done)
            }
            Self::Enable(act) => {
                let opened = call.site.write()?;
                let record = opened
                    .engine
                    .principals()
                    .enable(act.principal, act.reason)
                    .wait()?;
                opened.close()?;
                let view = PrincipalView::new(&record, call.site.now());
                call.out
                    .say(&view, format_args!("enabled: {}", record.principal))?;
                Ok(Exit::Done)
            }
            Self::Revoke(act) => {
                let opened = call.site.write()?;
                let what = format!("everything of {}", act.principal);
                let principals = opened.engine.principals();
                let done = principals
                    .revoke_everything(act.principal, act.reason)
                    .wait()?;
                opened.close()?;
                told(&mut call.out, "revoked", &what, done)
            }
        }
    }
}

fn list(call: &mut Call) -> Outcome {
    let opened = call.site.read()?;
    let now = call.site.now();
    let (mut after, mut shown) = (None, false);
    loop {
        stop::check()?;
        let page = opened.engine.principals().list(after, CHUNK).wait()?;
        let views: Vec<_> = page
            .principals
            .iter()
            .map(|record| PrincipalView::new(record, now))
            .collect();
        call.out.rows(&views, shown)?;
        shown |= !views.is_empty();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    opened.close()?;
    Ok(Exit::Done)
}

fn show(call: &mut Call, principal: &Principal) -> Outcome {
    let opened = call.site.read()?;
    let found = opened.engine.principals().show(principal.clone()).wait()?;
    opened.close()?;
    let Some(record) = found else {
        return Err(Failure::not_found(format_args!(
            "no principal is called {principal}"
        )));
    };
    call.out
        .sheet(&PrincipalView::new(&record, call.site.now()))?;
    Ok(Exit::Done)
}
