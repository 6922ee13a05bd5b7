//! Hazard: a revocation that another node honours late, or never, because something failed.
//!
//! A node verifies one token without an end while another one revokes it. What counts is the last
//! call that let it in, by when that call began, against when the revocation was acknowledged.

use crate::child::Remote;
use crate::node::{BOUND, until};
use countersign_testkit::postgres::{After, Cluster, Options};
use rustix::process::{Signal, kill_process};
use std::thread;
use std::time::Duration;

fn cluster() -> Option<Cluster> {
    Cluster::start_or_skip(&Options::new().standbys(2).synchronous(1).fsync(false))
}

/// How late a node was, with whatever `harm` does while it verifies; `revoke` ends the token.
fn lateness(
    by: &mut Remote,
    at: &mut [&mut Remote],
    harm: impl FnOnce(),
    heal: impl FnOnce(),
) -> Vec<Duration> {
    let (selector, token) = by.issue("ann");
    for remote in at.iter_mut() {
        until("the token", || {
            remote.ask(&format!("verify {token}")) == "in"
        });
        remote.watch(&token);
    }
    harm();
    let acknowledged = by.revoke(&selector);
    heal();
    let late = at.iter_mut().map(|remote| {
        let (last_in, first_out) = remote.watched();
        assert!(first_out > last_in);
        last_in.saturating_sub(acknowledged)
    });
    late.collect()
}

/// The connection that a node's feed is read by.
fn feed_of(cluster: &Cluster, name: &str) -> i32 {
    let question = format!(
        "select pid from pg_stat_activity where application_name = '{name}' \
         and (query like '%FROM head%' or query like 'UPDATE node%' or query like 'LISTEN%') \
         order by query_start desc limit 1"
    );
    let found = cluster.primary().sql(&question);
    found.trim().parse().unwrap()
}

#[test]
fn a_revocation_is_honoured_by_every_node_at_once() {
    let Some(cluster) = cluster() else { return };
    let connection = cluster.connection_string();
    let mut first = Remote::start(&connection, "first");
    let mut second = Remote::start(&connection, "second");
    let mut third = Remote::start(&connection, "third");
    let rounds = std::env::var("COUNTERSIGN_REVOCATIONS").ok();
    let rounds = rounds.and_then(|text| text.parse().ok()).unwrap_or(30);
    let mut late: Vec<Duration> = (0..rounds)
        .flat_map(|_| lateness(&mut first, &mut [&mut second, &mut third], || (), || ()))
        .collect();
    late.sort_unstable();
    let at = |percent: usize| late[(late.len() - 1) * percent / 100];
    println!(
        "{} revocations at two other nodes: p50 {:?}, p90 {:?}, p99 {:?}, worst {:?}",
        rounds,
        at(50),
        at(90),
        at(99),
        at(100)
    );
    assert!(at(100) <= BOUND, "{late:?}");
    // By word of it, not because the lease ran out.
    assert!(at(50) < BOUND / 2, "{late:?}");
}

#[test]
fn whose_feed_stands_still_lets_nobody_in_beyond_the_bound() {
    let Some(cluster) = cluster() else { return };
    let connection = cluster.connection_string();
    let mut first = Remote::start(&connection, "first");
    let mut second = Remote::start(&connection, "second");
    let feed = feed_of(&cluster, "second");
    let stop = || cluster.primary().pause_one(feed);
    let late = lateness(&mut first, &mut [&mut second], stop, || ());
    assert!(late[0] <= BOUND, "{late:?}");
    // It does without that connection.
    let (_, token) = first.issue("bob");
    until("a verdict", || {
        second.ask(&format!("verify {token}")) == "in"
    });
    cluster.primary().resume_one(feed);
}

#[test]
fn a_node_that_was_stopped_lets_nobody_in_when_it_goes_on() {
    let Some(cluster) = cluster() else { return };
    let connection = cluster.connection_string();
    let mut first = Remote::start(&connection, "first");
    let mut second = Remote::start(&connection, "second");
    let process = second.process();
    let stop = || kill_process(process, Signal::STOP).unwrap();
    let go_on = || {
        thread::sleep(2 * BOUND);
        kill_process(process, Signal::CONT).unwrap();
    };
    let late = lateness(&mut first, &mut [&mut second], stop, go_on);
    assert!(late[0] <= BOUND, "{late:?}");
}

#[test]
fn with_the_primary_killed_nobody_comes_in_beyond_the_bound() {
    let Some(cluster) = cluster() else { return };
    let connection = cluster.connection_string();
    let mut first = Remote::start(&connection, "first");
    let mut second = Remote::start(&connection, "second");
    let fail_over = || {
        cluster.primary().kill();
        cluster.failover(After::Synchronous);
    };
    let late = lateness(&mut first, &mut [&mut second], fail_over, || ());
    assert!(late[0] <= BOUND, "{late:?}");
    let (_, token) = second.issue("bob");
    until("a verdict", || {
        first.ask(&format!("verify {token}")) == "in"
    });
}

#[test]
fn a_node_at_an_old_primary_that_lives_on_lets_nobody_in_beyond_the_bound() {
    let Some(cluster) = cluster() else { return };
    let old = cluster.primary();
    let mut cut_off = Remote::start(&old.connection_string(), "cut_off");
    let mut first = Remote::start(&cluster.connection_string(), "first");
    let fail_over = || {
        cluster.failover(After::Synchronous);
    };
    let late = lateness(&mut first, &mut [&mut cut_off], fail_over, || ());
    assert!(late[0] <= BOUND, "{late:?}");
    assert!(old.is_live(), "it answers reads still");
    let (_, token) = first.issue("bob");
    let told = cut_off.ask(&format!("verify {token}"));
    assert!(told.starts_with("error"), "{told}");
}
