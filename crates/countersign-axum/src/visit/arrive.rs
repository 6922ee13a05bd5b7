//! Finding out who a request comes from, and whether it may go on.
//!
//! The engine is asked as soon as the request arrives. With its records in memory it answers at
//! once, and the request goes on without another allocation; else there is something to wait for.

use super::{Scripts, State, Visit};
use crate::cookies::{CookiePlan, Role};
use crate::layer::Shared;
use crate::origin::{Foreign, addressed};
use crate::read::{Carried, Once};
use crate::turned_away::{
    AmbiguousCredential, BadToken, CookiesTooLong, ForeignRequest, TurnedAway,
};
use countersign::core::header::{self, NotBearer};
use countersign::{Anonymous, Authenticated, Error, Live, Pending, Presented, SecretText, Who};
use http::HeaderValue;
use http::header::ACCEPT;
use http::request::Parts;
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::Arc;

/// A request that has arrived.
pub(crate) enum Arrival {
    /// It is known who it comes from, and whether it may go on.
    Judged(Visit, Result<(), TurnedAway>),
    /// The engine has something to read first.
    Asking(Box<Asking>),
}

/// A request whose answer from the engine is on its way.
pub(crate) struct Asking {
    found: Pending<Result<Authenticated, Error>>,
    arriving: Arriving,
}

/// What is known of a request before the engine has answered.
struct Arriving {
    shared: Arc<Shared>,
    plan: Arc<CookiePlan>,
    address: Option<IpAddr>,
    wall: Result<(), Foreign>,
}

impl Visit {
    /// Asks the engine who the request comes from, unless it is turned away before.
    pub(crate) fn arrive(shared: &Arc<Shared>, parts: &Parts) -> Arrival {
        let arriving = Arriving::new(shared, parts);
        let carried = arriving.carried(parts);
        if let Err(turned_away) = arriving.check(&carried) {
            let nobody = Authenticated::default();
            let visit = arriving.visit(parts, &carried, nobody);
            return Arrival::Judged(visit, Err(turned_away));
        }
        let presented = Presented {
            session: carried.session.once(),
            authorization: carried.authorization.once(),
            remember: carried.remember.once(),
            address: arriving.address,
            passive: shared.is_passive(parts),
            scope: None,
            carry: &shared.carry,
        };
        let found = shared
            .engine
            .off_thread(|engine| engine.authenticate(presented));
        match found.try_ready() {
            Ok(found) => {
                let (visit, judged) = arriving.judge(parts, &carried, found);
                Arrival::Judged(visit, judged)
            }
            Err(found) => Arrival::Asking(Box::new(Asking { found, arriving })),
        }
    }
}

impl Asking {
    /// Waits for the engine's answer.
    pub(crate) async fn answer(self, parts: &Parts) -> (Visit, Result<(), TurnedAway>) {
        let found = self.found.await;
        let carried = self.arriving.carried(parts);
        self.arriving.judge(parts, &carried, found)
    }
}

impl Arriving {
    fn new(shared: &Arc<Shared>, parts: &Parts) -> Self {
        let plan = shared.plan();
        let over_tls = plan.policy().remember_me().cookie_secure;
        let wall = &shared.wall;
        Self {
            wall: wall.judge(&parts.method, &parts.uri, &parts.headers, over_tls),
            address: shared.address_of(parts),
            shared: Arc::clone(shared),
            plan,
        }
    }

    fn carried<'h>(&self, parts: &'h Parts) -> Carried<'h> {
        Carried::read(&parts.headers, &self.plan, self.shared.max_cookie_bytes)
    }

    /// What is wrong with a request whoever it comes from.
    fn check(&self, carried: &Carried<'_>) -> Result<(), TurnedAway> {
        let (bytes, max) = (carried.cookie_bytes, self.shared.max_cookie_bytes);
        if bytes > max {
            return Err(CookiesTooLong { bytes, max }.into());
        }
        if let Some(carrier) = carried.ambiguous()
            && !self.shared.passes_over(carrier)
        {
            let realm = self.shared.realm.clone();
            return Err(AmbiguousCredential { carrier, realm }.into());
        }
        match carried.authorization.once().map(header::bearer) {
            // Before anything is done about its cookies. Another scheme is none of ours, and a
            // browser that knows a password for it sends it from any page.
            None | Some(Err(NotBearer::Scheme)) => self.wall(),
            Some(_) => Ok(()),
        }
    }

    fn wall(&self) -> Result<(), TurnedAway> {
        let foreign = |reason| TurnedAway::from(ForeignRequest { reason });
        self.wall.map_err(foreign)
    }

    /// Whether the request may go on, once it is known who it comes from.
    fn judge(
        self,
        parts: &Parts,
        carried: &Carried<'_>,
        found: Result<Authenticated, Error>,
    ) -> (Visit, Result<(), TurnedAway>) {
        let (found, judged) = match found {
            Ok(found) => {
                let judged = match &found.who {
                    Who::Refused(rejection) => {
                        let (rejection, realm) = (*rejection, self.shared.realm.clone());
                        Err(BadToken { rejection, realm }.into())
                    }
                    // A page on another site cannot make a browser send somebody's token.
                    Who::Token(_) => Ok(()),
                    _ => self.wall(),
                };
                (found, judged)
            }
            Err(error) => (Authenticated::default(), Err(error.into())),
        };
        (self.visit(parts, carried, found), judged)
    }

    fn visit(self, parts: &Parts, carried: &Carried<'_>, found: Authenticated) -> Visit {
        let accepts = |value: &HeaderValue| value.to_str().is_ok_and(|v| v.contains("text/html"));
        let who = match found.who {
            Who::Refused(_) => Who::Anonymous(Anonymous::default()),
            who => who,
        };
        let remember = carried.remember.once().map(String::from_utf8_lossy);
        Visit(Arc::new(super::Inside {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            wants_html: parts.headers.get_all(ACCEPT).iter().any(accepts),
            address: self.address,
            ambiguous: carried.ambiguous(),
            remember: remember.map(|text| SecretText::new(text.into_owned())),
            scripts: self.scripts(carried, who.session()),
            twins: self.twins(parts, carried),
            plan: self.plan,
            shared: self.shared,
            state: Mutex::new(State {
                who,
                session: found.session_cookie,
                remember: found.remember_cookie,
                apart: false,
                sent: false,
            }),
        }))
    }

    /// Takes away the cookies that came twice, wherever they may have been set: nobody could get
    /// in again while they come.
    fn twins(&self, parts: &Parts, carried: &Carried<'_>) -> Vec<HeaderValue> {
        let twice = [Role::Session, Role::Remember].into_iter();
        let twice = twice.filter(|role| carried.is_twice(*role));
        let clear = |role| {
            let host = addressed(&parts.uri, &parts.headers).map(|(host, _)| host);
            let path = parts.uri.path();
            self.plan.clear_everywhere(role, host.as_deref(), path)
        };
        twice.flat_map(clear).collect()
    }

    fn scripts(&self, carried: &Carried<'_>, session: Option<&Live>) -> Scripts {
        let forms = self.shared.engine.forms();
        match (&carried.scripts, session) {
            (Once::Absent, _) => Scripts::Absent,
            (Once::Is(text), Some(session)) if forms.is_cookie_of(session, text) => Scripts::Fits,
            _ => Scripts::Other,
        }
    }
}
