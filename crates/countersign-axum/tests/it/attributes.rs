//! Hazard: an attribute of a session that comes back as something else, or that two requests at
//! once lose (S2, E10).

use crate::application::World;
use crate::browser::{Browser, REMEMBER};
use countersign::AttributeName;
use http::StatusCode;

#[tokio::test]
async fn typed_values_come_back_as_they_were() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.get("/start").send().await;
    assert_eq!(browser.get("/attributes").send().await.body, "written");
    let read = "Some(\"Ann\") Some(7) Some(true)";
    assert_eq!(browser.get("/attributes").send().await.body, read);
}

#[tokio::test]
async fn a_token_has_none_and_bounds_are_told() {
    let world = World::with(|draft| draft.sessions.max_attributes = 1, |layer| layer);
    let token = world.issue("tina", &[]);
    let mut browser = Browser::new(&world);
    let reply = browser
        .get("/attributes")
        .bearer(token.token.expose())
        .send()
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    browser.log_in("sam").await;
    let reply = browser.get("/attributes").send().await;
    assert_eq!(
        reply.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        reply.body
    );
}

#[tokio::test]
async fn a_device_takes_over_what_the_host_names_of_a_session_of_nobody() {
    let all = ["cart", "name", "count", "yes"].map(|name| AttributeName::new(name).unwrap());
    for (carry, read) in [
        (&all[..0], "written"),
        (&all[..], "Some(\"Ann\") Some(7) Some(true)"),
    ] {
        let world = World::with(|_| {}, |layer| layer.carry(carry.to_vec()));
        let mut remembered = Browser::new(&world);
        remembered.log_in_remembered("dora").await;
        let mut browser = Browser::new(&world);
        browser.get("/start").send().await;
        browser.get("/attributes").send().await;
        browser
            .cookies
            .insert(REMEMBER.into(), remembered.cookies[REMEMBER].clone());
        assert_eq!(browser.get("/attributes").send().await.body, read);
        assert_eq!(browser.who().await, "session dora");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_lose_no_update() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let mut tab = browser.clone();
            tokio::spawn(async move { tab.post("/count").send().await.status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), StatusCode::OK);
    }
    assert_eq!(browser.post("/count").send().await.body, "Some(41)");
}
