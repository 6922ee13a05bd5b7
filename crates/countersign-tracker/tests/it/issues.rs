//! Hazard: what somebody typed or sent becomes something else on its way to a page.

use crate::client::{PNG, World};
use axum::body::Body;
use axum::http::{Method, StatusCode};
use futures_util::{StreamExt as _, poll, stream};
use http_body_util::BodyExt as _;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::timeout;

#[tokio::test]
async fn an_issue_is_made_with_its_attachment_and_said_something_about() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/issues/new").await.token();
    let page = ada.create(&token, "It <rains> & pours", Some(PNG)).await;
    assert_eq!(page.header("location"), "/issues/1");
    let page = ada.get("/issues/1").await;
    assert!(
        page.body.contains("It &lt;rains&gt; &amp; pours"),
        "{page:?}"
    );
    let id = page.text("src=\"/attachments/", "\"").unwrap();
    let image = ada.get(&format!("/attachments/{id}")).await;
    assert_eq!(image.header("content-type"), "image/png");
    assert_eq!(image.header("x-content-type-options"), "nosniff");
    assert_eq!(
        world
            .client()
            .get(&format!("/attachments/{id}"))
            .await
            .status
            .as_u16(),
        303
    );
    ada.submit("/issues/1", "/issues/1/comments", &[("comment", "Indeed")])
        .await;
    ada.submit("/issues/1", "/issues/1/state", &[("open", "false")])
        .await;
    let page = ada.get("/issues/1").await;
    assert!(page.body.contains("Indeed") && page.body.contains("Reopen"));
    let listed = ada.get("/").await;
    assert_eq!(listed.count("class=\"issue\""), 0);
    ada.submit("/", "/filter", &[("show", "closed")]).await;
    let listed = ada.get("/").await;
    assert_eq!(
        listed.count("class=\"issue\""),
        1,
        "the session knows what was chosen"
    );
    let mut ben = world.signed_in("ben").await;
    assert_eq!(
        ben.get("/").await.count("class=\"issue\""),
        0,
        "and nobody else's does"
    );
}

#[tokio::test]
async fn what_is_no_image_is_saved_and_not_shown() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.create(&token, "A page", Some(b"<html><script>alert(1)</script>"))
        .await;
    let page = ada.get("/issues/1").await;
    assert_eq!(page.count("<img"), 0);
    let id = page.text("href=\"/attachments/", "\"").unwrap();
    let file = ada.get(&format!("/attachments/{id}")).await;
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert!(
        file.header("content-disposition")
            .starts_with("attachment;")
    );
    assert!(file.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn a_form_that_breaks_a_rule_leaves_no_file_behind() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    for summary in ["", "   ", &"x".repeat(201)] {
        let page = ada.create(&token, summary, Some(PNG)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    none_left(&world).await;
}

fn files(world: &World) -> usize {
    let left = std::fs::read_dir(world.dir.path().join("attachments"));
    left.unwrap().count()
}

/// They are taken away by another thread than the one that answers.
async fn none_left(world: &World) {
    for _ in 0..1000 {
        if files(world) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} files are left", files(world));
}

#[tokio::test]
async fn whoever_hangs_up_while_they_send_leaves_no_file_behind() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    let field = |what: &str, text: &str| {
        format!("--B\r\nContent-Disposition: form-data; {what}\r\n\r\n{text}\r\n")
    };
    let begun = [
        field("name=\"atl_token\"", &token),
        field("name=\"file\"; filename=\"a\"", "a whole file"),
        field("name=\"file\"; filename=\"b\"", "a file without an end")
            .trim_end()
            .to_owned(),
    ];
    let begun = begun.concat();
    let body = || {
        let begun = stream::iter([Ok::<_, Infallible>(begun.clone())]);
        Body::from_stream(begun.chain(stream::pending()))
    };
    let kind = "multipart/form-data; boundary=B";
    let mut asked = Box::pin(ada.send(Method::POST, "/issues", kind, body()));
    while files(&world) < 2 {
        let waited = timeout(Duration::from_millis(5), &mut asked).await;
        assert!(waited.is_err(), "{waited:?}");
    }
    drop(asked);
    none_left(&world).await;
    // Also where a file is only about to be made.
    for polls in 0..40 {
        let mut asked = Box::pin(ada.send(Method::POST, "/issues", kind, body()));
        for _ in 0..polls {
            assert!(poll!(&mut asked).is_pending());
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    none_left(&world).await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.create(&token, "It stays", Some(PNG)).await;
    let cookies = ada.cookies.clone();
    drop(ada);
    let world = world.reopened().await;
    let mut ada = world.client();
    ada.cookies = cookies;
    assert!(ada.get("/issues/1").await.body.contains("It stays"));
}

#[tokio::test]
async fn an_attachment_is_never_in_memory_as_a_whole() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    let large = [PNG, &vec![b'x'; 1024 * 1024]].concat();
    ada.create(&token, "It is large", Some(&large)).await;
    let page = ada.get("/issues/1").await;
    let id = page.text("src=\"/attachments/", "\"").unwrap();
    let response = ada.open(&format!("/attachments/{id}")).await;
    let length = response.headers().get("content-length").unwrap();
    assert_eq!(length.to_str().unwrap(), large.len().to_string());
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= 64 * 1024, "{} bytes at once", piece.len());
        bytes.extend(piece);
    }
    assert!(bytes == large);
}
