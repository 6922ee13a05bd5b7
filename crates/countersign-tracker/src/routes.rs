//! Every route, and the layers around them.

mod admin;
mod api;
mod assets;
mod attachments;
mod issues;
mod login;
mod mail;
mod password;
mod poll;
mod sessions;
mod tokens;
mod upload;
mod users;

use crate::app::App;
use crate::render;
use crate::trouble::Trouble;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, post};
use countersign_axum::CountersignLayer;
use std::sync::Arc;

/// The longest form without files, in bytes.
const FORM_MAX: usize = 256 * 1024;

/// What a page may load and do: what comes from here, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The application.
pub(crate) fn all(app: &Arc<App>, layer: &CountersignLayer) -> Router {
    Router::new()
        .merge(pages())
        .merge(profile())
        .merge(administration())
        .nest("/api", api::routes())
        .fallback(|| async { Trouble::NotFound })
        .layer(DefaultBodyLimit::max(FORM_MAX))
        .layer(from_fn_with_state(Arc::clone(app), render::dress))
        .layer(layer.clone())
        // What follows is the same for everybody, and of no interest to the layer.
        .merge(assets::routes())
        .layer(map_response(headers))
        .with_state(Arc::clone(app))
}

fn pages() -> Router<Arc<App>> {
    let uploads = post(issues::create).layer(DefaultBodyLimit::max(upload::FORM_MAX));
    Router::new()
        .route("/", get(issues::list))
        .route("/filter", post(issues::filter))
        .route("/log-in", get(login::page).post(login::log_in))
        .route("/log-out", post(login::log_out))
        .route("/confirm", get(login::confirm_page).post(login::confirm))
        .route("/issues", uploads)
        .route("/issues/new", get(issues::new))
        .route("/issues/{number}", get(issues::show))
        .route("/issues/{number}/comments", post(issues::comment))
        .route("/issues/{number}/state", post(issues::set_state))
        .route("/issues/{number}/mail", post(mail::send))
        .route("/attachments/{id}", get(attachments::show))
        .route("/poll", get(poll::poll))
}

fn profile() -> Router<Arc<App>> {
    Router::new()
        .route("/profile/sessions", get(sessions::page))
        .route("/profile/sessions/end", post(sessions::end))
        .route("/profile/sessions/end-others", post(sessions::end_others))
        .route("/profile/sessions/forget", post(sessions::forget))
        .route("/profile/sessions/forget-all", post(sessions::forget_all))
        .route(
            "/profile/password",
            get(password::page).post(password::change),
        )
        .route("/profile/tokens", get(tokens::page).post(tokens::issue))
        .route("/profile/tokens/rotate", post(tokens::rotate))
        .route("/profile/tokens/revoke", post(tokens::revoke))
}

fn administration() -> Router<Arc<App>> {
    Router::new()
        .route("/admin", get(admin::page))
        .route("/admin/sessions/end", post(admin::end_session))
        .route("/admin/principals", post(admin::act_on_principal))
        .route("/admin/switches", post(admin::switch))
        .route("/admin/users", get(users::page).post(users::add))
}

/// The headers of every answer, where a handler has not said better.
async fn headers(mut response: Response) -> Response {
    let said = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    let headers = response.headers_mut();
    for (name, value) in said {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
