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
async fn a_new_password_ends_every_other_session() {
    let world = World::new().await;
    let (mut here, mut there) = (world.signed_in("ada").await, world.signed_in("ada").await);
    let before = here.cookies.clone();
    let fields = |old: &'static str| [("old_password", old), ("new_password", "another secret")];
    let page = here
        .submit("/profile/password", "/profile/password", &fields("wrong"))
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(there.who().await.as_deref(), Some("ada"));
    let page = here
        .submit("/profile/password", "/profile/password", &fields(PASSWORD))
        .await;
    assert_eq!(page.header("location"), "/profile/sessions");
    assert_eq!(here.who().await.as_deref(), Some("ada"));
    assert_eq!(there.who().await, None);
    assert_ne!(
        here.cookies, before,
        "the session that stays has a new token"
    );
    let mut again = world.client();
    let status = again.log_in("ada", PASSWORD).await.status;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        again.log_in("ada", "another secret").await.status,
        StatusCode::SEE_OTHER
    );
}
