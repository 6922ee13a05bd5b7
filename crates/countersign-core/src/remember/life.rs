//! What has become of a series, and what its principal's list tells about it without loading it.
//!
//! A series lives for `max_age` from its start, whatever is done with it: `docs/DESIGN.md` says
//! why. What it was promised at its start is in the record, so that a policy that is loosened
//! later gives it nothing more; a policy that is tightened ends it sooner.

use crate::decision::Setting;
use crate::epoch::Epoch;
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::{CredentialRef, PrincipalRecord};
use crate::selector::Selector;
use crate::series::{SeriesEndCause, SeriesRecord};
use crate::system::{Subsystem, SystemRecord};
use crate::time::Timestamp;
use core::time::Duration;

/// Whether a series lets nobody in any more, if it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// It was ended, or an epoch has moved on.
    pub(super) revoked: bool,
    /// A replaced secret of it came back.
    pub(super) reused: bool,
    /// Its time is over.
    pub(super) expired: bool,
    /// No end was noted and no epoch has moved on, so that there is an end to be noted.
    pub(super) open: bool,
}

impl Fate {
    pub(super) const fn is_over(self) -> bool {
        self.revoked | self.reused | self.expired
    }
}

/// What has become of a series by `now`. Everything is evaluated, whatever comes of it.
pub(super) fn fate(
    now: Timestamp,
    policy: &Policy,
    system: &SystemRecord,
    series: &SeriesRecord,
    principal: &PrincipalRecord,
) -> Fate {
    let epoch = system.switch(Subsystem::RememberMe).epoch;
    let stands = series.stamp.stands(epoch, principal.logins);
    // When it ended is not asked: an end that was noted is final.
    let (ended, reused, timed_out) = match series.end.as_ref().map(|end| &end.cause) {
        None => (false, false, false),
        Some(SeriesEndCause::Revoked(_) | SeriesEndCause::Evicted) => (true, false, false),
        Some(SeriesEndCause::Reused) => (false, true, false),
        Some(SeriesEndCause::Expired) => (false, false, true),
    };
    Fate {
        revoked: !stands | ended,
        reused,
        expired: timed_out | (now >= by_time(policy, series)),
        open: stands & series.end.is_none(),
    }
}

/// Whether the sessions of a device ended when it did: as it was revoked, or its secret was used
/// by two parties, and not when its time was over or it made room for another one.
#[must_use]
pub fn ends_sessions(system: &SystemRecord, logins: Epoch, series: &SeriesRecord) -> bool {
    let epoch = system.switch(Subsystem::RememberMe).epoch;
    let cause = series.end.as_ref().map(|end| &end.cause);
    let shut_out = matches!(
        cause,
        Some(SeriesEndCause::Revoked(_) | SeriesEndCause::Reused)
    );
    shut_out | !series.stamp.stands(epoch, logins)
}

/// When time ends a series under a policy.
pub(super) fn by_time(policy: &Policy, series: &SeriesRecord) -> Timestamp {
    let longest = series.created_at.after(policy.remember_me().max_age);
    series.expires_at.min(longest)
}

/// When a series ends under a policy, by an end that was noted or by time, whichever comes first;
/// epochs and switches are not looked at.
#[must_use]
pub fn end_of(policy: &Policy, series: &SeriesRecord) -> Timestamp {
    let noted = series.end.as_ref().map_or(Timestamp::MAX, |end| end.at);
    noted.min(by_time(policy, series))
}

/// How far two instants lie apart, whichever is the later one: a clock that was set right after
/// it ran ahead neither stops rotation nor stretches a grace.
pub(super) fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}

/// The instants of the epochs that a series is started under; what is older is over.
pub(super) fn epochs_since(setting: &Setting<'_>, principal: &PrincipalRecord) -> Timestamp {
    let system = setting.system.record.switch(Subsystem::RememberMe);
    system.epoch.since().max(principal.logins.since())
}

/// Whether an entry of a principal's list is a series that counts against the limit. One that
/// lets its device in always does.
pub(super) fn counts(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
    entry: &CredentialRef,
) -> bool {
    let made = entry.selector.minted_at();
    let longest = made.after(setting.policy.remember_me().max_age);
    made >= epochs_since(setting, principal) && entry.ends_at.min(longest) > setting.now
}

/// The selectors of the series that count, oldest first.
pub(super) fn counted(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
) -> impl Iterator<Item = Selector> {
    let entries = principal.of_kind(CredentialKind::Remember);
    let counted = entries.filter(|entry| counts(setting, principal, entry));
    counted.map(|entry| entry.selector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reason_is_enough_and_several_do_not_make_up_for_each_other() {
        for bits in 0..16_u8 {
            let [revoked, reused, expired, open] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let fate = Fate {
                revoked,
                reused,
                expired,
                open,
            };
            assert_eq!(fate.is_over(), bits & 7 != 0, "{fate:?}");
        }
    }
}
