//! Hazard: visitors without end push out who is logged in, or fill memory or the disk.

use crate::support::{created, load, logged_in, policy, store_under};
use countersign::Draft;
use serde_json::json;
use std::time::Duration;
use tower_sessions::SessionStore as _;
use tower_sessions::session::Id;

#[tokio::test]
async fn visitors_make_way_for_one_another_and_nobody_who_is_logged_in_does() {
    let bounds = |draft: &mut Draft| {
        (draft.sessions.max_sessions, draft.sessions.max_anonymous) = (600, 500);
    };
    let (store, home) = store_under(policy(bounds));
    let mut members = Vec::new();
    for n in 0..100 {
        members.push(created(&store, [logged_in(&format!("u{n}"))]).await.id);
    }
    home.clock.advance(Duration::from_secs(60));
    for n in 0..5000 {
        created(&store, [("n", json!(n))]).await;
    }
    let counts = store.engine().sessions().counts();
    assert_eq!((counts.all, counts.anonymous), (600, 500));
    for member in members {
        assert!(load(&store, member).await.is_some());
    }
}

#[tokio::test]
async fn ids_that_nobody_has_write_nothing_and_keep_nothing() {
    let (store, home) = store_under(policy(|_| {}));
    created(&store, [logged_in("ann")]).await;
    let engine = store.engine();
    engine.maintain().wait().unwrap();
    let file = home.dir.path().join("state.redb");
    let before = std::fs::read(&file).unwrap();
    for n in 0..5000_i128 {
        assert_eq!(load(&store, Id(n << 64 | n)).await, None);
        store.delete(&Id(n << 64 | n)).await.unwrap();
    }
    assert_eq!(engine.sessions().counts().all, 1);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
