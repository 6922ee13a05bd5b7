//! Hazard: a cookie that scripts can read, that outlives what it should, or that goes to other
//! hosts, as a browser understood it and not as we wrote it (S1, S5, S8).

use crate::chromium::Browser;
use crate::world::{REMEMBER, SCRIPTS, SESSION, World};
use serde_json::Value;

/// How long a device is remembered, in seconds.
const REMEMBERED_S: f64 = 1_209_600.0;

/// What holds of each of them: this host alone, all of it, and no request of another site's pages.
async fn check(browser: &Browser, name: &str, http_only: bool) -> Value {
    let cookie = browser.cookie(name).await.unwrap();
    for (what, value) in [
        ("domain", Value::from("127.0.0.1")),
        ("path", Value::from("/")),
        ("httpOnly", Value::from(http_only)),
        // There is no TLS on this machine's own address, and the tracker was told so.
        ("secure", Value::from(false)),
        ("sameSite", Value::from("Lax")),
    ] {
        assert_eq!(cookie[what], value, "{what} of {cookie}");
    }
    let readable = browser.script("return document.cookie").await;
    let readable = readable.as_str().unwrap().contains(&format!("{name}="));
    assert_eq!(readable, !http_only, "{name}");
    cookie
}

/// The form token that scripts read: server, 44 digits of Base62, and whether one is logged in.
async fn check_scripts(browser: &Browser, flag: &str) {
    let text = browser.script("return document.cookie").await;
    let found = text.as_str().unwrap().split("; ").find_map(|pair| {
        let value = pair.strip_prefix(SCRIPTS)?;
        value.strip_prefix('=')
    });
    let parts: Vec<_> = found.unwrap().split('|').collect();
    assert!(matches!(&*parts, [_, _, own] if *own == flag), "{parts:?}");
    assert!(!parts[0].is_empty() && parts[1].len() == 44, "{parts:?}");
    assert!(parts[1].bytes().all(|c| c.is_ascii_alphanumeric()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cookie_is_what_it_should_be_to_a_browser() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.browser().await;
    browser.go(&world.url("/log-in")).await;
    assert_eq!(browser.cookies().await.len(), 2);
    check(&browser, SESSION, true).await;
    check(&browser, SCRIPTS, false).await;
    check_scripts(&browser, "lout").await;

    browser.give_password("ada", true).await;
    assert_eq!(browser.cookies().await.len(), 3);
    for (name, http_only) in [(SESSION, true), (SCRIPTS, false)] {
        let cookie = check(&browser, name, http_only).await;
        assert_eq!(cookie["session"], true, "{cookie}");
    }
    check_scripts(&browser, "lin").await;
    let cookie = check(&browser, REMEMBER, true).await;
    assert_eq!(cookie["session"], false, "{cookie}");
    let now = browser.script("return Date.now() / 1000").await;
    let left = cookie["expires"].as_f64().unwrap() - now.as_f64().unwrap();
    assert!((left - REMEMBERED_S).abs() < 300.0, "{left}");

    browser.press("#log-out").await;
    // What is left is the log-in's own: a session of nobody, and its token.
    assert!(browser.cookie(REMEMBER).await.is_none());
    check_scripts(&browser, "lout").await;
    browser.go(&world.url("/")).await;
    assert_eq!(browser.path().await, "/log-in");
}
