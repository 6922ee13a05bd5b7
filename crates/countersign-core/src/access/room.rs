//! Making room for one more token in a principal's list: what is evicted, what is removed.
//!
//! Work is bounded for each token issued (E17): a list that is far over a bound, because the
//! policy was tightened, shrinks with every issue until it is within it.

use super::life::{counted, counts, fate, is_surely_over};
use super::{Refusal, Setting, named};
use crate::event::{Event, EventKind};
use crate::grant::{EndCause, Grant, GrantEnd};
use crate::kind::CredentialKind;
use crate::policy::AtLimit;
use crate::principal::{CredentialRef, PrincipalRecord};
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::selector::{Selector, ShardTag};

/// The most tokens that are evicted, and the most that are removed, for one new one.
const DISPLACED_MAX: usize = 64;
/// How many more dead tokens are looked at: some of them may be in an overlap and must stay.
const SPARE: usize = 16;

/// Which grants a decision to issue needs besides the principal's record: those it may evict or
/// prune to make room, and those that stand in its way by the list alone.
#[must_use]
pub fn keys_to_issue(setting: &Setting<'_>, principal: &PrincipalRecord) -> Vec<Key> {
    let displaced = Displaced::of(setting, principal);
    let all = displaced.in_the_way.into_iter().chain(displaced.dead);
    all.map(Key::grant).collect()
}

/// What may have to go for one more token to fit.
struct Displaced {
    /// Tokens that count, oldest first: all that are evicted; or, where another token would be
    /// denied, as many as are looked at before it is.
    in_the_way: Vec<Selector>,
    /// Dead tokens, of which `removed` go; the longest dead first.
    dead: Vec<Selector>,
    removed: usize,
}

impl Displaced {
    fn of(setting: &Setting<'_>, principal: &PrincipalRecord) -> Self {
        let policy = setting.policy.access_tokens();
        let live = counted(setting, principal).count();
        let too_many = over(live, policy.max_live_per_principal);
        let in_the_way = match policy.at_limit {
            AtLimit::Deny if too_many > 0 => DISPLACED_MAX,
            _ => too_many,
        };
        let kept = principal.of_kind(CredentialKind::Access).count();
        let removed = over(kept, policy.max_kept_per_principal);
        let looked_at = match removed {
            0 => 0,
            _ => removed.saturating_add(SPARE),
        };

        let is_dead = |entry: &&CredentialRef| !counts(setting, principal, entry);
        let mut dead: Vec<_> = principal
            .of_kind(CredentialKind::Access)
            .filter(is_dead)
            .collect();
        dead.sort_by_key(|entry| entry.ends_at);
        let dead = dead.into_iter().take(looked_at);
        Self {
            in_the_way: counted(setting, principal).take(in_the_way).collect(),
            dead: dead.map(|entry| entry.selector).collect(),
            removed,
        }
    }
}

/// By how many `count` and one more are over `max`, as far as one issue goes.
fn over(count: usize, max: u32) -> usize {
    let over = count.saturating_add(1).saturating_sub(max as usize);
    over.min(DISPLACED_MAX)
}

/// Evicts and removes until one more token fits, or refuses.
pub(super) fn make_room(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    batch: &mut Batch,
    record: &mut PrincipalRecord,
    grants: &[Option<Versioned<Grant>>],
) -> Result<(), Refusal> {
    let policy = setting.policy.access_tokens();
    let Displaced {
        in_the_way,
        dead,
        removed,
    } = Displaced::of(setting, record);
    let found = |at: usize| grants.get(at).and_then(Option::as_ref);
    let mut gone = 0usize;
    for (selector, at) in dead.into_iter().zip(in_the_way.len()..) {
        if gone < removed && !lives(setting, record, found(at)) {
            remove(batch, record, selector, Expect::as_loaded(found(at)));
            gone = gone.saturating_add(1);
        }
    }

    let seed = u64::from_be_bytes(fresh.take().ok_or(Refusal::NotEnoughRandomness)?);
    for (selector, at) in in_the_way.into_iter().zip(0..) {
        let lives = lives(setting, record, found(at));
        let takes_a_place = lives && !found(at).is_some_and(|found| is_replaced(&found.record));
        if takes_a_place && policy.at_limit == AtLimit::Deny {
            continue;
        }
        // What the list alone had counted as live is off the count without being evicted.
        record.note_end(selector, setting.now);
        if takes_a_place {
            batch.record_event(told(
                setting,
                record,
                selector,
                seed.wrapping_add(at as u64),
            ));
        }
        if gone < removed && lives == takes_a_place {
            // Where every place is taken by a live token, an evicted one cannot stay listed.
            remove(batch, record, selector, Expect::as_loaded(found(at)));
            gone = gone.saturating_add(1);
        } else {
            end(setting, batch, selector, found(at), takes_a_place);
        }
    }

    let live = counted(setting, record).count();
    let max = policy.max_live_per_principal as usize;
    if live >= max && policy.at_limit == AtLimit::Deny {
        return Err(Refusal::LimitReached { live, max });
    }
    let kept = record.of_kind(CredentialKind::Access).count();
    let max = policy.max_kept_per_principal as usize;
    if kept >= max && gone == 0 {
        return Err(Refusal::ListFull { kept, max });
    }
    Ok(())
}

/// The same for a rotation, which ends nothing and has loaded nothing: only tokens that are dead
/// by the list alone are removed.
pub(super) fn make_room_unseen(
    setting: &Setting<'_>,
    batch: &mut Batch,
    record: &mut PrincipalRecord,
) -> Result<(), Refusal> {
    let max = setting.policy.access_tokens().max_kept_per_principal;
    let kept = record.of_kind(CredentialKind::Access).count();
    let is_dead = |entry: &&CredentialRef| {
        !counts(setting, record, entry) && is_surely_over(setting, record, entry)
    };
    let dead = record.of_kind(CredentialKind::Access).filter(is_dead);
    let dead: Vec<_> = dead
        .take(over(kept, max))
        .map(|entry| entry.selector)
        .collect();
    let max = max as usize;
    if kept >= max && dead.is_empty() {
        return Err(Refusal::ListFull { kept, max });
    }
    for selector in dead {
        // What is dead stays dead, whatever else was written to it meanwhile.
        remove(batch, record, selector, Expect::Any);
    }
    Ok(())
}

/// Whether a grant is there and has not ended, overlaps included.
fn lives(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
    found: Option<&Versioned<Grant>>,
) -> bool {
    let system = &setting.system.record;
    let fate = |grant| fate(setting.now, setting.policy, system, grant, principal);
    found.is_some_and(|found| !fate(&found.record).is_over())
}

fn remove(batch: &mut Batch, record: &mut PrincipalRecord, selector: Selector, expect: Expect) {
    record.forget(selector);
    batch.delete(Key::grant(selector), expect);
    batch.delete(Key::usage(selector), Expect::Any);
}

/// Whether a successor has its place, so that it has none of its own.
fn is_replaced(grant: &Grant) -> bool {
    let cause = grant.end.as_ref().map(|end| &end.cause);
    matches!(cause, Some(EndCause::Rotated(_)))
}

/// Ends a grant for room, if it is there and takes a place.
fn end(
    setting: &Setting<'_>,
    batch: &mut Batch,
    selector: Selector,
    found: Option<&Versioned<Grant>>,
    takes_a_place: bool,
) {
    let key = Key::grant(selector);
    match found {
        Some(found) if takes_a_place => {
            let mut grant = found.record.clone();
            let (at, cause) = (setting.now, EndCause::Evicted);
            grant.end = Some(GrantEnd { at, cause });
            batch.put(key, Expect::Version(found.version), Record::Grant(grant));
        }
        Some(_) => {}
        // It counts as ended from now on, so the batch is held to its absence: a grant that was
        // merely not handed in must not live on uncounted.
        None => batch.keep(key, Expect::Absent),
    }
}

/// The event of an eviction. The ids of one decision's evictions count up from one random seed.
fn told(setting: &Setting<'_>, record: &PrincipalRecord, selector: Selector, id: u64) -> Event {
    let id = Selector::mint(setting.now, ShardTag::NONE, id.to_be_bytes());
    let mut event = Event::new(id, setting.now, EventKind::Evicted);
    event.principal = Some(record.principal.clone());
    event.credential = Some(named(selector));
    event
}
