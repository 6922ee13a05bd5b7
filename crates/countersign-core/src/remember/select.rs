//! What state a series is in, for lists.

use super::life::fate;
use crate::decision::Setting;
use crate::principal::{PrincipalRecord, PrincipalState};
use crate::series::SeriesRecord;
use crate::system::Subsystem;
use core::fmt;

/// Where a remembered device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SeriesState {
    /// It is remembered, as long as its principal is enabled and remember-me is on.
    Live,
    /// It was revoked, evicted, or an epoch has moved on.
    Revoked,
    /// A replaced secret of it came back.
    Reused,
    /// Its time is over.
    Expired,
}

impl SeriesState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Live, Self::Revoked, Self::Reused, Self::Expired];

    /// The word in lists and for scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Revoked => "revoked",
            Self::Reused => "reused",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for SeriesState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of a series at the setting's instant.
#[must_use]
pub fn state_of(
    setting: &Setting<'_>,
    series: &SeriesRecord,
    principal: Option<&PrincipalRecord>,
) -> SeriesState {
    let Some(principal) = principal else {
        return SeriesState::Revoked;
    };
    let system = &setting.system.record;
    let fate = fate(setting.now, setting.policy, system, series, principal);
    if fate.reused {
        SeriesState::Reused
    } else if fate.revoked {
        SeriesState::Revoked
    } else if fate.expired {
        SeriesState::Expired
    } else {
        SeriesState::Live
    }
}

/// Whether a series would let its device in now, apart from its secret.
#[must_use]
pub fn is_usable(
    setting: &Setting<'_>,
    series: &SeriesRecord,
    principal: &PrincipalRecord,
) -> bool {
    let system = &setting.system.record;
    !fate(setting.now, setting.policy, system, series, principal).is_over()
        && principal.principal == series.principal
        && principal.state == PrincipalState::Enabled
        && system.is_on(Subsystem::RememberMe)
}
