//! Hazard: a database that can lose what it has acknowledged, taken for one that cannot.

use crate::support::{make, until};
use countersign_postgres::{PostgresError, PostgresOptions};
use countersign_testkit::postgres::{Cluster, Options};
use countersign_testkit::samples;
use std::time::Duration;

fn refused(options: PostgresOptions) -> String {
    let error = options.open(samples::keyring()).map(drop).unwrap_err();
    assert!(matches!(error, PostgresError::NotDurable { .. }), "{error}");
    error.to_string()
}

#[test]
fn what_can_lose_commits_is_refused_unless_that_is_allowed_by_name() {
    let Some(cluster) = Cluster::start_or_skip(&Options::new().standbys(1).fsync(false)) else {
        return;
    };
    let options = || PostgresOptions::new(&cluster.connection_string()).unwrap();
    assert!(refused(options()).contains("fsync"));
    let error = refused(options().allow_lossy_crash());
    assert!(error.contains("synchronous_standby_names"), "{error}");
    assert!(refused(options().allow_lossy_failover()).contains("fsync"));
    let allowed = options().allow_lossy_crash().allow_lossy_failover();
    drop(allowed.open(samples::keyring()).unwrap());
    // Asked again at every connection: what was good may not be so any more.
    let standby = cluster.standbys()[0].name().to_owned();
    cluster
        .primary()
        .set("synchronous_standby_names", &format!("ANY 1 ({standby})"));
    let store = options()
        .allow_lossy_crash()
        .open(samples::keyring())
        .unwrap();
    make(&store, 1).unwrap();
    cluster.primary().set("synchronous_standby_names", "");
    cluster.primary().sql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where application_name = 'countersign'",
    );
    until("the refusal", || {
        countersign_store::Store::attest(&store)
            .wait()
            .is_err_and(|error| error.to_string().contains("synchronous_standby_names"))
    });
}

/// It is looked at from time to time, also while all connections live and go on being used.
#[test]
fn a_database_that_keeps_its_promise_no_more_is_not_written_to_any_longer() {
    let options = Options::new().standbys(1).synchronous(1).fsync(false);
    let Some(cluster) = Cluster::start_or_skip(&options) else {
        return;
    };
    let options = PostgresOptions::new(&cluster.connection_string()).unwrap();
    let options = options
        .allow_lossy_crash()
        .commit_within(Duration::from_secs(2));
    let store = options.open(samples::keyring()).unwrap();
    make(&store, 0).unwrap();
    let names = cluster.primary().sql("show synchronous_standby_names");
    cluster.primary().set("synchronous_standby_names", "");
    let mut numbers = 1..;
    until("the refusal", || {
        let made = make(&store, numbers.next().unwrap());
        made.is_err_and(|error| error.to_string().contains("synchronous_standby_names"))
    });
    assert!(make(&store, numbers.next().unwrap()).is_err());
    cluster.primary().set("synchronous_standby_names", &names);
    until("the database to be trusted again", || {
        make(&store, numbers.next().unwrap()).is_ok()
    });
}
