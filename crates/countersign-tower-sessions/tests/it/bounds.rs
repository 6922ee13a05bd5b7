//! Hazard: what an application keeps in a session has no end.

use crate::support::{created, load, policy, record, store_under};
use countersign::Draft;
use countersign_tower_sessions::CountersignStore;
use serde_json::{Value, json};
use tower_sessions::SessionStore as _;
use tower_sessions::session::Record;
use tower_sessions::session_store::Error;

fn small() -> (CountersignStore, crate::support::Home) {
    store_under(policy(|draft: &mut Draft| {
        draft.sessions.max_attributes = 2;
        draft.sessions.max_attribute_bytes = 100;
    }))
}

#[track_caller]
fn does_not_fit(outcome: &Result<(), Error>) {
    assert!(matches!(outcome, Err(Error::Encode(_))), "{outcome:?}");
}

fn over() -> [Vec<(&'static str, Value)>; 4] {
    let mut deep = json!(1);
    for _ in 0..128 {
        deep = json!([deep]);
    }
    [
        vec![("a", json!(1)), ("b", json!(1)), ("c", json!(1))],
        vec![("a", json!("x".repeat(100)))],
        vec![(
            "a-key-of-more-than-64-bytes-is-not-taken-whatever-it-is-about-here",
            json!(1),
        )],
        vec![("a", deep)],
    ]
}

fn with(mut record: Record, pairs: Vec<(&str, Value)>) -> Record {
    for (key, value) in pairs {
        record.data.insert(key.to_owned(), value);
    }
    record
}

#[tokio::test]
async fn what_is_over_a_bound_is_not_created() {
    let (store, _home) = small();
    for pairs in over() {
        does_not_fit(&store.create(&mut with(record([]), pairs)).await);
    }
    assert_eq!(store.engine().sessions().counts().all, 0);
}

#[tokio::test]
async fn what_is_over_a_bound_is_not_saved_and_what_is_there_stays() {
    let (store, _home) = small();
    let id = created(&store, [("a", json!(1))]).await.id;
    for pairs in over() {
        let loaded = load(&store, id).await.unwrap();
        does_not_fit(&store.save(&with(loaded, pairs)).await);
        let kept = load(&store, id).await.unwrap().data;
        assert_eq!(kept, [("a".to_owned(), json!(1))].into());
    }
    assert_eq!(store.late(), 0);
}

#[tokio::test]
async fn a_request_that_fits_by_itself_may_still_be_one_too_many() {
    let (store, _home) = small();
    let id = created(&store, []).await.id;
    let one = with(
        load(&store, id).await.unwrap(),
        vec![("a", json!(1)), ("b", json!(1))],
    );
    let other = with(load(&store, id).await.unwrap(), vec![("c", json!(1))]);
    store.save(&one).await.unwrap();
    does_not_fit(&store.save(&other).await);
    assert_eq!(load(&store, id).await.unwrap().data.len(), 2);
}
