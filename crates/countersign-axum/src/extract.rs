//! The extractors for who a request comes from.
//!
//! None of them reads anything: the layer has found out already, and its [`Visit`] knows.

use crate::turned_away::{MissingScope, NoLayer, NotFresh, TurnedAway};
use crate::visit::Visit;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use countersign::{Live, Pass, Principal, Scope, Who};
use http::request::Parts;

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        visit_in(parts)
    }
}

pub(crate) fn visit_in(parts: &Parts) -> Result<Visit, TurnedAway> {
    let visit = parts.extensions.get::<Visit>();
    visit.cloned().ok_or_else(|| NoLayer.into())
}

/// Whoever is signed in, by session, remembered device or access token; 401 for everybody else.
///
/// `Option<CurrentPrincipal>` lets everybody through.
#[derive(Clone, Debug)]
pub struct CurrentPrincipal {
    principal: Principal,
    pass: Option<Pass>,
    visit: Visit,
}

impl CurrentPrincipal {
    /// Who.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The access token that they came in with, if it was one.
    #[must_use]
    pub const fn pass(&self) -> Option<&Pass> {
        self.pass.as_ref()
    }

    /// Lets through whoever may do what `scope` names: an access token that covers it, or a
    /// session, which may do whatever its principal may.
    ///
    /// # Errors
    /// [`MissingScope`] for a token that does not.
    pub fn require(&self, scope: &Scope) -> Result<(), TurnedAway> {
        match &self.pass {
            Some(pass) if !pass.covers(scope) => {
                let (scope, realm) = (scope.clone(), self.visit.shared().realm.clone());
                Err(MissingScope { scope, realm }.into())
            }
            _ => Ok(()),
        }
    }

    /// Whoever it is that a request comes from, if anybody.
    pub(crate) fn of(visit: &Visit) -> Option<Self> {
        let (principal, pass) = visit.look(|who| {
            let pass = match who {
                Who::Token(pass) => Some(pass.clone()),
                _ => None,
            };
            Some((who.principal()?, pass))
        })?;
        Some(Self {
            principal,
            pass,
            visit: visit.clone(),
        })
    }
}

impl<S: Sync> FromRequestParts<S> for CurrentPrincipal {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        Self::of(&visit).ok_or_else(|| visit.not_authenticated())
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for CurrentPrincipal {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, TurnedAway> {
        Ok(Self::of(&visit_in(parts)?))
    }
}

/// A session whose principal was authenticated lately: by log-in or
/// [`Visit::elevate`](crate::Visit::elevate), within the time that was said then.
///
/// 401 for strangers; 403 for everybody else, access tokens and remembered devices among them,
/// which never count as fresh.
#[derive(Clone, Debug)]
pub struct RecentlyAuthenticated {
    /// The session.
    pub session: Live,
    /// Whose it is.
    pub principal: Principal,
}

impl<S: Sync> FromRequestParts<S> for RecentlyAuthenticated {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        let principal = visit.principal().ok_or_else(|| visit.not_authenticated())?;
        match visit.session().filter(Live::is_fresh) {
            Some(session) => Ok(Self { session, principal }),
            None => Err(NotFresh.into()),
        }
    }
}
