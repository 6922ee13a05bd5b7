//! Hazard: a cookie that is lost because the answer was an error, that lives on when it should be
//! gone, that somebody else put there, or that a cache keeps.

use crate::application::{HOUR, MINUTE, World, policy};
use crate::browser::{Browser, REMEMBER, SCRIPTS, SESSION};
use countersign::Subsystem;
use countersign_axum::LayerBuilder;
use http::StatusCode;
use http::header::CACHE_CONTROL;

#[tokio::test]
async fn a_rotated_device_cookie_comes_with_an_error_too() {
    for path in ["/fail", "/nowhere", "/fresh"] {
        let world = World::new();
        let mut browser = Browser::new(&world);
        browser.log_in_remembered("dora").await;
        browser.restart();
        let before = browser.cookies[REMEMBER].clone();
        world.clock.advance(10 * MINUTE);
        let reply = browser.get(path).send().await;
        assert!(reply.status.is_client_error() || reply.status.is_server_error());
        assert!(reply.sets(SESSION) && reply.sets(REMEMBER), "{path}");
        assert_ne!(browser.cookies[REMEMBER], before);
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(browser.who().await, "session dora");
    }
}

#[tokio::test]
async fn the_attributes_of_each_cookie() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    let reply = browser.post("/log-in-remembered/dora").send().await;
    let attributes = |name| reply.cookie(name).unwrap().split_once("; ").unwrap().1;
    assert_eq!(
        attributes(SESSION),
        "HttpOnly; SameSite=Lax; Secure; Path=/"
    );
    assert_eq!(attributes(SCRIPTS), "SameSite=Lax; Secure; Path=/");
    // 14 days.
    let with_age = "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=1209600";
    assert_eq!(attributes(REMEMBER), with_age);
    assert_eq!(reply.header("cache-control"), "no-store");

    let reply = browser.post("/log-out").send().await;
    let gone = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    for (name, kept) in [
        (SESSION, "HttpOnly; SameSite=Lax; Secure; Path=/"),
        (REMEMBER, "HttpOnly; SameSite=Lax; Secure; Path=/"),
        (SCRIPTS, "SameSite=Lax; Secure; Path=/"),
    ] {
        assert_eq!(
            reply.cookie(name),
            Some(&*format!("{name}=; {kept}; {gone}"))
        );
    }
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn the_policy_names_and_places_them() {
    let world = World::with(
        |draft| {
            draft.remember_me.cookie_path = "/app".into();
            draft.remember_me.cookie_domain = Some("example.org".into());
            draft.remember_me.cookie_secure = false;
            draft.remember_me.max_age = HOUR;
        },
        |layer| layer,
    );
    let mut browser = Browser::new(&world);
    let reply = browser.post("/log-in-remembered/dora").send().await;
    let place = "SameSite=Lax; Path=/app; Domain=example.org";
    for (name, end) in [
        ("session", format!("HttpOnly; {place}")),
        (
            "seraph.rememberme.cookie",
            format!("HttpOnly; {place}; Max-Age=3600"),
        ),
        (SCRIPTS, place.to_owned()),
    ] {
        let cookie = reply.cookie(name).unwrap();
        assert_eq!(cookie.split_once("; ").unwrap().1, end);
    }
    let reply = browser.post("/log-out").send().await;
    let cleared = reply.cookie("session").unwrap();
    assert!(cleared.starts_with("session=; HttpOnly; SameSite=Lax; Path=/app; Domain=example.org"));
}

#[tokio::test]
async fn a_dead_session_cookie_is_cleared_with_the_one_for_scripts() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    world.clock.advance(5 * HOUR + MINUTE);
    // Found to be over; the browser is told once no other answer can be on its way.
    browser.get("/").send().await;
    world.clock.advance(2 * MINUTE);
    let reply = browser.get("/").send().await;
    assert_eq!(reply.body, "nobody");
    assert!(reply.clears(SESSION) && reply.clears(SCRIPTS));
    assert!(browser.cookies.is_empty());
    // A text that never was one goes at once, and so does one that does not read.
    for text in ["x", "css_0", "\u{e9}"] {
        let cookie = format!("{SESSION}={text}; {REMEMBER}={text}");
        let reply = browser.get("/").header("cookie", cookie).send().await;
        assert!(reply.clears(SESSION) && reply.clears(REMEMBER), "{text}");
        assert!(reply.cookie(SCRIPTS).is_none());
    }
}

#[tokio::test]
async fn a_cookie_that_comes_twice_is_neither() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("sam").await;
    let (session, device) = (
        browser.cookies[SESSION].clone(),
        browser.cookies[REMEMBER].clone(),
    );
    let twice = [
        format!("{SESSION}={session}; {SESSION}={session}"),
        format!("{SESSION}=x; {SESSION}={session}"),
        format!("{SESSION}={session}; a=b; {SESSION}="),
        format!("{SESSION}={session}; {REMEMBER}={device}; {REMEMBER}=x"),
    ];
    for cookies in &twice {
        let reply = browser.get("/").header("cookie", cookies).send().await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{cookies}");
        assert!(reply.body.contains("ambiguous_credential"));
        // It is taken away, so that one can log in again; a good one besides it is left alone.
        let name = [SESSION, REMEMBER][usize::from(cookies.contains(REMEMBER))];
        let cleared = reply.cookies();
        assert!(
            matches!(&*cleared, [one] if one.starts_with(&format!("{name}=;"))),
            "{cleared:?}"
        );
    }
    let split = browser
        .get("/")
        .header("cookie", format!("{SESSION}={session}"));
    let reply = split.header("cookie", format!("{SESSION}=x")).send().await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);

    let lenient = World::with(|_| {}, LayerBuilder::pass_over_ambiguous_cookies);
    let mut browser = Browser::new(&lenient);
    for (cookies, carrier) in [(&twice[0], "session"), (&twice[3], "remember-me")] {
        let reply = browser.get("/").header("cookie", cookies).send().await;
        assert_eq!(reply.body, format!("nobody: {carrier} cookie"));
    }
    let two = browser.get("/").header("authorization", "Bearer a");
    let reply = two.header("authorization", "Basic b").send().await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn cookies_past_the_bound_are_answered_431() {
    let world = World::with(|_| {}, |layer| layer.max_cookie_bytes(256));
    let mut browser = Browser::new(&world);
    let long = format!("a={}", "x".repeat(300));
    let reply = browser.get("/").header("cookie", &long).send().await;
    assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let long = format!("a={}", "x".repeat(200));
    let split = browser
        .get("/")
        .header("cookie", &long)
        .header("cookie", &long);
    let reply = split.send().await;
    assert_eq!(reply.status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn the_last_change_wins_and_there_is_one_cookie_of_a_name() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    let reply = browser.post("/log-in-twice").send().await;
    assert_eq!(reply.cookies().len(), 3);
    assert!(reply.sets(SESSION) && reply.clears(REMEMBER) && reply.sets(SCRIPTS));
    assert_eq!(browser.who().await, "session bob");
}

#[tokio::test]
async fn what_a_handler_writes_under_our_names_does_not_pass() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    let reply = browser.get("/rude").send().await;
    assert_eq!(reply.cookies(), ["theme=dark; Path=/"]);
    assert_eq!(reply.headers[CACHE_CONTROL], "public, max-age=600");
    browser.log_in("sam").await;
    browser.cookies.remove(SCRIPTS);
    let reply = browser.get("/rude").send().await;
    assert!(reply.sets(SCRIPTS) && reply.cookie(SESSION).is_none());
    assert!(!reply.cookie(SCRIPTS).unwrap().contains("forged"));
    assert_eq!(reply.header("cache-control"), "no-store");
}

#[tokio::test]
async fn the_cookie_for_scripts_goes_with_the_session() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    assert!(browser.get("/").send().await.cookies().is_empty());
    browser.get("/start").send().await;
    let anonymous = browser.cookies[SCRIPTS].clone();
    assert!(anonymous.ends_with("|lout"), "{anonymous}");
    assert!(browser.get("/").send().await.cookies().is_empty());

    browser.log_in("sam").await;
    let signed_in = browser.cookies[SCRIPTS].clone();
    assert!(signed_in.ends_with("|lin") && signed_in != anonymous);
    browser.post("/renew").send().await;
    assert_eq!(browser.cookies[SCRIPTS], signed_in);
    browser.post("/elevate").send().await;
    assert_ne!(browser.cookies[SCRIPTS], signed_in);
    // Whatever else it holds is put right, as often as it comes.
    for wrong in ["x", "||", &signed_in] {
        browser.cookies.insert(SCRIPTS.into(), wrong.into());
        assert!(browser.get("/").send().await.sets(SCRIPTS), "{wrong}");
        assert!(!browser.get("/").send().await.sets(SCRIPTS), "{wrong}");
    }
}

#[tokio::test]
async fn a_session_gets_another_token_with_every_change_of_privilege() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.get("/start").send().await;
    let mut before = vec![browser.cookies[SESSION].clone()];
    for path in ["/log-in/sam", "/renew", "/elevate", "/password"] {
        let reply = browser.post(path).send().await;
        assert!(reply.sets(SESSION), "{path}");
        let now = browser.cookies[SESSION].clone();
        assert!(!before.contains(&now), "{path}");
        before.push(now);
        assert_eq!(browser.who().await, "session sam");
    }
    let mut thief = Browser::new(&world);
    for token in &before[..4] {
        thief.cookies.insert(SESSION.into(), token.clone());
        assert_ne!(thief.who().await, "session sam");
    }
}

#[tokio::test]
async fn a_changed_password_keeps_this_session_and_device_alone() {
    let world = World::new();
    let (mut here, mut there) = (Browser::new(&world), Browser::new(&world));
    here.log_in_remembered("sam").await;
    there.log_in_remembered("sam").await;
    let reply = here.post("/password").send().await;
    assert!(reply.sets(SESSION) && reply.sets(REMEMBER));
    assert_eq!(here.who().await, "session sam");
    assert_eq!(there.who().await, "nobody");
    here.restart();
    assert_eq!(here.who().await, "device sam");
    there.restart();
    assert_eq!(there.who().await, "nobody");
}

#[tokio::test]
async fn logging_out_forgets_a_device_that_came_without_a_session() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("sam").await;
    browser.restart();
    let mut copy = browser.clone();
    let reply = browser.post("/log-out").send().await;
    assert!(reply.clears(SESSION) && reply.clears(REMEMBER));
    assert!(!browser.has(REMEMBER));
    assert_eq!(copy.who().await, "nobody");
}

#[tokio::test]
async fn somebody_else_who_logs_in_does_not_come_back_as_whom_the_browser_remembered() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("alice").await;
    // The same again, without the box: the device stays.
    let reply = browser.post("/log-in/alice").send().await;
    assert!(reply.cookie(REMEMBER).is_none());
    for restarts in [false, true] {
        if restarts {
            world.clock.advance(10 * MINUTE);
            browser.restart();
        }
        let reply = browser.post("/log-in/bob").send().await;
        assert!(reply.clears(REMEMBER));
        browser.restart();
        assert_eq!(browser.who().await, "nobody");
        // For the next round.
        browser.log_in_remembered("alice").await;
    }
}

#[tokio::test]
async fn logging_out_forgets_a_device_while_there_are_no_sessions() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("sam").await;
    browser.restart();
    let mut copy = browser.clone();
    let switches = world.engine.switches();
    switches.off(Subsystem::Sessions, None).wait().unwrap();
    let reply = browser.post("/log-out").send().await;
    assert_eq!(reply.body, "out");
    assert!(reply.clears(REMEMBER));
    switches.on(Subsystem::Sessions, None).wait().unwrap();
    assert_eq!(copy.who().await, "nobody");
}

#[tokio::test]
async fn a_policy_that_changes_changes_the_cookies_unless_they_could_not_be_told_apart() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    let named = |name: &str| policy(|draft| draft.sessions.cookie_name = name.into());
    world.engine.set_policy(named("jsid")).wait().unwrap();
    assert_eq!(browser.who().await, "nobody");
    let reply = browser.post("/log-in/bob").send().await;
    assert!(reply.sets("__Host-jsid") && reply.cookie(SESSION).is_none());
    world
        .engine
        .set_policy(named("seraph.rememberme.cookie"))
        .wait()
        .unwrap();
    assert_eq!(
        browser.who().await,
        "session bob",
        "the two would overwrite each other"
    );
    world
        .engine
        .set_policy(named("__Host-session"))
        .wait()
        .unwrap();
    assert_eq!(browser.who().await, "session sam");
}

#[tokio::test]
async fn a_page_that_asks_by_itself_keeps_no_session_alive() {
    let passive = |parts: &http::request::Parts| parts.headers.contains_key("x-polling");
    let world = World::with(|_| {}, |layer| layer.passive(passive));
    let mut browser = Browser::new(&world);
    browser.log_in("sam").await;
    for _ in 0..9 {
        world.clock.advance(HOUR / 2);
        let reply = browser.get("/").header("x-polling", "1").send().await;
        assert_eq!(reply.body, "session sam");
    }
    let mut active = browser.clone();
    world.clock.advance(HOUR / 4);
    assert_eq!(active.who().await, "session sam");
    world.clock.advance(HOUR / 4);
    assert_eq!(active.who().await, "session sam");
    let mut browser = Browser::new(&world);
    browser.log_in("sue").await;
    for _ in 0..10 {
        world.clock.advance(HOUR / 2);
        browser.get("/").header("x-polling", "1").send().await;
    }
    assert_eq!(browser.who().await, "nobody");
}

#[tokio::test]
async fn where_a_request_comes_from_is_noted_if_the_host_knows() {
    let address = |_: &http::request::Parts| Some([192, 0, 2, 7].into());
    let world = World::with(|_| {}, |layer| layer.address(address));
    let token = world.issue("tina", &[]);
    let mut client = Browser::new(&world);
    client.get("/").bearer(token.token.expose()).send().await;
    world.engine.flush().wait().unwrap();
    let info = world
        .engine
        .access()
        .show(token.selector)
        .wait()
        .unwrap()
        .unwrap();
    let shown = format!("{info:?}");
    assert!(shown.contains("192.0.2.7"), "{shown}");
}

#[tokio::test]
async fn a_name_behind_a_blank_of_unicode_is_not_ours() {
    let world = World::new();
    let mut evil = Browser::new(&world);
    evil.log_in("mallory").await;
    let mut sam = Browser::new(&world);
    sam.log_in("sam").await;
    let own = sam.cookies[SESSION].clone();
    // A browser takes such a name from any host of the domain: it has no `__Host-` in front.
    for blank in ["\u{2000}", "\u{85}", "\u{a0}", "\u{3000}"] {
        let planted = format!("{blank}{SESSION}={}", evil.cookies[SESSION]);
        let mut victim = Browser::new(&world);
        let alone = victim.get("/").header("cookie", &planted).send().await;
        assert_eq!(alone.body, "nobody", "{}", blank.escape_unicode());
        let both = format!("{SESSION}={own}; {planted}");
        let both = victim.get("/").header("cookie", both).send().await;
        assert_eq!(both.body, "session sam", "{}", blank.escape_unicode());
    }
}
