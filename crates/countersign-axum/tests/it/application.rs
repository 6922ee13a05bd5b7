//! The application that the hazards are tried on: a route for everything that can go wrong.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use bytes::Bytes;
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, Draft, Engine, IssuedToken, Label, Maintenance, Method, NewLogIn, NewToken,
    Policy, Principal, ScopeSet, TokenName, Who,
};
use countersign_axum::{
    AttributeError, CheckedForm, CheckedMultipart, CheckedRequest, CountersignLayer,
    CurrentPrincipal, CurrentSession, ImageAccess, LayerBuilder, Part, RecentlyAuthenticated,
    RequireScope, Sent, SignedIn, TurnedAway, Visit,
};
use countersign_testkit::{ManualClock, SeededEntropy, samples};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// An engine in memory, its clock, and an application behind the layer.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: ManualClock,
    pub(crate) app: Router,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, |layer| layer)
    }

    pub(crate) fn with(
        change: impl FnOnce(&mut Draft),
        build: impl FnOnce(LayerBuilder) -> LayerBuilder,
    ) -> Self {
        let clock = ManualClock::default();
        let engine = Engine::builder()
            .clock(clock.clone())
            .entropy(SeededEntropy::new(7))
            .maintenance(Maintenance::HostDriven)
            .policy(policy(change))
            .open_store(Arc::new(MemoryStore::new([])), &samples::keys())
            .unwrap();
        let layer = build(CountersignLayer::builder(engine.clone()))
            .build()
            .unwrap();
        let app = routes().layer(layer);
        Self { engine, clock, app }
    }

    pub(crate) fn issue(&self, name: &str, scopes: &[&str]) -> IssuedToken {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap());
        let token = NewToken {
            principal: principal(name),
            name: TokenName::new("ci").unwrap(),
            scopes: ScopeSet::new(scopes).unwrap(),
            expiry: countersign::Expiry::Never,
        };
        self.engine.access().issue(token).wait().unwrap()
    }
}

pub(crate) fn policy(change: impl FnOnce(&mut Draft)) -> Policy {
    let mut draft = Draft::default();
    change(&mut draft);
    draft.build().unwrap()
}

pub(crate) fn principal(name: &str) -> Principal {
    Principal::new(name).unwrap()
}

fn routes() -> Router {
    Router::new()
        .route("/", any(who))
        .route("/mine", any(mine))
        .route("/maybe", any(maybe))
        .route("/start", get(start))
        .route("/log-in/{name}", post(log_in))
        .route("/log-in-remembered/{name}", post(log_in_remembered))
        .route("/log-in-twice", post(log_in_twice))
        .route("/log-out", post(log_out))
        .route("/renew", post(renew))
        .route("/elevate", post(elevate))
        .route("/password", post(password))
        .route("/fresh", get(fresh))
        .route("/token", get(token))
        .route("/form", post(form))
        .route("/sent", post(sent))
        .route("/sent-fresh", post(sent_fresh))
        .route("/sent-bytes", post(sent_bytes))
        .route("/names", post(names))
        .route("/upload", post(upload))
        .route("/attributes", any(attributes))
        .route("/count", post(count))
        .route("/fail", any(fail))
        .route("/stream", any(stream))
        .route("/rude", any(rude))
        .route("/image/{name}", get(image))
        .route(
            "/api",
            any(|| async { "api" }).layer(RequireScope::new("repo:read").unwrap()),
        )
}

/// What the layer found out, in a word.
async fn who(visit: Visit) -> String {
    let name = |who: &Who| {
        who.principal()
            .map_or("?".to_owned(), |name| name.to_string())
    };
    match visit.who() {
        ref who @ Who::Session(_) => format!("session {}", name(who)),
        ref who @ Who::Token(_) => format!("token {}", name(who)),
        ref who @ Who::Remembered(_) => format!("device {}", name(who)),
        Who::Anonymous(nobody) if nobody.session.is_some() => "a session of nobody".to_owned(),
        Who::Anonymous(_) => match visit.ambiguous() {
            Some(carrier) => format!("nobody: {carrier}"),
            None => "nobody".to_owned(),
        },
        other => format!("{other:?}"),
    }
}

async fn mine(who: CurrentPrincipal) -> String {
    who.principal().to_string()
}

async fn maybe(who: Option<CurrentPrincipal>) -> String {
    who.map_or("nobody".to_owned(), |who| who.principal().to_string())
}

async fn start(visit: Visit) -> Result<&'static str, TurnedAway> {
    visit.session_or_start().await?;
    Ok("started")
}

fn login(name: &str) -> NewLogIn {
    NewLogIn::new(principal(name), Method::Password, 10 * MINUTE)
}

async fn log_in(visit: Visit, Path(name): Path<String>) -> Result<&'static str, TurnedAway> {
    visit.log_in(login(&name), None).await?;
    Ok("in")
}

async fn log_in_remembered(
    visit: Visit,
    Path(name): Path<String>,
) -> Result<&'static str, TurnedAway> {
    let label = Label::new("a browser").unwrap();
    visit.log_in(login(&name), Some(label)).await?;
    Ok("in")
}

async fn log_in_twice(visit: Visit) -> Result<&'static str, TurnedAway> {
    let label = Label::new("a browser").unwrap();
    visit.log_in(login("alice"), Some(label)).await?;
    visit.renew().await?;
    visit.log_out().await?;
    visit.log_in(login("bob"), None).await?;
    Ok("in")
}

async fn log_out(visit: Visit) -> Result<&'static str, TurnedAway> {
    visit.log_out().await?;
    Ok("out")
}

async fn renew(visit: Visit) -> Result<&'static str, TurnedAway> {
    visit.renew().await?;
    Ok("renewed")
}

async fn elevate(visit: Visit) -> Result<&'static str, TurnedAway> {
    visit.elevate(Method::Password, 10 * MINUTE).await?;
    Ok("elevated")
}

async fn password(visit: Visit) -> Result<&'static str, TurnedAway> {
    visit.credentials_changed(None).await?;
    Ok("changed")
}

async fn fresh(who: RecentlyAuthenticated) -> String {
    who.principal.to_string()
}

async fn token(visit: Visit) -> Result<String, TurnedAway> {
    Ok(visit.form_token(None).await?.expose().to_owned())
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    summary: String,
    #[serde(default)]
    label: Vec<String>,
}

async fn form(CheckedForm(issue): CheckedForm<Issue>) -> String {
    format!("{} {:?}", issue.summary, issue.label)
}

async fn sent(Sent(who, CheckedForm(issue)): Sent<SignedIn, CheckedForm<Issue>>) -> String {
    assert_eq!(who.principal.as_str(), "sam");
    format!("{} {:?}", issue.summary, issue.label)
}

async fn sent_fresh(
    Sent(who, CheckedForm(issue)): Sent<RecentlyAuthenticated, CheckedForm<Issue>>,
) -> String {
    assert_eq!(who.principal.as_str(), "sam");
    format!("{} {:?}", issue.summary, issue.label)
}

async fn sent_bytes(_: CheckedRequest, Sent(_, bytes): Sent<CurrentPrincipal, Bytes>) -> Bytes {
    bytes
}

/// Takes the names of files and leaves what is in them.
async fn names(mut form: CheckedMultipart) -> Result<String, TurnedAway> {
    let mut seen = String::new();
    while let Some(part) = form.next().await? {
        if let Part::File(file) = part {
            writeln!(seen, "{}", file.name()).unwrap();
        }
    }
    Ok(seen)
}

async fn upload(mut form: CheckedMultipart) -> Result<String, TurnedAway> {
    let mut seen = String::new();
    while let Some(part) = form.next().await? {
        match part {
            Part::Text { name, text } => writeln!(seen, "{name}={text}").unwrap(),
            Part::File(mut file) => {
                let mut bytes = 0;
                let name = file.file_name().to_owned();
                while let Some(chunk) = file.chunk().await? {
                    bytes += chunk.len();
                }
                writeln!(seen, "{}: {name} {bytes}", file.name()).unwrap();
            }
        }
    }
    Ok(seen)
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Cart {
    items: Vec<String>,
    total: f64,
}

async fn attributes(mut session: CurrentSession) -> Result<String, AttributeError> {
    let cart = || Cart {
        items: vec!["pen".to_owned()],
        total: 2.5,
    };
    if session.find::<Cart>("cart")?.is_none() {
        session.set("cart", &cart()).await?;
        session.set("name", "Ann").await?;
        session.set("count", &7_u8).await?;
        session.set("yes", &true).await?;
        session.set("gone", "x").await?;
        session.remove("gone").await?;
        return Ok("written".to_owned());
    }
    assert_eq!(session.find::<Cart>("cart")?, Some(cart()));
    assert_eq!(session.find::<String>("gone")?, None);
    let name: Option<String> = session.find("name")?;
    let (count, yes): (Option<u32>, Option<bool>) = (session.find("count")?, session.find("yes")?);
    let wrong = session.find::<u32>("name").unwrap_err();
    assert!(!wrong.to_string().contains("Ann"), "{wrong}");
    Ok(format!("{name:?} {count:?} {yes:?}"))
}

async fn count(mut session: CurrentSession) -> Result<String, AttributeError> {
    let name = countersign::AttributeName::new("count").unwrap();
    let add = countersign::AttributeChange::Add(name, 1);
    session.update(vec![add]).await?;
    Ok(format!("{:?}", session.find::<i64>("count")?))
}

async fn fail() -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

/// A body whose second piece comes when its head has long been sent.
async fn stream(visit: Visit) -> Response {
    let pieces = futures_util::stream::unfold(0, move |n| {
        let visit = visit.clone();
        async move {
            let piece = match n {
                0 => "first\n".to_owned(),
                1 => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    let late = visit.log_in(login("mallory"), None).await.unwrap_err();
                    format!("{}\n", late.code())
                }
                _ => return None,
            };
            Some((Ok::<_, std::io::Error>(Bytes::from(piece)), n + 1))
        }
    });
    Body::from_stream(pieces).into_response()
}

/// A handler that writes cookies of our names, and others.
async fn rude() -> Response {
    let mut response = "rude".into_response();
    for cookie in [
        "__Host-session=stolen; Path=/",
        "theme=dark; Path=/",
        " __Host-session =stolen",
        "atlassian.xsrf.token=forged",
    ] {
        let cookie = HeaderValue::from_static(cookie);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    let public = HeaderValue::from_static("public, max-age=600");
    response.headers_mut().insert(header::CACHE_CONTROL, public);
    response
}

async fn image(
    link: ImageAccess,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, TurnedAway> {
    let opened = link.open(&AttachmentId::new(&name).unwrap()).await?;
    let whose = opened.principal().to_string();
    Ok((opened, [(header::CONTENT_TYPE, "image/png")], whose))
}
