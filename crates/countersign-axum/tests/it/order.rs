//! Hazard: a request that is taken for somebody else's, or for nobody's, because of the order in
//! which its credentials are looked at (S9).

use crate::application::{HOUR, World};
use crate::browser::{Browser, REMEMBER, SESSION};
use http::StatusCode;
use std::collections::BTreeSet;

#[tokio::test]
async fn session_then_bearer_then_device() {
    let world = World::new();
    let token = world.issue("tina", &[]);
    let token = token.token.expose();
    let mut session = Browser::new(&world);
    session.log_in("sam").await;
    let mut device = Browser::new(&world);
    device.log_in_remembered("dora").await;
    device.restart();

    let mut all = session.clone();
    all.cookies.extend(device.cookies.clone());
    let reply = all.get("/").bearer(token).send().await;
    assert_eq!(reply.body, "session sam");

    all.cookies.remove(SESSION);
    let reply = all.get("/").bearer(token).send().await;
    assert_eq!(reply.body, "token tina");
    // What was not looked at is not touched.
    assert_eq!(reply.cookies(), [""; 0]);

    let reply = all.get("/").send().await;
    assert_eq!(reply.body, "device dora");
    assert!(reply.sets(SESSION));
    assert_eq!(all.who().await, "session dora");
}

#[tokio::test]
async fn a_bad_bearer_token_is_never_anonymous_and_never_somebody_else() {
    let world = World::new();
    let mut device = Browser::new(&world);
    device.log_in_remembered("dora").await;
    device.restart();
    for token in ["", "x", "csa_x", "a b"] {
        let reply = device.get("/maybe").bearer(token).send().await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(reply.cookies(), [""; 0]);
    }
    // A living session comes first, and another scheme is not ours.
    let reply = device
        .get("/")
        .header("authorization", "Basic eDp5")
        .send()
        .await;
    assert_eq!(reply.body, "device dora");
    let reply = device.get("/").bearer("x").send().await;
    assert_eq!(reply.body, "session dora");
}

#[tokio::test]
async fn a_session_that_expired_gives_way_to_the_device() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("dora").await;
    let (old, secret) = (
        browser.cookies[SESSION].clone(),
        browser.cookies[REMEMBER].clone(),
    );
    world.clock.advance(5 * HOUR);
    let reply = browser.get("/").send().await;
    assert_eq!(reply.body, "device dora");
    assert!(reply.sets(SESSION) && reply.sets(REMEMBER));
    assert_ne!(
        (old, secret),
        (
            browser.cookies[SESSION].clone(),
            browser.cookies[REMEMBER].clone()
        )
    );
}

#[tokio::test]
async fn bearer_requests_create_no_session_and_need_no_form_token() {
    let world = World::new();
    let token = world.issue("tina", &[]);
    let token = token.token.expose();
    let mut script = Browser::new(&world);
    for path in ["/start", "/token"] {
        let reply = script.get(path).bearer(token).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    for path in ["/log-in/eve", "/log-out", "/renew", "/elevate"] {
        let reply = script.post(path).bearer(token).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    let form = script
        .post("/form")
        .header("origin", "https://evil.example");
    let reply = form
        .bearer(token)
        .form("summary=it+rains&label=a&label=b")
        .send()
        .await;
    assert_eq!(reply.body, "it rains [\"a\", \"b\"]");
    assert!(script.cookies.is_empty());
    assert_eq!(world.engine.sessions().counts().all, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_each_is_answered_as_its_own_sender() {
    const PEOPLE: usize = 16;
    const ROUNDS: usize = 25;
    let world = World::new();
    let tasks: Vec<_> = (0..PEOPLE)
        .map(|n| {
            let mut browser = Browser::new(&world);
            tokio::spawn(async move {
                let name = format!("person-{n}");
                let mut cookies = Vec::new();
                browser.log_in_remembered(&name).await;
                for _ in 0..ROUNDS {
                    assert_eq!(browser.who().await, format!("session {name}"));
                    assert!(browser.post("/renew").send().await.sets(SESSION));
                    cookies.push(browser.cookies[SESSION].clone());
                }
                cookies.push(browser.cookies[REMEMBER].clone());
                browser.cookies.remove(SESSION);
                assert_eq!(browser.who().await, format!("device {name}"));
                cookies
            })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        seen.extend(task.await.unwrap());
    }
    assert_eq!(seen.len(), PEOPLE * (ROUNDS + 1), "two were given the same");
}
