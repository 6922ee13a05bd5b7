//! The applications that the edge is measured with: bare, behind our layer, behind another's.

use axum::body::Body;
use axum::routing::{Route, get, post};
use axum::{Form, Router};
use countersign::store::MemoryStore;
use countersign::{Engine, Method, NewLogIn, Principal};
use countersign_axum::{CheckedForm, CountersignLayer, CurrentPrincipal, RequireScope};
use countersign_benches::{Shuffle, engine_on, request, roomy_policy};
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE};
use http::{HeaderName, HeaderValue, Request, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tower_sessions::{MemoryStore as TheirStore, Session, SessionManagerLayer};

/// How many browsers are signed in: each request comes from another one.
const BROWSERS: usize = 100_000;

pub(crate) type Make = Box<dyn FnMut() -> Request<Body>>;

/// Has an application answer a request.
pub(crate) async fn answer(app: &Router, request: Request<Body>) -> StatusCode {
    let Ok(response) = app.clone().oneshot(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    response.status()
}

/// An application, what asks it, and which of the others is the same without what is measured.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) app: Router,
    pub(crate) make: Make,
    pub(crate) bare: &'static str,
}

/// Everything that is measured.
pub(crate) fn cases(runtime: &Runtime) -> Vec<Case> {
    let bare = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/form", post(|Form(_): Form<Fields>| async {}));
    // What any layer at all costs in a router.
    let layered = bare
        .clone()
        .layer(tower::layer::layer_fn(|inner: Route| inner));
    let (ours, who) = ours();
    let (theirs, their_cookies) = theirs(runtime, false);
    let (sliding, sliding_cookies) = self::theirs(runtime, true);
    let cookies = || who.iter().map(|who| who.cookies.clone()).collect();
    let bearers = || who.iter().map(|who| who.bearer.clone()).collect();
    let theirs_of = |cookies: &[HeaderValue]| asking("/", COOKIE, cookies.to_vec());
    let case = |name, app: &Router, make, bare| Case {
        name,
        app: app.clone(),
        make,
        bare,
    };
    vec![
        case("bare", &bare, asking("/", COOKIE, cookies()), "bare"),
        case("layer", &layered, asking("/", COOKIE, cookies()), "bare"),
        case("nobody", &ours, Box::new(|| plain("/open")), "bare"),
        case("session", &ours, asking("/", COOKIE, cookies()), "bare"),
        case(
            "bare-bearer",
            &bare,
            asking("/", AUTHORIZATION, bearers()),
            "bare",
        ),
        case(
            "bearer",
            &ours,
            asking("/api", AUTHORIZATION, bearers()),
            "bare-bearer",
        ),
        case("bare-form", &bare, posting(who.clone()), "bare"),
        case("form", &ours, posting(who.clone()), "bare-form"),
        case("bare-theirs", &bare, theirs_of(&their_cookies), "bare"),
        case(
            "tower-sessions",
            &theirs,
            theirs_of(&their_cookies),
            "bare-theirs",
        ),
        case(
            "tower-sessions-sliding",
            &sliding,
            theirs_of(&sliding_cookies),
            "bare-theirs",
        ),
    ]
}

/// Requests with one header each, of one browser after another in no order. The header is copied,
/// as a server copies it out of what it has just read: its bytes are near in every case.
fn asking(path: &'static str, name: HeaderName, values: Vec<HeaderValue>) -> Make {
    let mut shuffle = Shuffle::new();
    Box::new(move || {
        let mut request = plain(path);
        let value = values.get(shuffle.below(values.len()));
        let value = value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
        if let Some(value) = value {
            request.headers_mut().insert(&name, value);
        }
        request
    })
}

/// Forms with their tokens, likewise.
fn posting(who: Vec<Browser>) -> Make {
    let mut shuffle = Shuffle::new();
    Box::new(move || {
        let Some(who) = who.get(shuffle.below(who.len())) else {
            return Request::default();
        };
        let request = Request::post("/form").header(COOKIE, who.cookies.as_bytes());
        let request = request.header("sec-fetch-site", "same-origin");
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        request
            .body(Body::from(who.form.clone()))
            .unwrap_or_default()
    })
}

fn plain(path: &str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}

type Fields = Vec<(String, String)>;

/// What somebody who is signed in sends.
#[derive(Clone)]
struct Browser {
    cookies: HeaderValue,
    bearer: HeaderValue,
    form: String,
}

/// The application behind our layer, and who is signed in to it.
fn ours() -> (Router, Vec<Browser>) {
    let engine = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(BROWSERS));
    let made = RequireScope::new("repo:read").ok().and_then(|scope| {
        let app = Router::new()
            .route("/", get(|_: CurrentPrincipal| async { "hello" }))
            .route("/open", get(|| async { "hello" }))
            .route("/api", get(|| async { "hello" }).layer(scope))
            .route(
                "/form",
                post(|CheckedForm(_): CheckedForm<Fields>| async {}),
            )
            .layer(CountersignLayer::new(engine.clone()).ok()?);
        let who = (0..BROWSERS).map(|n| signed_in(&engine, n));
        let who = who.collect::<Option<Vec<_>>>()?;
        // So that the records are in memory, as they are once all have been issued.
        for Browser { bearer, .. } in &who {
            let token = bearer.to_str().ok()?.strip_prefix("Bearer ")?;
            engine.access().verify(token).wait().ok()?;
        }
        Some((app, who))
    });
    made.unwrap_or_default()
}

fn signed_in(engine: &Engine, n: usize) -> Option<Browser> {
    let name = Principal::new(&format!("user{:07}", n / 10)).ok()?;
    let login = NewLogIn::new(name, Method::Password, Duration::ZERO);
    let session = engine.log_in(None, login, None).wait().ok()?.session;
    let scripts = engine.forms().cookie(&session.session);
    let cookies = format!(
        "__Host-session={}; atlassian.xsrf.token={}",
        session.token.expose(),
        scripts.expose()
    );
    let token = engine.access().issue(request(n)).wait().ok()?.token;
    let form = engine.forms().masked(&session.session, None).ok()?;
    Some(Browser {
        cookies: cookies.parse().ok()?,
        bearer: format!("Bearer {}", token.expose()).parse().ok()?,
        form: format!("summary=it+rains&atl_token={}", form.expose()),
    })
}

/// The same behind `tower-sessions`, and the cookies of who is signed in to it. Where a session's
/// time is to begin anew with every use, as ours does, it has to be saved every time.
fn theirs(runtime: &Runtime, sliding: bool) -> (Router, Vec<HeaderValue>) {
    let layer = SessionManagerLayer::new(TheirStore::default()).with_always_save(sliding);
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
    let app = Router::new()
        .route("/", get(name))
        .route("/start", get(start))
        .layer(layer);
    let cookies = (0..BROWSERS).map(|_| {
        let sent = runtime
            .block_on(app.clone().oneshot(plain("/start")))
            .ok()?;
        let set = sent.headers().get(SET_COOKIE)?.to_str().ok()?;
        set.split(';').next()?.parse().ok()
    });
    let cookies = cookies.collect::<Option<_>>().unwrap_or_default();
    (app, cookies)
}
