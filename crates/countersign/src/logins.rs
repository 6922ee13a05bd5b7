//! Logging in and out, and what ends many log-ins at once: what concerns sessions and remembered
//! devices together.
//!
//! Whatever shuts somebody out ends sessions in memory first and is then written; should the disk
//! not take it, it stays in force in memory and is written later, as every denial is.

use crate::access::{Revocation, settle};
use crate::denials::{InForce, Intent, Target};
use crate::engine::Engine;
use crate::error::Error;
use crate::inner::Inner;
use crate::remember::{Recall, Remembered};
use crate::sessions::{LoggedOut, NewLogIn, OpenedSession};
use countersign_core::principals::PrincipalAction;
use countersign_core::remember::{NewSeries, SeriesState};
use countersign_core::switches::SwitchAction;
use countersign_core::{Label, Principal, Reason, Refusal, Selector, Subsystem};
use countersign_sessions::{Denied, EndedBy, Live};
use countersign_store::pending::Pending;

const CHANGED: PrincipalAction = PrincipalAction::CredentialsChanged;

/// A principal who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The session, and its token for the session cookie.
    pub session: OpenedSession,
    /// The remembered device, where that was asked for, and its token for the remember-me cookie.
    pub device: Option<Remembered>,
}

/// A principal who has logged out. Both cookies are to be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOut {
    /// How ending the session went.
    pub session: LoggedOut,
    /// How forgetting the device went, if it was remembered.
    pub device: Option<Revocation>,
}

/// What is left after a principal's credentials have changed.
#[derive(Debug)]
pub struct CredentialsChanged {
    /// How ending all the others went. It is in force in either case.
    pub revocation: Revocation,
    /// The session that was kept, with the token that it has now.
    pub session: Option<OpenedSession>,
    /// Its device, if it was remembered, with the token that it has now.
    pub device: Option<Remembered>,
}

impl Engine {
    /// Opens a session for a principal who has just been authenticated, ends the one that they
    /// came with, and has the device remembered under `remember` where the principal ticked the
    /// box (S8).
    ///
    /// The device of the session before is forgotten for the new one, and also where somebody
    /// else's session comes after it; where the same principal logs in without ticking the box, it
    /// stays as it was. A device that cannot be remembered keeps nobody from logging in: then
    /// [`LoggedIn::device`] is `None`.
    ///
    /// # Errors
    /// When no session can be opened; nothing else has changed then.
    pub fn log_in(
        &self,
        from: Option<Live>,
        login: NewLogIn,
        remember: Option<Label>,
    ) -> Pending<Result<LoggedIn, Error>> {
        let engine = self.clone();
        self.inner().run(|_| async move {
            let before = from.as_ref().and_then(Live::series);
            let owner = from.as_ref().and_then(Live::owner);
            let same = owner.is_some_and(|owner| *owner == login.principal);
            let stays = before.filter(|_| same && remember.is_none());
            let series = login.series.or(stays);
            let request = remember.map(|label| (login.principal.clone(), label));
            let login = NewLogIn { series, ..login };
            let mut session = engine.sessions().log_in(from, login).await?;
            if let Some(before) = before.filter(|_| stays.is_none()) {
                // Its cookie is being replaced; should this fail, it dies by age.
                let _ = engine.forget_device(before).await;
            }
            let device = match request {
                Some((principal, label)) => {
                    let linked = engine.remembered_with(&mut session, principal, label);
                    linked.await?
                }
                None => None,
            };
            Ok(LoggedIn { session, device })
        })
    }

    /// Has the device of a session remembered, and links the two. `None` where it cannot be.
    ///
    /// # Errors
    /// When the session has ended meanwhile; then the device is not remembered either.
    async fn remembered_with(
        &self,
        session: &mut OpenedSession,
        principal: Principal,
        label: Label,
    ) -> Result<Option<Remembered>, Error> {
        let started = self.remember().start(NewSeries { principal, label });
        let Ok(device) = started.await else {
            return Ok(None);
        };
        let selector = session.session.selector();
        match self.inner().link_session(selector, device.selector) {
            Ok(live) => {
                session.session = live;
                Ok(Some(device))
            }
            Err(ended) => {
                // Nobody has its secret.
                let _ = self.forget_device(device.selector).await;
                Err(ended)
            }
        }
    }

    /// Ends a session and forgets its device: the one that it is linked to, and the one whose
    /// remember-me cookie came with it, or the next request would be logged in again.
    ///
    /// The session is over when this returns, whatever comes of the devices.
    pub fn log_out(
        &self,
        session: &Live,
        remember: Option<&[u8]>,
    ) -> Pending<Result<LogOut, Error>> {
        let ended = self.sessions().log_out(session);
        // Denied before anything is waited for: a request that is under way opens no session by
        // it from here on, and one that has opened one loses it with the device.
        let linked = session.series();
        let forgotten = linked.map(|linked| self.remember().revoke(linked, None));
        let presented = remember.map(|text| self.remember().check(text));
        let engine = self.clone();
        self.inner().run(|_| async move {
            let mut devices = Vec::new();
            if let Some(forgotten) = forgotten {
                devices.push(known(forgotten.await));
            }
            if let Some(presented) = presented
                && let Ok(Recall::In(recalled)) = presented.await
                && Some(recalled.selector) != linked
            {
                let forgotten = engine.remember().revoke(recalled.selector, None);
                devices.push(known(forgotten.await));
            }
            let session = ended.await?;
            let devices: Vec<Revocation> = devices.into_iter().collect::<Result<_, _>>()?;
            let device = devices.into_iter().reduce(both);
            Ok(LogOut { session, device })
        })
    }

    async fn forget_device(&self, series: Selector) -> Result<Revocation, Error> {
        known(self.remember().revoke(series, None).await)
    }

    /// Ends every session and forgets every device of a principal whose credentials have changed,
    /// such as their password, but for the session that the change was made in.
    ///
    /// That one gets a new token, and its device, if it is remembered, a new series: both are to
    /// be sent. Access tokens and image tokens, which outlive log-ins, stay;
    /// [`Engine::revoke_everything`] ends these too. In force before this returns, whatever the
    /// disk does; where it is not durable yet, the kept session ends with the others once it is.
    pub fn credentials_changed(
        &self,
        principal: Principal,
        keep: Option<Live>,
        reason: Option<Reason>,
    ) -> Pending<Result<CredentialsChanged, Error>> {
        let keep = keep.filter(|session| session.owner().is_some_and(|owner| *owner == principal));
        let inner = self.inner();
        let target = Target::Principal(inner.keyring.principal_key(&principal));
        let intent = Intent::Principal(principal.clone(), CHANGED, reason.clone());
        let number = match inner.deny(target, intent) {
            Ok(number) => number,
            Err(error) => return Pending::ready(Err(error)),
        };
        let kept = keep.as_ref().map(Live::selector);
        inner.end_sessions_of(&principal, kept, EndedBy::CredentialsChanged);
        let engine = self.clone();
        inner.run(|inner| async move {
            let force = InForce::new(&inner.cache.denials, target, number);
            // Of two that are asked for from one session, the second finds it where the first has
            // put it.
            let _turn = inner.changing.lock().await;
            // From before the epoch moves on until the session is under the new one.
            let _keeping = kept.map(|kept| inner.kept.keep(kept));
            let label = match &keep {
                Some(session) => engine.device_of(session).await,
                None => None,
            };
            let acted = inner.act_on_principal(&principal, CHANGED, reason.as_ref());
            let acted = acted.await;
            let logins = acted.as_ref().ok().map(|record| record.logins.number());
            let mut changed = CredentialsChanged {
                revocation: settle(force, acted.map(|_| false))?,
                session: None,
                device: None,
            };
            if let (Some(session), Some(logins)) = (&keep, logins) {
                changed.session = inner.kept_under(session, logins)?;
            }
            if let (Some(session), Some(label)) = (&mut changed.session, label) {
                let linked = engine.remembered_with(session, principal, label).await;
                // Where it has ended meanwhile it was for another reason than this one.
                changed.device = linked.unwrap_or_default();
            }
            Ok(changed)
        })
    }

    /// What the device of a session is called, if it is remembered.
    async fn device_of(&self, session: &Live) -> Option<Label> {
        let device = self.remember().show(session.series()?).await.ok()??;
        // One that has ended, by theft above all, is not remembered anew.
        (device.state == SeriesState::Live).then_some(device.label)
    }

    /// Ends everything that was issued to a principal: sessions, remembered devices, access tokens
    /// and image tokens. In force before this returns.
    pub fn revoke_everything(
        &self,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.principals().revoke_everything(principal, reason)
    }

    /// Ends every session of everybody and forgets every device: all must log in again. In force
    /// before this returns. Access tokens and image tokens stay.
    pub fn sign_everybody_out(&self, reason: Option<Reason>) -> Pending<Result<Revocation, Error>> {
        let inner = self.inner();
        let all = SwitchAction::RevokeAll;
        let devices = inner.switch(Subsystem::RememberMe, all, reason.clone());
        let sessions = inner.switch(Subsystem::Sessions, all, reason);
        inner.run(|_| async move { Ok(both(devices.await?, sessions.await?)) })
    }

    /// Ends every access token of everybody, and every image token with them. In force before this
    /// returns.
    pub fn end_every_access_token(
        &self,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.access().revoke_all(reason)
    }
}

impl Inner {
    /// Puts a session under the number that its principal's log-ins have moved on to, with a new
    /// token, unless it had fallen before. Another request that gave it a token keeps that one.
    fn kept_under(&self, session: &Live, to: u32) -> Result<Option<OpenedSession>, Error> {
        // Numbers move on by one.
        let from = to.saturating_sub(1);
        match self.renew_kept(session, from, to) {
            Ok(opened) => Ok(Some(opened)),
            Err(Error::Session(Denied::Renewed)) if self.restamp_kept(session, from, to) => {
                Ok(None)
            }
            Err(Error::Session(_)) => {
                // It was spared when the others were ended. One that is over already is as good.
                let _ = self.end_session(session.selector(), EndedBy::CredentialsChanged);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// A device that nobody knows any more is as good as forgotten.
fn known(forgotten: Result<Revocation, Error>) -> Result<Revocation, Error> {
    match forgotten {
        Err(Error::Refused(Refusal::NotFound)) => Ok(Revocation {
            durable: true,
            already: true,
        }),
        forgotten => forgotten,
    }
}

/// How two revocations that were asked for together went.
const fn both(one: Revocation, other: Revocation) -> Revocation {
    Revocation {
        durable: one.durable && other.durable,
        already: one.already && other.already,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_revocations_the_lesser_is_told() {
        let revocation = |durable, already| Revocation { durable, already };
        for (one, other) in [(true, true), (true, false), (false, true), (false, false)] {
            let told = both(revocation(one, true), revocation(other, true));
            assert_eq!(told, revocation(one && other, true));
            let told = both(revocation(true, one), revocation(true, other));
            assert_eq!(told, revocation(true, one && other));
        }
    }
}
