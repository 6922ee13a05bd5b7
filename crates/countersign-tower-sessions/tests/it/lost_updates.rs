//! Hazard: of two requests that change a session at the same time, one undoes what the other did.

use crate::browser::get_with;
use crate::support::{created, load, record, store};
use axum::Router;
use axum::extract::Path;
use axum::routing::get as on_get;
use countersign::{AttributeChange, AttributeName, Value};
use countersign_tower_sessions::CountersignStore;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tower_sessions::session::Id;
use tower_sessions::{Session, SessionManagerLayer, SessionStore as _};

async fn holds(store: &CountersignStore, id: Id) -> BTreeMap<String, Json> {
    load(store, id).await.unwrap().data.into_iter().collect()
}

fn pairs<const N: usize>(pairs: [(&str, Json); N]) -> BTreeMap<String, Json> {
    pairs.map(|(key, value)| (key.to_owned(), value)).into()
}

#[tokio::test]
async fn two_that_change_different_keys_both_win() {
    let (store, _home) = store();
    let id = created(&store, [("a", json!(1)), ("b", json!(1)), ("c", json!(1))])
        .await
        .id;
    let mut first = load(&store, id).await.unwrap();
    let mut second = load(&store, id).await.unwrap();
    first.data.insert("a".to_owned(), json!(2));
    first.data.insert("new".to_owned(), json!("first"));
    second.data.insert("b".to_owned(), json!(2));
    second.data.remove("c");
    store.save(&first).await.unwrap();
    store.save(&second).await.unwrap();
    let expected = pairs([("a", json!(2)), ("b", json!(2)), ("new", json!("first"))]);
    assert_eq!(holds(&store, id).await, expected);
    // Again from what each knows: what it did not touch is still not its business.
    first.data.insert("a".to_owned(), json!(3));
    store.save(&first).await.unwrap();
    let expected = pairs([("a", json!(3)), ("b", json!(2)), ("new", json!("first"))]);
    assert_eq!(holds(&store, id).await, expected);
}

#[tokio::test]
async fn of_two_that_change_the_same_key_the_later_one_wins() {
    let (store, _home) = store();
    let id = created(&store, [("a", json!(1))]).await.id;
    let mut first = load(&store, id).await.unwrap();
    let mut second = load(&store, id).await.unwrap();
    first.data.insert("a".to_owned(), json!("first"));
    second.data.remove("a");
    store.save(&second).await.unwrap();
    store.save(&first).await.unwrap();
    assert_eq!(holds(&store, id).await, pairs([("a", json!("first"))]));
}

#[tokio::test]
async fn the_one_that_created_it_knows_what_it_began_with() {
    let (store, _home) = store();
    let mut own = created(&store, [("a", json!(1))]).await;
    let mut other = load(&store, own.id).await.unwrap();
    other.data.insert("b".to_owned(), json!(1));
    store.save(&other).await.unwrap();
    own.data.insert("a".to_owned(), json!(2));
    store.save(&own).await.unwrap();
    let expected = pairs([("a", json!(2)), ("b", json!(1))]);
    assert_eq!(holds(&store, own.id).await, expected);
}

#[tokio::test]
async fn a_record_that_nobody_loaded_is_kept_whole() {
    let (store, _home) = store();
    let id = created(&store, [("a", json!(1)), ("b", json!(1))]).await.id;
    let mut by_hand = record([("b", json!(2)), ("c", json!(3))]);
    by_hand.id = id;
    store.save(&by_hand).await.unwrap();
    assert_eq!(
        holds(&store, id).await,
        pairs([("b", json!(2)), ("c", json!(3))])
    );
}

#[tokio::test]
async fn what_the_host_keeps_through_the_engine_is_not_undone_either() {
    let (store, _home) = store();
    let id = created(&store, [("a", json!(1))]).await.id;
    let mut loaded = load(&store, id).await.unwrap();
    let sessions = store.engine().sessions();
    let bare = countersign::BareId::from_bytes(id.0.to_le_bytes());
    let live = sessions.touch_bare(&bare, None).wait().unwrap().live();
    let live = live.unwrap();
    let name = |text: &str| AttributeName::new(text).unwrap();
    let changes = vec![
        AttributeChange::Add(name("visits"), 7),
        AttributeChange::Set(name("key"), Value::Bytes(b"raw"[..].into())),
    ];
    sessions.update(&live, changes).wait().unwrap();
    loaded.data.insert("a".to_owned(), json!(2));
    store.save(&loaded).await.unwrap();
    let expected = pairs([("a", json!(2)), ("visits", json!(7))]);
    assert_eq!(holds(&store, id).await, expected);
    let described = sessions.describe(live.selector()).wait().unwrap();
    assert_eq!(
        described.value("key"),
        Some(&Value::Bytes(b"raw"[..].into()))
    );
}

/// An application in which each page sets a key of its own, over an await.
fn app(store: CountersignStore) -> Router {
    let page = async |session: Session, Path(key): Path<String>| {
        let _: Option<u32> = session.get("page").await.unwrap();
        tokio::task::yield_now().await;
        session.insert(&key, 1).await.unwrap();
    };
    Router::new()
        .route("/page/{key}", on_get(page))
        .layer(SessionManagerLayer::new(store))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn forty_pages_at_once_keep_what_each_of_them_set() {
    let (store, _home) = store();
    let id = created(&store, [("page", json!(0))]).await.id;
    let (app, cookie) = (app(store.clone()), format!("id={id}"));
    let requests: Vec<_> = (0..40)
        .map(|n| {
            let (app, cookie) = (app.clone(), cookie.clone());
            tokio::spawn(async move {
                get_with(&app, &format!("/page/{n}"), Some(&cookie))
                    .await
                    .status
            })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap().is_success());
    }
    assert_eq!(holds(&store, id).await.len(), 41);
}
