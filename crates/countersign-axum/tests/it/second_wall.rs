//! Hazard: a forged request that reaches a handler which forgot to ask for a form token (S7).

use crate::application::World;
use crate::browser::{Asking, Browser, REMEMBER, Reply, SESSION};
use countersign::IssuedToken;
use http::{Method, StatusCode};

#[tokio::test]
async fn a_foreign_page_changes_nothing_with_a_live_session() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("admin").await;
    let methods = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    for (site, origin) in [
        ("cross-site", "https://evil.example"),
        ("cross-site", "null"),
        ("same-site", "https://blog.example.org"),
        ("", "https://evil.example"),
        ("", "null"),
    ] {
        for method in &methods {
            let mut asked = browser
                .ask(method.clone(), "/mine")
                .header("origin", origin);
            if !site.is_empty() {
                asked = asked.header("sec-fetch-site", site);
            }
            let reply = asked.send().await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{method} {site} {origin}"
            );
            assert!(reply.body.contains("foreign_request"));
        }
        let get = browser.get("/mine").header("origin", origin);
        assert_eq!(
            get.header("sec-fetch-site", "cross-site").send().await.body,
            "admin"
        );
    }
    let own = browser
        .ask(Method::POST, "/mine")
        .header("origin", "https://issues.example.org");
    assert_eq!(own.send().await.body, "admin");
    assert_eq!(
        browser.ask(Method::POST, "/mine").send().await.body,
        "admin"
    );
}

/// A browser that has nothing but its remembered device, whose secret is due to be replaced.
async fn remembered(world: &World) -> Browser {
    let mut browser = Browser::new(world);
    browser.log_in_remembered("dora").await;
    browser.restart();
    world.clock.advance(crate::application::HOUR);
    browser
}

fn forged(browser: &mut Browser) -> Asking<'_> {
    let asked = browser.ask(Method::POST, "/");
    asked.header("sec-fetch-site", "cross-site")
}

async fn check_nothing_done(world: &World, browser: &mut Browser, authorization: Option<&str>) {
    let before = browser.cookies[REMEMBER].clone();
    let count = world.engine.sessions().counts().all;
    let mut asked = forged(browser);
    if let Some(value) = authorization {
        asked = asked.header("authorization", value);
    }
    let reply = asked.send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{authorization:?}");
    assert_eq!(reply.cookies(), [""; 0], "{authorization:?}");
    assert_eq!(browser.cookies[REMEMBER], before);
    assert_eq!(world.engine.sessions().counts().all, count);
}

#[tokio::test]
async fn a_forged_request_opens_no_session_and_rotates_nothing() {
    let world = World::new();
    let mut browser = remembered(&world).await;
    check_nothing_done(&world, &mut browser, None).await;
    // A token that is no good is no way around.
    let reply = forged(&mut browser).bearer("x").send().await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

/// A browser that has been told a password of its proxy sends it with forged requests too.
#[tokio::test]
async fn a_credential_of_another_scheme_is_no_way_around() {
    let world = World::new();
    let mut browser = remembered(&world).await;
    for scheme in ["Basic eDp5", "Digest a=b", "Bearerx y", ""] {
        check_nothing_done(&world, &mut browser, Some(scheme)).await;
    }
}

#[tokio::test]
async fn a_bearer_token_passes_from_anywhere_but_a_session_beside_it_does_not() {
    let world = World::new();
    let token = world.issue("tina", &[]);
    let mut browser = Browser::new(&world);
    let mut bare = browser.clone();
    assert_eq!(foreign(&mut bare, &token).await.body, "token tina");
    browser.log_in("sam").await;
    assert!(browser.has(SESSION));
    assert_eq!(
        foreign(&mut browser, &token).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn what_the_host_trusts_passes() {
    let world = World::with(
        |_| {},
        |layer| {
            layer
                .trusted_origin("https://shop.example.net")
                .trust_same_site()
        },
    );
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    for (site, origin) in [
        ("same-site", "https://blog.example.org"),
        ("cross-site", "https://shop.example.net"),
    ] {
        let asked = browser
            .ask(Method::POST, "/mine")
            .header("sec-fetch-site", site);
        assert_eq!(asked.header("origin", origin).send().await.body, "sam");
    }
    let asked = browser
        .ask(Method::POST, "/mine")
        .header("sec-fetch-site", "cross-site");
    let reply = asked.header("origin", "https://evil.example").send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

/// A page of another site that has somebody's token.
async fn foreign(browser: &mut Browser, token: &IssuedToken) -> Reply {
    let asked = browser.ask(Method::POST, "/").bearer(token.token.expose());
    let asked = asked.header("sec-fetch-site", "cross-site");
    asked.header("origin", "https://app.example").send().await
}

#[tokio::test]
async fn a_socket_that_another_site_opens_is_refused() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    for (origin, site, status) in [
        (
            "https://blog.example.org",
            "same-site",
            StatusCode::FORBIDDEN,
        ),
        ("https://evil.example", "cross-site", StatusCode::FORBIDDEN),
        ("https://evil.example", "", StatusCode::FORBIDDEN),
        ("https://issues.example.org", "same-origin", StatusCode::OK),
        ("https://issues.example.org", "", StatusCode::OK),
    ] {
        let mut asked = browser
            .get("/")
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("origin", origin);
        if !site.is_empty() {
            asked = asked.header("sec-fetch-site", site);
        }
        assert_eq!(asked.send().await.status, status, "{origin} {site}");
    }
}
