//! Hazard: a session lives on after its time, whoever sets that: the application or the policy.

use crate::support::{created, in_half_an_hour, load, policy, record, store, store_under};
use countersign::Draft;
use serde_json::json;
use std::time::Duration;
use time::OffsetDateTime;
use tower_sessions::SessionStore as _;
use tower_sessions::session_store::ExpiredDeletion as _;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn it_ends_at_its_expiry_and_no_use_puts_that_off() {
    let (store, home) = store();
    let record = created(&store, []).await;
    home.at(record.expiry_date, -1);
    assert!(load(&store, record.id).await.is_some());
    home.at(record.expiry_date, 0);
    assert_eq!(load(&store, record.id).await, None);
}

#[tokio::test]
async fn a_save_moves_its_end_both_ways() {
    let (store, home) = store();
    let mut record = created(&store, []).await;
    record.expiry_date = in_half_an_hour() + HOUR;
    store.save(&record).await.unwrap();
    home.clock.advance(HOUR);
    let loaded = load(&store, record.id).await.unwrap();
    let whole = record.expiry_date - loaded.expiry_date;
    assert!(
        whole >= Duration::ZERO && whole < Duration::from_millis(1),
        "{whole}"
    );
    record.expiry_date = OffsetDateTime::now_utc();
    store.save(&record).await.unwrap();
    assert_eq!(load(&store, record.id).await, None);
}

#[tokio::test]
async fn what_is_created_after_its_time_is_never_there() {
    let (store, _home) = store();
    for expiry in [
        OffsetDateTime::UNIX_EPOCH,
        OffsetDateTime::now_utc() - MINUTE,
    ] {
        let mut late = record([]);
        late.expiry_date = expiry;
        store.create(&mut late).await.unwrap();
        assert_eq!(load(&store, late.id).await, None);
    }
}

#[tokio::test]
async fn the_policy_holds_beside_it() {
    let short = |draft: &mut Draft| {
        (draft.sessions.idle_timeout, draft.sessions.absolute_timeout) = (HOUR, 3 * HOUR);
    };
    let (store, home) = store_under(policy(short));
    let mut eternal = record([]);
    eternal.expiry_date = time::PrimitiveDateTime::MAX.assume_utc();
    store.create(&mut eternal).await.unwrap();
    let mut idle = record([]);
    idle.expiry_date = eternal.expiry_date;
    store.create(&mut idle).await.unwrap();
    // What holds is what was answered.
    let promised = eternal.expiry_date - OffsetDateTime::now_utc();
    assert!(promised <= 3 * HOUR && promised > 2 * HOUR, "{promised}");
    for _ in 0..4 {
        home.clock.advance(40 * MINUTE);
        eternal.expiry_date = time::PrimitiveDateTime::MAX.assume_utc();
        store.save(&eternal).await.unwrap();
        assert!(load(&store, eternal.id).await.is_some());
    }
    assert_eq!(
        load(&store, idle.id).await,
        None,
        "nobody used it for an hour"
    );
    home.clock.advance(20 * MINUTE);
    assert_eq!(
        load(&store, eternal.id).await,
        None,
        "it has lived for three"
    );
}

#[tokio::test]
async fn a_task_that_deletes_what_has_expired_may_stay() {
    let (store, home) = store();
    for _ in 0..5 {
        created(&store, [("a", json!(1))]).await;
    }
    home.clock.advance(HOUR);
    assert_eq!(store.engine().sessions().counts().all, 5);
    store.delete_expired().await.unwrap();
    assert_eq!(store.engine().sessions().counts().all, 0);
}
