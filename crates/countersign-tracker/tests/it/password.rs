//! Hazard: a password is new, and what was open under the old one lives on.

use crate::client::{Client, PASSWORD, Page, World};
use axum::http::{Method, StatusCode};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

const NEW: &str = "another secret";
const FIELDS: [(&str, &str); 2] = [("old_password", PASSWORD), ("new_password", NEW)];

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let world = World::new().await;
    let (mut here, mut there) = (world.signed_in("ada").await, world.signed_in("ada").await);
    let before = here.cookies.clone();
    let fields = |old: &'static str| [("old_password", old), ("new_password", "another secret")];
    let page = here
        .submit("/profile/password", "/profile/password", &fields("wrong"))
        .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(there.who().await.as_deref(), Some("ada"));
    let page = here
        .submit("/profile/password", "/profile/password", &fields(PASSWORD))
        .await;
    assert_eq!(page.header("location"), "/profile/sessions");
    assert_eq!(here.who().await.as_deref(), Some("ada"));
    assert_eq!(there.who().await, None);
    assert_ne!(
        here.cookies, before,
        "the session that stays has a new token"
    );
    let mut again = world.client();
    let status = again.log_in("ada", PASSWORD).await.status;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        again.log_in("ada", "another secret").await.status,
        StatusCode::SEE_OTHER
    );
}

/// Changes the password as far as the file, where nobody has looked at the answer of the disk yet.
async fn change_halfway<'a>(
    world: &World,
    client: &'a mut Client,
) -> Pin<Box<dyn Future<Output = Page> + 'a>> {
    let token = client.get("/profile/password").await.token();
    let read = || std::fs::read(world.dir.path().join("users.json")).unwrap();
    let before = read();
    let mut asked: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { client.post("/profile/password", &token, &FIELDS).await });
    while read() == before {
        let polled = std::future::poll_fn(|context| Poll::Ready(asked.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        tokio::task::yield_now().await;
        // The runtime has this thread alone: nothing goes on but what others do.
        std::thread::sleep(Duration::from_millis(10));
    }
    asked
}

#[tokio::test]
async fn whoever_hangs_up_halfway_leaves_no_session_open() {
    let world = World::new().await;
    let (mut here, mut there) = (world.signed_in("ada").await, world.signed_in("ada").await);
    drop(change_halfway(&world, &mut here).await);
    for _ in 0..500 {
        // A log-in at the instant of the change is told to come again.
        if there.who().await.is_none()
            && world.client().log_in("ada", NEW).await.status == StatusCode::SEE_OTHER
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the other session lives on under the new password");
}

#[tokio::test]
async fn what_could_not_be_ended_is_said() {
    let world = World::new().await;
    let mut here = world.signed_in("ada").await;
    let asked = change_halfway(&world, &mut here).await;
    // Waited for on this thread, so that the second step comes after it.
    world.tracker.engine().close().wait().unwrap();
    let page = asked.await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(page.body.contains("Your new password holds"), "{page:?}");
}

#[tokio::test]
async fn access_tokens_end_with_it_where_the_box_is_ticked() {
    let ticked = [FIELDS[0], FIELDS[1], ("revoke_tokens", "on")];
    for (fields, alike) in [(FIELDS.as_slice(), 200), (&ticked, 401)] {
        let world = World::new().await;
        let (mut ada, mut ben) = (world.signed_in("ada").await, world.signed_in("ben").await);
        let (own, another) = (issue(&mut ada).await, issue(&mut ben).await);
        let page = ada.get("/profile/password").await;
        assert_eq!(
            page.count("name=\"revoke_tokens\" type=\"checkbox\" checked"),
            1
        );
        let page = ada.post("/profile/password", &page.token(), fields).await;
        assert_eq!(page.header("location"), "/profile/sessions");
        let mut script = world.client();
        for (token, status) in [(own, alike), (another, 200)] {
            let me = script.api(Method::GET, "/api/me", &token, "").await;
            assert_eq!(me.status.as_u16(), status, "{fields:?}");
        }
    }
}

async fn issue(client: &mut Client) -> String {
    let fields = [
        ("token_name", "ci"),
        ("scope", "issues:read"),
        ("days", "30"),
    ];
    let page = client.submit("/profile/tokens", "/profile/tokens", &fields);
    page.await.text("class=\"secret\">", "<").unwrap()
}
