//! Hazard: a request whose head was let in and whose body is held back carries out, hours later,
//! what its sender was shut out from meanwhile.

use crate::application::{World, principal};
use crate::browser::{Browser, signed_in};
use axum::body::Body;
use bytes::Bytes;
use countersign::{EndedBy, Engine};
use futures_util::StreamExt as _;
use http::StatusCode;

const FRONT: &str = "--B\r\nContent-Disposition: form-data; name=\"";

/// A body that ends in `rest`, before which something happens.
fn held_back(
    front: String,
    engine: &Engine,
    happens: impl FnOnce(&Engine) + Send + 'static,
    rest: &str,
) -> Body {
    let (engine, rest) = (engine.clone(), rest.to_owned());
    let meanwhile = async move {
        // What is there is looked at first, by all who have a part in it.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        happens(&engine);
        Bytes::from(rest)
    };
    let pieces = futures_util::stream::iter([Bytes::from(front)])
        .chain(futures_util::stream::once(meanwhile));
    Body::from_stream(pieces.map(Ok::<_, std::io::Error>))
}

/// Everything that shuts sam out.
const WAYS: [fn(&Engine); 4] = [
    |engine| {
        let ended = engine
            .sessions()
            .end_all(&principal("sam"), EndedBy::Principal);
        assert_eq!(ended.wait().unwrap(), 1);
    },
    |engine| {
        let principals = engine.principals();
        principals.disable(principal("sam"), None).wait().unwrap();
    },
    |engine| {
        let changed = engine.credentials_changed(principal("sam"), None, None);
        changed.wait().unwrap();
    },
    |engine| {
        let revoked = engine.revoke_everything(principal("sam"), None);
        revoked.wait().unwrap();
    },
];

#[tokio::test]
async fn a_form_is_not_carried_out_and_what_was_typed_comes_back() {
    for happens in WAYS {
        for path in ["/form", "/sent", "/sent-fresh"] {
            let world = World::new();
            let (mut browser, token) = signed_in(&world).await;
            let front = format!("atl_token={token}&summary=it+rai");
            let mut asked = browser.post(path).form("").html();
            asked.body = held_back(front, &world.engine, happens, "ns");
            let reply = asked.send().await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{path}: {}",
                reply.body
            );
            assert!(reply.body.contains("it rains"), "{path}: {}", reply.body);
            assert!(!reply.sets(crate::browser::REMEMBER), "{path}");
        }
    }
}

#[tokio::test]
async fn a_token_in_a_header_was_judged_before_and_the_form_is_not_carried_out_either() {
    for happens in WAYS {
        let world = World::new();
        let (mut browser, token) = signed_in(&world).await;
        let mut asked = browser
            .post("/form")
            .header("x-csrf-token", &token)
            .form("");
        asked.body = held_back("summary=it+rai".to_owned(), &world.engine, happens, "ns");
        assert_eq!(asked.send().await.status, StatusCode::FORBIDDEN);
        let world = World::new();
        let (mut browser, token) = signed_in(&world).await;
        let mut asked = browser.post("/sent-bytes").header("x-csrf-token", &token);
        asked.body = held_back("it rai".to_owned(), &world.engine, happens, "ns");
        assert_eq!(asked.send().await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn an_upload_is_judged_at_its_token_and_at_its_end() {
    for happens in WAYS {
        let world = World::new();
        let (mut browser, token) = signed_in(&world).await;
        let front = format!("{FRONT}summary\"\r\n\r\nit rains\r\n{FRONT}atl_token\"\r\n\r\n");
        let (one, other) = token.split_at(20);
        let body = held_back(
            format!("{front}{one}"),
            &world.engine,
            happens,
            &format!("{other}\r\n--B--\r\n"),
        );
        let reply = browser.post("/upload").html().multipart(body).send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert!(reply.body.contains("it rains"), "{}", reply.body);

        let world = World::new();
        let (mut browser, token) = signed_in(&world).await;
        let front =
            format!("{FRONT}atl_token\"\r\n\r\n{token}\r\n{FRONT}f\"; filename=\"a\"\r\n\r\n");
        let body = held_back(front, &world.engine, happens, "xyz\r\n--B--\r\n");
        let reply = browser.post("/upload").multipart(body).send().await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{}", reply.body);
    }
}

#[tokio::test]
async fn an_access_token_that_is_revoked_while_the_body_comes_carries_nothing_out() {
    let upload = format!("{FRONT}f\"; filename=\"a\"\r\n\r\n");
    for (path, kind, front, rest) in [
        (
            "/form",
            "application/x-www-form-urlencoded",
            "summary=it+rai",
            "ns",
        ),
        ("/sent-bytes", "text/plain", "it rai", "ns"),
        (
            "/upload",
            "multipart/form-data; boundary=B",
            upload.as_str(),
            "xyz\r\n--B--\r\n",
        ),
    ] {
        let world = World::new();
        let token = world.issue("tina", &[]);
        let mut script = Browser::new(&world);
        for revoked in [false, true] {
            let selector = token.selector;
            let happens = move |engine: &Engine| {
                if revoked {
                    engine.access().revoke(selector, None).wait().unwrap();
                }
            };
            let asked = script.post(path).header("content-type", kind);
            let mut asked = asked.bearer(token.token.expose());
            asked.body = held_back(front.to_owned(), &world.engine, happens, rest);
            let reply = asked.send().await;
            let expected = match revoked {
                true => StatusCode::UNAUTHORIZED,
                false => StatusCode::OK,
            };
            assert_eq!(reply.status, expected, "{path}: {}", reply.body);
            if revoked {
                let challenge = reply.header("www-authenticate");
                assert!(challenge.contains("invalid_token"), "{challenge}");
            }
        }
    }
}

#[tokio::test]
async fn what_happens_to_others_meanwhile_is_nothing_to_it() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let mut other = Browser::new(&world);
    other.log_in("bob").await;
    for path in ["/form", "/sent", "/sent-fresh"] {
        let front = format!("atl_token={token}&summary=it+rai");
        let mut asked = browser.post(path).form("");
        let happens = |engine: &Engine| {
            let revoked = engine.revoke_everything(principal("bob"), None);
            revoked.wait().unwrap();
        };
        asked.body = held_back(front, &world.engine, happens, "ns");
        let reply = asked.send().await;
        assert_eq!(reply.body, "it rains []", "{path}");
    }
}
