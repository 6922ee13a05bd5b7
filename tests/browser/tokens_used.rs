//! Hazard: an access token that was issued on a page does more than its scope, or anything at all
//! after it was replaced or revoked there (S11).

use crate::chromium::Browser;
use crate::plain::{bearer, bearers};
use crate::world::{HOUR, MINUTE, World};

const NEW: &str = "{\"summary\": \"By a script\"}";

async fn issue(browser: &Browser, name: &str, scope: &str) -> String {
    browser.fill("#token-name", name).await;
    browser
        .click(&format!("#token-scope option[value='{scope}']"))
        .await;
    browser.press("#token-issue").await;
    browser.text("#new-token").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_the_page_does_what_it_is_for_until_it_is_revoked() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ben").await;
    browser.go(&world.url("/profile/tokens")).await;
    let writing = issue(&browser, "writes", "issues:write").await;
    // They are listed by age.
    world.clock.advance(MINUTE);
    let reading = issue(&browser, "reads", "issues:read").await;
    let (list, me) = (world.url("/api/issues"), world.url("/api/me"));
    assert_eq!(bearer(&list, &writing, Some(NEW)).await.status, 201);
    let answer = bearer(&list, &reading, None).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("By a script"), "{answer:?}");
    // Neither does the other's work, and neither opens a page.
    assert_eq!(bearer(&list, &writing, None).await.status, 403);
    assert_eq!(bearer(&list, &reading, Some(NEW)).await.status, 403);
    let page = bearer(&world.url("/profile/tokens"), &reading, None).await;
    assert!(
        page.status == 403 && !page.body.contains("token-issue"),
        "{page:?}"
    );

    // It was shown once.
    browser.go(&world.url("/profile/tokens")).await;
    assert!(!browser.source().await.unwrap().contains(&reading));
    let row = ".token:first-child";
    assert!(browser.text(row).await.contains("reads"));
    browser.press(&format!("{row} .rotate")).await;
    let rotated = browser.text("#new-token").await;
    assert_eq!(bearer(&me, &reading, None).await.status, 401);
    assert_eq!(bearer(&me, &rotated, None).await.status, 200);
    browser.go(&world.url("/profile/tokens")).await;
    browser.press(".token.live .revoke").await;
    browser.press(".token.live .revoke").await;
    assert!(!browser.has(".token.live").await);
    for token in [&writing, &reading, &rotated] {
        assert_eq!(bearer(&me, token, None).await.status, 401);
    }
    browser.go(&world.url("/")).await;
    assert_eq!(browser.text(".issue .title").await, "By a script");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_comes_alone_and_ends_with_its_time() {
    let Some(world) = World::start().await else {
        return;
    };
    let browser = world.signed_in("ben").await;
    browser.go(&world.url("/profile/tokens")).await;
    let token = issue(&browser, "reads", "issues:read").await;
    let me = world.url("/api/me");
    let good = bearer(&me, &token, None).await;
    assert_eq!((good.status, good.cookies.len()), (200, 0));
    for twice in [[&*token, &*token], [&token, "x"], ["x", &token]] {
        assert_eq!(bearers(&me, &twice).await.status, 400);
    }
    // One digit is mistyped.
    let other = if token.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{other}", token.split_at(token.len() - 1).0);
    assert_eq!(bearer(&me, &mistyped, None).await.status, 401);
    // Thirty days were asked for.
    world.clock.advance(30 * 24 * HOUR - MINUTE);
    assert_eq!(bearer(&me, &token, None).await.status, 200);
    world.clock.advance(MINUTE);
    let over = bearer(&me, &token, None).await;
    assert_eq!((over.status, over.cookies.len()), (401, 0));
}
