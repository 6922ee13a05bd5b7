//! Sessions under bare ids, for libraries that keep a session's one random number in their cookie.
//!
//! They lie in the same table, are judged by the same records, and are told of in the same events
//! as all others. What is different is where their secret comes from: the host is given 16 bytes
//! instead of a token, and presents them again.

use super::judge::SessionUse;
use super::{SessionChange, Sessions};
use crate::error::Error;
use crate::inner::Inner;
use crate::sessions::SessionVerdict;
use countersign_core::{BareId, EpochStamp, Principal, Timestamp};
use countersign_sessions::{AttributeChange, Denied, EndedBy, Live, Method, NewBare, OpenedBare};
use countersign_store::pending::Pending;
use futures_util::FutureExt as _;
use std::net::IpAddr;
use std::sync::Arc;

/// What a session under a bare id is opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBareSession {
    /// Whose it is; `None` for an anonymous one. A principal without a record gets one.
    pub principal: Option<Principal>,
    /// The attributes that it begins with, as changes to none.
    pub attributes: Vec<AttributeChange>,
    /// When it ends, if the policy's timeouts do not end it before.
    pub ends_at: Timestamp,
}

impl Sessions<'_> {
    /// Opens a session that is presented by a bare id.
    ///
    /// # Errors
    /// When sessions are switched off, the principal is disabled or has as many as one may have,
    /// there are as many as there may be, or the attributes are over the policy's bounds.
    pub fn open_bare(&self, new: NewBareSession) -> Pending<Result<OpenedBare, Error>> {
        if let Some(opened) = self.0.open_bare_at_once(&new) {
            return Pending::ready(opened);
        }
        self.0
            .run(|inner| async move { inner.open_bare(&new).await })
    }

    /// Checks a presented bare id, as a use of the session.
    pub fn touch_bare(
        &self,
        presented: &BareId,
        address: Option<IpAddr>,
    ) -> Pending<Result<SessionVerdict, Error>> {
        if let Err(closed) = self.0.open() {
            return Pending::ready(Err(closed));
        }
        let (inner, usage) = (self.0, SessionUse::Active);
        let token = inner.sessions.token_of(&inner.keyring, presented);
        let trusted = inner.trust.term();
        if inner.policy_in_force() {
            let policy = inner.policy.load();
            if let Some(verdict) = inner.session_from_memory(&policy, &token, usage, address)
                && trusted.holds()
            {
                return Pending::ready(Ok(verdict));
            }
        }
        inner.session_slowly(token, usage, address)
    }

    /// Makes all of `changes` to the session's attributes, or none, and moves its end to
    /// `ends_at`, both at once. The policy's timeouts hold beside it.
    ///
    /// # Errors
    /// When the session has ended, or the attributes would be over the policy's bounds.
    pub fn save_bare(
        &self,
        session: &Live,
        changes: Vec<AttributeChange>,
        ends_at: Timestamp,
    ) -> Pending<Result<Live, Error>> {
        let selector = session.selector();
        self.0.on_table(move |inner, moment| {
            let done = inner
                .sessions
                .save_bare(moment, selector, &changes, ends_at);
            inner.settled(done)
        })
    }

    /// Ends the session of a presented bare id, whatever the records say of it; answers whether
    /// there was one. Whatever the store does, it is over when this returns.
    ///
    /// # Errors
    /// When the engine is closed.
    pub fn end_bare(&self, presented: &BareId) -> Result<bool, Error> {
        self.0.open()?;
        self.0.end_bare(presented)
    }
}

impl Inner {
    /// Opens one of nobody, whose records are in memory as a rule: visitors, of whom there are
    /// many, wait for nobody else's disk. `None` where something has to be read.
    fn open_bare_at_once(
        self: &Arc<Self>,
        new: &NewBareSession,
    ) -> Option<Result<OpenedBare, Error>> {
        if let Err(closed) = self.open() {
            return Some(Err(closed));
        }
        let in_memory =
            self.policy_in_force() && self.cache.system().is_some() && self.trust.term().holds();
        if new.principal.is_some() || !in_memory {
            return None;
        }
        self.open_bare(new).now_or_never()
    }

    async fn open_bare(self: &Arc<Self>, new: &NewBareSession) -> Result<OpenedBare, Error> {
        let stamp = match &new.principal {
            Some(principal) => self.stamp_for(principal).await?,
            None => EpochStamp {
                subsystem: self.number_for_anonymous().await?,
                ..EpochStamp::default()
            },
        };
        let policy = self.policy_now().await?;
        let moment = self.moment(&policy);
        let opening = NewBare {
            principal: new.principal.as_ref(),
            stamp,
            attributes: &new.attributes,
            ends_at: new.ends_at,
        };
        let opened = self.drawn(|| {
            let mut fresh = self.fresh()?;
            Ok(self.sessions.open_bare(&moment, &mut fresh, &opening))
        })?;
        self.still_standing(&opened.session).await?;
        if new.principal.is_some() {
            let change = SessionChange::LoggedIn(Method::Other);
            self.tell_change(&opened.session, moment.now, change);
        }
        Ok(opened)
    }

    fn end_bare(&self, presented: &BareId) -> Result<bool, Error> {
        let policy = self.policy.load();
        let token = self.sessions.token_of(&self.keyring, presented);
        if self
            .prove_session(&self.moment(&policy), &token, |_| false)
            .is_err()
        {
            return Ok(false);
        }
        match self.end_session(token.selector(), EndedBy::Principal) {
            Ok(()) => Ok(true),
            Err(Denied::Gone(_) | Denied::Unknown) => Ok(false),
            Err(denied) => Err(denied.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alone::with_engine;
    use countersign_core::Key;
    use countersign_store::store::Watcher as _;

    #[test]
    fn a_visitor_waits_for_nothing_where_the_records_are_in_memory() {
        with_engine(|engine, inner| {
            let mut new = NewBareSession {
                principal: None,
                attributes: Vec::new(),
                ends_at: Timestamp::MAX,
            };
            // The first one may have to read them.
            engine.sessions().open_bare(new.clone()).wait().unwrap();
            assert!(inner.open_bare_at_once(&new).unwrap().is_ok());
            for changed in [Key::SYSTEM, Key::POLICY] {
                inner.cache.changed(&[changed]);
                assert!(inner.open_bare_at_once(&new).is_none(), "{changed:?}");
                engine.sessions().open_bare(new.clone()).wait().unwrap();
                assert!(inner.open_bare_at_once(&new).unwrap().is_ok());
            }
            new.principal = Some(Principal::new("ann").unwrap());
            assert!(inner.open_bare_at_once(&new).is_none());
        });
    }
}
