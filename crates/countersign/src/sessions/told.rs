//! What is told of sessions: log-ins, new tokens and ends, to the observer and to `tracing`.
//!
//! None of it is written to the store, so that no flood of sessions makes it grow. Of sessions of
//! nobody only the ends are told, and of those only so many a second.

use crate::error::Error;
use crate::inner::{Inner, watched};
use countersign_core::{Selector, Timestamp};
use countersign_sessions::{Denied, Done, Ended, EndedBy, Live, Method, Opened, Owner};

use super::OpenedSession;

/// Something that became of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionEvent {
    /// When.
    pub at: Timestamp,
    /// Of which session.
    pub selector: Selector,
    /// Whose it is; `None` for an anonymous one.
    pub owner: Option<Owner>,
    /// What.
    pub change: SessionChange,
    /// How many ends of anonymous sessions before this one were only counted.
    pub suppressed: u64,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionChange {
    /// A principal logged in, and it was opened.
    LoggedIn(Method),
    /// It got a new token.
    Renewed,
    /// Its principal was authenticated again.
    Elevated(Method),
    /// It ended.
    Ended(EndedBy),
}

impl SessionChange {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LoggedIn(_) => "logged-in",
            Self::Renewed => "renewed",
            Self::Elevated(_) => "elevated",
            Self::Ended(_) => "ended",
        }
    }

    /// How it came about: the method of an authentication, or what ended it.
    #[must_use]
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::LoggedIn(method) | Self::Elevated(method) => Some(method.name()),
            Self::Renewed => None,
            Self::Ended(by) => Some(by.name()),
        }
    }
}

impl Inner {
    fn tell_of_session(&self, event: &SessionEvent) {
        #[cfg(feature = "tracing")]
        crate::trace::session(event);
        watched(|| self.observer.session(event));
    }

    pub(super) fn tell_change(&self, session: &Live, at: Timestamp, change: SessionChange) {
        self.tell_of_session(&SessionEvent {
            at,
            selector: session.selector(),
            owner: session.owner().cloned(),
            change,
            suppressed: 0,
        });
    }

    /// Tells of sessions that a call has ended.
    pub(crate) fn tell_ended(&self, ended: Vec<Ended>) {
        for end in ended {
            let mut suppressed = 0;
            if end.owner.is_none() {
                let rate = self.policy.load().audit().refusals_per_second;
                let Some(before) = self.anonymous_ends.admit(end.at, rate) else {
                    continue;
                };
                suppressed = before;
            }
            self.tell_of_session(&SessionEvent {
                at: end.at,
                selector: end.selector,
                owner: end.owner,
                change: SessionChange::Ended(end.by),
                suppressed,
            });
        }
    }

    /// The outcome of a call on the table, with what it ended told.
    pub(super) fn settled<T>(&self, done: Done<Result<T, Denied>>) -> Result<T, Error> {
        self.tell_ended(done.ended);
        Ok(done.outcome?)
    }

    /// The same for one that gave a session a token.
    pub(super) fn reopened(
        &self,
        done: Done<Result<Opened, Denied>>,
        change: SessionChange,
    ) -> Result<OpenedSession, Error> {
        let opened = self.opened(self.settled(done)?)?;
        let now = self.now();
        self.renewed.note(opened.session.selector(), now);
        self.tell_change(&opened.session, now, change);
        Ok(opened)
    }

    pub(super) fn opened(&self, opened: Opened) -> Result<OpenedSession, Error> {
        let token = self.format.text(&opened.token);
        Ok(OpenedSession {
            token: token.ok_or(Error::Setup("this kind has no text"))?,
            session: opened.session,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_line_says_what_became_of_a_session_and_how() {
        let method = Method::Password;
        for (change, name, detail) in [
            (
                SessionChange::LoggedIn(method),
                "logged-in",
                Some(method.name()),
            ),
            (
                SessionChange::Elevated(method),
                "elevated",
                Some(method.name()),
            ),
            (SessionChange::Renewed, "renewed", None),
            (
                SessionChange::Ended(EndedBy::Theft),
                "ended",
                Some(EndedBy::Theft.name()),
            ),
        ] {
            assert_eq!(
                (change.name(), change.detail()),
                (name, detail),
                "{change:?}"
            );
        }
        assert_ne!(EndedBy::Theft.name(), EndedBy::Idle.name());
    }
}
