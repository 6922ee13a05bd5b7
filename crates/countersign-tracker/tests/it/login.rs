//! Hazard: somebody is let in who should not be, or is sent elsewhere on the way.

use crate::client::{PASSWORD, World};
use axum::http::StatusCode;
use countersign_tracker::PasswordCost;
use tokio::task::JoinSet;

#[tokio::test]
async fn in_and_out_again() {
    let world = World::new().await;
    let mut client = world.client();
    let page = client.get("/").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header("location"), "/log-in?next=/");
    assert!(
        client.cookies.is_empty(),
        "a stranger who looks gets no session"
    );
    let page = client.log_in("ada", PASSWORD).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, "/")
    );
    assert_eq!(client.who().await.as_deref(), Some("ada"));
    let session = client.cookies.clone();
    client.submit("/", "/log-out", &[]).await;
    assert_eq!(client.who().await, None);
    client.cookies = session;
    assert_eq!(
        client.who().await,
        None,
        "what was copied before is worth nothing after"
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let world = World::new().await;
    for (name, password) in [("ada", "wrong password"), ("nobody", PASSWORD), ("", "")] {
        let mut client = world.client();
        let page = client.log_in(name, password).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(page.body.contains("do not go together"), "{name}");
        assert_eq!(client.who().await, None);
    }
}

#[tokio::test]
async fn every_page_brings_a_strict_policy_and_no_script_of_its_own() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.create(&token, "<script>alert(1)</script>\"'", None)
        .await;
    let paths = [
        "/",
        "/issues/new",
        "/issues/1",
        "/profile/sessions",
        "/profile/password",
        "/profile/tokens",
        "/confirm",
        "/admin",
        "/admin/users",
        "/nothing",
    ];
    for path in paths {
        let page = ada.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"));
        assert!(!policy.contains("unsafe"));
        for inline in ["<script>", "<style", "style=", "onclick", "javascript:"] {
            assert!(!page.body.contains(inline), "{inline} on {path}");
        }
        assert_eq!(page.count("<h1"), 1, "{path}");
        assert_eq!(
            page.status == StatusCode::NOT_FOUND,
            path == "/nothing",
            "{path}"
        );
    }
    for asset in ["/static/tracker.css", "/static/tracker.js"] {
        assert_eq!(world.client().get(asset).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_remembered_device_comes_in_without_a_session_and_is_not_trusted_with_everything() {
    let world = World::new().await;
    let mut ada = world.client();
    let token = ada.get("/log-in").await.token();
    let fields = [("name", "ada"), ("password", PASSWORD), ("remember", "on")];
    ada.post("/log-in", &token, &fields).await;
    ada.cookies.retain(|name, _| name.contains("rememberme"));
    assert_eq!(ada.cookies.len(), 1);
    assert_eq!(ada.who().await.as_deref(), Some("ada"));
    let fields = [("name", "eve"), ("password", PASSWORD)];
    let page = ada.submit("/admin/users", "/admin/users", &fields).await;
    assert_eq!(page.header("location"), "/confirm?next=/admin/users");
    let fields = [("password", PASSWORD), ("next", "/admin/users")];
    let page = ada.submit("/confirm", "/confirm", &fields).await;
    assert_eq!(page.header("location"), "/admin/users");
    let fields = [("name", "eve"), ("password", PASSWORD)];
    ada.submit("/admin/users", "/admin/users", &fields).await;
    assert!(ada.get("/admin/users").await.body.contains(">eve<"));
}

#[tokio::test]
async fn a_crowd_is_told_to_come_back_later() {
    let slow = PasswordCost {
        memory_kib: 32 * 1024,
        passes: 8,
    };
    let world = World::with_cost(slow).await;
    let mut client = world.client();
    let token = client.get("/log-in").await.token();
    let mut crowd = JoinSet::new();
    for _ in 0..60 {
        let (mut one, token) = (client.clone(), token.clone());
        let fields = [("name", "ada"), ("password", "wrong password")];
        crowd.spawn(async move { one.post("/log-in", &token, &fields).await });
    }
    let busy = loop {
        let page = crowd.join_next().await.unwrap().unwrap();
        if page.status != StatusCode::UNPROCESSABLE_ENTITY {
            break page;
        }
    };
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.header("retry-after"), "5");
    assert!(busy.body.contains("Please try again"), "{busy:?}");
}
