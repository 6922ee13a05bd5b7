//! Forgetting a principal's devices: all of them, or all but the one that asks.

use super::named;
use crate::decision::{Decision, Refusal, Setting};
use crate::event::{Event, EventKind};
use crate::kind::CredentialKind;
use crate::principal::PrincipalRecord;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::selector::{Selector, ShardTag};
use crate::series::{SeriesEnd, SeriesEndCause, SeriesRecord};
use crate::text::Reason;

/// Which series a decision to forget needs besides the principal's record: all that are listed.
#[must_use]
pub fn keys_to_forget(principal: &PrincipalRecord, kept: Option<Selector>) -> Vec<Key> {
    listed(principal, kept).map(Key::series).collect()
}

fn listed(principal: &PrincipalRecord, kept: Option<Selector>) -> impl Iterator<Item = Selector> {
    let all = principal.of_kind(CredentialKind::Remember);
    let all = all.map(|entry| entry.selector);
    all.filter(move |selector| Some(*selector) != kept)
}

/// Ends every series of a principal but `kept`, in one batch, and answers how many there were to
/// end. The list is bounded by the policy, and so is the batch.
///
/// `found` are what was found under the keys that [`keys_to_forget`] names, in that order.
///
/// # Errors
/// Only when randomness runs out.
pub fn forget(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    principal: &Versioned<PrincipalRecord>,
    kept: Option<Selector>,
    found: &[Option<Versioned<SeriesRecord>>],
    reason: Option<&Reason>,
) -> Result<Decision<usize>, Refusal> {
    let seed = u64::from_be_bytes(fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let (mut batch, mut count) = (Batch::deny(), 0usize);
    let mut record = principal.record.clone();
    let found = found
        .iter()
        .map(Option::as_ref)
        .chain(core::iter::repeat(None));
    let listed = listed(&principal.record, kept).zip(found);
    for (id, (selector, found)) in (0u64..).zip(listed) {
        let key = Key::series(selector);
        record.note_end(selector, setting.now);
        match found {
            Some(found) if found.record.end.is_none() => {
                let mut series = found.record.clone();
                let cause = SeriesEndCause::Revoked(reason.cloned());
                series.end = Some(SeriesEnd {
                    at: setting.now,
                    cause,
                });
                batch.put(key, Expect::Version(found.version), Record::Series(series));
                let id = seed.wrapping_add(id);
                batch.record_event(told(setting, &record, selector, id, reason));
                count = count.saturating_add(1);
            }
            Some(_) => {}
            // One that was merely not handed in must not live on.
            None => batch.keep(key, Expect::Absent),
        }
    }
    // Also where nothing is written to it: a device that is remembered meanwhile is not missed.
    let owner = Key::principal(setting.keyring.principal_key(&record.principal));
    let expect = Expect::Version(principal.version);
    if record == principal.record {
        batch.keep(owner, expect);
    } else {
        batch.put(owner, expect, Record::Principal(record));
    }
    Ok(Decision {
        outcome: count,
        batch,
    })
}

/// The event of one series' end. The ids of one decision's events count up from one random seed.
fn told(
    setting: &Setting<'_>,
    record: &PrincipalRecord,
    selector: Selector,
    id: u64,
    reason: Option<&Reason>,
) -> Event {
    let id = Selector::mint(setting.now, ShardTag::NONE, id.to_be_bytes());
    let mut event = Event::new(id, setting.now, EventKind::Revoked);
    event.principal = Some(record.principal.clone());
    event.credential = Some(named(selector));
    event.reason = reason.cloned();
    event
}
