//! Hazard: whoever is revoked, or whose credentials change, stays logged in; or somebody is logged
//! in under an id that another knows.

use crate::support::{created, load, logged_in, policy, principal, record, store, store_under};
use countersign::{AttributeChange, AttributeName, Draft, Principal, Subsystem, Value};
use countersign_tower_sessions::CountersignStore;
use serde_json::json;
use tower_sessions::SessionStore as _;
use tower_sessions::session_store::Error;

#[track_caller]
fn sessions_of(store: &CountersignStore, name: &str) -> usize {
    let listed = store.engine().sessions().list(principal(name)).wait();
    listed.unwrap().len()
}

#[tokio::test]
async fn the_sessions_of_a_principal_are_listed_and_end_with_their_credentials() {
    let (store, _home) = store();
    let first = created(&store, [logged_in("ann")]).await.id;
    let second = created(&store, [logged_in("ann"), ("a", json!(1))])
        .await
        .id;
    let bob = created(&store, [logged_in("bob")]).await.id;
    assert_eq!(
        (sessions_of(&store, "ann"), sessions_of(&store, "bob")),
        (2, 1)
    );
    let engine = store.engine();
    let changed = engine.credentials_changed(principal("ann"), None, None);
    changed.wait().unwrap();
    for id in [first, second] {
        assert_eq!(load(&store, id).await, None);
    }
    assert!(load(&store, bob).await.is_some());
}

#[tokio::test]
async fn who_is_disabled_is_out_at_once_and_gets_no_session() {
    let (store, _home) = store();
    let id = created(&store, [logged_in("ann")]).await.id;
    let principals = store.engine().principals();
    principals.disable(principal("ann"), None).wait().unwrap();
    assert_eq!(load(&store, id).await, None);
    let mut again = record([logged_in("ann")]);
    let refused = store.create(&mut again).await;
    assert!(matches!(refused, Err(Error::Backend(_))), "{refused:?}");
}

#[tokio::test]
async fn switched_off_there_are_no_sessions() {
    let (store, _home) = store();
    let id = created(&store, []).await.id;
    let switches = store.engine().switches();
    switches.off(Subsystem::Sessions, None).wait().unwrap();
    assert_eq!(load(&store, id).await, None);
    assert!(store.create(&mut record([])).await.is_err());
}

#[tokio::test]
async fn nobody_is_logged_in_under_an_id_that_was_there_before() {
    let (store, _home) = store();
    let id = created(&store, [("a", json!(1))]).await.id;
    let mut planted = load(&store, id).await.unwrap();
    planted
        .data
        .extend([logged_in("ann")].map(|(k, v)| (k.to_owned(), v)));
    let refused = store.save(&planted).await;
    assert!(matches!(refused, Err(Error::Backend(_))), "{refused:?}");
    assert_eq!(load(&store, id).await.unwrap().data.len(), 1);
    // Under another id they are.
    store.delete(&planted.id).await.unwrap();
    store.create(&mut planted).await.unwrap();
    assert_ne!(planted.id, id);
    assert_eq!(sessions_of(&store, "ann"), 1);
    // And nobody else is in their place.
    planted
        .data
        .extend([logged_in("eve")].map(|(k, v)| (k.to_owned(), v)));
    assert!(store.save(&planted).await.is_err());
    assert_eq!(
        (sessions_of(&store, "ann"), sessions_of(&store, "eve")),
        (1, 0)
    );
}

#[tokio::test]
async fn one_may_have_so_many_and_the_oldest_goes() {
    let (store, home) = store_under(policy(|draft: &mut Draft| {
        draft.sessions.max_per_principal = 3;
    }));
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(created(&store, [logged_in("ann")]).await.id);
        home.clock.advance(std::time::Duration::from_secs(1));
    }
    let mut left = Vec::new();
    for id in &ids {
        left.push(load(&store, *id).await.is_some());
    }
    assert_eq!(left, [false, false, true, true, true]);
}

#[tokio::test]
async fn an_application_may_say_by_itself_whose_a_session_is() {
    let (store, _home) = store();
    let own = store.with_principal(|data| {
        let name = data.get("me").and_then(|name| name.as_str());
        Ok(name.map(Principal::new).transpose()?)
    });
    created(&own, [("me", json!("ann")), logged_in("bob")]).await;
    assert_eq!((sessions_of(&own, "ann"), sessions_of(&own, "bob")), (1, 0));
    let nobodys = own.clone().with_principal(|_| Ok(None));
    created(&nobodys, [("me", json!("ann"))]).await;
    assert_eq!(sessions_of(&nobodys, "ann"), 1);
}

/// Filed under nobody it would go on when they are revoked, and make way for visitors.
#[tokio::test]
async fn somebody_who_has_no_name_here_gets_no_session_rather_than_nobodys() {
    let (store, _home) = store();
    for id in [json!("ann\u{200e}"), json!("a".repeat(256)), json!(["ann"])] {
        let (key, kept) = ("axum-login.data", json!({ "user_id": id }));
        let error = store.create(&mut record([(key, kept.clone())])).await;
        let said = error.unwrap_err().to_string();
        assert!(said.contains("whoever is logged in"), "{said}");
        // Nor does a visitor's session become theirs by a save.
        let mut visitors = created(&store, []).await;
        visitors.data.insert(key.to_owned(), kept);
        store.save(&visitors).await.unwrap_err();
    }
    let counts = store.engine().sessions().counts();
    assert_eq!((counts.all, counts.anonymous), (3, 3), "visitors' alone");
}

#[tokio::test]
async fn a_native_token_and_a_bare_id_are_no_way_to_one_another() {
    let (store, _home) = store();
    let sessions = store.engine().sessions();
    let id = created(&store, []).await.id;
    let bare = countersign::BareId::from_bytes(id.0.to_le_bytes());
    let live = sessions
        .touch_bare(&bare, None)
        .wait()
        .unwrap()
        .live()
        .unwrap();
    let marked = AttributeChange::Set(AttributeName::new("m").unwrap(), Value::Boolean(true));
    sessions.update(&live, vec![marked]).wait().unwrap();
    // Given a token of the engine's, the session has no other credential.
    let renewed = sessions.renew(&live).wait().unwrap();
    assert_eq!(load(&store, id).await, None);
    let text = renewed.token.expose();
    assert!(sessions.touch(text, None).wait().unwrap().is_in());
    store.delete(&id).await.unwrap();
    assert!(sessions.touch(text, None).wait().unwrap().is_in());
}
