//! Hazard: of two answers that are sent together, the one that arrives last takes away the session
//! that the other brought.

use crate::application::World;
use crate::browser::{Browser, SCRIPTS, SESSION};
use std::time::Duration;

/// A page with a form, asked for with the token of before, sets nothing in the other's place.
async fn check_late(other_tab: &mut Browser) {
    // The cookie for scripts was lost, so there would be reason to set one.
    other_tab.cookies.remove(SCRIPTS);
    let late = other_tab.get("/token").send().await;
    assert_eq!(late.status, http::StatusCode::OK);
    assert!(late.cookies().is_empty(), "{:?}", late.cookies());
}

#[tokio::test]
async fn a_page_of_before_does_not_take_away_a_log_in() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.token().await;
    let mut other_tab = browser.clone();
    browser.log_in("sam").await;
    check_late(&mut other_tab).await;
}

#[tokio::test]
async fn nor_a_new_token_of_the_same_session() {
    let world = World::new();
    for change in ["/elevate", "/renew", "/password"] {
        let mut browser = Browser::new(&world);
        browser.log_in("sam").await;
        let mut other_tab = browser.clone();
        let changed = browser.post(change).send().await;
        assert!(changed.sets(SESSION), "{change}");
        check_late(&mut other_tab).await;
    }
}

#[tokio::test]
async fn whoever_has_not_got_the_answer_signs_in_again() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.token().await;
    let mut lost = browser.clone();
    browser.log_in("sam").await;
    world.clock.advance(Duration::from_secs(5));
    let page = lost.get("/token").send().await;
    assert!(page.sets(SESSION));
    assert_eq!(lost.who().await, "a session of nobody");
}
