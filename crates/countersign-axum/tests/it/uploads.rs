//! Hazard: a file that is taken in before anybody knows whether its form is ours, and text that is
//! lost with an upload (S6).

use crate::application::World;
use crate::browser::{Browser, Reply};
use axum::body::Body;
use bytes::Bytes;
use countersign::core::csrf::CsrfVerdict;
use http::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn text(name: &str, text: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
}

fn file(name: &str, content: &str) -> String {
    format!(
        "--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\
         Content-Type: image/png\r\n\r\n{content}\r\n"
    )
}

fn form(parts: &[String]) -> Body {
    Body::from(format!("{}--B--\r\n", parts.concat()))
}

async fn upload(browser: &mut Browser, parts: &[String]) -> Reply {
    browser.post("/upload").multipart(form(parts)).send().await
}

async fn signed_in(world: &World) -> (Browser, String) {
    let mut browser = Browser::new(world);
    browser.log_in("sam").await;
    let token = browser.token().await;
    (browser, token)
}

#[tokio::test]
async fn parts_come_in_order_without_the_token() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let parts = [
        text("before", "1"),
        text("atl_token", &token),
        text("after", "2"),
        file("attachment", "0123456789"),
        text("last", "3"),
        file("second", ""),
    ];
    let seen = "before=1\nafter=2\nattachment: a.png 10\nlast=3\nsecond: a.png 0\n";
    assert_eq!(upload(&mut browser, &parts).await.body, seen);
    // In a header, and by access token, it need not stand in front.
    let late = [&parts[3..], &parts[..1]].concat();
    let seen = "attachment: a.png 10\nlast=3\nsecond: a.png 0\nbefore=1\n";
    let asked = browser.post("/upload").header("x-csrf-token", &token);
    assert_eq!(asked.multipart(form(&late)).send().await.body, seen);
    let bearer = world.issue("tina", &[]);
    let mut script = Browser::new(&world);
    let asked = script.post("/upload").bearer(bearer.token.expose());
    assert_eq!(asked.multipart(form(&late)).send().await.body, seen);
}

#[tokio::test]
async fn a_token_that_comes_after_a_file_or_not_at_all_is_missing() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    for parts in [
        vec![file("attachment", "x"), text("atl_token", &token)],
        vec![
            text("summary", "s"),
            file("attachment", "x"),
            text("atl_token", &token),
        ],
        vec![text("summary", "s")],
        vec![],
    ] {
        let reply = upload(&mut browser, &parts).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{parts:?}");
        assert!(reply.body.contains("\"missing\""), "{}", reply.body);
    }
    // A file under the token's name is no token.
    let named = file("atl_token", &token);
    let reply = upload(&mut browser, &[named]).await;
    assert!(reply.body.contains("\"missing\""), "{}", reply.body);
}

#[tokio::test]
async fn what_was_typed_is_kept_on_both_sides_of_the_file() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    browser.post("/log-out").send().await;
    browser.log_in("sam").await;
    let body = form(&[
        text("summary", "it <rains>"),
        text("atl_token", &token),
        text("password", "hush"),
        file("attachment", "secret content"),
        text("description", "cats & dogs"),
    ]);
    let reply = browser.post("/upload").html().multipart(body).send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    for part in [
        "You signed in anew",
        "it &lt;rains&gt;",
        "cats &amp; dogs",
        "pick it again",
        "enctype=\"multipart/form-data\"",
        "<input type=\"file\" id=\"u0\" name=\"attachment\">",
    ] {
        assert!(reply.body.contains(part), "no {part} in {}", reply.body);
    }
    for part in ["hush", "secret content", &token] {
        assert!(!reply.body.contains(part), "{part} in {}", reply.body);
    }
    // The page's own token carries the form out.
    let (_, rest) = reply
        .body
        .split_once("name=\"atl_token\" value=\"")
        .unwrap();
    let fresh = rest.split('"').next().unwrap();
    let reply = upload(&mut browser, &[text("atl_token", fresh), file("a", "xyz")]).await;
    assert_eq!(reply.body, "a: a.png 3\n");
}

/// A body that counts how much of it was asked for.
fn counted(front: String, pieces: usize, size: usize) -> (Body, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let front = Some(Bytes::from(front));
    let stream = futures_util::stream::unfold((front, 0), move |(front, n)| {
        let count = Arc::clone(&count);
        async move {
            if let Some(front) = front {
                return Some((Ok::<_, std::io::Error>(front), (None, n)));
            }
            if n == pieces {
                return None;
            }
            count.fetch_add(size, Ordering::SeqCst);
            Some((Ok(Bytes::from(vec![b'x'; size])), (None, n + 1)))
        }
    });
    (Body::from_stream(stream), sent)
}

#[tokio::test]
async fn of_a_refused_upload_no_more_is_read_than_the_bound() {
    const PIECE: usize = 64 * 1024;
    let world = World::with(|_| {}, |layer| layer.max_drained_bytes(4 * PIECE));
    let (mut browser, _) = signed_in(&world).await;
    let (body, sent) = counted(
        file("attachment", "").trim_end().to_owned() + "\r\n\r\n",
        30,
        PIECE,
    );
    let reply = browser.post("/upload").multipart(body).send().await;
    assert!(reply.body.contains("\"missing\""), "{}", reply.body);
    let sent = sent.load(Ordering::SeqCst);
    assert!(sent <= 8 * PIECE, "{sent} bytes were read");
}

#[tokio::test]
async fn a_file_longer_than_the_bound_is_413_and_one_that_breaks_off_400() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let long = file("attachment", &"x".repeat(3 * 1024 * 1024));
    let reply = upload(&mut browser, &[text("atl_token", &token), long]).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    for cut in [
        text("atl_token", &token),
        text("atl_token", &token) + "--B\r\nContent-Disp",
        text("atl_token", &token) + file("a", "xyz").trim_end(),
        "--B\r\nno colon\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let reply = browser
            .post("/upload")
            .multipart(Body::from(cut.clone()))
            .send()
            .await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{cut}");
    }
    let reply = browser.post("/upload").form("a=b").send().await;
    assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn texts_in_front_of_the_token_are_bounded() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let many: Vec<_> = (0..300).map(|n| text(&format!("f{n}"), "")).collect();
    let long = vec![
        text("a", &"x".repeat(700_000)),
        text("b", &"x".repeat(700_000)),
    ];
    for mut parts in [many, long] {
        parts.push(text("atl_token", &token));
        let reply = upload(&mut browser, &parts).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    let endless = [text("atl_token", &"x".repeat(10_000))];
    let reply = upload(&mut browser, &endless).await;
    assert!(
        reply.body.contains(CsrfVerdict::Malformed.word()),
        "{}",
        reply.body
    );
}
