//! Hazard: an answer that loses what others have said with it, or that a cache shows to others.

use crate::application::World;
use crate::browser::{Browser, SESSION};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use countersign_axum::{CountersignLayer, CurrentPrincipal, TurnedAway, Visit};
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Request, StatusCode};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;

async fn own(_: CurrentPrincipal) -> &'static str {
    "own"
}

#[tokio::test]
async fn what_the_host_said_with_a_refusal_is_kept() {
    let world = World::new();
    let said = |mut response: Response| async move {
        let headers = response.headers_mut();
        for cookie in ["theme=dark; Path=/", "tour=seen; Path=/"] {
            headers.append("set-cookie", HeaderValue::from_static(cookie));
        }
        headers.insert("x-request-id", HeaderValue::from_static("7"));
        headers.insert("etag", HeaderValue::from_static("\"text\""));
        response
    };
    let mut browser = Browser::new(&world);
    browser.app = Router::new()
        .route("/own", get(own))
        .layer(axum::middleware::map_response(said))
        .layer(CountersignLayer::new(world.engine.clone()).unwrap());
    let reply = browser.get("/own").html().send().await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(reply.cookies(), ["theme=dark; Path=/", "tour=seen; Path=/"]);
    assert_eq!(reply.header("x-request-id"), "7");
    // What was said of the line of text is not said of the page in its place.
    assert_eq!(reply.header("etag"), "");
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        reply.header("www-authenticate"),
        "Bearer realm=\"countersign\""
    );
}

#[tokio::test]
async fn what_is_made_for_somebody_is_for_no_shared_cache() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    assert_eq!(browser.get("/").send().await.header("cache-control"), "");
    browser.log_in("sam").await;
    let own = browser.get("/mine").send().await;
    assert_eq!(own.header("cache-control"), "private, no-cache");
    let token = world.issue("tina", &[]);
    let mut script = Browser::new(&world);
    let api = script
        .get("/mine")
        .bearer(token.token.expose())
        .send()
        .await;
    assert_eq!(api.header("cache-control"), "private, no-cache");
    // What the handler says counts.
    let logo = || async { ([(CACHE_CONTROL, "public, max-age=60")], "logo") };
    browser.app = Router::new()
        .route("/logo", get(logo))
        .layer(CountersignLayer::new(world.engine.clone()).unwrap());
    let logo = browser.get("/logo").send().await;
    assert_eq!(logo.header("cache-control"), "public, max-age=60");
}

#[tokio::test]
async fn a_layer_within_a_layer_still_logs_in() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    let layer = CountersignLayer::new(world.engine.clone()).unwrap();
    browser.app = browser.app.layer(layer);
    browser.log_in("sam").await;
    assert!(browser.has(SESSION));
    assert_eq!(browser.who().await, "session sam");
    let refused = browser.post("/form").form("a=b").send().await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_log_out_that_comes_too_late_ends_the_session_even_so() {
    let world = World::new();
    let kept: Arc<Mutex<Option<Visit>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let app = Router::new()
        .route(
            "/keep",
            get(move |visit: Visit| async move { *keep.lock().unwrap() = Some(visit) }),
        )
        .layer(CountersignLayer::new(world.engine.clone()).unwrap());
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let cookie = format!("{SESSION}={}", browser.cookies[SESSION]);
    let request = Request::get("/keep").header("cookie", cookie);
    let request = request.body(Body::empty()).unwrap();
    app.oneshot(request).await.unwrap();
    let visit = kept.lock().unwrap().take().unwrap();
    let late = visit.log_out().await;
    assert!(matches!(late, Err(TurnedAway::TooLate(_))));
    assert_eq!(browser.who().await, "nobody");
}
