//! `token rotate` and `token revoke`.

use super::issue;
use crate::cli::Call;
use crate::failure::{Exit, Failure, Outcome};
use crate::out::Out;
use crate::parse::{self, When};
use clap::{ArgGroup, Args};
use countersign::{Expiry, Principal, Reason, Revocation, Rotation, Selector};
use serde::Serialize;
use std::time::Duration;

/// Replace a live token by a new one with the same name and scopes, and print that, once
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  countersign token rotate 01934f3c-8a00-7abc-8def-0123456789ab --overlap 1h")]
pub(crate) struct Rotate {
    /// The token's public half
    #[arg(value_parser = parse::PublicHalf)]
    selector: Selector,

    /// For how long the old one still works
    #[arg(long, value_name = "SPAN", value_parser = parse::span, default_value = "0s")]
    overlap: Duration,

    /// When the new one dies [default: after as long as the old one was meant to live]
    #[arg(long, value_name = "90d|RFC3339", value_parser = When::parse, conflicts_with = "never")]
    expires: Option<When>,

    /// The new one does not die by itself
    #[arg(long)]
    never: bool,
}

impl Rotate {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write()?;
        let now = call.site.now();
        let never = self.never.then_some(Expiry::Never);
        let expiry = self
            .expires
            .map(|when| Expiry::At(when.after(now)))
            .or(never);
        let rotation = Rotation {
            overlap: self.overlap,
            expiry,
        };
        let issued = opened
            .engine
            .access()
            .rotate(self.selector, rotation)
            .wait()?;
        issue::show(&mut call.out, &issued)?;
        opened.close()?;
        Ok(Exit::Done)
    }
}

/// End one token, all of a principal, or all there are
///
/// It is in force, and on the disk, before this returns.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign token revoke 01934f3c-8a00-7abc-8def-0123456789ab --reason 'laptop lost'
  countersign token revoke --principal ann
  countersign token revoke --all --reason 'key file leaked'")]
#[command(group = ArgGroup::new("which").args(["selector", "principal", "all"]).required(true))]
pub(crate) struct Revoke {
    /// The token's public half
    #[arg(value_parser = parse::PublicHalf)]
    selector: Option<Selector>,

    /// Everything that was issued to this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// Every access token of everybody
    #[arg(long)]
    all: bool,

    /// Why, for the audit log
    #[arg(long)]
    reason: Option<Reason>,
}

impl Revoke {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write()?;
        let access = opened.engine.access();
        let (what, pending) = match (self.selector, self.principal, self.all) {
            (Some(selector), None, false) => {
                (selector.to_string(), access.revoke(selector, self.reason))
            }
            (None, Some(principal), false) => {
                let what = format!("everything of {principal}");
                (what, access.revoke_all_of(principal, self.reason))
            }
            (None, None, true) => (
                "every access token".to_owned(),
                access.revoke_all(self.reason),
            ),
            // Nothing is revoked that was not named.
            _ => return Err(Failure::usage("name one: a token, --principal, or --all")),
        };
        let revocation = pending.wait()?;
        opened.close()?;
        told(&mut call.out, "revoked", &what, revocation)
    }
}

/// Tells how a denial went; one that is not on the disk is lost with this process.
pub(crate) fn told(
    out: &mut Out,
    done: &'static str,
    what: &str,
    revocation: Revocation,
) -> Outcome {
    #[derive(Serialize)]
    struct Told<'a> {
        done: &'static str,
        what: &'a str,
        already: bool,
    }
    if !revocation.durable {
        return Err(Failure::new(
            Exit::Failed,
            "not_durable",
            format_args!("the store did not take it, so {what} is not {done}: try again"),
        ));
    }
    let already = if revocation.already { " already" } else { "" };
    let text = format!("{done}{already}: {what}");
    out.say(
        &Told {
            done,
            what,
            already: revocation.already,
        },
        text,
    )?;
    Ok(Exit::Done)
}
