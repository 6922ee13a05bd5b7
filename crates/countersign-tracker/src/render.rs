//! Pages: templates that escape by default, in the frame that all of them share.

use crate::app::App;
use crate::error::TrackerError;
use crate::trouble::{Said, Trouble};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::middleware::Next;
use axum::response::{Html, IntoResponse as _, Response};
use countersign::Timestamp;
use countersign_axum::{TurnedAway, Visit};
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;
use std::sync::Arc;

macro_rules! sources {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../templates/", $name)))),*]
    };
}

/// Every page there is.
const SOURCES: &[(&str, &str)] = &sources![
    "frame.html",
    "form.html",
    "form-token.html",
    "message.html",
    "log-in.html",
    "confirm.html",
    "issues.html",
    "new-issue.html",
    "issue.html",
    "lost-form.html",
    "sessions.html",
    "password.html",
    "tokens.html",
    "users.html",
    "admin.html",
    "mail.html",
];

/// The templates. A name that a template asks for and a page does not give is an error.
pub(crate) fn templates() -> Result<Environment<'static>, TrackerError> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    templates.add_filter("when", |ms: u64| when(ms));
    templates.add_filter("url", url);
    for (name, source) in SOURCES {
        let added = templates.add_template(name, source);
        added.map_err(|error| TrackerError::Page(format!("{error:#}")))?;
    }
    Ok(templates)
}

/// What every page is told.
#[derive(Debug, Serialize)]
struct Frame<T> {
    who: Option<String>,
    administrator: bool,
    /// The form token and the name of its field; none where the page has no form.
    token: Option<String>,
    field: String,
    page: T,
}

impl App {
    /// A page with forms on it; opens a session where there is none.
    pub(crate) async fn page(
        &self,
        visit: &Visit,
        template: &str,
        page: impl Serialize,
    ) -> Result<Html<String>, Trouble> {
        let token = visit.form_token(None).await?.expose().to_owned();
        self.framed(visit, template, page, Some(token))
    }

    /// A page without a form of its own: a stranger gets no session for it.
    pub(crate) async fn notice(
        &self,
        visit: &Visit,
        status: StatusCode,
        said: &str,
    ) -> Result<Response, Trouble> {
        let token = match visit.principal() {
            Some(_) => Some(visit.form_token(None).await?.expose().to_owned()),
            None => None,
        };
        let title = status.canonical_reason().unwrap_or("Sorry");
        let page = serde_json::json!({ "title": title, "said": said });
        let html = self.framed(visit, "message.html", page, token)?;
        Ok((status, html).into_response())
    }

    fn framed(
        &self,
        visit: &Visit,
        template: &str,
        page: impl Serialize,
        token: Option<String>,
    ) -> Result<Html<String>, Trouble> {
        let who = visit.principal().map(|principal| principal.to_string());
        let users = self.users.read();
        let frame = Frame {
            administrator: who
                .as_deref()
                .is_some_and(|who| users.is_administrator(who)),
            who,
            token,
            field: visit.form_field().to_owned(),
            page,
        };
        Ok(Html(self.rendered(template, &frame)?))
    }

    pub(crate) fn rendered(
        &self,
        template: &str,
        context: &impl Serialize,
    ) -> Result<String, TrackerError> {
        let broken = |error: minijinja::Error| TrackerError::Page(format!("{error:#}"));
        let template = self.templates.get_template(template).map_err(broken)?;
        let rendered = template.render(Serde(context));
        rendered.map_err(broken)
    }
}

/// Makes a page of what a handler said in a line.
pub(crate) async fn dress(
    State(app): State<Arc<App>>,
    visit: Result<Visit, TurnedAway>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let (Ok(visit), Some(Said(said))) = (visit, response.extensions().get::<Said>()) else {
        return response;
    };
    if !visit.wants_html() {
        return response;
    }
    match app.notice(&visit, response.status(), said).await {
        Ok(mut page) => {
            let after = response.headers().get(RETRY_AFTER).cloned();
            page.headers_mut()
                .extend(after.map(|after| (RETRY_AFTER, after)));
            page
        }
        Err(_) => response,
    }
}

/// An address as it stands, which mail programs read better than one whose slashes are escaped:
/// only where there is nothing in it that would have to be.
fn url(text: String) -> Result<Value, minijinja::Error> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/?=%[]".contains(&c);
    match text.bytes().all(plain) {
        true => Ok(Value::from_safe_string(text)),
        false => {
            let what = "an address with more in it than letters";
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, what))
        }
    }
}

/// A day and a time of day in UTC, for people.
pub(crate) fn when(ms: u64) -> String {
    let text = Timestamp::from_millis(ms).to_string();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::SOURCES;

    #[test]
    fn every_form_that_is_sent_begins_with_the_token() {
        for (name, source) in SOURCES {
            for form in source.split("<form ").skip(1) {
                let (_, inside) = form.split_once(">\n").unwrap();
                let first = inside.lines().next().unwrap();
                assert_eq!(first, "{% include \"form-token.html\" %}", "{name}: {form}");
            }
        }
    }
}
