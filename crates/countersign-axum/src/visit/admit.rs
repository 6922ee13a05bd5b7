//! Finding out who a request comes from, and whether it may go on.

use super::{Visit, bytes_of};
use crate::turned_away::{
    AmbiguousCredential, BadToken, CookiesTooLong, ForeignRequest, TurnedAway,
};
use countersign::{Authenticated, Presented, Who};
use http::request::Parts;

impl Visit {
    /// Finds out who the request comes from, and whether it may go on.
    pub(crate) async fn admit(&self, parts: &Parts) -> Result<(), TurnedAway> {
        let (shared, carried) = (&self.0.shared, &self.0.carried);
        let (bytes, max) = (carried.cookie_bytes, shared.max_cookie_bytes);
        if bytes > max {
            return Err(CookiesTooLong { bytes, max }.into());
        }
        if let Some(carrier) = carried.ambiguous()
            && !shared.passes_over(carrier)
        {
            return Err(AmbiguousCredential { carrier }.into());
        }
        let over_tls = self.0.plan.policy().remember_me().cookie_secure;
        let wall = &shared.wall;
        let wall = wall.judge(&parts.method, &parts.uri, &parts.headers, over_tls);
        let wall = wall.map_err(|reason| TurnedAway::from(ForeignRequest { reason }));
        if carried.authorization.once().is_none() {
            // Before anything is done about its cookies.
            wall.clone()?;
        }
        let passive = shared.is_passive(parts);
        let found = self.off_thread(|engine| engine.authenticate(self.presented(passive)));
        let Authenticated {
            who,
            session_cookie,
            remember_cookie,
        } = found.await?;
        let mut state = self.0.state.lock();
        (state.session, state.remember) = (session_cookie, remember_cookie);
        match who {
            Who::Refused(rejection) => {
                let realm = shared.realm.clone();
                Err(BadToken { rejection, realm }.into())
            }
            // A page on another site cannot make a browser send somebody's token.
            Who::Token(_) => {
                state.who = who;
                Ok(())
            }
            who => {
                state.who = who;
                wall
            }
        }
    }

    fn presented(&self, passive: bool) -> Presented<'_> {
        let carried = &self.0.carried;
        Presented {
            session: carried.session.once().map(bytes_of),
            authorization: carried.authorization.once().map(bytes_of),
            remember: carried.remember.once().map(bytes_of),
            address: self.0.address,
            passive,
            scope: None,
            carry: &self.0.shared.carry,
        }
    }
}
