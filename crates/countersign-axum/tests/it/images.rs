//! Hazard: an image of a mail that a cache keeps for everybody, whose link leaks, or that opens
//! more than itself (S10).

use crate::application::{HOUR, World, principal};
use crate::browser::Browser;
use countersign::AttachmentId;
use http::StatusCode;

fn sign(world: &World, name: &str) -> String {
    let image = AttachmentId::new(name).unwrap();
    let signed = world.engine.images().sign(principal("ann"), image);
    signed.wait().unwrap().text.expose().to_owned()
}

#[tokio::test]
async fn a_link_opens_its_image_without_a_session_and_nothing_else() {
    let world = World::new();
    let link = sign(&world, "cat");
    let mut reader = Browser::new(&world);
    let reply = reader
        .get(&format!("/image/cat?size=2&jwt={link}"))
        .send()
        .await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "ann"));
    assert_eq!(reply.header("cache-control"), "private, max-age=3600");
    assert_eq!(reply.header("referrer-policy"), "no-referrer");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("content-type"), "image/png");
    assert!(reply.cookies().is_empty());
    for (path, status) in [
        (format!("/image/dog?jwt={link}"), StatusCode::FORBIDDEN),
        ("/image/cat".to_owned(), StatusCode::FORBIDDEN),
        ("/image/cat?jwt=".to_owned(), StatusCode::FORBIDDEN),
        (format!("/image/cat?JWT={link}"), StatusCode::FORBIDDEN),
        (
            format!("/image/cat?jwt={}", "x".repeat(50_000)),
            StatusCode::FORBIDDEN,
        ),
        (
            format!("/image/cat?jwt={link}&jwt={link}"),
            StatusCode::BAD_REQUEST,
        ),
        (format!("/mine?jwt={link}"), StatusCode::UNAUTHORIZED),
    ] {
        let reply = reader.get(&path).send().await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    // The token is taken from nowhere else.
    let reply = reader.get("/image/cat").bearer(&link).send().await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn it_is_kept_no_longer_than_the_link_works() {
    let world = World::with(
        |draft| {
            draft.image_tokens.expiry_hours = 2;
            draft.image_tokens.bucket = HOUR / 2;
        },
        |layer| layer.image_parameter("t").image_max_age(90 * HOUR),
    );
    let link = sign(&world, "cat");
    let mut reader = Browser::new(&world);
    let age = |reply: &crate::browser::Reply| -> u64 {
        let said = reply
            .header("cache-control")
            .strip_prefix("private, max-age=");
        said.unwrap().parse().unwrap()
    };
    let path = format!("/image/cat?t={link}");
    let first = age(&reader.get(&path).send().await);
    assert!((3600..=7200).contains(&first), "{first}");
    world.clock.advance(HOUR);
    assert_eq!(age(&reader.get(&path).send().await), first - 3600);
    world.clock.advance(HOUR);
    assert_eq!(reader.get(&path).send().await.status, StatusCode::FORBIDDEN);
    let image = AttachmentId::new("cat").unwrap();
    let link = sign(&world, "cat");
    world.engine.images().revoke(image, None).wait().unwrap();
    let reply = reader.get(&format!("/image/cat?t={link}")).send().await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}
