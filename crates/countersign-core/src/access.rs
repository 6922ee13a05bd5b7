//! Access tokens: every rule of theirs, as functions from records to a verdict and writes.
//!
//! Given `now`, fresh random bytes, what is presented and the records it concerns, a function
//! here answers what is so and which writes follow. Nothing here reads a clock, draws a random
//! byte or touches a store: the engine loads what a decision asks for, commits its batch on the
//! condition that nothing has changed meanwhile, and decides again where something has.

mod check;
mod issue;
mod life;
mod prune;
mod revoke;
mod room;
mod rotate;
mod select;

pub use check::{Decoy, EarlyHash, Facts, HashedToken, Presented, check, judge, stands};
pub use issue::{Issued, NewToken, issue};
pub use life::{NotedEnd, end_of};
pub use prune::{Pruned, prune};
pub use revoke::{Revoked, revoke};
pub use room::keys_to_issue;
pub use rotate::{Rotation, rotate};
pub use select::{GrantFilter, GrantState, is_usable, state_of};

use crate::decision::{Decision, Refusal, Setting, new_event};
use crate::event::{CredentialName, Event, EventKind};
use crate::grant::Grant;
use crate::kind::CredentialKind;
use crate::record::Version;
use crate::secret::Fresh;
use crate::selector::Selector;

/// A grant under the selector that it is filed by.
#[derive(Clone, Copy, Debug)]
pub struct FiledGrant<'a> {
    /// Its selector.
    pub selector: Selector,
    /// The version it was loaded in.
    pub version: Version,
    /// The grant.
    pub grant: &'a Grant,
}

/// The name of an access token in an event.
const fn named(selector: Selector) -> CredentialName {
    CredentialName {
        kind: CredentialKind::Access,
        selector,
    }
}

/// An event about one access token and whose it is.
fn event(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    kind: EventKind,
    selector: Selector,
    grant: &Grant,
) -> Result<Event, Refusal> {
    let mut event = new_event(setting.now, fresh, kind)?;
    event.principal = Some(grant.principal.clone());
    event.credential = Some(named(selector));
    Ok(event)
}

#[cfg(test)]
mod tests;
