//! A request through the HTTP edge, by session, by access token and with a form, beside the bare
//! handler and beside `tower-sessions` with its store in memory (P17).
//!
//! No network and no server: what is measured is what stands between them and the handler.

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use countersign::store::MemoryStore;
use countersign::{Engine, Maintenance, Method, NewLogIn, Principal};
use countersign_axum::{CheckedForm, CountersignLayer, CurrentPrincipal, RequireScope};
use countersign_benches::{keys, request};
use criterion::{Criterion, criterion_group, criterion_main};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderName, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tower_sessions::{MemoryStore as TheirStore, Session, SessionManagerLayer};

type Make = Box<dyn Fn() -> Request<Body>>;

fn edge(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    let mut group = criterion.benchmark_group("edge");
    for (name, app, make) in cases(&runtime) {
        group.bench_function(name, |bench| {
            bench.iter(|| runtime.block_on(answer(&app, make())));
        });
    }
    group.finish();
}

async fn answer(app: &Router, request: Request<Body>) -> StatusCode {
    let Ok(response) = app.clone().oneshot(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.status()
}

/// Router and request of each case.
fn cases(runtime: &Runtime) -> Vec<(&'static str, Router, Make)> {
    let bare = Router::new().route("/", get(|| async { "hello" }));
    let (ours, cookies, bearer, form) = ours();
    let theirs = theirs();
    let sent = runtime.block_on(theirs.clone().oneshot(plain("/start")));
    let sent = sent
        .ok()
        .and_then(|sent| sent.headers().get(SET_COOKIE).cloned());
    let sent = sent.and_then(|set| set.to_str().ok().map(str::to_owned));
    let their_cookie = sent.and_then(|set| set.split(';').next().map(str::to_owned));
    let their_cookie = their_cookie.unwrap_or_default();
    let with = |path: &'static str, name: HeaderName, value: String| -> Make {
        Box::new(move || {
            let mut request = plain(path);
            if let Ok(value) = value.parse() {
                request.headers_mut().insert(&name, value);
            }
            request
        })
    };
    let (same_size, cookie) = (cookies.clone(), cookies.clone());
    let posted: Make = Box::new(move || {
        let request = Request::post("/form").header(COOKIE, &cookie);
        let request = request.header("sec-fetch-site", "same-origin");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.body(Body::from(form.clone())).unwrap_or_default()
    });
    vec![
        ("bare", bare, with("/", COOKIE, same_size)),
        ("session", ours.clone(), with("/", COOKIE, cookies)),
        ("bearer", ours.clone(), with("/api", AUTHORIZATION, bearer)),
        ("nobody", ours.clone(), Box::new(|| plain("/open"))),
        ("form", ours, posted),
        ("tower-sessions", theirs, with("/", COOKIE, their_cookie)),
    ]
}

fn plain(path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}

/// The application behind our layer; cookies, a bearer header and a form that it takes.
fn ours() -> (Router, String, String, String) {
    let store = Arc::new(MemoryStore::new([]));
    let engine = Engine::builder()
        .maintenance(Maintenance::HostDriven)
        .open_store(store, &keys());
    let made = engine.ok().and_then(|engine| {
        let scope = RequireScope::new("repo:read").ok()?;
        let app = Router::new()
            .route("/", get(|_: CurrentPrincipal| async { "hello" }))
            .route("/open", get(|| async { "hello" }))
            .route("/api", get(|| async { "hello" }).layer(scope))
            .route(
                "/form",
                post(|CheckedForm(_): CheckedForm<Vec<(String, String)>>| async {}),
            )
            .layer(CountersignLayer::new(engine.clone()).ok()?);
        let name = Principal::new("alice").ok()?;
        let login = NewLogIn::new(name, Method::Password, Duration::ZERO);
        let session = engine.log_in(None, login, None).wait().ok()?.session;
        let scripts = engine.forms().cookie(&session.session);
        let cookies = format!(
            "__Host-session={}; atlassian.xsrf.token={}",
            session.token.expose(),
            scripts.expose()
        );
        let token = engine.access().issue(request(0)).wait().ok()?.token;
        let form = engine.forms().masked(&session.session, None).ok()?;
        let form = format!("summary=it+rains&atl_token={}", form.expose());
        Some((app, cookies, format!("Bearer {}", token.expose()), form))
    });
    made.unwrap_or_default()
}

/// The same behind `tower-sessions`.
fn theirs() -> Router {
    let layer = SessionManagerLayer::new(TheirStore::default());
    let name = |session: Session| async move {
        let name: Option<String> = session.get("name").await.ok().flatten();
        match name {
            Some(_) => Ok("hello"),
            None => Err(StatusCode::UNAUTHORIZED),
        }
    };
    let start = |session: Session| async move {
        let _ = session.insert("name", "alice").await;
    };
    Router::new()
        .route("/", get(name))
        .route("/start", get(start))
        .layer(layer)
}

criterion_group!(benches, edge);
criterion_main!(benches);
