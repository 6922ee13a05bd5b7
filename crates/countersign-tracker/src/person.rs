//! Who a page is for: somebody with a session, and among them administrators.
//!
//! Pages do whatever their principal may do, so an access token, which is for less than that, does
//! not open them. The API has its own door (`routes::api`).

use crate::app::App;
use crate::trouble::Trouble;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use countersign::{Live, Principal};
use countersign_axum::{
    CurrentPrincipal, CurrentSession, RecentlyAuthenticated, TurnedAway, Visit,
};
use std::sync::Arc;

/// Somebody who is signed in with a session.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) visit: Visit,
    pub(crate) principal: Principal,
    pub(crate) session: CurrentSession,
}

impl Person {
    pub(crate) fn name(&self) -> String {
        self.principal.to_string()
    }

    pub(crate) const fn live(&self) -> &Live {
        self.session.live()
    }
}

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = TurnedAway;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, TurnedAway> {
        let visit = Visit::from_request_parts(parts, app).await?;
        // A stranger's session lets nobody in.
        let who = <CurrentPrincipal as FromRequestParts<Arc<App>>>::from_request_parts(parts, app);
        let principal = who.await?.principal().clone();
        let session = CurrentSession::from_request_parts(parts, app).await?;
        Ok(Self {
            visit,
            principal,
            session,
        })
    }
}

/// A form and who sent it: that its token is lost is said first.
///
/// Whoever was signed out while they typed is nobody by the time they send it. Asked who they are
/// first, they would be sent to the log-in and their text would be gone; asked for the token
/// first, they get the page that keeps it (S6).
#[derive(Debug)]
pub(crate) struct Sent<P, F>(pub(crate) P, pub(crate) F);

impl<P, F> FromRequest<Arc<App>> for Sent<P, F>
where
    P: FromRequestParts<Arc<App>> + Send,
    P::Rejection: Into<Trouble> + Send,
    F: FromRequest<Arc<App>>,
    F::Rejection: Into<Trouble>,
{
    type Rejection = Trouble;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        let who = P::from_request_parts(&mut parts, app).await;
        let form = F::from_request(Request::from_parts(parts, body), app);
        match form.await.map_err(Into::into) {
            Err(lost @ Trouble::Away(TurnedAway::LostForm(_))) => Err(lost),
            form => Ok(Self(who.map_err(Into::into)?, form?)),
        }
    }
}

/// An administrator.
#[derive(Debug)]
pub(crate) struct Administrator(pub(crate) Person);

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Trouble> {
        let person = Person::from_request_parts(parts, app).await?;
        match app.users.read().is_administrator(person.principal.as_str()) {
            true => Ok(Self(person)),
            false => Err(Trouble::Forbidden("This is for administrators.")),
        }
    }
}

/// Whoever it is has given their password lately: a session that a stolen device or cookie opened
/// does not change what matters most.
#[derive(Debug)]
pub(crate) struct Confirmed<P>(pub(crate) P);

impl<P> FromRequestParts<Arc<App>> for Confirmed<P>
where
    P: FromRequestParts<Arc<App>> + Send,
    P::Rejection: Into<Trouble>,
{
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Trouble> {
        let who = P::from_request_parts(parts, app)
            .await
            .map_err(Into::into)?;
        RecentlyAuthenticated::from_request_parts(parts, app).await?;
        Ok(Self(who))
    }
}
