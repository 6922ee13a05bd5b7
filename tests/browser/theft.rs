//! Hazard: a remember-me cookie that was copied out of a browser goes on working, or takes more
//! down with it than the device that it was copied from (E2).

use crate::plain;
use crate::world::{HOUR, IDLE, MINUTE, REMEMBER, World};
use countersign_core::{CredentialKind, SplitToken, TokenFormat, Verifier};

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_cookie_ends_its_own_device_and_no_other() {
    let Some(world) = World::start().await else {
        return;
    };
    let owner = world.logged_in("ada", true).await;
    let other = world.logged_in("ada", true).await;
    let copied = owner.cookie_value(REMEMBER).await;
    // The owner comes back the next days, and the secret is replaced under the thief's hands.
    for _ in 0..2 {
        world.clock.advance(6 * HOUR);
        let before = owner.cookie_value(REMEMBER).await;
        for browser in [&owner, &other] {
            browser.go(&world.url("/")).await;
            assert_eq!(browser.text("#who").await, "ada");
        }
        assert_ne!(owner.cookie_value(REMEMBER).await, before);
    }
    other.go(&world.url("/profile/sessions")).await;
    assert_eq!(other.count(".device").await, 2);

    world.clock.advance(2 * MINUTE);
    let thief = format!("{REMEMBER}={copied}");
    let answer = plain::get_with(&world.url("/"), &thief).await;
    assert_eq!(answer.status, 401, "{answer:?}");

    // The owner is asked for the password: neither the session nor the newest secret helps.
    owner.go(&world.url("/")).await;
    assert_eq!(owner.path().await, "/log-in");
    assert!(owner.cookie(REMEMBER).await.is_none());
    other.go(&world.url("/profile/sessions")).await;
    assert_eq!(other.text("#who").await, "ada");
    assert_eq!(other.count(".device").await, 1);
    assert_eq!(other.count(".device.current").await, 1);
    owner.give_password("ada", true).await;
    assert_eq!(owner.text("#who").await, "ada");
    let answer = plain::get_with(&world.url("/"), &thief).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_copy_works_until_then_and_a_guess_never() {
    let Some(world) = World::start().await else {
        return;
    };
    let owner = world.logged_in("ada", true).await;
    let copied = owner.cookie_value(REMEMBER).await;
    let answer = plain::get_with(&world.url("/"), &format!("{REMEMBER}={copied}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.between("id=\"who\">", "<"), "ada");
    // A wrong secret opens nothing, and ends nothing: the device still signs its owner in.
    let wrong = format!("{REMEMBER}={}", guessed(&copied));
    assert_eq!(plain::get_with(&world.url("/"), &wrong).await.status, 401);
    world.clock.advance(IDLE);
    owner.go(&world.url("/profile/sessions")).await;
    assert_eq!(owner.text("#who").await, "ada");
    assert_eq!(owner.count(".device.current").await, 1);
}

/// The same device with another secret, in a text that reads as well.
fn guessed(copied: &str) -> String {
    let (kind, format) = (CredentialKind::Remember, TokenFormat::new(None).unwrap());
    let selector = format.parse(kind, copied.as_bytes()).unwrap().selector();
    let token = SplitToken::new(kind, selector, Verifier::from_bytes([7; 28]));
    format.text(&token).unwrap().expose().to_owned()
}
