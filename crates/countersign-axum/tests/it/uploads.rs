//! Hazard: a file that is taken in before anybody knows whether its form is ours, and text that is
//! lost with an upload (S6).

use crate::application::World;
use crate::browser::{Browser, Reply, signed_in};
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
        "<input type=\"file\" id=\"u0\" name=\"attachment\" multiple>",
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

/// A browser sends a field in which nothing was picked as a file without a name.
#[tokio::test]
async fn nobody_is_asked_for_a_file_that_they_never_picked() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    browser.post("/log-out").send().await;
    browser.log_in("sam").await;
    let none = file("attachment", "").replace("a.png", "");
    let one = file("attachment", "xyz");
    for (files, picked) in [
        (vec![none.clone()], false),
        (vec![one.clone()], true),
        (vec![one.clone(), one.clone()], true),
        (vec![none, one], true),
    ] {
        let parts = [vec![text("atl_token", &token)], files].concat();
        let upload = browser.post("/upload").html().multipart(form(&parts));
        let reply = upload.send().await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
        assert_eq!(reply.body.contains("pick it again"), picked, "{parts:?}");
        // There is room for files all the same, once for each field.
        assert_eq!(reply.body.matches("type=\"file\"").count(), 1, "{parts:?}");
    }
}

/// A body in pieces, and how much of it was taken.
fn counted(pieces: impl Iterator<Item = Bytes> + Send + 'static) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    let pieces = pieces.map(move |piece| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
        Ok::<_, std::io::Error>(piece)
    });
    (Body::from_stream(futures_util::stream::iter(pieces)), taken)
}

fn repeated(text: &'static [u8], times: usize) -> impl Iterator<Item = Bytes> + Send {
    std::iter::repeat_n(Bytes::from_static(text), times)
}

#[tokio::test]
async fn of_a_refused_upload_no_more_is_read_than_the_bound() {
    const PIECE: usize = 64 * 1024;
    let world = World::with(|_| {}, |layer| layer.max_drained_bytes(4 * PIECE));
    let (mut browser, _) = signed_in(&world).await;
    let front = file("attachment", "").trim_end().to_owned() + "\r\n\r\n";
    let front = std::iter::once(Bytes::from(front));
    let (body, taken) = counted(front.chain(repeated(&[b'x'; PIECE], 30)));
    let reply = browser.post("/upload").multipart(body).send().await;
    assert!(reply.body.contains("\"missing\""), "{}", reply.body);
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken <= 8 * PIECE, "{taken} bytes were read");
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

/// The parser looks through all that it has for each piece that comes, as long as it finds nothing.
#[tokio::test]
async fn what_holds_no_part_is_not_read_on() {
    let world = World::with(|_| {}, |layer| layer.max_drained_bytes(1 << 30));
    let mut stranger = Browser::new(&world);
    stranger.app = stranger
        .app
        .layer(axum::extract::DefaultBodyLimit::disable());
    let head = b"--B\r\nContent-Disposition: form-data; name=\"".as_slice();
    let in_front = repeated(b"BBBBBBBB-BBBBBBBB-BBBBBBBB-BBBBB", 200_000);
    let in_a_head = repeated(head, 1).chain(repeated(&[b'x'; 1024], 10_000));
    let pieces: [Box<dyn Iterator<Item = Bytes> + Send>; 2] =
        [Box::new(in_front), Box::new(in_a_head)];
    for pieces in pieces {
        let (body, taken) = counted(pieces);
        let reply = stranger.post("/upload").multipart(body).send().await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST);
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken < 256 * 1024, "{taken} bytes were taken");
    }
}

/// Whoever is signed in, or has a token, may be anybody.
#[tokio::test]
async fn nor_is_it_in_a_form_whose_token_is_good() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let no_bound = axum::extract::DefaultBodyLimit::disable();
    browser.app = browser.app.layer(no_bound);
    let bearer = world.issue("tina", &[]);
    let heads = [
        "--B\r\nContent-Disposition: form-data; name=\"".to_owned(),
        text("summary", "x") + "--B\r\nContent-Disposition: form-data; name=\"",
        file("first", "x") + "--B\r\nContent-Disposition: form-data; name=\"",
    ];
    for (head, way) in heads
        .iter()
        .flat_map(|head| (0..3).map(move |way| (head, way)))
    {
        let front = match way {
            0 => text("atl_token", &token) + head,
            _ => head.clone(),
        };
        let front = std::iter::once(Bytes::from(front));
        let (body, taken) = counted(front.chain(repeated(&[b'x'; 1024], 10_000)));
        let mut script = browser.clone();
        let asked = match way {
            2 => {
                script.cookies.clear();
                script.post("/upload").bearer(bearer.token.expose())
            }
            1 => script.post("/upload").header("x-csrf-token", &token),
            _ => script.post("/upload"),
        };
        let reply = asked.multipart(body).send().await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{way}");
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken < 512 * 1024, "{way}: {taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_file_that_nobody_wants_to_have_is_passed_over_however_long_it_is() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let long = "x".repeat(1_000_000);
    let parts = [
        text("atl_token", &token),
        file("first", &long),
        file("second", &"y".repeat(100_000)),
        text("last", "3"),
    ];
    let whole = Bytes::from(format!("{}--B--\r\n", parts.concat()));
    let pieces = (0..whole.len()).step_by(1000);
    let pieces: Vec<_> = pieces
        .map(|at| whole.slice(at..whole.len().min(at + 1000)))
        .collect();
    let (body, _) = counted(pieces.into_iter());
    let reply = browser.post("/names").multipart(body).send().await;
    assert_eq!(reply.body, "first\nsecond\n");
}

/// An administrator looks at these counts to see an attack.
#[tokio::test]
async fn an_upload_that_is_good_is_told_as_no_refusal_and_one_without_a_token_as_one() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let refused = || world.engine.stats().verdicts.refused_in_all();
    let before = refused();
    let parts = [text("atl_token", &token), file("f", "xyz")];
    assert_eq!(upload(&mut browser, &parts).await.status, StatusCode::OK);
    assert_eq!(refused(), before);
    upload(&mut browser, &parts[1..]).await;
    assert_eq!(refused(), before + 1);
}

#[tokio::test]
async fn heads_without_end_are_drained_within_the_bound() {
    let world = World::with(|_| {}, |layer| layer.max_drained_bytes(100_000));
    let mut stranger = Browser::new(&world);
    stranger.app = stranger
        .app
        .layer(axum::extract::DefaultBodyLimit::disable());
    let part = b"--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\n\r\n";
    let (body, taken) = counted(repeated(part, 100_000));
    let reply = stranger.post("/upload").multipart(body).send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 400_000, "{taken} bytes were taken");
}

#[tokio::test]
async fn a_second_token_is_refused_as_in_any_form() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let parts = [text("atl_token", &token), text("atl_token", "another")];
    let reply = upload(&mut browser, &parts).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    // In a header it counts alone.
    let asked = browser.post("/upload").header("x-csrf-token", &token);
    assert_eq!(asked.multipart(form(&parts)).send().await.body, "");
}

#[tokio::test]
async fn a_file_is_one_however_its_name_is_written() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let heads: [&[u8]; 4] = [
        b"; filename*=UTF-8''%e2%82%ac.png\r\nContent-Type: image/png",
        b"; filename=\"\xe9t\xe9.png\"\r\nContent-Type: image/png",
        b"; FileName=a.png",
        b"\r\nContent-Type: application/octet-stream",
    ];
    for head in heads {
        let mut body = text("atl_token", &token).into_bytes();
        body.extend(b"--B\r\nContent-Disposition: form-data; name=\"f\"");
        body.extend(head);
        body.extend(b"\r\n\r\n\x89\xff\r\n--B--\r\n");
        let reply = browser.post("/upload").multipart(Body::from(body)).send();
        let reply = reply.await;
        let seen = reply.body.starts_with("f: ") && reply.body.ends_with(" 2\n");
        assert!(seen, "{}: {}", head.escape_ascii(), reply.body);
    }
}

#[tokio::test]
async fn a_long_text_may_stand_in_front_of_the_token() {
    let world = World::new();
    let (mut browser, token) = signed_in(&world).await;
    let long = "x".repeat(500_000);
    let parts = [text("summary", &long), text("atl_token", &token)];
    let reply = upload(&mut browser, &parts).await;
    assert_eq!(reply.body, format!("summary={long}\n"));
}
