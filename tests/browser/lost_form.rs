//! Hazard: a form's token is lost while somebody types, and their work with it (S6).

use crate::chromium::Browser;
use crate::wait::until;
use crate::world::{IDLE, World};

const SUMMARY: &str = "It <rains> & pours";
const TEXT: &str = "Since\nMonday";

/// Opens the dialog and types; it stays open.
async fn begin(world: &World, browser: &Browser) {
    browser.go(&world.url("/")).await;
    browser.click("#create").await;
    browser.at("#create-dialog[open]").await;
    browser.fill("#summary", SUMMARY).await;
    browser.fill("#description", TEXT).await;
}

/// The page says what happened, and has what was typed.
async fn check_lost(browser: &Browser, verdict: &str, told: &str) {
    let own = browser.attribute("#lost-form", "data-verdict").await;
    assert_eq!(own.as_deref(), Some(verdict));
    let message = browser.text("#lost-message").await;
    assert!(message.contains(told), "{message}");
    assert_eq!(browser.value("#summary").await, SUMMARY);
    assert_eq!(browser.value("#description").await, TEXT);
}

/// The text is there, and nothing is left behind to be sent once more.
async fn check_issue(world: &World, browser: &Browser) {
    assert_eq!(browser.path().await, "/issues/1");
    assert_eq!(browser.text("h1").await, SUMMARY);
    assert_eq!(browser.text("#description").await, TEXT);
    let tab = browser.tab().await;
    browser.go(&world.url("/issues/new")).await;
    assert_eq!(browser.value("#summary").await, "");
    browser.to(&tab).await;
}

/// Logs in from the page of the lost form, and finds the text in a fresh one.
async fn log_in_and_find(browser: &Browser) {
    browser.press("#continue").await;
    assert_eq!(browser.path().await, "/log-in");
    browser.give_password("ada", false).await;
    assert_eq!(browser.path().await, "/issues/new");
    assert!(browser.has("#kept").await);
    assert_eq!(browser.value("#summary").await, SUMMARY);
    assert_eq!(browser.value("#description").await, TEXT);
}

/// What somebody does in another tab meanwhile.
async fn log_out_elsewhere(world: &World, browser: &Browser, and_in_again: bool) {
    let first = browser.tab().await;
    browser.go(&world.url("/profile/sessions")).await;
    browser.press("#log-out").await;
    if and_in_again {
        browser.give_password("ada", false).await;
        assert_eq!(browser.text("#who").await, "ada");
    }
    browser.close_window().await.unwrap();
    browser.to(&first).await;
}

/// The image that was picked again is shown.
async fn check_picture(browser: &Browser) {
    browser.at(".attachment img").await;
    until("the picture", async || {
        let wide = browser.script("return document.querySelector('.attachment img').naturalWidth");
        (wide.await == 2).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_for_five_hours() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ada").await;
    begin(&world, &browser).await;
    world.clock.advance(IDLE);
    browser.press("#create-submit").await;
    check_lost(&browser, "expired", "away for so long").await;
    log_in_and_find(&browser).await;
    browser.press("#create-submit").await;
    check_issue(&world, &browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_out_and_in_again_in_another_tab() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ada").await;
    begin(&world, &browser).await;
    log_out_elsewhere(&world, &browser, true).await;
    browser.press("#create-submit").await;
    check_lost(&browser, "superseded", "were signed in anew").await;
    // No file was picked, so none is asked for; there is room for one nevertheless.
    assert!(!browser.has("#file-again").await);
    browser.pick("#file", &world.picture("rain.png")).await;
    browser.press("button#continue").await;
    check_issue(&world, &browser).await;
    check_picture(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_from_a_dialog_that_was_open_all_along() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ada").await;
    begin(&world, &browser).await;
    browser.pick("#file", &world.picture("rain.png")).await;
    log_out_elsewhere(&world, &browser, false).await;
    browser.press("#create-submit").await;
    check_lost(&browser, "signed_out", "You signed out").await;
    let again = browser.text("#file-again").await;
    assert!(again.contains("pick it again"), "{again}");
    log_in_and_find(&browser).await;
    let again = browser.text("#file-again").await;
    assert!(again.contains("pick it again"), "{again}");
    browser.pick("#file", &world.picture("rain.png")).await;
    browser.press("#create-submit").await;
    check_issue(&world, &browser).await;
    check_picture(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_out_in_another_tab() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ada").await;
    begin(&world, &browser).await;
    log_out_elsewhere(&world, &browser, false).await;
    browser.press("#create-submit").await;
    check_lost(&browser, "signed_out", "You signed out").await;
    assert!(!browser.has("#file-again").await);
    log_in_and_find(&browser).await;
    assert!(!browser.has("#file-again").await);
    browser.press("#create-submit").await;
    check_issue(&world, &browser).await;
}
