//! Hazard: an access token does more than its scope says, or a session does what only one may.

use crate::client::{Client, PASSWORD, World};
use axum::http::{Method, StatusCode};

async fn token(world: &World, scope: &str) -> String {
    let mut ada = world.signed_in("ada").await;
    let fields = [("token_name", "ci"), ("scope", scope), ("days", "30")];
    let page = ada
        .submit("/profile/tokens", "/profile/tokens", &fields)
        .await;
    assert_eq!(page.header("cache-control"), "no-store");
    page.text("class=\"secret\">", "<").unwrap()
}

#[tokio::test]
async fn a_token_does_what_its_scope_says() {
    let world = World::new().await;
    for (scope, reads, writes) in [
        ("issues:read", 200, 403),
        ("issues:write", 403, 201),
        ("issues:*", 200, 201),
    ] {
        let (token, mut client) = (token(&world, scope).await, world.client());
        let page = client.api(Method::GET, "/api/issues", &token, "").await;
        assert_eq!(page.status.as_u16(), reads, "{scope}: {page:?}");
        let json = "{\"summary\":\"From a script\"}";
        let page = client.api(Method::POST, "/api/issues", &token, json).await;
        assert_eq!(page.status.as_u16(), writes, "{scope}: {page:?}");
        if writes == 403 {
            assert!(
                page.header("www-authenticate")
                    .contains("insufficient_scope")
            );
        }
        let me = client.api(Method::GET, "/api/me", &token, "").await;
        assert!(me.body.contains("\"ada\""));
        assert!(client.cookies.is_empty(), "a token opens no session");
    }
}

#[tokio::test]
async fn a_bad_token_is_nobodys_and_a_session_is_no_token() {
    let world = World::new().await;
    let mut client = world.client();
    let page = client.api(Method::GET, "/api/me", "csa_nonsense", "").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.header("www-authenticate").contains("invalid_token"));
    let mut ada = world.signed_in("ada").await;
    assert_eq!(ada.get("/api/issues").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_opens_no_page_and_issues_no_other() {
    let world = World::new().await;
    let (token, mut client) = (token(&world, "issues:*").await, world.client());
    for path in ["/", "/profile/tokens", "/admin", "/admin/users", "/poll"] {
        let page = client.api(Method::GET, path, &token, "").await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
    let page = world.client().get("/poll").await;
    assert_eq!(page.body, "{\"signed_in\":false,\"issues\":null}");
    let page = world.signed_in("ada").await.get("/poll").await;
    assert_eq!(page.body, "{\"signed_in\":true,\"issues\":0}");
    let page = client
        .api(Method::POST, "/profile/tokens", &token, "")
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_does_not_read_is_said_so() {
    let world = World::new().await;
    let (token, mut client) = (token(&world, "issues:write").await, world.client());
    for json in [
        "",
        "{",
        "[]",
        "{\"summary\":\"\"}",
        "{\"summary\":\"a\",\"author\":\"ben\"}",
    ] {
        let page = client.api(Method::POST, "/api/issues", &token, json).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{json}");
    }
}

#[tokio::test]
async fn rotated_and_revoked_tokens_are_dead() {
    let world = World::new().await;
    let first = token(&world, "issues:read").await;
    let mut ada = world.client();
    ada.log_in("ada", PASSWORD).await;
    let page = ada.get("/profile/tokens").await;
    let selector = page.text("name=\"selector\" value=\"", "\"").unwrap();
    let fields = [("selector", selector.as_str())];
    let page = ada
        .submit("/profile/tokens", "/profile/tokens/rotate", &fields)
        .await;
    let second = page.text("class=\"secret\">", "<").unwrap();
    let mut script = world.client();
    let status = script.api(Method::GET, "/api/me", &first, "").await.status;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let status = script.api(Method::GET, "/api/me", &second, "").await.status;
    assert_eq!(status, StatusCode::OK);
    let selector = page.text("name=\"selector\" value=\"", "\"").unwrap();
    let fields = [("selector", selector.as_str())];
    // Nobody else can, whatever they know.
    let mut ben = world.signed_in("ben").await;
    let page = ben
        .submit("/profile/tokens", "/profile/tokens/revoke", &fields)
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    ada.submit("/profile/tokens", "/profile/tokens/revoke", &fields)
        .await;
    let status = script.api(Method::GET, "/api/me", &second, "").await.status;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

/// Somebody who has the cookie of a remembered device, and nothing else.
async fn thief(world: &World) -> Client {
    let mut ada = world.client();
    let token = ada.get("/log-in").await.token();
    let fields = [("name", "ada"), ("password", PASSWORD), ("remember", "on")];
    ada.post("/log-in", &token, &fields).await;
    ada.cookies.retain(|name, _| name.contains("rememberme"));
    assert_eq!(ada.who().await.as_deref(), Some("ada"));
    ada
}

#[tokio::test]
async fn a_stolen_device_issues_no_token_that_would_outlive_the_password() {
    let world = World::new().await;
    let first = token(&world, "issues:read").await;
    let mut thief = thief(&world).await;
    let wanted = [("token_name", "mine"), ("scope", "issues:*"), ("days", "0")];
    let selector = thief.get("/profile/tokens").await;
    let selector = selector.text("name=\"selector\" value=\"", "\"").unwrap();
    for (to, fields) in [
        ("/profile/tokens", wanted.as_slice()),
        ("/profile/tokens/rotate", &[("selector", &selector)]),
    ] {
        let page = thief.submit("/profile/tokens", to, fields).await;
        assert_eq!(page.header("location"), "/confirm?next=/profile/tokens");
        assert_eq!(page.text("class=\"secret\">", "<"), None, "{to}");
    }
    assert_eq!(
        thief.get("/profile/tokens").await.count("class=\"token "),
        1
    );
    let mut script = world.client();
    let status = script.api(Method::GET, "/api/me", &first, "").await.status;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_typed_is_there_once_the_password_is_given() {
    let world = World::new().await;
    let mut ada = thief(&world).await;
    let wanted = [
        ("token_name", "my ci"),
        ("scope", "issues:write"),
        ("days", "365"),
    ];
    ada.submit("/profile/tokens", "/profile/tokens", &wanted)
        .await;
    let fields = [("password", PASSWORD), ("next", "/profile/tokens")];
    let page = ada.submit("/confirm", "/confirm", &fields).await;
    assert_eq!(page.header("location"), "/profile/tokens");
    let page = ada.get("/profile/tokens").await;
    for kept in [
        "value=\"my ci\"",
        "<option value=\"issues:write\" selected>",
        "<option value=\"365\" selected>",
    ] {
        assert!(page.body.contains(kept), "{kept}: {page:?}");
    }
    let page = ada
        .submit("/profile/tokens", "/profile/tokens", &wanted)
        .await;
    assert!(page.text("class=\"secret\">", "<").is_some());
    assert!(!page.body.contains("value=\"my ci\""), "{page:?}");
}
