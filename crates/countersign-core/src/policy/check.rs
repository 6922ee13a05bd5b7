//! The bounds of a policy's values.

use super::{Draft, days, format_span};
use crate::scope::SCOPES_MAX;
use core::fmt::Display;
use core::time::Duration;

/// A value out of its bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}; allowed is {allowed}")]
pub struct PolicyError {
    /// The field, as TOML names it: `access_tokens.max_lifetime`.
    pub field: &'static str,
    /// The value that was given.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

const CENTURY: Duration = days(36_525);
const SECOND: Duration = Duration::from_secs(1);
/// The most live tokens of a principal.
const LIVE_MAX: u32 = 1000;
/// The most entries for tokens in a principal's list: with those of 1 000 remembered devices they
/// fit the 64 KiB of a record, at 25 bytes each.
const KEPT_MAX: u32 = 1500;
/// The longest path of a cookie, in bytes.
const PATH_MAX: usize = 255;
/// The longest host name, as DNS has it.
const HOST_MAX: usize = 253;
/// As much of a refused text is shown.
const SHOWN_CHARS: usize = 64;
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn check(draft: &Draft) -> Result<(), PolicyError> {
    access_tokens(draft)?;
    remember_me(draft)?;
    sessions(draft)?;
    others(draft)
}

fn access_tokens(draft: &Draft) -> Result<(), PolicyError> {
    let p = &draft.access_tokens;
    within(
        "access_tokens.max_live_per_principal",
        p.max_live_per_principal,
        1,
        LIVE_MAX,
    )?;
    let kept = "access_tokens.max_kept_per_principal";
    within(
        kept,
        p.max_kept_per_principal,
        p.max_live_per_principal,
        KEPT_MAX,
    )?;
    span(
        "access_tokens.max_lifetime",
        p.max_lifetime,
        MINUTE,
        CENTURY,
    )?;
    within("access_tokens.max_name_chars", p.max_name_chars, 1, 255)?;
    within(
        "access_tokens.max_scopes",
        p.max_scopes as usize,
        0,
        SCOPES_MAX,
    )?;
    span(
        "access_tokens.expiry_warning",
        p.expiry_warning,
        Duration::ZERO,
        CENTURY,
    )?;
    span(
        "access_tokens.prune_after",
        p.prune_after,
        Duration::ZERO,
        CENTURY,
    )?;
    span(
        "access_tokens.last_used_interval",
        p.last_used_interval,
        SECOND,
        days(1),
    )?;
    span(
        "access_tokens.max_overlap",
        p.max_overlap,
        Duration::ZERO,
        CENTURY,
    )
}

fn remember_me(draft: &Draft) -> Result<(), PolicyError> {
    let p = &draft.remember_me;
    span("remember_me.max_age", p.max_age, MINUTE, CENTURY)?;
    span(
        "remember_me.rotate_after",
        p.rotate_after,
        SECOND,
        p.max_age,
    )?;
    span("remember_me.grace", p.grace, Duration::ZERO, days(1))?;
    span(
        "remember_me.prune_after",
        p.prune_after,
        Duration::ZERO,
        CENTURY,
    )?;
    within(
        "remember_me.max_series_per_principal",
        p.max_series_per_principal,
        1,
        1000,
    )?;
    cookie_name("remember_me.cookie_name", &p.cookie_name)?;
    let plain = |c: u8| c.is_ascii_graphic() && c != b';' && c != b',';
    let path = &p.cookie_path;
    if !path.starts_with('/') || path.len() > PATH_MAX || !path.bytes().all(plain) {
        let allowed = "a path that begins with `/`, without blanks, `;` or `,`, of at most 255";
        return Err(refused_text("remember_me.cookie_path", path, allowed));
    }
    let host = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'-';
    match &p.cookie_domain {
        Some(name) if !(1..=HOST_MAX).contains(&name.len()) || !name.bytes().all(host) => {
            let allowed = "a host name, or left out";
            Err(refused_text("remember_me.cookie_domain", name, allowed))
        }
        _ => Ok(()),
    }
}

fn sessions(draft: &Draft) -> Result<(), PolicyError> {
    let p = &draft.sessions;
    span("sessions.idle_timeout", p.idle_timeout, SECOND, CENTURY)?;
    span(
        "sessions.absolute_timeout",
        p.absolute_timeout,
        p.idle_timeout,
        CENTURY,
    )?;
    within("sessions.max_sessions", p.max_sessions, 1, 100_000_000)?;
    within("sessions.max_anonymous", p.max_anonymous, 0, p.max_sessions)?;
    within("sessions.max_per_principal", p.max_per_principal, 1, 10_000)?;
    within("sessions.max_attributes", p.max_attributes, 0, 1024)?;
    within(
        "sessions.max_attribute_bytes",
        p.max_attribute_bytes,
        0,
        1024 * 1024,
    )?;
    within("sessions.max_ended", p.max_ended, 0, 100_000_000)?;
    span(
        "sessions.snapshot_interval",
        p.snapshot_interval,
        SECOND,
        days(1),
    )?;
    cookie_name("sessions.cookie_name", &p.cookie_name)
}

fn others(draft: &Draft) -> Result<(), PolicyError> {
    cookie_name("form_tokens.field_name", &draft.form_tokens.field_name)?;
    cookie_name("form_tokens.cookie_name", &draft.form_tokens.cookie_name)?;
    within(
        "image_tokens.expiry_hours",
        draft.image_tokens.expiry_hours,
        0,
        876_000,
    )?;
    span(
        "image_tokens.bucket",
        draft.image_tokens.bucket,
        MINUTE,
        days(31),
    )?;
    span(
        "audit.keep",
        draft.audit.keep,
        Duration::from_secs(3600),
        CENTURY,
    )?;
    within(
        "audit.refusals_per_second",
        draft.audit.refusals_per_second,
        0,
        100_000,
    )?;
    within("cache.max_tokens", draft.cache.max_tokens, 0, 100_000_000)?;
    within(
        "cache.max_principals",
        draft.cache.max_principals,
        0,
        100_000_000,
    )?;
    within(
        "cache.max_attachments",
        draft.cache.max_attachments,
        0,
        100_000_000,
    )?;
    within("cache.staleness_ms", draft.cache.staleness_ms, 0, 60_000)?;
    within(
        "input.max_credential_bytes",
        draft.input.max_credential_bytes,
        128,
        65_536,
    )
}

fn within<T: PartialOrd + Display + Copy>(
    field: &'static str,
    value: T,
    min: T,
    max: T,
) -> Result<(), PolicyError> {
    if value >= min && value <= max {
        return Ok(());
    }
    Err(refused(field, &value, &format!("{min} to {max}")))
}

fn span(
    field: &'static str,
    value: Duration,
    min: Duration,
    max: Duration,
) -> Result<(), PolicyError> {
    // What is finer would be lost when the policy is written down and read again.
    if !value.subsec_nanos().is_multiple_of(1_000_000) {
        let given = format!("{value:?}");
        return Err(refused(field, &given, "whole milliseconds"));
    }
    if value >= min && value <= max {
        return Ok(());
    }
    let allowed = format!("{} to {}", format_span(min), format_span(max));
    Err(refused(field, &format_span(value), &allowed))
}

/// A cookie's name is a token of RFC 9110.
fn cookie_name(field: &'static str, name: &str) -> Result<(), PolicyError> {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(allowed) {
        return Ok(());
    }
    let allowed = "1 to 128 letters, digits or !#$%&'*+-.^_`|~";
    Err(refused_text(field, name, allowed))
}

/// A refused text may be long or hostile: its beginning is shown, escaped.
fn refused_text(field: &'static str, text: &str, allowed: &str) -> PolicyError {
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "..." } else { "" };
    let value = format!("`{}{more}`", shown.escape_debug());
    refused(field, &value, allowed)
}

fn refused(field: &'static str, value: &impl Display, allowed: &str) -> PolicyError {
    PolicyError {
        field,
        value: value.to_string(),
        allowed: allowed.to_owned(),
    }
}
