//! Hazard: an old primary that lives on beside a promoted standby, and answers whoever asks it.

use crate::support::{BOUND, Listener, is_there, key, make, on, on_server, quorum, until};
use countersign_store::{Health, Steady, Store as _};
use countersign_testkit::postgres::After;
use std::sync::Arc;

#[test]
fn a_node_at_the_old_primary_trusts_nothing_once_the_bound_is_over() {
    let Some(cluster) = quorum() else { return };
    let old = cluster.primary();
    // It knows of the old primary alone, as behind a network that was cut.
    let cut_off = on_server(old);
    let other = on(&cluster);
    make(&other, 1).unwrap();
    until("a lease", || cut_off.lease().unwrap().term().holds());

    cluster.failover(After::Synchronous);
    // A commit there is acknowledged by a standby that followed the old one before.
    make(&other, 2).unwrap();
    let acknowledged = Steady::now();
    let lease = cut_off.lease().unwrap();
    let mut held = acknowledged;
    until("the end of the lease", || {
        // Taken before: it held at that moment at the latest, however slow this thread is.
        let now = Steady::now();
        let holds = lease.term().holds();
        if holds {
            held = now;
        }
        !holds
    });
    let late = held.since(acknowledged);
    assert!(late <= BOUND, "{late:?}");
    // It is over for good: reads are answered there, and prove nothing.
    for _ in 0..20 {
        assert!(!lease.term().holds());
        assert!(cut_off.attest().wait().is_err());
        assert!(old.is_live(), "the old primary is there still");
    }
    assert_ne!(cut_off.health(), Health::Healthy);
    assert_eq!(other.health(), Health::Healthy);
}

#[test]
fn a_node_that_knows_both_goes_over_to_the_one_that_was_promoted() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    make(&store, 1).unwrap();
    let before = store.status().host;
    cluster.failover(After::Synchronous);
    until("the other server", || {
        make(&store, 2).is_ok() || store.status().host != before
    });
    until("a lease", || {
        store.attest().wait().is_ok() && store.lease().unwrap().term().holds()
    });
    assert_ne!(store.status().host, before);
    assert_eq!(listener.resets(), 0, "the log went on");
}

/// The old primary has none of what was acknowledged since, and answers reads of it all the same.
#[test]
fn a_node_that_has_followed_a_promotion_never_goes_back_to_the_old_primary() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    make(&store, 1).unwrap();
    let old = cluster.primary();
    let promoted = cluster.failover(After::Synchronous);
    until("the other server", || make(&store, 2).is_ok());
    until("a lease", || store.attest().wait().is_ok());
    promoted.stop();
    // For longer than a lease lasts, and than it takes to look for a primary.
    let began = Steady::now();
    let mut refused = 0;
    while Steady::now().since(began) < BOUND * 4 {
        match store.load(&[key(1), key(2)]).wait() {
            Ok(found) => assert!(found.iter().all(Option::is_some), "read of the old one"),
            Err(_) => refused += 1,
        }
    }
    assert!(old.is_live() && refused > 0);
    assert_eq!(store.health(), Health::Degraded);
    promoted.start();
    until("the newer one", || make(&store, 3).is_ok());
    assert!(is_there(&store, 2));
}
