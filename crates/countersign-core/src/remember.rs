//! Remember-me: every rule of remembered devices, as functions from records to a verdict and
//! writes.
//!
//! A device presents a secret when it has no session. The secret is replaced every now and then,
//! and its successor is *derived from it*, under a key that only the server has: so whoever loses
//! a race, or loses the response, presents the old secret again and gets the same successor.
//! Whoever presents a replaced secret after its successor has been in use for a while proves that
//! two parties hold this device's secrets, and the device's series ends; no other series does.
//!
//! As in [`access`](crate::access), the engine loads what a decision asks for, commits its batch
//! on the condition that nothing has changed meanwhile, and decides again where something has.
//! Deciding again is all that a race, a lost response or a restart needs.

mod admit;
mod forget;
mod life;
mod present;
mod proof;
mod prune;
mod revoke;
mod room;
mod select;
mod start;

pub use forget::{forget, keys_to_forget};
pub use life::{end_of, ends_sessions};
pub use present::{Admitted, Decoy, Handed, Presented, present};
pub use prune::{Pruned, prune};
pub use revoke::{Revoked, revoke};
pub use room::{kept_max, keys_to_start};
pub use select::{SeriesState, is_usable, state_of};
pub use start::{NewSeries, Started, start};

use crate::decision::{Refusal, new_event};
use crate::event::{CredentialName, Event, EventKind};
use crate::kind::CredentialKind;
use crate::record::Version;
use crate::secret::Fresh;
use crate::selector::Selector;
use crate::series::SeriesRecord;
use crate::time::Timestamp;

/// A series under the selector that it is filed by.
#[derive(Clone, Copy, Debug)]
pub struct FiledSeries<'a> {
    /// Its selector.
    pub selector: Selector,
    /// The version it was loaded in.
    pub version: Version,
    /// The series.
    pub series: &'a SeriesRecord,
}

/// The name of a series in an event.
const fn named(selector: Selector) -> CredentialName {
    CredentialName {
        kind: CredentialKind::Remember,
        selector,
    }
}

/// An event about one series and whose it is.
fn event(
    now: Timestamp,
    fresh: &mut Fresh,
    kind: EventKind,
    selector: Selector,
    series: &SeriesRecord,
) -> Result<Event, Refusal> {
    let mut event = new_event(now, fresh, kind)?;
    event.principal = Some(series.principal.clone());
    event.credential = Some(named(selector));
    Ok(event)
}

#[cfg(test)]
mod tests;
