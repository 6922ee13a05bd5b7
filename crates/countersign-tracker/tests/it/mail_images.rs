//! Hazard: a link to an image in a mail opens something else, or for somebody else, or too long;
//! a mail is lost.

use crate::client::{HOUR, PNG, World};
use axum::http::StatusCode;

/// The link in the mail that was sent last, without its host.
fn link_in_mail(world: &World) -> String {
    let outbox = std::fs::read_dir(world.dir.path().join("outbox")).unwrap();
    let last = outbox.map(|entry| entry.unwrap().path()).max().unwrap();
    let mail = std::fs::read_to_string(last).unwrap();
    let html = mail.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = html.split_once("src=\"http://tracker.example.org").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

async fn mailed() -> (World, String) {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.create(&token, "With an image", Some(PNG)).await;
    ada.submit("/issues/1", "/issues/1/mail", &[]).await;
    let link = link_in_mail(&world);
    (world, link)
}

#[tokio::test]
async fn it_opens_its_image_for_a_week_and_nothing_else() {
    let (world, link) = mailed().await;
    let mut reader = world.client();
    let image = reader.get(&link).await;
    assert_eq!(
        (image.status, image.header("content-type")),
        (StatusCode::OK, "image/png")
    );
    assert!(image.header("cache-control").starts_with("private"));
    assert_eq!(image.header("referrer-policy"), "no-referrer");
    assert!(reader.cookies.is_empty(), "it signs nobody in");
    let (path, token) = link.split_once('?').unwrap();
    let other = format!("/attachments/{}?{token}", "0".repeat(32));
    for bad in [other, format!("{path}?token=x"), format!("{link}&{token}")] {
        let status = reader.get(&bad).await.status;
        assert!(status.is_client_error(), "{bad}: {status}");
    }
    world.clock.advance(168 * HOUR);
    assert_eq!(reader.get(&link).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn switching_access_tokens_off_ends_it_for_good() {
    let (world, link) = mailed().await;
    let (mut ada, mut reader) = (world.signed_in("ada").await, world.client());
    for on in ["false", "true"] {
        let fields = [("subsystem", "access-tokens"), ("on", on)];
        let page = ada.submit("/admin", "/admin/switches", &fields).await;
        assert_eq!(page.header("location"), "/admin");
        assert_eq!(
            reader.get(&link).await.status,
            StatusCode::FORBIDDEN,
            "on: {on}"
        );
    }
}

#[tokio::test]
async fn it_opens_nothing_once_its_reader_is_no_user() {
    let (world, link) = mailed().await;
    assert_eq!(world.client().get(&link).await.status, StatusCode::OK);
    let file = world.dir.path().join("users.json");
    let users = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, users.replace("\"ada\"", "\"eve\"")).unwrap();
    let page = world.reopened().await.client().get(&link).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(
        page.body
            .contains("This link does not open the image any more."),
        "{page:?}"
    );
}

#[tokio::test]
async fn no_mail_takes_the_place_of_another_and_not_too_many_wait() {
    let world = World::new().await;
    let mut ada = world.signed_in("ada").await;
    let token = ada.get("/").await.token();
    ada.create(&token, "Without an image", None).await;
    let waiting = || {
        std::fs::read_dir(world.dir.path().join("outbox"))
            .unwrap()
            .count()
    };
    // The clock stands still.
    for count in 1..=100 {
        let page = ada.post("/issues/1/mail", &token, &[]).await;
        assert_eq!((page.status, waiting()), (StatusCode::SEE_OTHER, count));
    }
    let page = ada.post("/issues/1/mail", &token, &[]).await;
    assert_eq!(
        (page.status, waiting()),
        (StatusCode::UNPROCESSABLE_ENTITY, 100)
    );
    assert!(
        page.body.contains("100 mails to you have not gone out yet"),
        "{page:?}"
    );
    let mut ben = world.signed_in("ben").await;
    let page = ben.submit("/issues/1", "/issues/1/mail", &[]).await;
    assert_eq!((page.status, waiting()), (StatusCode::SEE_OTHER, 101));
}
