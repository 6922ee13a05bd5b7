//! What the sweep does with a series: notes that its time is over, and later removes it.

use super::life::{by_time, end_of};
use super::{FiledSeries, event};
use crate::decision::{Decision, Refusal, Setting};
use crate::event::EventKind;
use crate::principal::PrincipalRecord;
use crate::principals::rewrite_list;
use crate::record::{Batch, Expect, Key, Record, Versioned};
use crate::secret::Fresh;
use crate::series::{SeriesEnd, SeriesEndCause};
use crate::system::Subsystem;
use crate::time::Timestamp;

/// What became of a series in a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pruned {
    /// Its time is over, which was noted and is final.
    Expired,
    /// It had been dead for long enough and was removed.
    Removed,
}

/// What a sweep does with a series, if anything.
///
/// # Errors
/// Only when randomness runs out.
pub fn prune(
    setting: &Setting<'_>,
    fresh: &mut Fresh,
    filed: FiledSeries<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Result<Option<Decision<Pruned>>, Refusal> {
    let ended_at = ended_at(setting, filed, principal);
    let kept_until = ended_at.after(setting.policy.remember_me().prune_after);
    if kept_until <= setting.now {
        return Ok(Some(remove(setting, filed, principal)));
    }
    let at = by_time(setting.policy, filed.series);
    if filed.series.end.is_some() || at > setting.now {
        return Ok(None);
    }
    // What an epoch had ended before did not end by time.
    let epoch = setting.system.record.switch(Subsystem::RememberMe).epoch;
    let stands =
        |found: &&Versioned<PrincipalRecord>| filed.series.stamp.stands(epoch, found.record.logins);
    let Some(found) = principal.filter(stands) else {
        return Ok(None);
    };
    let mut batch = Batch::deny();
    let told = event(
        setting.now,
        fresh,
        EventKind::Expired,
        filed.selector,
        filed.series,
    )?;
    batch.record_event(told);
    let mut series = filed.series.clone();
    let cause = SeriesEndCause::Expired;
    series.end = Some(SeriesEnd { at, cause });
    let (key, expect) = (Key::series(filed.selector), Expect::Version(filed.version));
    batch.put(key, expect, Record::Series(series));
    // Under a tightened policy the end is sooner than the list has it.
    rewrite_list(setting.keyring, &mut batch, found, |record| {
        record.note_end(filed.selector, at);
    });
    Ok(Some(Decision {
        outcome: Pruned::Expired,
        batch,
    }))
}

/// When a series ended, by whatever came first: its own end, or an epoch of its principal's or of
/// all remembered devices.
fn ended_at(
    setting: &Setting<'_>,
    filed: FiledSeries<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Timestamp {
    let own = end_of(setting.policy, filed.series);
    let system = setting.system.record.switch(Subsystem::RememberMe).epoch;
    let principal = principal.map(|found| found.record.logins);
    own.min(filed.series.stamp.ended_at(system, principal))
}

fn remove(
    setting: &Setting<'_>,
    filed: FiledSeries<'_>,
    principal: Option<&Versioned<PrincipalRecord>>,
) -> Decision<Pruned> {
    let mut batch = Batch::deny();
    batch.delete(Key::series(filed.selector), Expect::Version(filed.version));
    batch.delete(Key::usage(filed.selector), Expect::Any);
    if let Some(found) = principal {
        rewrite_list(setting.keyring, &mut batch, found, |record| {
            record.forget(filed.selector);
        });
    }
    Decision {
        outcome: Pruned::Removed,
        batch,
    }
}
