//! Hazard: whoever is no administrator acts as one, or an administrator reads what is another's.

use crate::client::{Client, PASSWORD, World};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use countersign::{Expiry, NewToken, Principal, ScopeSet, TokenName};
use std::collections::BTreeSet;

const NEW: [(&str, &str); 2] = [("name", "mallory"), ("password", "very long password")];

#[tokio::test]
async fn it_is_for_administrators() {
    let world = World::new().await;
    let mut ben = world.signed_in("ben").await;
    let token = ben.get("/").await.token();
    for path in ["/admin", "/admin/users"] {
        assert_eq!(ben.get(path).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for path in [
        "/admin/users",
        "/admin/switches",
        "/admin/principals",
        "/admin/sessions/end",
    ] {
        let page = ben.post(path, &token, &NEW).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(page.verdict(), None);
    }
    assert!(!ben.get("/").await.body.contains("/admin"));
}

/// The request of S7 in a session of an administrator.
async fn forged(ada: &mut Client, method: Method, site: &str, origin: &str) -> StatusCode {
    let body = "name=mallory&password=very-long-password";
    let path = match method {
        Method::GET => format!("/admin/users?{body}"),
        _ => "/admin/users".to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "tracker.example.org")
        .header("accept", "text/html")
        .header("content-type", "application/x-www-form-urlencoded");
    if !site.is_empty() {
        request = request.header("sec-fetch-site", site);
    }
    if !origin.is_empty() {
        request = request.header("origin", origin);
    }
    ada.ask(request.body(Body::from(body)).unwrap())
        .await
        .status
}

#[tokio::test]
async fn a_forged_request_adds_nobody() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    for (method, site, origin, status) in [
        (Method::GET, "cross-site", "", 200),
        (Method::POST, "cross-site", "https://hax0rs.example", 403),
        (Method::POST, "same-site", "", 403),
        (Method::POST, "", "null", 403),
        (Method::POST, "", "https://hax0rs.example", 403),
        // A client that says nothing of where it comes from has no token either.
        (Method::POST, "", "", 403),
    ] {
        let answered = forged(&mut ada, method, site, origin).await;
        assert_eq!(answered.as_u16(), status, "{site} {origin}");
        assert!(!ada.get("/admin/users").await.body.contains("mallory"));
    }
    ada.submit("/admin/users", "/admin/users", &NEW).await;
    assert!(ada.get("/admin/users").await.body.contains("mallory"));
}

#[tokio::test]
async fn sessions_are_shown_with_their_attributes_and_not_with_what_was_typed() {
    let world = World::new().await;
    let mut ben = world.signed_in("ben").await;
    ben.submit("/", "/filter", &[("show", "mine")]).await;
    ben.create("", "A private thought", None).await;
    let page = world.signed_in("ada").await.get("/admin").await;
    assert!(page.body.contains("18000 s"));
    assert!(page.body.contains("<code>filter</code> = mine"), "{page:?}");
    assert!(page.body.contains("<code>draft</code>"));
    assert!(!page.body.contains("private"));
    assert_eq!(page.count("<polyline"), 3);
    assert_eq!(page.count("class=\"switch\""), 4);
}

#[tokio::test]
async fn a_principal_is_stopped_let_in_again_and_revoked() {
    let world = World::new().await;
    let (mut ada, mut ben) = (world.signed_in("ada").await, world.signed_in("ben").await);
    let act = |action| [("principal", "ben"), ("action", action)];
    ada.submit("/admin", "/admin/principals", &act("disable"))
        .await;
    assert_eq!(ben.who().await, None);
    let page = world.client().log_in("ben", PASSWORD).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    ada.submit("/admin", "/admin/principals", &act("enable"))
        .await;
    assert_eq!(ben.who().await.as_deref(), Some("ben"));
    ada.submit("/admin", "/admin/principals", &act("revoke"))
        .await;
    assert_eq!(ben.who().await, None);
    // Nobody locks themselves out.
    let own = [("principal", "ada"), ("action", "disable")];
    let page = ada.submit("/admin", "/admin/principals", &own).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn every_principal_can_be_reached_however_many_there_are() {
    let world = World::new().await;
    let engine = world.tracker.engine();
    for n in 0..230 {
        let principal = Principal::new(&format!("user-{n}")).unwrap();
        let token = NewToken {
            principal,
            name: TokenName::new("ci").unwrap(),
            scopes: ScopeSet::EMPTY,
            expiry: Expiry::Never,
        };
        engine.access().issue(token).await.unwrap();
    }
    let mut ada = world.signed_in("ada").await;
    let (mut names, mut path) = (BTreeSet::new(), "/admin".to_owned());
    loop {
        let page = ada.get(&path).await;
        let rows = page.body.split("class=\"principal\" data-name=\"").skip(1);
        names.extend(rows.map(|row| row.split('"').next().unwrap().to_owned()));
        let Some((_, next)) = page.body.split_once("id=\"more-principals\" href=\"") else {
            break;
        };
        let next = next.split('"').next().unwrap().replace("&#x2f;", "/");
        assert_ne!(next, path);
        path = next;
    }
    assert!(
        (0..230).all(|n| names.contains(&format!("user-{n}"))),
        "{names:?}"
    );
    // What is no key is the first page.
    let page = ada.get("/admin?principals=nonsense").await;
    assert!(page.body.contains("more-principals"));
}
