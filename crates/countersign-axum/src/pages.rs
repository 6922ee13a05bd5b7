//! What is shown to whoever is turned away: the host's pages, or plain ones.

mod html;

use crate::turned_away::{LostForm, TurnedAway};
use crate::visit::Visit;
use axum_core::body::Body;
use axum_core::response::Response;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use std::future::Future;
use std::pin::Pin;

/// A page that is being made.
pub type PageFuture<'a> = Pin<Box<dyn Future<Output = Option<Response>> + Send + 'a>>;

/// The pages of a host for requests that are turned away.
///
/// The layer asks for one whenever an extractor, a handler or it itself answers a [`TurnedAway`].
/// What comes back is sent, with the headers that the refusal needs and the cookies of the
/// [`Visit`]. `None` leaves the line of text.
///
/// Whatever a page shows of a [`LostForm`] was sent by somebody: it is escaped, and it is offered
/// to be sent again only where [`LostForm::is_own`] says so.
///
/// ```
/// use axum_core::response::{IntoResponse, Response};
/// use countersign_axum::{DefaultPages, PageFuture, Pages, TurnedAway, Visit};
/// use http::{StatusCode, header};
///
/// /// Sends strangers to the page for logging in, and leaves the rest as it is.
/// struct MyPages;
///
/// impl Pages for MyPages {
///     fn page<'a>(&'a self, turned_away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a> {
///         Box::pin(async move {
///             match turned_away {
///                 TurnedAway::NotAuthenticated(_) if visit.wants_html() => {
///                     let to = [(header::LOCATION, "/log-in")];
///                     Some((StatusCode::SEE_OTHER, to).into_response())
///                 }
///                 _ => DefaultPages.page(turned_away, visit).await,
///             }
///         })
///     }
/// }
/// ```
pub trait Pages: Send + Sync + 'static {
    /// Makes the page.
    fn page<'a>(&'a self, turned_away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a>;
}

/// Plain pages: HTML for browsers, JSON for everybody else.
///
/// The JSON is `{"error":{"code","message"}}`, with `verdict` beside them for a form whose token
/// is lost. The HTML gives back what was typed into such a form, and where the form is proven to
/// be of an earlier session of the same principal, offers to send it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultPages;

impl Pages for DefaultPages {
    fn page<'a>(&'a self, turned_away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a> {
        Box::pin(async move {
            let (kind, body) = match visit.wants_html() {
                true => (
                    "text/html; charset=utf-8",
                    as_html(turned_away, visit).await,
                ),
                false => ("application/json", as_json(turned_away)),
            };
            let mut response = Response::new(Body::from(body));
            *response.status_mut() = turned_away.status();
            let said: [(HeaderName, &'static str); 3] = [
                (CONTENT_TYPE, kind),
                (
                    CONTENT_SECURITY_POLICY,
                    "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
                ),
                (REFERRER_POLICY, "same-origin"),
            ];
            for (name, value) in said {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
            Some(response)
        })
    }
}

fn as_json(turned_away: &TurnedAway) -> String {
    let mut error = serde_json::json!({
        "code": turned_away.code(),
        "message": turned_away.to_string(),
    });
    if let (TurnedAway::LostForm(lost), Some(error)) = (turned_away, error.as_object_mut()) {
        error.insert("verdict".to_owned(), lost.verdict.word().into());
    }
    serde_json::json!({ "error": error }).to_string()
}

async fn as_html(turned_away: &TurnedAway, visit: &Visit) -> String {
    let TurnedAway::LostForm(lost) = turned_away else {
        return html::message(turned_away.status(), &turned_away.to_string());
    };
    html::lost_form(lost, continued(lost, visit).await.as_ref())
}

/// What a form needs to be sent again, where that may be offered.
async fn continued(lost: &LostForm, visit: &Visit) -> Option<html::Again> {
    if !lost.is_own() || !lost.typed.is_whole() {
        return None;
    }
    Some(html::Again {
        field: visit.form_field().to_owned(),
        token: visit.form_token(None).await.ok()?,
    })
}
