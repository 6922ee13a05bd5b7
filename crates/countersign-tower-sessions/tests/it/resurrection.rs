//! Hazard: a request in flight, or a stranger's cookie, brings a session into being.

use crate::browser::{SetCookie, get, get_with};
use crate::support::{created, in_half_an_hour, load, record, store, store_under};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get as on_get;
use countersign::{Draft, EndedBy};
use serde_json::json;
use std::time::Duration;
use tower_sessions::session::Id;
use tower_sessions::{Session, SessionManagerLayer, SessionStore as _};

#[tokio::test]
async fn a_save_after_a_delete_brings_nothing_back() {
    let (store, _home) = store();
    let mut loaded = created(&store, [("a", json!(1))]).await;
    store.delete(&loaded.id).await.unwrap();
    loaded.data.insert("b".to_owned(), json!(2));
    store.save(&loaded).await.unwrap();
    assert_eq!(load(&store, loaded.id).await, None);
    assert_eq!(
        (store.late(), store.engine().sessions().counts().all),
        (1, 0)
    );
    // Nor does another delete, or a create that names the same id.
    store.delete(&loaded.id).await.unwrap();
    let dead = loaded.id;
    store.create(&mut loaded).await.unwrap();
    assert_ne!(loaded.id, dead);
    assert_eq!(load(&store, dead).await, None);
}

#[tokio::test]
async fn a_save_after_its_time_brings_nothing_back() {
    let (store, home) = store();
    let mut loaded = created(&store, [("a", json!(1))]).await;
    home.at(loaded.expiry_date, 0);
    loaded.expiry_date = in_half_an_hour() + Duration::from_secs(3600);
    store.save(&loaded).await.unwrap();
    assert_eq!(load(&store, loaded.id).await, None);
    assert_eq!(store.late(), 1);
}

#[tokio::test]
async fn a_save_after_an_operator_or_a_bound_ended_it_brings_nothing_back() {
    let small = |draft: &mut Draft| {
        (draft.sessions.max_sessions, draft.sessions.max_anonymous) = (2, 1);
    };
    let (store, _home) = store_under(crate::support::policy(small));
    let ended = created(&store, [("a", json!(1))]).await;
    let sessions = store.engine().sessions();
    sessions.end_everything(EndedBy::Operator).wait().unwrap();
    let evicted = created(&store, [("a", json!(1))]).await;
    created(&store, [("a", json!(1))]).await;
    for late in [ended, evicted] {
        store.save(&late).await.unwrap();
        assert_eq!(load(&store, late.id).await, None);
    }
    assert_eq!((store.late(), sessions.counts().all), (2, 1));
}

#[tokio::test]
async fn an_id_that_was_never_created_becomes_no_session() {
    let (store, _home) = store();
    for id in [0, 1, -1, i128::MAX, i128::MIN] {
        let mut planted = record([("a", json!(1))]);
        planted.id = Id(id);
        store.save(&planted).await.unwrap();
        assert_eq!(load(&store, planted.id).await, None);
        store.delete(&planted.id).await.unwrap();
    }
    assert_eq!(store.engine().sessions().counts().all, 0);
    assert_eq!(store.late(), 5);
}

fn app() -> (
    Router,
    countersign_tower_sessions::CountersignStore,
    crate::support::Home,
) {
    let (store, home) = store();
    let clear = async |session: Session| {
        // Nothing is loaded by this: the layer then saves under the cookie's id.
        session.clear().await;
        session.insert("planted", 1).await.unwrap();
    };
    let app = Router::new()
        .route("/clear", on_get(clear))
        .layer(SessionManagerLayer::new(store.clone()));
    (app, store, home)
}

#[tokio::test]
async fn a_cookie_that_a_stranger_made_up_becomes_nobodys_session() {
    let (app, store, _home) = app();
    let planted = "id=AAAAAAAAAAAAAAAAAAAAAA";
    let answer = get_with(&app, "/clear", Some(planted)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(store.engine().sessions().counts().all, 0);
    assert_eq!(load(&store, Id(0)).await, None);
}

#[tokio::test]
async fn the_requests_in_flight_at_a_log_out_are_answered_and_keep_nothing() {
    let (store, _home) = store();
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waiting = std::sync::Arc::clone(&gate);
    let slow = async move |session: Session| {
        session.insert("cart", "full").await.unwrap();
        waiting.acquire().await.unwrap().forget();
    };
    let app = Router::new()
        .route(
            "/begin",
            on_get(async |s: Session| s.insert("a", 1).await.unwrap()),
        )
        .route("/slow", on_get(slow))
        .route(
            "/flush",
            on_get(async |s: Session| s.flush().await.unwrap()),
        )
        .layer(SessionManagerLayer::new(store.clone()));
    let cookie: SetCookie = get(&app, "/begin", None).await.cookie().clone();
    let in_flight: Vec<_> = (0..8)
        .map(|_| {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move { get(&app, "/slow", Some(&cookie)).await.status })
        })
        .collect();
    tokio::task::yield_now().await;
    get(&app, "/flush", Some(&cookie)).await;
    gate.add_permits(8);
    for request in in_flight {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    // Those that had not begun before the log-out have sessions of their own.
    let answer = get(&app, "/flush", Some(&cookie)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let id: Id = cookie.value.parse().unwrap();
    assert_eq!(load(&store, id).await, None);
}
