//! Hazard: a credential is taken from a URL, where logs and `Referer` headers keep it, or is sent
//! anywhere but in its cookie.

use crate::application::{HOUR, World};
use crate::browser::{Browser, REMEMBER, SESSION};
use http::StatusCode;

/// Names under which servers have taken credentials from a URL.
const NAMES: [&str; 8] = [
    "access_token",
    "token",
    "auth",
    "authorization",
    "session",
    "jsessionid",
    SESSION,
    REMEMBER,
];

#[tokio::test]
async fn no_credential_is_taken_from_a_url() {
    let world = World::new();
    let mut owner = Browser::new(&world);
    owner.log_in_remembered("dora").await;
    let access = world.issue("tina", &[]);
    let texts = [
        owner.cookies[SESSION].clone(),
        owner.cookies[REMEMBER].clone(),
        access.token.expose().to_owned(),
    ];
    for text in &texts {
        for name in NAMES {
            for path in [
                format!("/?{name}={text}"),
                format!("/?{name}=Bearer%20{text}"),
                format!("/mine?{name}={text}"),
                format!("/mine;{name}={text}"),
            ] {
                let reply = Browser::new(&world).get(&path).send().await;
                let refused = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND];
                let nobody = refused.contains(&reply.status) || reply.body == "nobody";
                assert!(nobody, "{path}: {reply:?}");
                assert!(!reply.sets(SESSION), "{path}");
            }
        }
    }
    // Each of them is good where it belongs.
    assert_eq!(owner.who().await, "session dora");
    let mut script = Browser::new(&world);
    let reply = script.get("/mine").bearer(&texts[2]).send().await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_secret_is_sent_in_its_cookie_alone() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    for path in [
        "/start",
        "/log-in/sam",
        "/log-in-remembered/dora",
        "/",
        "/mine",
        "/renew",
        "/elevate",
        "/attributes",
        "/fail",
        "/nowhere",
        "/fresh",
        "/log-out",
    ] {
        let known = [SESSION, REMEMBER].map(|name| browser.cookies.get(name).cloned());
        let reply = browser.post(path).html().send().await;
        let sent = [SESSION, REMEMBER].map(|name| browser.cookies.get(name).cloned());
        for secret in known.into_iter().chain(sent).flatten() {
            assert!(!reply.body.contains(&secret), "{path}: {reply:?}");
            for (name, value) in &reply.headers {
                let holds = String::from_utf8_lossy(value.as_bytes()).contains(&secret);
                assert!(!holds || name == "set-cookie", "{path}: {name}");
            }
        }
    }
    // A device that comes in is handed a session, and later another secret.
    browser.log_in_remembered("dora").await;
    browser.restart();
    world.clock.advance(HOUR);
    let reply = browser.get("/mine").html().send().await;
    assert!(reply.sets(SESSION) && reply.sets(REMEMBER));
    for name in [SESSION, REMEMBER] {
        assert!(!reply.body.contains(&browser.cookies[name]), "{name}");
    }
}
