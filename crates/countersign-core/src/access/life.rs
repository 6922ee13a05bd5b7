//! What has become of a grant, and what its principal's list tells about it without loading it.
//!
//! An end that somebody decided on is final: no clock that steps back and no policy that is
//! loosened gives the token back. An end by time, or of an overlap, is as the clock and the
//! policy of the moment have it.

use super::Setting;
use super::check::Facts;
use crate::grant::{EndCause, Expiry, Grant, GrantEnd};
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::{CredentialRef, PrincipalRecord};
use crate::selector::Selector;
use crate::system::{Subsystem, SystemRecord};
use crate::time::Timestamp;

/// Whether a grant lets nobody in any more, if it does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fate {
    /// It was ended, replaced, or an epoch has moved on.
    pub(super) revoked: bool,
    /// Its time is over.
    pub(super) expired: bool,
}

impl Fate {
    pub(super) const fn is_over(self) -> bool {
        self.revoked | self.expired
    }
}

/// What has become of a grant by `now`.
pub(super) fn fate(
    now: Timestamp,
    policy: &Policy,
    system: &SystemRecord,
    grant: &Grant,
    principal: &PrincipalRecord,
) -> Fate {
    fate_of(now, &Facts::of(policy, grant, principal, system))
}

/// The same by the facts. Everything is evaluated, whatever comes of it.
pub(super) fn fate_of(now: Timestamp, facts: &Facts<'_>) -> Fate {
    let stands = facts.stamp.stands_under(facts.in_force);
    let (cut_short, timed_out) = match facts.end {
        NotedEnd::None => (false, false),
        NotedEnd::Final => (true, false),
        NotedEnd::Overlap(at) => (now >= at, false),
        NotedEnd::Time(at) => (false, now >= at),
    };
    Fate {
        revoked: !stands | cut_short,
        expired: (now >= facts.ends_at) | timed_out,
    }
}

/// The end that was noted of a grant, as a policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotedEnd {
    /// None was.
    None,
    /// No clock and no policy puts it off again.
    Final,
    /// It was replaced, and its overlap ends at this instant.
    Overlap(Timestamp),
    /// Its time was over at this instant.
    Time(Timestamp),
}

impl NotedEnd {
    /// The end of a grant where that is the same under every policy; `None` elsewhere.
    #[must_use]
    pub fn once_for_all(grant: &Grant) -> Option<Self> {
        match &grant.end {
            None => Some(Self::None),
            Some(end) => is_final(end).then_some(Self::Final),
        }
    }

    pub(super) fn of(policy: &Policy, grant: &Grant) -> Self {
        match &grant.end {
            None => Self::None,
            Some(end) if is_final(end) => Self::Final,
            Some(end) if end.cause == EndCause::Expired => Self::Time(end.at),
            Some(end) => Self::Overlap(overlap_bounded(policy, end)),
        }
    }
}

/// Whether no clock and no policy can put the end off again.
pub(super) fn is_final(end: &GrantEnd) -> bool {
    match &end.cause {
        EndCause::Revoked(_) | EndCause::Evicted => true,
        // Replaced without an overlap: the successor is as old as the end.
        EndCause::Rotated(successor) => end.at <= successor.minted_at(),
        EndCause::Expired => false,
    }
}

/// When a grant ends under a policy, by its own end or by time, whichever comes first; epochs and
/// switches are not looked at.
///
/// Under a policy that is only proposed, this is what a forecast asks (E16).
#[must_use]
pub fn end_of(policy: &Policy, grant: &Grant) -> Timestamp {
    let noted = grant.end.as_ref();
    let noted = noted.map_or(Timestamp::MAX, |end| overlap_bounded(policy, end));
    let policy = policy.access_tokens();
    noted.min(policy.end_of(grant.created_at, grant.expiry))
}

/// The instant of an end; an overlap is held to the policy of today, as a lifetime is.
fn overlap_bounded(policy: &Policy, end: &GrantEnd) -> Timestamp {
    match &end.cause {
        EndCause::Rotated(successor) => {
            let longest = policy.access_tokens().max_overlap;
            end.at.min(successor.minted_at().after(longest))
        }
        _ => end.at,
    }
}

/// The age that a new selector is given: `now`, or the instants of the epochs that it is issued
/// under, where the clock has stepped back behind one.
pub(super) fn age_of_new(setting: &Setting<'_>, principal: &PrincipalRecord) -> Timestamp {
    setting.now.max(epochs_since(setting, principal))
}

/// Whether an entry of a principal's list is a token that counts against the limit: one that
/// neither ended nor was replaced.
///
/// A token that is refused for good is never counted, one that is accepted always is, unless it
/// was replaced and is in its overlap.
pub(super) fn counts(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
    entry: &CredentialRef,
) -> bool {
    let made = entry.selector.minted_at();
    let expiry = match entry.ends_at {
        Timestamp::MAX => Expiry::Never,
        at => Expiry::At(at),
    };
    let ends_at = setting.policy.access_tokens().end_of(made, expiry);
    made >= epochs_since(setting, principal) && ends_at > setting.now
}

/// Whether an entry that does not count is not in an overlap either, as far as the list tells.
pub(super) fn is_surely_over(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
    entry: &CredentialRef,
) -> bool {
    let max_overlap = setting.policy.access_tokens().max_overlap;
    let by_epoch = entry.selector.minted_at() < epochs_since(setting, principal);
    by_epoch || entry.ends_at.after(max_overlap) <= setting.now
}

/// The selectors of the tokens that count, oldest first.
pub(super) fn counted(
    setting: &Setting<'_>,
    principal: &PrincipalRecord,
) -> impl Iterator<Item = Selector> {
    let entries = principal.of_kind(CredentialKind::Access);
    let counted = entries.filter(|entry| counts(setting, principal, entry));
    counted.map(|entry| entry.selector)
}

fn epochs_since(setting: &Setting<'_>, principal: &PrincipalRecord) -> Timestamp {
    let system = setting.system.record.switch(Subsystem::AccessTokens);
    system.epoch.since().max(principal.epoch.since())
}
