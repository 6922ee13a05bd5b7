//! Hazard: a restart signs everybody out, or brings back whoever was signed out.

use crate::support::{Home, created, load, logged_in, principal};
use countersign_tower_sessions::CountersignStore;
use serde_json::json;
use tower_sessions::SessionStore as _;

fn close(store: CountersignStore) {
    let engine = store.engine().clone();
    drop(store);
    engine.close().wait().unwrap();
}

#[tokio::test]
async fn ids_lead_to_their_sessions_after_it_and_to_no_others() {
    let home = Home::new();
    let store = CountersignStore::new(home.open());
    let mut kept = Vec::new();
    for n in 0..200 {
        let name = format!("u{}", n % 20);
        let record = match n % 2 {
            0 => created(&store, [("n", json!(n))]).await,
            _ => created(&store, [("n", json!(n)), logged_in(&name)]).await,
        };
        kept.push(record);
    }
    let deleted = kept.pop().unwrap();
    store.delete(&deleted.id).await.unwrap();
    let revoked = created(&store, [logged_in("eve")]).await;
    close(store);
    let store = CountersignStore::new(home.open());
    for record in &kept {
        assert_eq!(load(&store, record.id).await.as_ref(), Some(record));
    }
    assert_eq!(load(&store, deleted.id).await, None);
    let listed = store.engine().sessions().list(principal("u1")).wait();
    assert_eq!(listed.unwrap().len(), 10);
    // It can be saved to, and ends, as before.
    let mut record = load(&store, kept[0].id).await.unwrap();
    record.data.insert("more".to_owned(), json!(true));
    store.save(&record).await.unwrap();
    assert_eq!(load(&store, record.id).await.unwrap().data.len(), 2);
    store.delete(&record.id).await.unwrap();
    assert_eq!(load(&store, record.id).await, None);
    let changed = store
        .engine()
        .credentials_changed(principal("eve"), None, None);
    changed.wait().unwrap();
    assert_eq!(load(&store, revoked.id).await, None);
}

#[tokio::test]
async fn what_ran_out_while_nobody_was_there_is_gone() {
    let home = Home::new();
    let store = CountersignStore::new(home.open());
    let record = created(&store, []).await;
    close(store);
    home.at(record.expiry_date, 0);
    let store = CountersignStore::new(home.open());
    assert_eq!(load(&store, record.id).await, None);
    assert_eq!(store.engine().sessions().counts().all, 0);
}
