//! Hazard: what waits for a disk holds up the runtime's thread, and every other request with it.

use crate::support::{created, load, logged_in, policy, principal, record};
use countersign::core::{Key, Keyring};
use countersign::store::MemoryStore;
use countersign::{Draft, Engine, Maintenance, SystemClock};
use countersign_testkit::{Gated, samples};
use countersign_tower_sessions::CountersignStore;
use std::sync::Arc;
use std::time::Duration;
use tower_sessions::SessionStore as _;

/// An engine on a store that can be held back, and that keeps no principal in memory.
fn gated() -> (CountersignStore, Arc<Gated>) {
    let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = Engine::builder()
        .clock(SystemClock)
        .maintenance(Maintenance::HostDriven)
        .policy(policy(|draft: &mut Draft| draft.cache.max_principals = 0))
        .open_store(gated.clone(), &samples::keys());
    (CountersignStore::new(engine.unwrap()), gated)
}

fn key_of(name: &str) -> Key {
    let keyring = Keyring::new(&samples::keys());
    Key::principal(keyring.principal_key(&principal(name)))
}

/// What needs nothing that is held back is there long before that would be let go.
async fn soon<T>(call: impl Future<Output = T>) -> T {
    let long = Duration::from_secs(10);
    tokio::time::timeout(long, call).await.expect("it waited")
}

#[tokio::test]
async fn while_one_logs_in_the_only_thread_goes_on() {
    let (store, gated) = gated();
    created(&store, []).await;
    let gate = gated.hold_next_load(&[Key::SYSTEM, key_of("ann")]);
    let logging_in = store.clone();
    let creating = tokio::spawn(async move {
        let mut record = record([logged_in("ann")]);
        logging_in.create(&mut record).await.unwrap();
        record.id
    });
    tokio::task::yield_now().await;
    assert!(gate.is_reached());
    // This is the runtime's one thread, and it is here while the other waits.
    soon(created(&store, [])).await;
    assert!(!creating.is_finished());
    gate.open();
    let id = creating.await.unwrap();
    assert!(load(&store, id).await.is_some());
}

#[tokio::test]
async fn while_a_record_is_read_for_one_the_only_thread_goes_on() {
    let (store, gated) = gated();
    let id = created(&store, [logged_in("ann")]).await.id;
    let other = created(&store, []).await.id;
    let gate = gated.hold_next_load(&[key_of("ann")]);
    let reader = store.clone();
    let loading = tokio::spawn(async move { load(&reader, id).await });
    tokio::task::yield_now().await;
    assert!(gate.is_reached());
    assert!(soon(load(&store, other)).await.is_some());
    assert!(!loading.is_finished());
    gate.open();
    assert!(loading.await.unwrap().is_some());
}

#[test]
fn it_works_without_a_runtime_too() {
    let (store, _gated) = gated();
    let mut record = record([logged_in("ann")]);
    let creating = store.create(&mut record);
    let mut creating = std::pin::pin!(creating);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let deadline = Duration::from_secs(20);
    let waited = countersign_testkit::wait_until(deadline, || {
        creating.as_mut().poll(&mut context).is_ready()
    });
    assert!(waited);
}
