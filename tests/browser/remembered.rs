//! Hazard: a browser that was quit is signed in though nobody asked for it, or is not though
//! somebody did; or tabs that wake up together undo one another's log-in (S1, S8, E1).

use crate::world::{IDLE, REMEMBER, SESSION, World};

#[tokio::test(flavor = "multi_thread")]
async fn only_who_ticked_the_box_is_signed_in_after_quitting() {
    let Some(world) = World::start().await else {
        return;
    };
    for remember in [true, false] {
        let profile = world.profile();
        let browser = world.browser_in(&profile).await;
        browser.go(&world.url("/log-in")).await;
        browser.give_password("ada", remember).await;
        assert_eq!(browser.text("#who").await, "ada");
        let before = browser.cookie_value(SESSION).await;
        browser.quit().await;

        let browser = world.browser_in(&profile).await;
        assert!(browser.cookie(SESSION).await.is_none());
        assert_eq!(browser.cookie(REMEMBER).await.is_some(), remember);
        browser.go(&world.url("/")).await;
        if remember {
            assert_eq!(browser.text("#who").await, "ada");
        } else {
            assert_eq!(browser.path().await, "/log-in");
        }
        assert_ne!(browser.cookie_value(SESSION).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_tabs_that_wake_up_together_are_all_signed_in() {
    const PAGES: [&str; 3] = ["/", "/profile/tokens", "/profile/password"];
    let Some(world) = World::watched().await else {
        return;
    };
    let browser = world.logged_in("ada", true).await;
    let old = browser.cookie_value(REMEMBER).await;
    let mut tabs = Vec::new();
    for page in PAGES {
        browser.tab().await;
        browser.go(&world.url(page)).await;
        let wake = "window.wake = new BroadcastChannel('wake'); \
                    window.wake.onmessage = () => location.reload()";
        browser.script(wake).await;
        browser.mark().await;
        tabs.push(browser.window().await.unwrap());
    }
    browser.tab().await;
    browser.go(&world.url("/static/tracker.css")).await;
    // The sessions are gone, and the secret is old enough to be replaced.
    world.clock.advance(IDLE);
    world.gather(PAGES.len());
    let call = "window.wake = new BroadcastChannel('wake'); window.wake.postMessage('now')";
    browser.script(call).await;
    for tab in &tabs {
        browser.to(tab).await;
        browser.arrive().await;
        assert_eq!(browser.text("#who").await, "ada");
    }
    // It was a race: each came with the one secret, before any was answered.
    for page in PAGES {
        let mut seen = world.seen(page);
        seen.retain(|seen| seen.uri == page);
        assert!(
            seen.iter().any(|seen| seen.cookies.contains(&old)),
            "{page}"
        );
    }
    assert_ne!(browser.cookie_value(REMEMBER).await, old);
    for tab in &tabs {
        browser.to(tab).await;
        browser.go(&world.url("/profile/sessions")).await;
        assert_eq!(browser.text("#who").await, "ada");
        assert_eq!(browser.count(".device.current").await, 1);
        assert_eq!(browser.count(".device").await, 1);
    }
}
