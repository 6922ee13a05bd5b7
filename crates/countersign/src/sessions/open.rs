//! Opening sessions: what the records must say before, and once more after.
//!
//! A session is opened under the epochs as they were read. Whoever moves an epoch on ends the
//! sessions that are there; one that is opened at the same moment would be missed. So the records
//! are looked at again once it is open, and it is ended if it does not stand: of the two, one has
//! always seen the other.

use super::SessionChange;
use super::judge::Standing;
use crate::admin::unwritten;
use crate::denials::Asked;
use crate::error::Error;
use crate::inner::Inner;
use countersign_core::logins;
use countersign_core::{
    CredentialKind, EpochStamp, Principal, PrincipalKey, Refusal, Rejection, SecretText, Selector,
    Subsystem, Timestamp,
};
use countersign_sessions::{
    AttributeName, Denied, Done, EndedBy, Gone, Live, LogIn, Method, Timeouts,
};
use countersign_store::pending::Pending;
use std::sync::Arc;
use std::time::Duration;

/// How often random bytes are drawn anew that met those of another session.
const DRAWS: usize = 4;

/// A session that was opened, or given a new token.
#[derive(Debug)]
pub struct OpenedSession {
    /// The token, for the cookie; shown now or never.
    pub token: SecretText,
    /// The session.
    pub session: Live,
}

/// Who logs in, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLogIn {
    /// Who.
    pub principal: Principal,
    /// How they were authenticated.
    pub method: Method,
    /// For how long that counts as fresh; a remember-me credential never does.
    pub fresh_for: Duration,
    /// The session's own timeouts, where they are not the policy's.
    pub timeouts: Timeouts,
    /// When it ends at the latest, whatever its timeouts say: when the device that opened it does.
    pub ends_by: Option<Timestamp>,
    /// The remembered device that opened the session, or was made with it.
    pub series: Option<Selector>,
    /// Which attributes are taken along from the session before; all others end with it.
    pub carry: Vec<AttributeName>,
}

impl NewLogIn {
    /// A log-in with the policy's timeouts that takes nothing along.
    #[must_use]
    pub const fn new(principal: Principal, method: Method, fresh_for: Duration) -> Self {
        Self {
            principal,
            method,
            fresh_for,
            timeouts: Timeouts {
                idle: None,
                absolute: None,
            },
            ends_by: None,
            series: None,
            carry: Vec::new(),
        }
    }
}

impl Inner {
    pub(super) fn start_session(
        self: &Arc<Self>,
        timeouts: Timeouts,
    ) -> Pending<Result<OpenedSession, Error>> {
        self.run(|inner| async move {
            let number = inner.number_for_anonymous().await?;
            let policy = inner.policy_now().await?;
            let opened = inner.drawn(|| {
                let (moment, mut fresh) = (inner.moment(&policy), inner.fresh()?);
                Ok(inner.sessions.start(&moment, &mut fresh, number, timeouts))
            })?;
            let opened = inner.opened(opened)?;
            inner.still_standing(&opened.session).await?;
            Ok(opened)
        })
    }

    /// The epoch number that an anonymous session is opened under now.
    pub(super) async fn number_for_anonymous(&self) -> Result<u32, Error> {
        let system = self.system().await?;
        self.none_denied_at_log_in(None)?;
        let switch = system.record.switch(Subsystem::Sessions);
        if !switch.on {
            return Err(Refusal::SwitchedOff(Subsystem::Sessions).into());
        }
        Ok(switch.epoch.number())
    }

    /// Opens a session of a principal, and ends the one that it came from.
    pub(crate) async fn log_in(
        &self,
        from: Option<&Live>,
        login: &NewLogIn,
    ) -> Result<OpenedSession, Error> {
        let stamp = self.stamp_for(&login.principal).await?;
        let policy = self.policy_now().await?;
        let moment = self.moment(&policy);
        let login = LogIn {
            principal: &login.principal,
            method: login.method,
            fresh_for: login.fresh_for,
            stamp,
            timeouts: login.timeouts,
            ends_by: login.ends_by,
            series: login.series,
            carry: &login.carry,
        };
        let opened = self.drawn(|| {
            let mut fresh = self.fresh()?;
            Ok(self.sessions.log_in(&moment, &mut fresh, from, &login))
        })?;
        let opened = self.opened(opened)?;
        self.still_standing(&opened.session).await?;
        let change = SessionChange::LoggedIn(login.method);
        self.tell_change(&opened.session, moment.now, change);
        Ok(opened)
    }

    /// What a session of the principal is stamped with now. Makes their record, if there is none.
    pub(super) async fn stamp_for(&self, principal: &Principal) -> Result<EpochStamp, Error> {
        let key = self.keyring.principal_key(principal);
        self.transact(|| {
            Box::pin(async move {
                let (now, policy) = (self.now(), self.policy_now().await?);
                let (system, found) = self.load_principal(principal).await?;
                self.none_denied_at_log_in(Some(key))?;
                let setting = self.setting(now, &policy, &system);
                let mut fresh = self.fresh()?;
                let found = found.as_ref();
                Ok(logins::admit(&setting, &mut fresh, principal, found)?)
            })
        })
        .await
    }

    /// Nobody logs in over a denial that the disk does not have yet.
    fn none_denied_at_log_in(&self, principal: Option<PrincipalKey>) -> Result<(), Error> {
        let denied = self.cache.denials.deny(Asked {
            kind: CredentialKind::Session,
            own: None,
            principal,
            logs_in: true,
        });
        match denied {
            None => Ok(()),
            Some(Rejection::Disabled) => Err(Refusal::Disabled.into()),
            Some(Rejection::SwitchedOff) => Err(Refusal::SwitchedOff(Subsystem::Sessions).into()),
            Some(_) => Err(unwritten()),
        }
    }

    /// Whether the session stands now that it is open; else it is ended.
    pub(super) async fn still_standing(&self, session: &Live) -> Result<(), Error> {
        let standing = self.standing_now(session).await;
        let fault = match standing {
            Ok(Standing::Stands) => {
                let owner = session.owner().map(|owner| owner.key(&self.keyring));
                match self.none_denied_at_log_in(owner) {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Ok(Standing::Fallen(rejection) | Standing::Denied(rejection)) => match rejection {
                Rejection::Disabled => Refusal::Disabled.into(),
                Rejection::SwitchedOff => Refusal::SwitchedOff(Subsystem::Sessions).into(),
                _ => Error::Session(Denied::Gone(Gone {
                    by: EndedBy::Operator,
                    at: self.now(),
                })),
            },
            Err(error) => error,
        };
        // Nobody has its token, and whoever ended what was there may have missed it.
        let _ = self.end_session(session.selector(), EndedBy::Operator);
        Err(fault)
    }

    /// Puts a session that is kept under the epoch that ended the others, with a new token.
    pub(crate) fn renew_kept(
        &self,
        live: &Live,
        from: u32,
        to: u32,
    ) -> Result<OpenedSession, Error> {
        let (policy, table) = (self.policy.load(), &self.sessions);
        let (moment, mut fresh) = (self.moment(&policy), self.fresh()?);
        let done = table.renew_under(&moment, &mut fresh, live, from, to);
        self.reopened(done, SessionChange::Renewed)
    }

    /// The same for one that another request has given a new token. Whether it was there, and
    /// stood.
    pub(crate) fn restamp_kept(&self, live: &Live, from: u32, to: u32) -> bool {
        let (policy, table) = (self.policy.load(), &self.sessions);
        let done = table.restamp(&self.moment(&policy), live.selector(), from, to);
        self.settled(done).is_ok()
    }

    /// Links a session to the device that was remembered with it.
    pub(crate) fn link_session(&self, selector: Selector, series: Selector) -> Result<Live, Error> {
        let (policy, table) = (self.policy.load(), &self.sessions);
        self.settled(table.link(&self.moment(&policy), selector, series))
    }

    /// Draws again where the random bytes met those of another session.
    pub(super) fn drawn<T>(
        &self,
        mut open: impl FnMut() -> Result<Done<Result<T, Denied>>, Error>,
    ) -> Result<T, Error> {
        let mut draws = 0usize;
        loop {
            let settled = open().and_then(|done| self.settled(done));
            draws = draws.saturating_add(1);
            match settled {
                Err(Error::Session(Denied::Collision)) if draws < DRAWS => {}
                settled => return settled,
            }
        }
    }
}
