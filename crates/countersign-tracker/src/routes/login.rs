//! Logging in and out, and giving one's password once more for what matters.

use crate::app::App;
use crate::draft;
use crate::trouble::Trouble;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use countersign::{Label, Method, NewLogIn, Principal};
use countersign_axum::{CheckedForm, Sent, SignedIn, Visit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// For how long a password that was given counts as given lately.
const FRESH_FOR: Duration = Duration::from_secs(30 * 60);

const WRONG: &str = "That name and that password do not go together.";

/// Where to go on to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// What is filled in to log in.
#[derive(Deserialize)]
pub(super) struct LogIn {
    name: String,
    password: String,
    remember: Option<String>,
    next: Option<String>,
}

/// What is filled in to confirm.
#[derive(Deserialize)]
pub(super) struct Confirm {
    password: String,
    next: Option<String>,
}

/// What `log-in.html` and `confirm.html` are told.
#[derive(Debug, Serialize)]
struct LogInPage<'a> {
    title: &'static str,
    name: &'a str,
    remember: bool,
    next: &'a str,
    wrong: Option<&'static str>,
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    visit: Visit,
    Query(next): Query<Next>,
) -> Result<Response, Trouble> {
    let next = own_path(next.next.as_deref());
    if visit.principal().is_some() && visit.session().is_some() {
        return Ok(Redirect::to(next).into_response());
    }
    let page = LogInPage {
        title: "Log in",
        name: "",
        remember: false,
        next,
        wrong: None,
    };
    Ok(app.page(&visit, "log-in.html", page).await?.into_response())
}

pub(super) async fn log_in(
    State(app): State<Arc<App>>,
    visit: Visit,
    headers: HeaderMap,
    CheckedForm(form): CheckedForm<LogIn>,
) -> Result<Response, Trouble> {
    let next = own_path(form.next.as_deref());
    let principal = Principal::new(&form.name).ok();
    let remember = form.remember.is_some();
    let fits = app.hash_that_fits(&form.name, form.password).await?;
    let Some((principal, hash)) = principal.zip(fits) else {
        return wrong(&app, &visit, (&form.name, remember), next).await;
    };
    let login = NewLogIn {
        carry: draft::attribute(),
        ..NewLogIn::new(principal, Method::Password, FRESH_FOR)
    };
    let label = device(&headers).filter(|_| remember);
    visit.log_in(login, label).await?;
    // Whoever changes a password writes it first and then ends what was opened before: what is
    // opened after that, by the old one, is ended here.
    if !app.users.read().has_hash(&form.name, &hash) {
        visit.log_out().await?;
        return wrong(&app, &visit, (&form.name, remember), next).await;
    }
    Ok(Redirect::to(next).into_response())
}

async fn wrong(
    app: &App,
    visit: &Visit,
    (name, remember): (&str, bool),
    next: &str,
) -> Result<Response, Trouble> {
    let page = LogInPage {
        title: "Log in",
        name,
        remember,
        next,
        wrong: Some(WRONG),
    };
    let html = app.page(visit, "log-in.html", page).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, html).into_response())
}

pub(super) async fn log_out(
    visit: Visit,
    CheckedForm(()): CheckedForm<()>,
) -> Result<Redirect, Trouble> {
    visit.log_out().await?;
    Ok(Redirect::to("/log-in"))
}

pub(super) async fn confirm_page(
    State(app): State<Arc<App>>,
    person: SignedIn,
    Query(next): Query<Next>,
) -> Result<Response, Trouble> {
    confirming(&app, &person, own_path(next.next.as_deref()), None).await
}

pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    Sent(person, CheckedForm(form)): Sent<SignedIn, CheckedForm<Confirm>>,
) -> Result<Response, Trouble> {
    let next = own_path(form.next.as_deref());
    let fits = app.hash_that_fits(person.principal.as_str(), form.password);
    if fits.await?.is_none() {
        let wrong = Some("That is not your password.");
        let page = confirming(&app, &person, next, wrong).await?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    person.visit.elevate(Method::Password, FRESH_FOR).await?;
    Ok(Redirect::to(next).into_response())
}

async fn confirming(
    app: &App,
    person: &SignedIn,
    next: &str,
    wrong: Option<&'static str>,
) -> Result<Response, Trouble> {
    let name = person.principal.to_string();
    let page = LogInPage {
        title: "Your password, please",
        name: &name,
        remember: false,
        next,
        wrong,
    };
    let html = app.page(&person.visit, "confirm.html", page).await?;
    Ok(html.into_response())
}

/// A path of ours, whatever was asked for: a link to the log-in must not lead elsewhere.
fn own_path(next: Option<&str>) -> &str {
    let ours = |path: &&str| {
        let rest = path.strip_prefix('/');
        rest.is_some_and(|rest| !rest.starts_with(['/', '\\']))
            && path.bytes().all(|c| c.is_ascii_graphic())
    };
    next.filter(ours).unwrap_or("/")
}

/// What a browser is called in the list of remembered devices.
fn device(headers: &HeaderMap) -> Option<Label> {
    let agent = headers.get(header::USER_AGENT);
    let agent = agent
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default();
    let known = |names: &[(&str, &'static str)], other: &'static str| {
        let found = names.iter().find(|(word, _)| agent.contains(word));
        found.map_or(other, |(_, name)| *name)
    };
    // The order matters: most browsers name others too.
    let browsers = [
        ("Firefox/", "Firefox"),
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ];
    let browser = known(&browsers, "A browser");
    let system = known(&systems, "some computer");
    Label::new(&format!("{browser} on {system}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_the_log_in_leads_nowhere_else() {
        for (next, path) in [
            (None, "/"),
            (Some("/issues/1"), "/issues/1"),
            (Some("/issues/1?a=b"), "/issues/1?a=b"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("https://evil.example"), "/"),
            (Some("/a\r\nSet-Cookie: b"), "/"),
            (Some(""), "/"),
        ] {
            assert_eq!(own_path(next), path, "{next:?}");
        }
    }

    #[test]
    fn a_device_is_called_by_browser_and_system() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            device(&headers).unwrap().as_str(),
            "A browser on some computer"
        );
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36";
        headers.insert(header::USER_AGENT, agent.parse().unwrap());
        assert_eq!(device(&headers).unwrap().as_str(), "Chrome on Linux");
    }
}
