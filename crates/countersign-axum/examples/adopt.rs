//! The least that an application has to write: notes behind a log-in, with everything that keeps
//! them safe. `docs/ADOPTING.md` goes through it.
//!
//! `cargo run -p countersign-axum --example adopt`, then <http://localhost:8081>, as `ann` with the
//! password `correct horse`.
//! It is one file to be read; `crates/countersign-tracker` is an application to be copied from.

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header::USER_AGENT};
use axum::response::{Html, IntoResponse, Redirect};
use axum::{Json, Router, routing::get, routing::post};
use countersign::{Engine, Label, Method, NewLogIn, Policy, Principal};
use countersign_axum::{
    CheckedForm, CheckedRequest, CountersignLayer, CurrentPrincipal, DefaultPages, PageFuture,
    Pages, RequireScope, Sent, SignedIn, TurnedAway, Visit,
};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stays yours: who your users are, and what they keep.
type Notes = Arc<Mutex<Vec<(Principal, String)>>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without TLS: nowhere but on this machine.
    let policy = Policy::from_toml("[remember_me]\ncookie_secure = false\n")?;
    let store = std::env::temp_dir().join("countersign-adopt.redb");
    let engine = Engine::builder().policy(policy).open(store)?;

    let layer = CountersignLayer::builder(engine.clone())
        .address(|parts| {
            let from = parts.extensions.get::<ConnectInfo<SocketAddr>>();
            from.map(|from| from.0.ip())
        })
        .pages(MyPages)
        .build()?;
    let app = Router::new()
        .route("/", get(notes))
        .route("/notes", post(add))
        .route("/log-in", get(log_in_page).post(log_in))
        .route("/log-out", post(log_out))
        .route(
            "/api/notes",
            get(list).layer(RequireScope::new("notes:read")?),
        )
        .route(
            "/api/notes",
            post(add_by_script).layer(RequireScope::new("notes:write")?),
        )
        .layer(layer)
        .with_state(Notes::default())
        // Without this no address is known, and nobody is told so.
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(told_to_stop())
        .await?;
    // Writes what is waiting, the latest log-outs among it.
    engine.close().await?;
    Ok(())
}

/// Waits for Ctrl-C, and for what a service manager sends.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[derive(Deserialize)]
struct LogIn {
    name: String,
    password: String,
    remember: Option<String>,
}

async fn log_in_page(visit: Visit) -> Result<Html<String>, TurnedAway> {
    let token = hidden(&visit).await?;
    Ok(Html(format!(
        "<form method=post>{token}<label>Name <input name=name></label> \
         <label>Password <input name=password type=password></label> \
         <label><input name=remember type=checkbox> Remember my login</label> \
         <button>Log in</button></form>"
    )))
}

async fn log_in(
    visit: Visit,
    headers: HeaderMap,
    CheckedForm(form): CheckedForm<LogIn>,
) -> Result<Redirect, TurnedAway> {
    // Yours: a slow hash, as slow for a name that there is not, and a limit on attempts. While it
    // is compared the password may be changed: look at the hash once more behind `log_in`.
    if (form.name.as_str(), form.password.as_str()) != ("ann", "correct horse") {
        return Ok(Redirect::to("/log-in"));
    }
    let login = NewLogIn::new(
        Principal::new(&form.name)?,
        Method::Password,
        Duration::from_secs(30 * 60),
    );
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let device =
        || Label::fitting(agent.unwrap_or_default()).or_else(|| Label::fitting("a browser"));
    visit
        .log_in(login, form.remember.and_then(|_| device()))
        .await?;
    Ok(Redirect::to("/"))
}

async fn log_out(visit: Visit, _: CheckedForm<()>) -> Result<Redirect, TurnedAway> {
    visit.log_out().await?;
    Ok(Redirect::to("/log-in"))
}

async fn notes(State(notes): State<Notes>, who: SignedIn) -> Result<Html<String>, TurnedAway> {
    let token = hidden(&who.visit).await?;
    let count = of(&notes, &who.principal).len();
    Ok(Html(format!(
        "<p>{count} notes.</p>\
         <form method=post action=/notes>{token}<textarea name=text></textarea>\
         <button>Add</button></form>\
         <form method=post action=/log-out>{token}<button>Log out</button></form>"
    )))
}

#[derive(Deserialize)]
struct NewNote {
    text: String,
}

/// `Sent`: a form whose token is lost says so before anybody asks who sent it.
async fn add(
    State(notes): State<Notes>,
    Sent(who, CheckedForm(new)): Sent<SignedIn, CheckedForm<NewNote>>,
) -> Redirect {
    keep(&notes, who.principal, new.text);
    Redirect::to("/")
}

/// By access token, or by a script on our own pages.
async fn list(State(notes): State<Notes>, who: CurrentPrincipal) -> Json<Vec<String>> {
    Json(of(&notes, who.principal()))
}

/// `CheckedRequest`: a session needs its form token in a header, an access token needs none.
async fn add_by_script(
    State(notes): State<Notes>,
    who: CurrentPrincipal,
    _: CheckedRequest,
    Json(text): Json<String>,
) -> StatusCode {
    keep(&notes, who.principal().clone(), text);
    StatusCode::CREATED
}

/// Strangers who ask for a page are sent to the log-in; everything else has a plain page already.
struct MyPages;

impl Pages for MyPages {
    fn page<'a>(&'a self, turned_away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a> {
        Box::pin(async move {
            match turned_away {
                TurnedAway::NotAuthenticated(_) if visit.wants_html() => {
                    Some(Redirect::to("/log-in").into_response())
                }
                _ => DefaultPages.page(turned_away, visit).await,
            }
        })
    }
}

/// The field that makes a form one of our own. Both texts are letters, digits and `-._`.
async fn hidden(visit: &Visit) -> Result<String, TurnedAway> {
    let (field, token) = (visit.form_field(), visit.form_token(None).await?);
    let token = token.expose();
    Ok(format!(
        "<input type=hidden name=\"{field}\" value=\"{token}\">"
    ))
}

fn of(notes: &Notes, who: &Principal) -> Vec<String> {
    let notes = notes.lock().map(|notes| notes.clone()).unwrap_or_default();
    let own = notes.into_iter().filter(|(owner, _)| owner == who);
    own.map(|(_, text)| text).collect()
}

fn keep(notes: &Notes, who: Principal, text: String) {
    if let Ok(mut notes) = notes.lock() {
        notes.push((who, text));
    }
}
