//! What an open page asks by itself now and then. It keeps nobody signed in (E12).

use crate::app::App;
use axum::Json;
use axum::extract::State;
use countersign_axum::Visit;
use serde::Serialize;
use std::sync::Arc;

/// What a page that was left open needs to know.
#[derive(Debug, Serialize)]
pub(super) struct News {
    signed_in: bool,
    /// How many issues there are; not told to strangers.
    issues: Option<usize>,
}

pub(super) async fn poll(State(app): State<Arc<App>>, visit: Visit) -> Json<News> {
    let signed_in = visit.principal().is_some();
    let issues = signed_in.then(|| app.board.read().len());
    Json(News { signed_in, issues })
}
