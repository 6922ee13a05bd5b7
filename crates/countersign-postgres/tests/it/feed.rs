//! Hazard: a node that does not hear of what another one has changed.

use crate::support::{BOUND, Listener, key, make, options, options_and_schema, until};
use countersign_core::{Batch, Expect};
use countersign_store::Store as _;
use countersign_testkit::postgres::shared;
use countersign_testkit::samples;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

#[test]
fn every_node_hears_of_every_change_by_every_other_node() {
    let Some(options) = options() else { return };
    let options = options.staleness(BOUND);
    let stores: Vec<_> = (0..3)
        .map(|_| options.clone().open(samples::keyring()).unwrap())
        .collect();
    let listeners: Vec<_> = stores
        .iter()
        .map(|store| {
            let listener = Arc::new(Listener::default());
            store.watch(Arc::clone(&listener) as _);
            listener
        })
        .collect();
    thread::scope(|scope| {
        for (store, base) in stores.iter().zip([0u64, 1000, 2000]) {
            for lane in 0..4u64 {
                scope.spawn(move || {
                    for number in 0..50 {
                        make(store, base + lane * 100 + number).unwrap();
                    }
                });
            }
        }
    });
    for listener in &listeners {
        let all = (0..3u64).flat_map(|node| {
            (0..4u64).flat_map(move |lane| (0..50).map(move |n| node * 1000 + lane * 100 + n))
        });
        for number in all {
            until("a change", || listener.has_heard(number));
        }
        let heard = listener.heard.lock().unwrap().len();
        assert_eq!(heard, 600, "each is told once");
        assert_eq!(listener.resets(), 0);
    }
}

#[test]
fn without_notifications_the_changes_are_asked_for() {
    let Some(options) = options() else { return };
    let options = options.notifications(false).poll(Duration::from_millis(20));
    let first = options.clone().open(samples::keyring()).unwrap();
    let second = options.open(samples::keyring()).unwrap();
    let listener = Arc::new(Listener::default());
    second.watch(Arc::clone(&listener) as _);
    make(&first, 1).unwrap();
    until("the change", || listener.has_heard(1));
}

#[test]
fn a_renewal_that_was_asked_for_has_heard_of_everything_before_it() {
    let Some(options) = options() else { return };
    // Neither a notification nor a look at the log by itself: what is heard, the renewal has.
    let options = options
        .notifications(false)
        .poll(Duration::from_secs(60))
        .staleness(Duration::from_secs(600));
    let first = options.clone().open(samples::keyring()).unwrap();
    let second = options.open(samples::keyring()).unwrap();
    let listener = Arc::new(Listener::default());
    second.watch(Arc::clone(&listener) as _);
    for number in 0..20 {
        make(&first, number).unwrap();
        second.attest().wait().unwrap();
        assert!(listener.has_heard(number), "{number}");
        assert!(second.lease().unwrap().term().holds());
    }
}

#[test]
fn a_history_that_is_another_one_drops_everything_that_was_heard() {
    let Some((options, schema)) = options_and_schema() else {
        return;
    };
    let harm = [
        // As after a failover that lost commits: the counters went back.
        "update {s}.head set rev = rev - 1 where rev > 0",
        // Others were made in their place.
        "update {s}.head set version = version + 1;
         update {s}.change_log set version = version + 1",
        // The log was cut off.
        "update {s}.head set rev = rev + 5",
    ];
    for harm in harm {
        let watching = options.clone().open(samples::keyring()).unwrap();
        let writing = options.clone().open(samples::keyring()).unwrap();
        let listener = Arc::new(Listener::default());
        watching.watch(Arc::clone(&listener) as _);
        let mut batch = Batch::grow();
        batch.put(key(1), Expect::Any, samples::usage(1));
        writing.commit(batch).wait().unwrap();
        until("the change", || listener.has_heard(1));
        assert_eq!(listener.resets(), 0, "{harm}");
        writing.close().wait().unwrap();
        shared().unwrap().sql(&harm.replace("{s}", &schema));
        until("the reset", || listener.resets() > 0);
        until("the end of it", || watching.attest().wait().is_ok());
        assert_eq!(watching.status().resets, 1, "{harm}");
    }
}
