//! Hazard: a cookie that is lost because the body was still on its way when the head was sent.
//!
//! This runs over a real server and a real connection.

use crate::application::{MINUTE, World};
use crate::browser::{Browser, REMEMBER, SESSION};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The head of the answer, read by itself, and the rest of it.
async fn request(world: &World, head: &str) -> (String, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = world.app.clone();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nHost: issues.example.org\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut answer, mut piece) = (Vec::new(), [0; 1]);
    while !answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read(&mut piece).await.unwrap(), 0);
        answer.push(piece[0]);
    }
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    server.abort();
    (String::from_utf8(answer).unwrap().to_lowercase(), rest)
}

#[tokio::test]
async fn a_rotated_device_cookie_comes_in_front_of_a_streamed_body() {
    let world = World::new();
    let mut browser = Browser::new(&world);
    browser.log_in_remembered("dora").await;
    world.clock.advance(10 * MINUTE);
    let cookie = format!("Cookie: {REMEMBER}={}", browser.cookies[REMEMBER]);
    for (path, status) in [("/stream", "200"), ("/fail", "500")] {
        let head = format!("GET {path} HTTP/1.1\r\n{cookie}");
        let (head, body) = request(&world, &head).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
        for name in [REMEMBER, SESSION] {
            let set = format!("set-cookie: {name}=").to_lowercase();
            assert_eq!(head.matches(&set).count(), 1, "{head}");
        }
        assert!(head.contains("cache-control: no-store"));
        if path == "/stream" {
            // Chunked; and what comes after the head changes no cookie any more.
            assert!(
                body.contains("first\n") && body.contains("too_late\n"),
                "{body}"
            );
        }
    }
    // No session of hers was left that nobody has a token of.
    let mallory = crate::application::principal("mallory");
    assert_eq!(
        world.engine.sessions().list(mallory).wait().unwrap().len(),
        0
    );
}
