//! Hazard: standbys that are away, so that nothing is acknowledged; and a server that says a commit
//! is done while it is not on them.

use crate::support::{Listener, is_there, key, make, on, quorum, until};
use countersign_store::{CommitError, Store as _};
use countersign_testkit::postgres::Cluster;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// From here on nothing is acknowledged.
fn pause_standbys(cluster: &Cluster) {
    for standby in cluster.standbys() {
        standby.pause();
    }
}

fn resume_standbys(cluster: &Cluster) {
    for standby in cluster.standbys() {
        standby.resume();
    }
}

#[test]
fn with_one_standby_left_everything_goes_on() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    make(&store, 1).unwrap();
    cluster.standbys()[0].kill();
    for number in 2..20 {
        make(&store, number).unwrap();
    }
    store.attest().wait().unwrap();
    assert!(store.lease().unwrap().term().holds());
}

#[test]
fn with_none_left_nothing_is_acknowledged_and_the_lease_runs_out() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    make(&store, 1).unwrap();
    pause_standbys(&cluster);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| make(&store, 2));
        let lease = store.lease().unwrap();
        until("the end of the lease", || !lease.term().holds());
        assert!(store.attest().wait().is_err());
        assert!(!waiting.is_finished(), "nothing has acknowledged it");
        assert!(is_there(&store, 1), "reads are answered");
        assert!(
            !is_there(&store, 2),
            "and show nothing that is not on a standby"
        );
        resume_standbys(&cluster);
        waiting.join().unwrap().unwrap();
        until("a lease", || lease.term().holds());
    });
    assert!(is_there(&store, 2));
}

/// `pg_cancel_backend` during the wait makes the server answer that the commit is done, with a
/// warning beside it.
#[test]
fn a_wait_that_is_cancelled_is_no_acknowledgement() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    make(&store, 1).unwrap();
    pause_standbys(&cluster);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| make(&store, 2));
        until("the cancelled wait", || {
            let cancelled = cluster.primary().sql(
                "select count(pg_cancel_backend(pid)) from pg_stat_activity \
                 where wait_event = 'SyncRep'",
            );
            cancelled.trim() != "0" && {
                thread::sleep(Duration::from_millis(200));
                cluster
                    .primary()
                    .sql("select count(*) from countersign.record")
                    == "2"
            }
        });
        // It can be seen on the primary now, and is on no standby.
        thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished(), "it was told as done");
        resume_standbys(&cluster);
        // Found in the log, and acknowledged once a write behind it was.
        waiting.join().unwrap().unwrap();
    });
    assert!(store.status().unanswered > 0);
    assert!(listener.heard.lock().unwrap().contains(&key(2)));
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_in_the_log() {
    let Some(cluster) = quorum() else { return };
    let store = on(&cluster);
    make(&store, 1).unwrap();
    pause_standbys(&cluster);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| make(&store, 2));
        // The connection ends while the commit waits: done on the primary, and nobody is told.
        let primary = cluster.primary();
        let mut process = String::new();
        until("the wait", || {
            process = primary.sql(
                "select pid from pg_stat_activity \
                 where wait_event = 'SyncRep' and query = 'COMMIT'",
            );
            !process.is_empty()
        });
        primary.sql(&format!("select pg_terminate_backend({process})"));
        until("the end of the connection", || {
            primary.sql(&format!(
                "select 1 from pg_stat_activity where pid = {process}"
            )) != "1"
        });
        resume_standbys(&cluster);
        // Sent again it would be in its own way.
        waiting.join().unwrap().unwrap();
    });
    assert!(store.status().unanswered > 0);
    assert!(is_there(&store, 2));
}

#[test]
fn a_commit_that_is_not_acknowledged_in_time_is_told_as_unknown_and_heard_of_later() {
    let Some(cluster) = quorum() else { return };
    let options = countersign_postgres::PostgresOptions::new(&cluster.connection_string());
    let store = options
        .unwrap()
        .allow_lossy_crash()
        .commit_within(Duration::from_millis(800))
        .open(countersign_testkit::samples::keyring())
        .unwrap();
    make(&store, 1).unwrap();
    pause_standbys(&cluster);
    let told = make(&store, 2);
    assert!(matches!(told, Err(CommitError::Unknown(_))), "{told:?}");
    let listener = Arc::new(Listener::default());
    store.watch(Arc::clone(&listener) as _);
    resume_standbys(&cluster);
    until("the late commit", || is_there(&store, 2));
    until("word of it", || listener.has_heard(2));
    make(&store, 3).unwrap();
}
