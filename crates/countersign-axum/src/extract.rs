//! The extractors for who a request comes from.
//!
//! None of them reads anything: the layer has found out already, and its [`Visit`] knows.

use crate::session::CurrentSession;
use crate::turned_away::{MadeOf, MissingScope, NoLayer, NotFresh, TurnedAway};
use crate::visit::Visit;
use axum_core::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use axum_core::response::{IntoResponse, Response};
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

/// Somebody who is signed in with a session: whom a page is for.
///
/// A page does whatever its principal may do, so an access token, which is for less than that, does
/// not open one: 403. 401 for strangers.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub principal: Principal,
    /// Their session, with its attributes.
    pub session: CurrentSession,
    /// The request.
    pub visit: Visit,
}

impl SignedIn {
    /// The session as the engine tells of it.
    #[must_use]
    pub const fn live(&self) -> &Live {
        self.session.live()
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, TurnedAway> {
        let visit = visit_in(parts)?;
        // A stranger's session lets nobody in.
        let principal = visit.principal().ok_or_else(|| visit.not_authenticated())?;
        let session = CurrentSession::from_request_parts(parts, state).await?;
        Ok(Self {
            principal,
            session,
            visit,
        })
    }
}

/// A form and who sent it, asked for in the order that loses no work.
///
/// Whoever was signed out while they typed is nobody by the time they send it. Asked first who they
/// are, they would be sent to the log-in and their text would be gone. So the form is judged first,
/// and one whose token is lost ([`LostForm`](crate::LostForm)) speaks before the other.
///
/// Whoever sends it is judged when the body is there, by what is in force then
/// ([`Visit::revalidate`]). That goes for bodies that need no form token as well, such as
/// `Sent<CurrentPrincipal, Json<T>>` for an API.
///
/// What matters most is `Sent<RecentlyAuthenticated, CheckedForm<T>>`.
///
/// ```
/// use countersign_axum::{CheckedForm, Sent, SignedIn};
///
/// #[derive(serde::Deserialize)]
/// struct Comment {
///     text: String,
/// }
///
/// async fn comment(Sent(who, CheckedForm(new)): Sent<SignedIn, CheckedForm<Comment>>) {
///     println!("{} says {}", who.principal, new.text);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sent<P, F>(pub P, pub F);

impl<S, P, F> FromRequest<S> for Sent<P, F>
where
    S: Send + Sync,
    P: FromRequestParts<S> + Send,
    P::Rejection: IntoResponse + Send,
    F: FromRequest<S> + Send,
    F::Rejection: IntoResponse,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        // Whose it is, is asked when all of it is there: it may take as long as they like.
        let mut kept = parts.clone();
        let form = F::from_request(Request::from_parts(parts, body), state).await;
        let form = match form.map_err(IntoResponse::into_response) {
            Err(lost) if MadeOf::is_lost_form(&lost) => return Err(lost),
            form => form,
        };
        let visit = visit_in(&kept).map_err(IntoResponse::into_response)?;
        let again = visit.look_again().await;
        again.map_err(IntoResponse::into_response)?;
        let who = P::from_request_parts(&mut kept, state).await;
        Ok(Self(who.map_err(IntoResponse::into_response)?, form?))
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
