//! Hazard: a form that is carried out though it did not come from our page, and work that is lost
//! because nobody says what happened to it (S4, S6, S7, E9).

use crate::application::{HOUR, World};
use crate::browser::{Browser, Reply, SCRIPTS, SESSION};
use axum::body::Body;
use axum::extract::FromRequest as _;
use axum::response::IntoResponse as _;
use countersign::core::csrf::CsrfVerdict;
use countersign_axum::{
    CheckedForm, CheckedRequest, CountersignLayer, LostForm, Sent, SignedIn, TurnedAway,
};
use http::{Request, StatusCode};
use std::collections::BTreeMap;
use tower::{Layer as _, ServiceExt as _};

const TYPED: &str = "summary=it+rains&label=a&label=%C3%A9";

#[track_caller]
fn lost(reply: &Reply, verdict: CsrfVerdict) {
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let word = format!("\"verdict\":\"{verdict}\"");
    assert!(
        reply.body.contains(&word),
        "{} is not {verdict}",
        reply.body
    );
}

async fn send(browser: &mut Browser, token: &str) -> Reply {
    let body = format!("atl_token={token}&{TYPED}");
    browser.post("/form").form(&body).send().await
}

#[tokio::test]
async fn a_token_is_taken_in_the_field_and_in_either_header() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let (one, other) = (browser.token().await, browser.token().await);
    assert_ne!(one, other);
    let carried_out = "it rains [\"a\", \"\u{e9}\"]";
    assert_eq!(send(&mut browser, &one).await.body, carried_out);
    // A page may hold its token all session long, and scripts send the cookie whole.
    assert_eq!(send(&mut browser, &one).await.body, carried_out);
    let cookie = browser.cookies[SCRIPTS].clone();
    let stable = cookie.split('|').nth(1).unwrap().to_owned();
    for name in ["X-CSRF-Token", "x-atlassian-token"] {
        for token in [&one, &other, &stable, &cookie] {
            let reply = browser
                .post("/form")
                .header(name, token)
                .form(TYPED)
                .send()
                .await;
            assert_eq!(reply.body, carried_out);
        }
    }
    // The cookie by itself shows nothing: a browser sends it with forged requests too.
    let reply = browser.post("/form").form(TYPED).send().await;
    lost(&reply, CsrfVerdict::Missing);
}

#[tokio::test]
async fn each_way_to_lose_a_token_has_its_own_verdict() {
    let world = World::new();
    let mut browser = Browser::new(&world);

    browser.log_in("sam").await;
    let token = browser.token().await;
    lost(&send(&mut browser, "").await, CsrfVerdict::Missing);
    lost(&send(&mut browser, "x").await, CsrfVerdict::Malformed);
    lost(
        &send(&mut browser, "no-check").await,
        CsrfVerdict::Malformed,
    );
    let twice = format!("{token}&atl_token={token}");
    lost(&send(&mut browser, &twice).await, CsrfVerdict::Malformed);
    let foreign = format!(
        "AAAA-BBBB|{}|lin",
        browser.cookies[SCRIPTS].split('|').nth(1).unwrap()
    );
    lost(
        &send(&mut browser, &foreign).await,
        CsrfVerdict::ForeignServer,
    );

    // Logged out and in again in another tab.
    browser.post("/log-out").send().await;
    lost(&send(&mut browser, &token).await, CsrfVerdict::SignedOut);
    browser.log_in("sam").await;
    lost(&send(&mut browser, &token).await, CsrfVerdict::Superseded);

    // A form of the page for logging in, used again after it.
    let mut stranger = Browser::new(&world);
    let token = stranger.token().await;
    stranger.log_in("sam").await;
    lost(&send(&mut stranger, &token).await, CsrfVerdict::Superseded);

    // Somebody else's token.
    let mut mallory = Browser::new(&world);
    mallory.log_in("mallory").await;
    let token = mallory.token().await;
    lost(&send(&mut browser, &token).await, CsrfVerdict::OtherSession);

    // Idle for five hours.
    let token = browser.token().await;
    world.clock.advance(5 * HOUR);
    lost(&send(&mut browser, &token).await, CsrfVerdict::Expired);

    // Of no session at all.
    browser.log_in("sam").await;
    let mut forged = browser.token().await.into_bytes();
    let last = forged.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let forged = String::from_utf8(forged).unwrap();
    lost(&send(&mut browser, &forged).await, CsrfVerdict::Mismatch);
}

#[tokio::test]
async fn two_headers_are_none_and_a_header_counts_alone() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    let form = browser.post("/form").header("x-csrf-token", &token);
    let reply = form
        .header("x-atlassian-token", &token)
        .form(TYPED)
        .send()
        .await;
    lost(&reply, CsrfVerdict::Malformed);
    let form = browser.post("/form").header("x-csrf-token", "x");
    let reply = form
        .form(&format!("atl_token={token}&{TYPED}"))
        .send()
        .await;
    lost(&reply, CsrfVerdict::Malformed);
    // Nor is it taken from the address.
    let reply = browser
        .post(&format!("/form?atl_token={token}"))
        .form(TYPED)
        .send()
        .await;
    lost(&reply, CsrfVerdict::Missing);
}

#[tokio::test]
async fn without_a_session_no_form_is_carried_out() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    let mut other = Browser::new(&world);
    lost(&send(&mut other, &token).await, CsrfVerdict::OtherSession);
    other.cookies.insert(SESSION.into(), "x".into());
    lost(&send(&mut other, &token).await, CsrfVerdict::OtherSession);
    other
        .cookies
        .insert(SCRIPTS.into(), browser.cookies[SCRIPTS].clone());
    lost(&send(&mut other, &token).await, CsrfVerdict::OtherSession);
}

#[tokio::test]
async fn a_form_that_does_not_read_says_how() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    let reply = browser.post("/form").send().await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let json = browser
        .post("/form")
        .header("content-type", "application/json");
    assert_eq!(json.send().await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for fields in ["label=a", "summary=a&strange=b", "", "summary=a&summary=b"] {
        let body = format!("{fields}&atl_token={token}");
        let reply = browser.post("/form").form(&body).send().await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
    }
    let long = format!("atl_token={token}&summary={}", "x".repeat(3 * 1024 * 1024));
    let reply = browser.post("/form").form(&long).send().await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
}

/// What a handler gets that asks for the refusal itself.
#[tokio::test]
async fn what_was_typed_comes_with_the_refusal() {
    type Fields = BTreeMap<String, String>;
    let world = World::new();
    let layer = CountersignLayer::new(world.engine.clone()).unwrap();
    let service = layer.layer(tower::service_fn(|request: Request<Body>| async {
        let form = CheckedForm::<Fields>::from_request(request, &()).await;
        let Err(TurnedAway::LostForm(lost)) = form else {
            panic!("not lost: {form:?}");
        };
        let LostForm { verdict, typed, .. } = &lost;
        assert_eq!(*verdict, CsrfVerdict::Missing);
        let fields: Vec<_> = typed.iter().collect();
        assert_eq!(
            fields,
            [("summary", "it rains"), ("label", "a"), ("label", "\u{e9}")]
        );
        assert!(typed.is_whole() && lost.files.is_empty());
        Ok::<_, std::convert::Infallible>(lost.into_response())
    }));
    let body = Body::from(format!("{TYPED}&password=hush"));
    let request = Request::post("/form").header("sec-fetch-site", "same-origin");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let response = service.oneshot(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_script_sends_anything_with_its_token_in_a_header() {
    let world = World::new();
    let app = axum::Router::new()
        .route(
            "/thing",
            axum::routing::delete(|_: CheckedRequest| async { "gone" })
                .put(|_: CheckedRequest, body: String| async move { body }),
        )
        .layer(CountersignLayer::new(world.engine.clone()).unwrap());
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    browser.app = app;
    let gone = browser.ask(http::Method::DELETE, "/thing");
    let gone = gone.header("x-csrf-token", &token).send().await;
    assert_eq!(gone.body, "gone");
    let mut put = browser.ask(http::Method::PUT, "/thing");
    put = put.header("content-type", "application/json");
    put.body = Body::from("{}");
    assert_eq!(put.header("x-csrf-token", &token).send().await.body, "{}");
    let without = browser.ask(http::Method::DELETE, "/thing").send().await;
    lost(&without, CsrfVerdict::Missing);
    let wrong = browser.ask(http::Method::DELETE, "/thing");
    let wrong = wrong.header("x-csrf-token", "x").send().await;
    lost(&wrong, CsrfVerdict::Malformed);
    let token = world.issue("tina", &[]);
    let mut script = Browser {
        cookies: BTreeMap::new(),
        ..browser
    };
    let script = script.ask(http::Method::DELETE, "/thing");
    let script = script.bearer(token.token.expose()).send().await;
    assert_eq!(script.body, "gone");
}

#[tokio::test]
async fn a_password_is_asked_for_again_where_a_form_is_offered_again() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let old = browser.token().await;
    browser.log_in("sam").await;
    let body = format!("atl_token={old}&summary=s&new_password=hushhush");
    let page = browser.post("/form").html().form(&body).send().await;
    assert!(page.body.contains("Continue"), "{}", page.body);
    let asked = "<input type=\"password\" id=\"s0\" name=\"new_password\"";
    assert!(page.body.contains(asked), "{}", page.body);
    assert!(!page.body.contains("hush"));
}

#[tokio::test]
async fn a_lost_form_speaks_before_anybody_asks_who_sent_it() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    let add = |Sent(who, CheckedForm(())): Sent<SignedIn, CheckedForm<()>>| async move {
        who.principal.to_string()
    };
    browser.app = axum::Router::new()
        .route("/add", axum::routing::post(add))
        .layer(CountersignLayer::new(world.engine.clone()).unwrap());
    let body = format!("atl_token={token}");
    assert_eq!(browser.post("/add").form(&body).send().await.body, "sam");
    // By access token no page opens, and no form is lost.
    let bearer = world.issue("tina", &[]);
    let mut script = Browser {
        cookies: BTreeMap::new(),
        ..browser.clone()
    };
    let script = script.post("/add").bearer(bearer.token.expose()).form("");
    let reply = script.send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(reply.body.contains("no_session"), "{}", reply.body);
    // Signed out meanwhile: both are wrong, and the form is told of.
    world.clock.advance(6 * HOUR);
    let reply = browser
        .post("/add")
        .form(&format!("{body}&text=long"))
        .send();
    lost(&reply.await, CsrfVerdict::Expired);
}
