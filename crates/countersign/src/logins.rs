//! Logging in and out, and what ends many log-ins at once: what concerns sessions and remembered
//! devices together.
//!
//! Whatever shuts somebody out ends sessions in memory first and is then written; should the disk
//! not take it, it stays in force in memory and is written later, as every denial is.

use crate::access::{Revocation, settle};
use crate::denials::{InForce, Intent, Target};
use crate::engine::Engine;
use crate::error::Error;
use crate::remember::{Recall, Remembered};
use crate::sessions::{LoggedOut, NewLogIn, OpenedSession};
use countersign_core::principals::PrincipalAction;
use countersign_core::remember::{NewSeries, SeriesState};
use countersign_core::switches::SwitchAction;
use countersign_core::{EpochStamp, Label, Principal, Reason, Selector, Subsystem};
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
    /// A device that the session before was linked to is forgotten for the new one.
    pub fn log_in(
        &self,
        from: Option<Live>,
        login: NewLogIn,
        remember: Option<Label>,
    ) -> Pending<Result<LoggedIn, Error>> {
        let engine = self.clone();
        self.inner().run(|_| async move {
            let before = from.as_ref().and_then(Live::series);
            let Some(label) = remember else {
                let session = engine.sessions().log_in(from, login).await?;
                let device = None;
                return Ok(LoggedIn { session, device });
            };
            let principal = login.principal.clone();
            let device = engine.remember().start(NewSeries { principal, label });
            let device = device.await?;
            let series = Some(device.selector);
            let login = NewLogIn { series, ..login };
            let session = match engine.sessions().log_in(from, login).await {
                Ok(session) => session,
                Err(error) => {
                    // Nobody has its secret.
                    let _ = engine.remember().revoke(device.selector, None).await;
                    return Err(error);
                }
            };
            if let Some(before) = before {
                // Its cookie is being replaced; should this fail, it dies by age.
                let _ = engine.remember().revoke(before, None).await;
            }
            let device = Some(device);
            Ok(LoggedIn { session, device })
        })
    }

    /// Ends a session and forgets its device: the one that it is linked to, and the one whose
    /// remember-me cookie came with it, or the next request would be logged in again.
    pub fn log_out(
        &self,
        session: &Live,
        remember: Option<&[u8]>,
    ) -> Pending<Result<LogOut, Error>> {
        // In memory, and so before anything that can fail.
        let ended = self.sessions().log_out(session);
        let presented = remember.map(|text| self.remember().check(text));
        let (engine, linked) = (self.clone(), session.series());
        self.inner().run(|_| async move {
            let session = ended.await?;
            let mut device = None;
            if let Some(linked) = linked {
                device = Some(engine.forget_device(linked).await?);
            }
            if let Some(presented) = presented
                && let Recall::In(recalled) = presented.await?
                && Some(recalled.selector) != linked
            {
                device = Some(engine.forget_device(recalled.selector).await?);
            }
            Ok(LogOut { session, device })
        })
    }

    async fn forget_device(&self, series: Selector) -> Result<Revocation, Error> {
        self.remember().revoke(series, None).await
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
            // From before the epoch moves on until the session is under the new one.
            let _keeping = kept.map(|kept| inner.kept.keep(kept));
            let force = InForce::new(&inner.cache.denials, target, number);
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
            if let (Some(session), Some(principal_epoch)) = (&keep, logins) {
                if let Some(label) = label {
                    let device = engine.remember().start(NewSeries { principal, label });
                    // Where this fails the device is forgotten as the others are.
                    changed.device = device.await.ok();
                }
                let stamp = EpochStamp {
                    principal: principal_epoch,
                    ..session.stamp()
                };
                let series = changed.device.as_ref().map(|device| device.selector);
                changed.session = match inner.renew_kept(session, stamp, series) {
                    Ok(opened) => Some(opened),
                    Err(Error::Session(Denied::Renewed)) => {
                        inner.restamp_kept(session, stamp);
                        None
                    }
                    // It has ended meanwhile.
                    Err(Error::Session(_)) => None,
                    Err(error) => return Err(error),
                };
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
        inner.run(|_| async move {
            let (devices, sessions) = (devices.await?, sessions.await?);
            Ok(Revocation {
                durable: devices.durable && sessions.durable,
                already: devices.already && sessions.already,
            })
        })
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
