//! Hazard: a cookie that somebody else put into the browser is taken for its owner's: the
//! attacker knows the session that is logged in (fixation), or has it be theirs (S1).
//!
//! Names with `__Host-` rule the second out, and take TLS: `tossed.rs` shows that. This is how it
//! is without, and how the first is with either.

use crate::chromium::Browser;
use crate::foreign::Foreign;
use crate::plain;
use crate::world::{LOOPBACK, REMEMBER, SECURED, SESSION, World};
use serde_json::json;

const SHOP: &str = "tracker.shop.test";
const HOST_SESSION: &str = "__Host-session";

/// A session of the attacker's own, that they know and nobody is logged in to yet.
async fn known_session(world: &World, name: &str) -> String {
    let answer = plain::get(&world.url_at(LOOPBACK, "/log-in")).await;
    answer.cookie(name)
}

/// A script on another server sets the session's cookie, which is written out.
async fn plant(foreign: &Foreign, browser: &Browser, host: &str, cookie: &str) {
    let script = format!("<script>document.cookie = '{cookie}; path=/'</script>");
    foreign.put("/plant", &script);
    browser.go(&foreign.url(host, "/plant")).await;
    let (name, rest) = cookie.split_once('=').unwrap();
    let known = rest.split(';').next().unwrap();
    assert_eq!(browser.cookie_value(name).await, known);
}

/// What the attacker knows opens nothing.
async fn check_nobody(world: &World, name: &str, known: &str) {
    let cookies = format!("{name}={known}");
    let answer = plain::get_with(&world.url_at(LOOPBACK, "/"), &cookies).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}

/// Plants a session, has the victim log in, and looks whether the attacker has.
async fn check_fixation(world: &World, home: &str, name: &str, attributes: &str) {
    let (foreign, browser) = (Foreign::start().await, world.browser().await);
    let known = known_session(world, name).await;
    // Cookies know no ports: another server of the same host sets them for ours.
    let cookie = format!("{name}={known}{attributes}");
    plant(&foreign, &browser, home, &cookie).await;
    browser.go(&world.url_at(home, "/log-in")).await;
    // It was taken for a session of nobody's, as it is one.
    assert_eq!(browser.cookie_value(name).await, known);
    browser.give_password("ada", false).await;
    assert_eq!(browser.text("#who").await, "ada");
    assert_ne!(browser.cookie_value(name).await, known);
    check_nobody(world, name, &known).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_planted_is_not_the_one_that_is_logged_in() {
    if let Some(world) = World::start().await {
        check_fixation(&world, SHOP, SESSION, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_one_under_a_name_of_this_host_alone() {
    if let Some(world) = World::secured().await {
        check_fixation(&world, SECURED, HOST_SESSION, "; secure").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siblings_cookie_neither_logs_anybody_in_nor_keeps_them_out() {
    let Some(world) = World::start().await else {
        return;
    };
    let (foreign, browser) = (Foreign::start().await, world.browser().await);
    let known = known_session(&world, SESSION).await;
    let cookie = format!("{SESSION}={known}; domain=shop.test");
    plant(&foreign, &browser, "evil.shop.test", &cookie).await;
    browser.go(&world.url_at(SHOP, "/log-in")).await;
    browser.give_password("ada", false).await;
    // The log-in's own cookie does not take the planted one's place: both come.
    let message = browser.text("#message").await;
    assert!(message.contains("twice"), "{message}");
    assert!(browser.cookie(SESSION).await.is_none());
    check_nobody(&world, SESSION, &known).await;
    browser.press("main a").await;
    assert_eq!(browser.path().await, "/log-in");
    browser.give_password("ada", false).await;
    assert_eq!(browser.text("#who").await, "ada");
    check_nobody(&world, SESSION, &known).await;
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
