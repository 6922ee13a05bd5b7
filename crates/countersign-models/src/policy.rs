//! A policy under which little is held.

use countersign::Draft;

/// A policy with room for so many sessions, and for so many records of each kind in the cache.
#[must_use]
pub fn small(sessions: u64, cached: u64) -> Draft {
    let mut draft = Draft::default();
    draft.sessions.max_sessions = sessions;
    draft.sessions.max_anonymous = sessions;
    draft.sessions.max_ended = sessions;
    draft.cache.max_tokens = cached;
    draft.cache.max_principals = cached;
    draft.cache.max_attachments = cached;
    draft
}
