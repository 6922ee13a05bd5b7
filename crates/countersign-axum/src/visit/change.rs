//! What a handler does about who its request comes from: logging in and out, and new tokens.
//!
//! The engine is called; what becomes of the cookies is noted, to be written with the head.

use super::Visit;
use crate::turned_away::{NoSession, TooLate, TurnedAway};
use countersign::{
    Anonymous, CookieChange, Engine, Label, Live, LogOut, Method, NewLogIn, OpenedSession, Reason,
    Remembered, Revocation, Timeouts, Who,
};
use std::time::Duration;

impl Visit {
    /// Opens a session for a principal whom the host has just authenticated, ends the one that
    /// they came with, and has the device remembered under `remember` where they ticked the box.
    ///
    /// # Errors
    /// [`EngineFailed`](crate::EngineFailed) as [`Engine::log_in`] does; [`NoSession`] in a request
    /// with an access token; [`TooLate`] once the response's head was made.
    pub async fn log_in(
        &self,
        login: NewLogIn,
        remember: Option<Label>,
    ) -> Result<Live, TurnedAway> {
        self.may_change()?;
        let from = self.session();
        let logged_in = self.off_thread(|engine| engine.log_in(from, login, remember));
        let logged_in = logged_in.await?;
        let (session, device) = (logged_in.session, logged_in.device);
        let live = session.session.clone();
        if let Err(late) = self.enter(session) {
            if device.is_some() {
                // It ends with the session: nobody will ever have its secret.
                let _ = self.off_thread(|engine| engine.log_out(&live, None)).await;
            }
            return Err(late);
        }
        match device {
            Some(device) => self.remember(device)?,
            // The device that this browser was is forgotten, or is not this principal's.
            None if live.series().is_none() => self.clear_device(),
            None => {}
        }
        Ok(live)
    }

    /// Ends the session and forgets the device that is linked to it or came with the request.
    /// Every cookie is cleared, in case of an error too.
    ///
    /// # Errors
    /// As for [`Visit::log_in`]. The session has ended even so, also where it is too late for the
    /// cookies.
    pub async fn log_out(&self) -> Result<Option<LogOut>, TurnedAway> {
        let may_change = self.may_change();
        if matches!(may_change, Err(TurnedAway::NoSession(_))) {
            return may_change.map(|()| None);
        }
        let session = {
            let mut state = self.0.state.lock();
            state.session = CookieChange::Clear;
            state.remember = CookieChange::Clear;
            std::mem::take(&mut state.who).session().cloned()
        };
        let out = self.end(session).await;
        may_change.and(out)
    }

    async fn end(&self, session: Option<Live>) -> Result<Option<LogOut>, TurnedAway> {
        let device = self.0.remember.as_ref();
        let device = device.map(|text| text.expose().as_bytes());
        match session {
            Some(session) => {
                let out = self.off_thread(|engine| engine.log_out(&session, device));
                Ok(Some(out.await?))
            }
            None => {
                self.forget(device).await?;
                Ok(None)
            }
        }
    }

    /// Forgets the device of a request that has no session.
    async fn forget(&self, device: Option<&[u8]>) -> Result<(), TurnedAway> {
        let Some(text) = device else {
            return Ok(());
        };
        let found = self.off_thread(|engine| engine.remember().check(text));
        if let Some(device) = found.await?.recalled() {
            let revoke = |engine: &Engine| engine.remember().revoke(device.selector, None);
            self.off_thread(revoke).await?;
        }
        Ok(())
    }

    /// Gives the session a new token.
    ///
    /// # Errors
    /// As for [`Visit::log_in`], and [`NotAuthenticated`](crate::NotAuthenticated) where there is
    /// no session.
    pub async fn renew(&self) -> Result<Live, TurnedAway> {
        let session = self.changing()?;
        let renewed = self.off_thread(|engine| engine.sessions().renew(&session));
        self.enter(renewed.await?)
    }

    /// Notes that the session's principal has just been authenticated again, fresh for
    /// `fresh_for`: [`RecentlyAuthenticated`](crate::RecentlyAuthenticated) lets them through.
    ///
    /// # Errors
    /// As for [`Visit::renew`].
    pub async fn elevate(&self, method: Method, fresh_for: Duration) -> Result<Live, TurnedAway> {
        let session = self.changing()?;
        let elevate = |engine: &Engine| engine.sessions().elevate(&session, method, fresh_for);
        self.enter(self.off_thread(elevate).await?)
    }

    /// Ends every other session and device of the principal, whose password has changed, and
    /// gives this session, and its device if it is remembered, new tokens.
    ///
    /// # Errors
    /// As for [`Visit::renew`].
    pub async fn credentials_changed(
        &self,
        reason: Option<Reason>,
    ) -> Result<Revocation, TurnedAway> {
        let session = self.changing()?;
        let principal = session
            .principal()
            .ok_or_else(|| self.not_authenticated())?;
        let change = |engine: &Engine| engine.credentials_changed(principal, Some(session), reason);
        let changed = self.off_thread(change).await?;
        // Where it could not be kept, the next request says so.
        if let Some(kept) = changed.session {
            self.enter(kept)?;
        }
        if let Some(device) = changed.device {
            self.remember(device)?;
        }
        Ok(changed.revocation)
    }

    /// The session; opens one of nobody in particular where there is none, for a form that
    /// strangers may send, such as the one for logging in.
    ///
    /// # Errors
    /// As for [`Visit::log_in`].
    pub async fn session_or_start(&self) -> Result<Live, TurnedAway> {
        if let Some(session) = self.session() {
            return Ok(session);
        }
        self.may_change()?;
        let overtaking =
            self.look(|who| matches!(who, Who::Anonymous(nobody) if nobody.overtaking));
        let opened = self.off_thread(|engine| engine.sessions().start(Timeouts::default()));
        let live = self.enter(opened.await?)?;
        if overtaking {
            // Another session's cookie is on its way to this browser, and this one would take its
            // place. The form gets its verdict when it is sent.
            let mut state = self.0.state.lock();
            (state.session, state.apart) = (CookieChange::Keep, true);
        }
        Ok(live)
    }

    /// The session, where a handler may change it.
    fn changing(&self) -> Result<Live, TurnedAway> {
        self.may_change()?;
        self.session().ok_or_else(|| self.not_authenticated())
    }

    fn may_change(&self) -> Result<(), TurnedAway> {
        let state = self.0.state.lock();
        if state.sent {
            return Err(TooLate.into());
        }
        if matches!(state.who, Who::Token(_)) {
            return Err(NoSession.into());
        }
        Ok(())
    }

    /// Goes on in a session that was opened or has a new token.
    fn enter(&self, opened: OpenedSession) -> Result<Live, TurnedAway> {
        let mut state = self.0.state.lock();
        if state.sent {
            drop(state);
            // Nobody will ever have its token.
            drop(self.engine().sessions().log_out(&opened.session));
            return Err(TooLate.into());
        }
        state.apart = false;
        state.session = CookieChange::Set {
            value: opened.token,
            expires_at: None,
        };
        let live = opened.session;
        state.who = match live.owner() {
            Some(_) => Who::Session(live.clone()),
            None => Who::Anonymous(Anonymous {
                session: Some(live.clone()),
                ..Anonymous::default()
            }),
        };
        Ok(live)
    }

    /// Clears the remember-me cookie, if the browser has one.
    fn clear_device(&self) {
        let mut state = self.0.state.lock();
        let is_set = matches!(state.remember, CookieChange::Set { .. });
        if is_set || self.0.remember.is_some() {
            state.remember = CookieChange::Clear;
        }
    }

    fn remember(&self, device: Remembered) -> Result<(), TurnedAway> {
        let mut state = self.0.state.lock();
        if state.sent {
            return Err(TooLate.into());
        }
        state.remember = CookieChange::Set {
            value: device.token,
            expires_at: Some(device.series.expires_at),
        };
        Ok(())
    }
}
