//! The sections of a policy, with the defaults of the product whose settings they mirror.

use super::{days, span};
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// What happens when somebody has as many as they may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtLimit {
    /// Another one is refused.
    #[default]
    Deny,
    /// The oldest one is ended for it.
    EvictOldest,
}

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
        #[serde(deny_unknown_fields, default)]
        #[non_exhaustive]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    )*};
}

sections! {
    /// Personal access tokens.
    AccessTokenPolicy {
        /// How many live tokens a principal may have: 1 to 1 000.
        max_live_per_principal: u32 = 10,
        /// What happens at that limit.
        at_limit: AtLimit = AtLimit::Deny,
        /// How many tokens of a principal are kept in all, dead ones included: at least the live
        /// limit, at most 1 500, so that the list fits a record. The oldest dead ones are pruned
        /// for new ones.
        max_kept_per_principal: u32 = 100,
        /// The longest a token may live: one minute to 100 years.
        #[serde(with = "span")]
        max_lifetime: Duration = days(365),
        /// Whether a token may have no expiry at all.
        allow_never: bool = true,
        /// The longest name, in characters: 1 to 255.
        max_name_chars: u32 = 40,
        /// How many scopes a token may have: 0 to 64.
        max_scopes: u32 = 32,
        /// How long before its expiry a token counts as expiring.
        #[serde(with = "span")]
        expiry_warning: Duration = days(5),
        /// How long a dead token stays listed.
        #[serde(with = "span")]
        prune_after: Duration = days(30),
        /// How often last uses are written to the store: one second to one day.
        #[serde(with = "span")]
        last_used_interval: Duration = Duration::from_secs(60),
        /// The longest overlap that a rotation may leave the old secret.
        #[serde(with = "span")]
        max_overlap: Duration = days(7),
    }

    /// Remember-me tokens.
    RememberMePolicy {
        /// How long a device is remembered: one minute to 100 years.
        #[serde(with = "span")]
        max_age: Duration = days(14),
        /// How old a secret gets before it is replaced; never before `grace` is over.
        #[serde(with = "span")]
        rotate_after: Duration = Duration::from_secs(300),
        /// How long a replaced secret still gives the same successor, after that was first seen.
        #[serde(with = "span")]
        grace: Duration = Duration::from_secs(60),
        /// How many devices a principal may have remembered: 1 to 1 000. Twice as many are kept,
        /// dead ones included, and never more than 1 000.
        max_series_per_principal: u32 = 20,
        /// How long a device that is no longer remembered stays listed.
        #[serde(with = "span")]
        prune_after: Duration = days(30),
        /// The cookie's name.
        cookie_name: String = "seraph.rememberme.cookie".to_owned(),
        /// The cookie's path.
        cookie_path: String = "/".to_owned(),
        /// The cookie's domain; none makes it this host's alone.
        cookie_domain: Option<String> = None,
        /// Whether the cookie travels over TLS only.
        cookie_secure: bool = true,
    }

    /// Sessions.
    SessionPolicy {
        /// How long a session may stand idle: one second to 100 years.
        #[serde(with = "span")]
        idle_timeout: Duration = Duration::from_secs(18_000),
        /// How long a session may live at all: at least the idle timeout.
        #[serde(with = "span")]
        absolute_timeout: Duration = days(30),
        /// How many sessions there may be: 1 to 100 million.
        max_sessions: u64 = 1_000_000,
        /// How many of them may be anonymous: at most all of them.
        max_anonymous: u64 = 100_000,
        /// How many a principal may have: 1 to 10 000.
        max_per_principal: u32 = 100,
        /// What happens at that limit.
        at_limit: AtLimit = AtLimit::EvictOldest,
        /// How many attributes a session may have: 0 to 1 024.
        max_attributes: u32 = 64,
        /// How many bytes its attributes may have together: 0 to 1 MiB.
        max_attribute_bytes: u32 = 16 * 1024,
        /// How many ended sessions are remembered, so that a late request and a stale form are told
        /// what became of theirs: 0 to 100 million.
        max_ended: u64 = 100_000,
        /// Whether sessions are carried over a restart, as digests.
        snapshot: bool = true,
        /// How often the snapshot is written: one second to one day.
        #[serde(with = "span")]
        snapshot_interval: Duration = Duration::from_secs(60),
        /// The cookie's name.
        cookie_name: String = "__Host-session".to_owned(),
    }

    /// Form tokens.
    FormTokenPolicy {
        /// The name of the form field and query parameter.
        field_name: String = "atl_token".to_owned(),
        /// The name of the cookie that scripts read.
        cookie_name: String = "atlassian.xsrf.token".to_owned(),
    }

    /// Image tokens.
    ImageTokenPolicy {
        /// How many hours an image link works at most, and at least half of them: 0 to 876 000;
        /// 0 switches image tokens off and refuses those already sent.
        expiry_hours: u32 = 168,
        /// How long the text of a link stays the same: one minute to 31 days, and never longer
        /// than half of what it works.
        #[serde(with = "span")]
        bucket: Duration = days(1),
    }

    /// The audit log.
    AuditPolicy {
        /// How long events are kept: one hour to 100 years.
        #[serde(with = "span")]
        keep: Duration = days(90),
        /// How many refusals a second are told to the observer one by one: 0 to 100 000. The rest
        /// are counted.
        refusals_per_second: u32 = 100,
    }

    /// The record cache.
    CachePolicy {
        /// How many tokens are held in memory: 0 to 100 million.
        max_tokens: u64 = 100_000,
        /// How many principals are held in memory: 0 to 100 million.
        max_principals: u64 = 100_000,
        /// How many attachments are held in memory: 0 to 100 million.
        max_attachments: u64 = 100_000,
        /// Where several nodes share a store: how many milliseconds late a node may hear of what
        /// another one has revoked, whatever fails. Out of that it asks, or refuses. 0 to 60 000;
        /// 0 asks the store for every verdict.
        staleness_ms: u32 = 1000,
    }

    /// What is taken as input at all.
    InputPolicy {
        /// The longest credential that is looked at, in bytes: 128 to 65 536.
        max_credential_bytes: u32 = 4096,
    }
}
