//! What an open page asks by itself now and then. It keeps nobody signed in (E12).

use crate::app::App;
use axum::Json;
use axum::extract::State;
use countersign_axum::{SignedIn, TurnedAway};
use serde::Serialize;
use std::sync::Arc;

/// What a page that was left open needs to know.
#[derive(Debug, Serialize)]
pub(super) struct News {
    signed_in: bool,
    /// How many issues there are; not told to strangers.
    issues: Option<usize>,
}

/// For pages alone: what an access token may know depends on its scope, and the API asks for it.
pub(super) async fn poll(
    State(app): State<Arc<App>>,
    person: Result<SignedIn, TurnedAway>,
) -> Result<Json<News>, TurnedAway> {
    let signed_in = match person {
        Ok(_) => true,
        Err(TurnedAway::NotAuthenticated(_)) => false,
        Err(away) => return Err(away),
    };
    let issues = signed_in.then(|| app.board.read().len());
    Ok(Json(News { signed_in, issues }))
}
