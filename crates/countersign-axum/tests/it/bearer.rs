//! Hazard: a client that cannot tell why its token was refused, or that is told too much
//! (RFC 6750).

use crate::application::{HOUR, World};
use crate::browser::Browser;
use countersign::core::{ShardTag, SplitToken, Verifier};
use countersign::{
    CredentialKind, Expiry, NewToken, Principal, Rejection, ScopeSet, Selector, Subsystem,
    TokenName,
};
use countersign_axum::{LayerBuilder, RequireScope};
use http::{HeaderMap, StatusCode};

const CHALLENGE: &str = "Bearer realm=\"issues\"";

fn world() -> World {
    World::with(|_| {}, |layer| layer.realm("issues"))
}

/// A well-formed token of this selector, with a secret that is nobody's.
fn forged(world: &World, selector: Selector) -> String {
    let verifier = Verifier::from_bytes([7; 28]);
    let token = SplitToken::new(CredentialKind::Access, selector, verifier);
    let text = world.engine.format().text(&token).unwrap();
    text.expose().to_owned()
}

/// What a stranger is told about each of these tokens, wherever they are sent.
async fn told(client: &mut Browser, texts: &[String]) -> Vec<(HeaderMap, String)> {
    let mut answers = Vec::new();
    for text in texts {
        for path in ["/", "/mine", "/maybe", "/api", "/nowhere"] {
            let reply = client.get(path).bearer(text).send().await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
            let challenge = format!("{CHALLENGE}, error=\"invalid_token\"");
            assert_eq!(reply.header("www-authenticate"), challenge);
            // Which routes say how long their body is depends on the router.
            let mut headers = reply.headers;
            headers.remove("content-length");
            answers.push((headers, reply.body));
        }
    }
    answers
}

#[tokio::test]
async fn every_bad_token_looks_the_same() {
    let world = world();
    let mut client = Browser::new(&world);
    let revoked = world.issue("tina", &["repo:read"]);
    world
        .engine
        .access()
        .revoke(revoked.selector, None)
        .wait()
        .unwrap();
    let disabled = world.issue("dave", &["repo:read"]);
    let dave = Principal::new("dave").unwrap();
    world
        .engine
        .principals()
        .disable(dave, None)
        .wait()
        .unwrap();
    let expired = NewToken {
        principal: Principal::new("tina").unwrap(),
        name: TokenName::new("short").unwrap(),
        scopes: ScopeSet::EMPTY,
        expiry: Expiry::At(world.engine.now().after(HOUR)),
    };
    let expired = world.engine.access().issue(expired).wait().unwrap();
    world.clock.advance(2 * HOUR);
    let good = world.issue("tina", &["repo:read"]);
    let known = forged(&world, good.selector);
    let nobody_s = Selector::mint(world.engine.now(), ShardTag::NONE, [9; 8]);
    let good = good.token.expose().to_owned();
    let mut texts = vec![
        "x".to_owned(),
        "x".repeat(60_000),
        good.get(..good.len() - 1).unwrap().to_owned(),
    ];
    // Each is refused for a reason of its own, which the engine knows and nobody else.
    let why = |text: &str| {
        let verdict = world.engine.access().verify(text).wait().unwrap();
        verdict.rejection()
    };
    for (text, reason) in [
        (revoked.token.expose().to_owned(), Rejection::Revoked),
        (disabled.token.expose().to_owned(), Rejection::Disabled),
        (expired.token.expose().to_owned(), Rejection::Expired),
        (known, Rejection::Mismatch),
        (forged(&world, nobody_s), Rejection::Unknown),
    ] {
        assert_eq!(why(&text), Some(reason));
        texts.push(text);
    }
    let mut answers = told(&mut client, &texts).await;
    // One that was good is no better than they are once all of them are switched off.
    assert_eq!(why(&good), None);
    let switches = world.engine.switches();
    let off = switches.off(Subsystem::AccessTokens, None).wait();
    assert!(off.unwrap().durable);
    assert_eq!(why(&good), Some(Rejection::SwitchedOff));
    texts.push(good);
    answers.extend(told(&mut client, &texts).await);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_and_no_credential_at_all_is_no_error() {
    let world = world();
    let mut client = Browser::new(&world);
    for scopes in [&[] as &[&str], &["repo:write"], &["repository:read"]] {
        let token = world.issue("tina", scopes);
        let reply = client.get("/api").bearer(token.token.expose()).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        let error = "error=\"insufficient_scope\", scope=\"repo:read\"";
        assert_eq!(
            reply.header("www-authenticate"),
            format!("{CHALLENGE}, {error}")
        );
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    for scopes in [["repo:read"], ["repo:*"], ["*"]] {
        let token = world.issue("tim", &scopes);
        let reply = client.get("/api").bearer(token.token.expose()).send().await;
        assert_eq!(reply.body, "api");
    }
    for path in ["/api", "/mine", "/fresh", "/attributes"] {
        let reply = client.get(path).send().await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(reply.header("www-authenticate"), CHALLENGE);
    }
    for scope in ["*", "repo:*", "", "a b"] {
        assert!(RequireScope::new(scope).is_err(), "{scope}");
    }
    // A session may do whatever its principal may.
    client.log_in("sam").await;
    assert_eq!(client.get("/api").send().await.body, "api");
}

#[tokio::test]
async fn two_authorization_headers_are_400() {
    let world = world();
    let mut client = Browser::new(&world);
    let token = world.issue("tina", &[]);
    let token = token.token.expose();
    for other in [token, "x"] {
        let reply = client.get("/").bearer(token).bearer(other).send().await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        let challenge = format!("{CHALLENGE}, error=\"invalid_request\"");
        assert_eq!(reply.header("www-authenticate"), challenge);
    }
    let reply = client
        .get("/")
        .bearer(&format!("{token}, Bearer {token}"))
        .send()
        .await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn neither_a_token_nor_a_device_counts_as_fresh() {
    let world = world();
    let token = world.issue("tina", &["*"]);
    let mut browser = Browser::new(&world);
    let reply = browser
        .get("/fresh")
        .bearer(token.token.expose())
        .send()
        .await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    browser.log_in_remembered("dora").await;
    assert_eq!(browser.get("/fresh").send().await.body, "dora");
    world.clock.advance(HOUR);
    let reply = browser.get("/fresh").send().await;
    assert!(reply.body.contains("not_fresh"), "{}", reply.body);
    browser.post("/elevate").send().await;
    assert_eq!(browser.get("/fresh").send().await.body, "dora");
    browser.restart();
    assert_eq!(browser.who().await, "device dora");
    assert_eq!(
        browser.get("/fresh").send().await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn two_authorization_headers_are_never_anonymous() {
    let world = World::with(|_| {}, LayerBuilder::pass_over_ambiguous_cookies);
    let bearer = format!("Bearer {}", world.issue("tina", &[]).token.expose());
    let mut script = Browser::new(&world);
    // Cookies that come twice are passed over, and must not take the header with them.
    for cookies in ["", "__Host-session=a; __Host-session=b"] {
        let asked = script
            .get("/maybe")
            .header("authorization", &bearer)
            .header("authorization", "Bearer x")
            .header("cookie", cookies);
        assert_eq!(
            asked.send().await.status,
            StatusCode::BAD_REQUEST,
            "{cookies}"
        );
    }
}

#[tokio::test]
async fn a_bearer_token_behind_a_tab_is_no_reason_to_take_a_device() {
    let world = World::new();
    let mut device = Browser::new(&world);
    device.log_in_remembered("dora").await;
    device.restart();
    let token = world.issue("tina", &[]);
    let value = format!("Bearer\t{}", token.token.expose());
    let reply = device.get("/maybe").header("authorization", value);
    assert_eq!(reply.send().await.status, StatusCode::UNAUTHORIZED);
}
