//! Hazard: somebody cannot end what is open in their name, or ends what is another's.

use crate::client::{PASSWORD, World};
use axum::http::StatusCode;

#[tokio::test]
async fn one_and_all_others_are_ended() {
    let world = World::new().await;
    let mut here = world.signed_in("ada").await;
    let (mut there, mut elsewhere) = (world.signed_in("ada").await, world.signed_in("ada").await);
    let page = here.get("/profile/sessions").await;
    assert_eq!(
        (
            page.count("class=\"session"),
            page.count("class=\"session current")
        ),
        (3, 1)
    );
    let second = page.body.split("class=\"session\"").nth(1).unwrap();
    let selector = second.split("name=\"selector\" value=\"").nth(1).unwrap();
    let selector = selector.split('"').next().unwrap().to_owned();
    let fields = [("selector", selector.as_str())];
    // Not by another, whatever they know.
    let mut ben = world.signed_in("ben").await;
    let page = ben
        .submit("/profile/sessions", "/profile/sessions/end", &fields)
        .await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    here.submit("/profile/sessions", "/profile/sessions/end", &fields)
        .await;
    let still = [there.who().await.is_some(), elsewhere.who().await.is_some()];
    assert_eq!(still.iter().filter(|still| **still).count(), 1);
    here.submit("/profile/sessions", "/profile/sessions/end-others", &[])
        .await;
    assert!(there.who().await.is_none() && elsewhere.who().await.is_none());
    assert_eq!(here.who().await.as_deref(), Some("ada"));
    assert_eq!(ben.who().await.as_deref(), Some("ben"));
}

#[tokio::test]
async fn a_remembered_browser_whose_session_was_ended_stays_out() {
    let world = World::new().await;
    let mut lost = world.client();
    let token = lost.get("/log-in").await.token();
    let fields = [
        ("name", "ada"),
        ("password", PASSWORD),
        ("remember", "on"),
        ("next", "/"),
    ];
    lost.post("/log-in", &token, &fields).await;
    assert_eq!(lost.who().await.as_deref(), Some("ada"));
    let mut here = world.signed_in("ada").await;
    let page = here.get("/profile/sessions").await;
    let other = page.body.split("class=\"session\"").nth(1).unwrap();
    let selector = other.split("name=\"selector\" value=\"").nth(1).unwrap();
    let selector = selector.split('"').next().unwrap().to_owned();
    here.submit(
        "/profile/sessions",
        "/profile/sessions/end",
        &[("selector", &selector)],
    )
    .await;
    assert_eq!(lost.who().await, None);
    assert_eq!(here.who().await.as_deref(), Some("ada"));
}
