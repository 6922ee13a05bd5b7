//! The one style sheet and the one script.

use crate::app::App;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/static/tracker.css", get(style))
        .route("/static/tracker.js", get(script))
        .route("/favicon.ico", get(axum::http::StatusCode::NO_CONTENT))
}

async fn style() -> impl IntoResponse {
    let style = include_str!("../../static/tracker.css");
    asset("text/css; charset=utf-8", style)
}

async fn script() -> impl IntoResponse {
    let script = include_str!("../../static/tracker.js");
    asset("text/javascript; charset=utf-8", script)
}

fn asset(kind: &'static str, body: &'static str) -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=300")];
    (headers, body)
}
