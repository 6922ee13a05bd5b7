//! Hazard: a cookie that somebody else put into the browser is taken for its owner's: the
//! attacker knows the session that is logged in (fixation), or has it be theirs (S1).
//!
//! Names with `__Host-` rule this out, and take TLS; this is how it is without.

use crate::chromium::Browser;
use crate::foreign::Foreign;
use crate::plain;
use crate::world::{REMEMBER, SESSION, World};
use serde_json::json;

const SHOP: &str = "tracker.shop.test";

/// A session of the attacker's own, that they know and nobody is logged in to yet.
async fn known_session(world: &World) -> String {
    let answer = plain::get(&world.url("/log-in")).await;
    answer.cookie(SESSION)
}

/// A script on another server sets the session's cookie.
async fn plant(foreign: &Foreign, browser: &Browser, host: &str, known: &str, attributes: &str) {
    let script =
        format!("<script>document.cookie = '{SESSION}={known}; path=/{attributes}'</script>");
    foreign.put("/plant", &script);
    browser.go(&foreign.url(host, "/plant")).await;
    assert_eq!(browser.cookie_value(SESSION).await, known);
}

/// What the attacker knows opens nothing.
async fn check_nobody(world: &World, known: &str) {
    let answer = plain::get_with(&world.url("/"), &format!("{SESSION}={known}")).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_planted_is_not_the_one_that_is_logged_in() {
    let Some(world) = World::start().await else {
        return;
    };
    let (foreign, browser) = (Foreign::start().await, world.browser().await);
    let known = known_session(&world).await;
    // Cookies know no ports: another server of the same host sets them for ours.
    plant(&foreign, &browser, SHOP, &known, "").await;
    browser.go(&world.url_at(SHOP, "/log-in")).await;
    // It was taken for a session of nobody's, as it is one.
    assert_eq!(browser.cookie_value(SESSION).await, known);
    browser.give_password("ada", false).await;
    assert_eq!(browser.text("#who").await, "ada");
    assert_ne!(browser.cookie_value(SESSION).await, known);
    check_nobody(&world, &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siblings_cookie_neither_logs_anybody_in_nor_keeps_them_out() {
    let Some(world) = World::start().await else {
        return;
    };
    let (foreign, browser) = (Foreign::start().await, world.browser().await);
    let known = known_session(&world).await;
    plant(
        &foreign,
        &browser,
        "evil.shop.test",
        &known,
        "; domain=shop.test",
    )
    .await;
    browser.go(&world.url_at(SHOP, "/log-in")).await;
    browser.give_password("ada", false).await;
    // The log-in's own cookie does not take the planted one's place: both come.
    let message = browser.text("#message").await;
    assert!(message.contains("twice"), "{message}");
    assert!(browser.cookie(SESSION).await.is_none());
    check_nobody(&world, &known).await;
    browser.press("main a").await;
    assert_eq!(browser.path().await, "/log-in");
    browser.give_password("ada", false).await;
    assert_eq!(browser.text("#who").await, "ada");
    check_nobody(&world, &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cookies_of_one_name_lock_nobody_out() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.logged_in("ada", true).await;
    // As from a policy that had another path for its cookies.
    for (name, path) in [(SESSION, "/profile"), (REMEMBER, "/profile/")] {
        let twin = json!({
            "name": name, "value": "stale", "url": world.url("/"), "path": path, "httpOnly": true,
            "expires": 4_000_000_000_u32,
        });
        let cdp = browser.cdp();
        cdp.send_raw("Network.setCookie", twin).await.unwrap();
    }
    // Where they do not come, nothing is amiss.
    browser.go(&world.url("/")).await;
    assert_eq!(browser.text("#who").await, "ada");
    browser.go(&world.url("/profile/sessions")).await;
    let message = browser.text("#message").await;
    assert!(message.contains("twice"), "{message}");
    assert!(browser.cookie(SESSION).await.is_none());
    assert!(browser.cookie(REMEMBER).await.is_none());
    browser.press("main a").await;
    browser.give_password("ada", true).await;
    browser.go(&world.url("/profile/sessions")).await;
    assert_eq!(browser.text("#who").await, "ada");
}
