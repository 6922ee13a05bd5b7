//! The policy: every tunable of the engine in one value, checked when it is built.
//!
//! A [`Draft`] is filled in by the host or read from TOML; [`Draft::build`] checks every bound and
//! answers a [`Policy`], which cannot hold a bad value. Errors name the field, the value and what
//! is allowed, and the line where the draft came from TOML.
//! `docs/POLICY.md` lists every field with its default and the name of the matching Jira setting.

mod check;
mod sections;
mod span;
mod text;

pub use check::PolicyError;
pub use sections::{
    AccessTokenPolicy, AtLimit, AuditPolicy, CachePolicy, FormTokenPolicy, ImageTokenPolicy,
    InputPolicy, RememberMePolicy, SessionPolicy,
};
pub use span::format_span;
pub use text::{POLICY_TEXT_MAX, PolicyTextError};

use crate::grant::Expiry;
use crate::time::Timestamp;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A policy that is being filled in; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Draft {
    /// Personal access tokens.
    pub access_tokens: AccessTokenPolicy,
    /// Remember-me tokens.
    pub remember_me: RememberMePolicy,
    /// Sessions.
    pub sessions: SessionPolicy,
    /// Form tokens.
    pub form_tokens: FormTokenPolicy,
    /// Image tokens.
    pub image_tokens: ImageTokenPolicy,
    /// The audit log.
    pub audit: AuditPolicy,
    /// The record cache.
    pub cache: CachePolicy,
    /// What is taken as input at all.
    pub input: InputPolicy,
}

/// A policy whose every value is within its bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy(Draft);

impl Draft {
    /// Checks every value.
    ///
    /// # Errors
    /// The first value out of its bound, by field.
    pub fn build(self) -> Result<Policy, PolicyError> {
        check::check(&self)?;
        Ok(Policy(self))
    }
}

impl Policy {
    /// A copy to be changed and built again.
    #[must_use]
    pub fn to_draft(&self) -> Draft {
        self.0.clone()
    }

    /// Personal access tokens.
    #[must_use]
    pub const fn access_tokens(&self) -> &AccessTokenPolicy {
        &self.0.access_tokens
    }

    /// Remember-me tokens.
    #[must_use]
    pub const fn remember_me(&self) -> &RememberMePolicy {
        &self.0.remember_me
    }

    /// Sessions.
    #[must_use]
    pub const fn sessions(&self) -> &SessionPolicy {
        &self.0.sessions
    }

    /// Form tokens.
    #[must_use]
    pub const fn form_tokens(&self) -> &FormTokenPolicy {
        &self.0.form_tokens
    }

    /// Image tokens.
    #[must_use]
    pub const fn image_tokens(&self) -> &ImageTokenPolicy {
        &self.0.image_tokens
    }

    /// The audit log.
    #[must_use]
    pub const fn audit(&self) -> &AuditPolicy {
        &self.0.audit
    }

    /// The record cache.
    #[must_use]
    pub const fn cache(&self) -> &CachePolicy {
        &self.0.cache
    }

    /// What is taken as input at all.
    #[must_use]
    pub const fn input(&self) -> &InputPolicy {
        &self.0.input
    }
}

impl AccessTokenPolicy {
    /// When a token made at `created_at` ends under this policy.
    ///
    /// Tightening applies to tokens that exist already: none outlives `max_lifetime`, and where
    /// `allow_never` is off an eternal one ends with it too.
    #[must_use]
    pub fn end_of(&self, created_at: Timestamp, expiry: Expiry) -> Timestamp {
        self.lifetimes().end_of(created_at, expiry)
    }

    /// What it says of how long tokens live.
    #[must_use]
    pub const fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            max_lifetime: self.max_lifetime,
            allow_never: self.allow_never,
        }
    }
}

/// What a policy says of how long access tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// The longest that one lives.
    pub max_lifetime: Duration,
    /// Whether one may live for ever.
    pub allow_never: bool,
}

impl Lifetimes {
    /// As [`AccessTokenPolicy::end_of`].
    #[must_use]
    pub fn end_of(self, created_at: Timestamp, expiry: Expiry) -> Timestamp {
        let longest = created_at.after(self.max_lifetime);
        match expiry {
            Expiry::At(at) => at.min(longest),
            Expiry::Never if self.allow_never => Timestamp::MAX,
            Expiry::Never => longest,
        }
    }
}

impl ImageTokenPolicy {
    /// When a token that was signed for an instant until another ends under this policy.
    ///
    /// A shorter lifetime ends what was sent under a longer one, and a longer one lengthens
    /// nothing.
    #[must_use]
    pub fn end_of(&self, issued_at: Timestamp, expires_at: Timestamp) -> Timestamp {
        expires_at.min(issued_at.after(self.lifetime()))
    }

    /// The longest that a token works.
    pub(crate) const fn lifetime(&self) -> Duration {
        Duration::from_secs((self.expiry_hours as u64).saturating_mul(3600))
    }
}

/// Whole days, for defaults and bounds.
const fn days(n: u64) -> Duration {
    Duration::from_secs(n.saturating_mul(86_400))
}

#[cfg(test)]
mod tests;
