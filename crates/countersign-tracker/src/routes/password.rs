//! A new password, which ends every other session and device of its owner.

use crate::app::App;
use crate::error::TrackerError;
use crate::steps;
use crate::trouble::Trouble;
use crate::users::Users;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use countersign::{Reason, TokenQuery};
use countersign_axum::{CheckedForm, Sent, SignedIn};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is filled in. The names hold `password`, so that a lost form never gives them back.
#[derive(Deserialize)]
pub(super) struct Change {
    old_password: String,
    new_password: String,
    /// Ticked where access tokens are to end too.
    revoke_tokens: Option<String>,
}

/// What `password.html` is told.
#[derive(Debug, Serialize)]
struct PasswordPage {
    title: &'static str,
    wrong: Option<String>,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    person: SignedIn,
) -> Result<Response, Trouble> {
    shown(&app, &person, None).await
}

pub(super) async fn change(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(form)): Sent<SignedIn, CheckedForm<Change>>,
) -> Result<Response, Trouble> {
    let name = person.principal.to_string();
    let Some(old) = app.hash_that_fits(&name, form.old_password).await? else {
        let wrong = "That is not your old password.".to_owned();
        return shown(&app, &person, Some(wrong)).await;
    };
    let new = match app.passwords.hash(form.new_password).await {
        Ok(hash) => hash,
        Err(TrackerError::Rule(said)) => {
            return shown(&app, &person, Some(format!("Sorry: {said}."))).await;
        }
        Err(error) => return Err(error.into()),
    };
    let tokens = form.revoke_tokens.is_some();
    // Whoever hangs up in between leaves no old session open beside the new password.
    steps::carry_through(replace(app, person, (old, new), tokens)).await?;
    Ok(Redirect::to("/profile/sessions").into_response())
}

/// The new hash comes first: were the sessions ended first, whoever knows the old password could
/// open another before it is replaced. Where a later step fails the first is not taken back, for
/// that might fail too; it is said how to do the rest by hand.
async fn replace(
    app: Arc<App>,
    person: SignedIn,
    (old, new): (String, String),
    tokens: bool,
) -> Result<(), Trouble> {
    let name = person.principal.to_string();
    let change = move |users: &mut Users| users.replace_hash(&name, &old, new);
    app.users.change(change).await?;
    let ended = end_the_old(&app, &person, tokens).await;
    ended.map_err(|trouble| Trouble::HalfDone {
        why: format!("ending what was open under an old password: {trouble:?}"),
        said: "Your new password holds, but what was open under the old one could not be ended. \
               Please end all other sessions at Sessions, and revoke what you do not know at \
               Tokens.",
    })
}

async fn end_the_old(app: &App, person: &SignedIn, tokens: bool) -> Result<(), Trouble> {
    let reason = Reason::new("password changed").ok();
    person.visit.credentials_changed(reason.clone()).await?;
    if !tokens {
        return Ok(());
    }
    // The sessions have ended, so what they send from here on issues no other.
    let mut query = TokenQuery::of(person.principal.clone());
    loop {
        let asked = query.clone();
        let listed = app.engine.off_thread(|engine| engine.access().list(asked));
        let page = listed.await?;
        for token in page.tokens {
            let reason = reason.clone();
            let revoked = app
                .engine
                .off_thread(|engine| engine.access().revoke(token.selector, reason));
            revoked.await?;
        }
        if page.next.is_none() {
            return Ok(());
        }
        query.after = page.next;
    }
}

async fn shown(app: &App, person: &SignedIn, wrong: Option<String>) -> Result<Response, Trouble> {
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let title = "My password";
    let page = PasswordPage { title, wrong };
    let html = app.page(&person.visit, "password.html", page).await?;
    Ok((status, html).into_response())
}
