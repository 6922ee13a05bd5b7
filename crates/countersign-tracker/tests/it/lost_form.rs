//! Hazard: a form's token is lost, and with it what was typed, or nobody says why (S6).

use crate::client::{Client, HOUR, PASSWORD, PNG, Page, World};
use axum::http::StatusCode;

const SUMMARY: &str = "It <rains>";

/// Sends a form with a token of before; says what the page says of it.
async fn check_lost(client: &mut Client, token: &str, verdict: &str) -> Page {
    let page = client.create(token, SUMMARY, Some(PNG)).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(page.verdict().as_deref(), Some(verdict));
    assert!(page.body.contains("value=\"It &lt;rains&gt;\""), "{page:?}");
    assert!(page.body.contains("\nSince\nMonday</textarea>"), "{page:?}");
    assert!(page.body.contains("id=\"file-again\""));
    page
}

/// A fresh form has the text, until it is sent.
async fn check_kept(client: &mut Client) {
    let fresh = client.get("/issues/new").await;
    assert!(
        fresh.body.contains("value=\"It &lt;rains&gt;\""),
        "{fresh:?}"
    );
    let page = client.create(&fresh.token(), SUMMARY, None).await;
    assert_eq!(page.header("location"), "/issues/1");
    let fresh = client.get("/issues/new").await;
    assert!(!fresh.body.contains("rains"));
}

#[tokio::test]
async fn idle_for_five_hours() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    world.clock.advance(5 * HOUR);
    let page = check_lost(&mut ada, &token, "expired").await;
    assert!(
        page.body
            .contains("href=\"&#x2f;log-in?next=&#x2f;issues&#x2f;new\""),
        "{page:?}"
    );
    ada.log_in("ada", PASSWORD).await;
    check_kept(&mut ada).await;
}

#[tokio::test]
async fn signed_out_in_another_tab() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.submit("/", "/log-out", &[]).await;
    check_lost(&mut ada, &token, "signed_out").await;
    ada.log_in("ada", PASSWORD).await;
    check_kept(&mut ada).await;
}

#[tokio::test]
async fn signed_out_and_in_again_it_is_sent_by_one_click() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.submit("/", "/log-out", &[]).await;
    ada.log_in("ada", PASSWORD).await;
    let page = check_lost(&mut ada, &token, "superseded").await;
    assert!(page.body.contains("<button id=\"continue\""));
    let sent = ada.create(&page.token(), SUMMARY, None).await;
    assert_eq!(sent.header("location"), "/issues/1");
}

#[tokio::test]
async fn what_another_typed_is_not_sent_by_one_click() {
    let world = World::new().await;
    let mut ben = world.signed_in("ben").await;
    let token = ben.get("/").await.token();
    // Of another server's session, which nobody here knows.
    let unknown = World::new()
        .await
        .signed_in("ada")
        .await
        .get("/")
        .await
        .token();
    let mut ada = world.signed_in("ada").await;
    for (token, verdict) in [
        (token.as_str(), "other_session"),
        (unknown.as_str(), "mismatch"),
        ("", "missing"),
        ("nonsense", "malformed"),
    ] {
        let page = check_lost(&mut ada, token, verdict).await;
        assert!(!page.body.contains("action=\"&#x2f;issues\""), "{verdict}");
        assert!(!page.body.contains("<button id=\"continue\""), "{verdict}");
    }
    check_kept(&mut ada).await;
}

/// Whoever logs in next in the same browser may be somebody else.
#[tokio::test]
async fn what_one_typed_is_shown_to_nobody_else() {
    let world = World::new().await;
    for verdict in ["signed_out", "expired"] {
        let mut browser = world.signed_in("ben").await;
        let token = browser.get("/").await.token();
        match verdict {
            "expired" => world.clock.advance(5 * HOUR),
            _ => drop(browser.submit("/", "/log-out", &[]).await),
        }
        let mut his = browser.clone();
        for (browser, next, shown) in [(&mut browser, "ada", false), (&mut his, "ben", true)] {
            check_lost(browser, &token, verdict).await;
            browser.log_in(next, PASSWORD).await;
            let fresh = browser.get("/issues/new").await;
            assert_eq!(fresh.body.contains("rains"), shown, "{verdict} {next}");
        }
    }
}

#[tokio::test]
async fn what_is_too_long_to_be_kept_stays_on_its_page() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.submit("/", "/log-out", &[]).await;
    let long = "long ".repeat(8_000);
    for (text, stays) in [(long.as_str(), true), ("short", false)] {
        let fields = [("comment", text)];
        let page = ada.post("/issues/1/comments", &token, &fields).await;
        assert_eq!(page.verdict().as_deref(), Some("signed_out"));
        assert!(page.body.contains(text));
        assert_eq!(page.body.contains("id=\"to-copy\""), stays);
        // The way on leaves the page open.
        assert_eq!(page.body.contains("target=\"_blank\""), stays);
    }
}

#[tokio::test]
async fn no_password_comes_back() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let fields = [
        ("old_password", PASSWORD),
        ("new_password", "another secret"),
    ];
    let page = ada.post("/profile/password", "", &fields).await;
    assert_eq!(page.verdict().as_deref(), Some("missing"));
    assert!(!page.body.contains("horse") && !page.body.contains("another"));
}

#[tokio::test]
async fn a_password_is_typed_again_and_the_form_carried_out() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/profile/password").await.token();
    ada.submit("/", "/log-out", &[]).await;
    ada.log_in("ada", PASSWORD).await;
    let fields = [
        ("old_password", PASSWORD),
        ("new_password", "another secret"),
    ];
    let page = ada.post("/profile/password", &token, &fields).await;
    assert_eq!(page.verdict().as_deref(), Some("superseded"));
    for name in ["old_password", "new_password"] {
        assert!(
            page.body
                .contains(&format!("name=\"{name}\" type=\"password\" required"))
        );
    }
    let again = ada.post("/profile/password", &page.token(), &fields).await;
    assert!(
        again.status.is_redirection() || again.status.is_success(),
        "{again:?}"
    );
    ada.submit("/", "/log-out", &[]).await;
    let back = ada.log_in("ada", "another secret").await;
    assert_eq!(back.status, StatusCode::SEE_OTHER);
}
