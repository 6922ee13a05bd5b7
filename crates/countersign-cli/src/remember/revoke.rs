//! `remember revoke`.

use crate::cli::Call;
use crate::failure::{Failure, Outcome};
use crate::parse;
use crate::token::told;
use clap::{ArgGroup, Args};
use countersign::{Principal, Reason, Selector};

/// Forget one device, all of a principal, or all there are
///
/// It is in force, and on the disk, before this returns. Sessions that a device has opened, or was
/// remembered with, end with it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  countersign remember revoke 01934f3c-8a00-7abc-8def-0123456789ab --reason 'laptop lost'
  countersign remember revoke --principal ann
  countersign remember revoke --principal ann --keep 01934f3c-8a00-7abc-8def-0123456789ab
  countersign remember revoke --all --reason 'key file leaked'")]
#[command(group = ArgGroup::new("which").args(["selector", "principal", "all"]).required(true))]
pub(crate) struct Revoke {
    /// The public half of the device's token
    #[arg(value_parser = parse::PublicHalf)]
    selector: Option<Selector>,

    /// Every device of this principal
    #[arg(long)]
    principal: Option<Principal>,

    /// But not this one
    #[arg(long, value_name = "SELECTOR", value_parser = parse::PublicHalf)]
    #[arg(requires = "principal", conflicts_with_all = ["selector", "all"])]
    keep: Option<Selector>,

    /// Every device of everybody
    #[arg(long)]
    all: bool,

    /// Why, for the audit log
    #[arg(long)]
    reason: Option<Reason>,
}

impl Revoke {
    pub(super) fn run(self, call: &mut Call) -> Outcome {
        let opened = call.site.write()?;
        let (remember, reason) = (opened.engine.remember(), self.reason);
        let (what, pending) = match (self.selector, self.principal, self.all) {
            (Some(selector), None, false) => {
                (selector.to_string(), remember.revoke(selector, reason))
            }
            (None, Some(principal), false) => {
                let what = match self.keep {
                    None => format!("every device of {principal}"),
                    Some(kept) => format!("every device of {principal} but {kept}"),
                };
                (what, remember.forget(principal, self.keep, reason))
            }
            (None, None, true) => (
                "every remembered device".to_owned(),
                remember.revoke_all(reason),
            ),
            // Nothing is forgotten that was not named.
            _ => return Err(Failure::usage("name one: a device, --principal, or --all")),
        };
        let revocation = pending.wait()?;
        opened.close()?;
        told(&mut call.out, "revoked", &what, revocation)
    }
}
