//! What state a grant is in, and which grants a listing asks for.

use super::Setting;
use super::life::{end_of, fate};
use crate::grant::{EndCause, Grant, Usage};
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::system::Subsystem;
use crate::time::Timestamp;
use core::fmt;

/// Where a token is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantState {
    /// It works, as long as its principal is enabled and access tokens are on.
    Live,
    /// It was replaced; its secret may still work until its overlap is over.
    Rotated,
    /// It was revoked, evicted, or an epoch has moved on.
    Revoked,
    /// Its time is over.
    Expired,
}

impl GrantState {
    /// The word in lists and for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Rotated => "rotated",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for GrantState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of a grant at the setting's instant.
#[must_use]
pub fn state_of(
    setting: &Setting<'_>,
    grant: &Grant,
    principal: Option<&PrincipalRecord>,
) -> GrantState {
    let system = &setting.system.record;
    let epoch = system.switch(Subsystem::AccessTokens).epoch;
    let stands = |record: &&PrincipalRecord| grant.stamp.stands(epoch, record.epoch);
    let Some(principal) = principal.filter(stands) else {
        return GrantState::Revoked;
    };
    match grant.end.as_ref().map(|end| &end.cause) {
        Some(EndCause::Revoked(_) | EndCause::Evicted) => GrantState::Revoked,
        Some(EndCause::Rotated(_)) => GrantState::Rotated,
        Some(EndCause::Expired) | None => {
            let fate = fate(setting.now, setting.policy, system, grant, principal);
            if fate.is_over() {
                GrantState::Expired
            } else {
                GrantState::Live
            }
        }
    }
}

/// Which grants a listing asks for; what is not set is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantFilter {
    /// Of this principal.
    pub principal: Option<Principal>,
    /// In this state.
    pub state: Option<GrantState>,
    /// Made at or after this instant.
    pub created_from: Option<Timestamp>,
    /// Made before this instant.
    pub created_before: Option<Timestamp>,
    /// Ending before this instant, and not dead yet.
    pub expires_before: Option<Timestamp>,
    /// Never used, or not since this instant.
    pub unused_since: Option<Timestamp>,
    /// Used at all, or never used.
    pub used: Option<bool>,
}

impl GrantFilter {
    /// Whether a grant is asked for.
    #[must_use]
    pub fn takes(
        &self,
        setting: &Setting<'_>,
        grant: &Grant,
        principal: Option<&PrincipalRecord>,
        usage: Option<&Usage>,
    ) -> bool {
        self.takes_under(setting, setting.policy, grant, principal, usage)
    }

    /// The same, with `expires_before` asked of a policy that is only proposed (E16).
    ///
    /// A token that is not dead today and would be dead at once under `proposed` is asked for.
    #[must_use]
    pub fn takes_under(
        &self,
        setting: &Setting<'_>,
        proposed: &Policy,
        grant: &Grant,
        principal: Option<&PrincipalRecord>,
        usage: Option<&Usage>,
    ) -> bool {
        let asked =
            |wanted: Option<Timestamp>, test: &dyn Fn(Timestamp) -> bool| wanted.is_none_or(test);
        let last_used = usage.map_or(Timestamp::ZERO, |usage| usage.last_used_at);
        let ends_at = end_of(proposed, grant);
        let is_over = principal.is_none_or(|record| {
            fate(
                setting.now,
                setting.policy,
                &setting.system.record,
                grant,
                record,
            )
            .is_over()
        });
        let ends_soon = |before| !is_over && ends_at < before;
        // A token that is younger than the period has had no chance of being used.
        let idle = |since| last_used < since && grant.created_at < since;
        self.principal
            .as_ref()
            .is_none_or(|wanted| *wanted == grant.principal)
            && self
                .state
                .is_none_or(|wanted| wanted == state_of(setting, grant, principal))
            && asked(self.created_from, &|from| grant.created_at >= from)
            && asked(self.created_before, &|before| grant.created_at < before)
            && asked(self.expires_before, &ends_soon)
            && asked(self.unused_since, &idle)
            && self.used.is_none_or(|wanted| wanted == usage.is_some())
    }
}

/// Whether a grant would let its bearer in now, apart from its secret and a scope: also one that
/// was replaced, as long as it is in its overlap.
#[must_use]
pub fn is_usable(setting: &Setting<'_>, grant: &Grant, principal: &PrincipalRecord) -> bool {
    let system = &setting.system.record;
    !fate(setting.now, setting.policy, system, grant, principal).is_over()
        && principal.principal == grant.principal
        && principal.state == PrincipalState::Enabled
        && system.is_on(Subsystem::AccessTokens)
}
