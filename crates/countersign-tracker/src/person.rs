//! Whom a page is for beyond being signed in: administrators, and who gave their password lately.

use crate::app::App;
use crate::trouble::Trouble;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use countersign_axum::{RecentlyAuthenticated, SignedIn};
use std::sync::Arc;

/// An administrator.
#[derive(Debug)]
pub(crate) struct Administrator(pub(crate) SignedIn);

impl FromRequestParts<Arc<App>> for Administrator {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Trouble> {
        let person = SignedIn::from_request_parts(parts, app).await?;
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
