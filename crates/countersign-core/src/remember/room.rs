//! Making room for one more device in a principal's list: what is evicted, what is removed.
//!
//! Work is bounded for each device (E17): a list that is far over a bound, because the policy was
//! tightened, shrinks with every start until it is within it.

use super::life::{counted, counts};
use super::named;
use crate::decision::{Refusal, Setting};
use crate::event::{Event, EventKind};
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::{CredentialRef, PrincipalRecord};
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::selector::{Selector, ShardTag};
use crate::series::{SeriesEnd, SeriesEndCause, SeriesRecord};

/// The most series that are evicted, and the most that are removed, for one new one.
const DISPLACED_MAX: usize = 64;
/// The most entries for series in a principal's list, whatever the policy.
const KEPT_MAX: usize = 1000;

/// How many series of a principal are kept in all, dead ones included.
#[must_use]
pub fn kept_max(policy: &Policy) -> usize {
    let live = policy.remember_me().max_series_per_principal as usize;
    live.saturating_mul(2).min(KEPT_MAX).max(live)
}

/// Which series a decision to start needs besides the principal's record: those that it ends for
/// room.
#[must_use]
pub fn keys_to_start(setting: &Setting<'_>, principal: &PrincipalRecord) -> Vec<Key> {
    in_the_way(setting, principal).map(Key::series).collect()
}

/// The oldest series that count, as many as are too many with one more.
fn in_the_way(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
) -> impl Iterator<Item = Selector> {
    let max = setting.policy.remember_me().max_series_per_principal as usize;
    let too_many = over(counted(setting, principal).count(), max);
    counted(setting, principal).take(too_many)
}

/// By how many `count` and one more are over `max`, as far as one start goes.
fn over(count: usize, max: usize) -> usize {
    let over = count.saturating_add(1).saturating_sub(max);
    over.min(DISPLACED_MAX)
}

/// Evicts the oldest series and removes the longest dead ones until one more fits.
pub(super) fn make_room(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    batch: &mut Batch,
    record: &mut PrincipalRecord,
    displaced: &[Option<Versioned<SeriesRecord>>],
) -> Result<(), Refusal> {
    let evicted: Vec<Selector> = in_the_way(setting, record).collect();
    for selector in &evicted {
        record.note_end(*selector, setting.now);
    }
    let removed = longest_dead(setting, record);

    let seed = u64::from_be_bytes(fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    let displaced = displaced.iter().map(Option::as_ref);
    let displaced = displaced.chain(core::iter::repeat(None));
    for (id, (selector, found)) in (0u64..).zip(evicted.iter().zip(displaced)) {
        let alive = found.filter(|found| found.record.end.is_none());
        if alive.is_some() {
            batch.record_event(told(setting, record, *selector, seed.wrapping_add(id)));
        }
        let key = Key::series(*selector);
        match (alive, removed.contains(selector)) {
            (_, true) => remove(batch, *selector, Expect::as_loaded(found)),
            (Some(found), false) => {
                let mut series = found.record.clone();
                let (at, cause) = (setting.now, SeriesEndCause::Evicted);
                series.end = Some(SeriesEnd { at, cause });
                batch.put(key, Expect::Version(found.version), Record::Series(series));
            }
            // What ended without the list's telling is off the count from now on.
            (None, false) if found.is_some() => {}
            // One that was merely not handed in must not live on uncounted.
            (None, false) => batch.keep(key, Expect::Absent),
        }
    }
    for selector in removed {
        record.forget(selector);
        if !evicted.contains(&selector) {
            // What is dead stays dead, whatever else was written to it meanwhile.
            remove(batch, selector, Expect::Any);
        }
    }
    Ok(())
}

/// The dead series that cannot stay listed, the longest dead first.
fn longest_dead(setting: &Setting<'_>, record: &PrincipalRecord) -> Vec<Selector> {
    let kept = record.of_kind(CredentialKind::Remember).count();
    let is_dead = |entry: &&CredentialRef| !counts(setting, record, entry);
    let mut dead: Vec<_> = record
        .of_kind(CredentialKind::Remember)
        .filter(is_dead)
        .collect();
    dead.sort_by_key(|entry| entry.ends_at);
    let removed = dead.into_iter().take(over(kept, kept_max(setting.policy)));
    removed.map(|entry| entry.selector).collect()
}

/// Removes a series with its usage.
fn remove(batch: &mut Batch, selector: Selector, expect: Expect) {
    batch.delete(Key::series(selector), expect);
    batch.delete(Key::usage(selector), Expect::Any);
}

/// The event of an eviction. The ids of one decision's evictions count up from one random seed.
fn told(setting: &Setting<'_>, record: &PrincipalRecord, selector: Selector, id: u64) -> Event {
    let id = Selector::mint(setting.now, ShardTag::NONE, id.to_be_bytes());
    let mut event = Event::new(id, setting.now, EventKind::Evicted);
    event.principal = Some(record.principal.clone());
    event.credential = Some(named(selector));
    event
}
