//! Hazard: a page that says nothing, that lets a stranger's words through as tags, or that sends a
//! stranger's form again at an unwary click.

use crate::application::World;
use crate::browser::Browser;
use axum::response::IntoResponse as _;
use countersign_axum::{
    ConfigError, CookieNameError, CountersignLayer, PageFuture, Pages, TurnedAway, Visit,
};
use http::{StatusCode, header};

struct Redirecting;

impl Pages for Redirecting {
    fn page<'a>(&'a self, turned_away: &'a TurnedAway, visit: &'a Visit) -> PageFuture<'a> {
        Box::pin(async move {
            match turned_away {
                TurnedAway::NotAuthenticated(_) => {
                    visit.session_or_start().await.ok()?;
                    let to = [(header::LOCATION, "/log-in")];
                    Some((StatusCode::SEE_OTHER, to).into_response())
                }
                TurnedAway::BadToken(_) => Some((StatusCode::UNAUTHORIZED, "mine").into_response()),
                _ => None,
            }
        })
    }
}

#[tokio::test]
async fn the_host_replaces_pages_and_their_cookies_are_sent() {
    let world = World::with(|_| {}, |layer| layer.pages(Redirecting));
    let mut browser = Browser::new(&world);
    let reply = browser.get("/mine").html().send().await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    assert_eq!(reply.header("location"), "/log-in");
    assert!(reply.sets(crate::browser::SESSION) && !reply.headers.contains_key("www-authenticate"));
    let reply = browser.get("/mine").bearer("x").send().await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (StatusCode::UNAUTHORIZED, "mine")
    );
    assert!(reply.header("www-authenticate").contains("invalid_token"));
    // The line of text is left where the host has no page.
    let reply = browser.get("/image/cat").html().send().await;
    assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
}

#[tokio::test]
async fn browsers_get_html_and_scripts_json() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    let reply = browser.get("/mine").html().send().await;
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert!(
        reply
            .body
            .contains("<p>This is for those who are signed in.</p>")
    );
    let policy = reply.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"));
    let reply = browser.get("/mine").send().await;
    let said = "{\"error\":{\"code\":\"not_authenticated\",\
                \"message\":\"this is for those who are signed in\"}}";
    assert_eq!(reply.body, said);
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_form_is_offered_again_only_to_whom_it_is_proven_to_belong() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let own = browser.token().await;
    browser.log_in("sam").await;
    let mut mallory = Browser::new(&world);
    mallory.log_in("mallory").await;
    let theirs = mallory.token().await;
    let text = "summary=%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for (token, offered) in [
        (own.as_str(), true),
        (&theirs, false),
        ("", false),
        ("x", false),
    ] {
        let body = format!("atl_token={token}&{text}");
        let reply = browser.post("/form?a=b").html().form(&body).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(reply.body.contains("<button"), offered, "{}", reply.body);
        // Sent to where the page was answered from, whatever a proxy calls that.
        assert_eq!(
            reply.body.contains("<form method=\"post\" enctype="),
            offered
        );
        assert!(!reply.body.contains("action="));
        assert!(reply.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!reply.body.contains("<script"));
    }
}

#[test]
fn what_does_not_fit_is_an_error_when_the_layer_is_built() {
    let world = World::new();
    let builder = || CountersignLayer::builder(world.engine.clone());
    let bound = |field, value, min, max| ConfigError::Bound {
        field,
        value,
        min,
        max,
    };
    let cases = [
        (
            builder().trusted_origin("example.org"),
            ConfigError::Origin("example.org".into()),
        ),
        (
            builder().trusted_origin("null"),
            ConfigError::Origin("null".into()),
        ),
        (builder().realm("a\"b"), ConfigError::Realm("a\"b".into())),
        (builder().realm(""), ConfigError::Realm(String::new())),
        (
            builder().image_parameter("a b"),
            ConfigError::ImageParameter("a b".into()),
        ),
        (
            builder().max_cookie_bytes(1),
            bound("max_cookie_bytes", 1, 256, 262_144),
        ),
        (
            builder().max_drained_bytes(usize::MAX),
            bound("max_drained_bytes", usize::MAX, 0, 1_073_741_824),
        ),
    ];
    for (builder, error) in cases {
        assert_eq!(builder.build().unwrap_err(), error);
    }
    let world = crate::application::policy(|draft| {
        draft.sessions.cookie_name = "a".into();
        draft.form_tokens.cookie_name = "__Host-a".into();
    });
    let engine = World::new().engine;
    engine.set_policy(world).wait().unwrap();
    let error = CountersignLayer::new(engine).unwrap_err();
    assert_eq!(error, CookieNameError::Twice("__Host-a".into()).into());
}

#[tokio::test]
async fn without_the_layer_nobody_comes_in() {
    use axum::extract::FromRequestParts as _;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    let visit = Visit::from_request_parts(&mut parts, &()).await;
    assert!(matches!(visit, Err(TurnedAway::NoLayer(_))));
    let who = countersign_axum::CurrentPrincipal::from_request_parts(&mut parts, &()).await;
    assert_eq!(who.unwrap_err().status(), StatusCode::INTERNAL_SERVER_ERROR);
    let who = Option::<countersign_axum::CurrentPrincipal>::from_request_parts(&mut parts, &());
    assert!(matches!(who.await, Err(TurnedAway::NoLayer(_))));
}
