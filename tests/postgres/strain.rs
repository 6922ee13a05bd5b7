//! Hazard: a database that is slow, or has no connection left, and nodes whose clocks disagree.

use crate::node::{Node, policy, slow, until};
use countersign_testkit::postgres::{Cluster, Options, shared};
use countersign_testkit::{ManualClock, samples};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

#[test]
fn a_slow_disk_makes_commits_slow_and_keeps_nobody_out() {
    let Some(cluster) = Cluster::start_or_skip(&slow(100_000)) else {
        return;
    };
    let nodes = [(); 2].map(|()| Node::open(&cluster.connection_string()));
    let issued = nodes[0].issue("ann");
    let token = issued.token.expose();
    for node in &nodes {
        until("the token", || node.verify(token) == "in");
    }
    let renewals = nodes[0].store.status().renewals;
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..20 {
                nodes[0].issue(&format!("bob{number}"));
            }
        });
        while !writing.is_finished() {
            for node in &nodes {
                assert_eq!(node.verify(token), "in");
            }
        }
    });
    assert!(nodes[0].store.status().renewals > renewals);
    assert!(nodes[0].revoke(&issued.selector.to_string()));
    until("the revocation", || {
        nodes[1].verify(token) == "refused: revoked"
    });
}

#[test]
fn a_storm_of_connections_shuts_nobody_out_for_good_and_lets_nobody_in() {
    let few = Options::new().fsync(false).setting("max_connections", "14");
    let Some(cluster) = Cluster::start_or_skip(&few) else {
        return;
    };
    let node = Node::open(&cluster.connection_string());
    let (kept, over) = (node.issue("ann"), node.issue("ann"));
    assert!(node.revoke(&over.selector.to_string()));
    // Each ends the node's connections and then sits on a place; most find none.
    let storm = "select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'countersign';
        select pg_sleep(3)";
    let calm = AtomicBool::new(false);
    let (acknowledged, errors) = thread::scope(|scope| {
        let storming = scope.spawn(|| {
            for _ in 0..3 {
                let gusts: Vec<_> = (0..25)
                    .map(|_| cluster.primary().begin_sql(storm))
                    .collect();
                thread::sleep(Duration::from_millis(1500));
                drop(gusts);
            }
            calm.store(true, SeqCst);
        });
        let verifying = scope.spawn(|| {
            let mut errors = 0u32;
            while !calm.load(SeqCst) {
                assert_ne!(node.verify(over.token.expose()), "in");
                let verdict = node.verify(kept.token.expose());
                match verdict.as_str() {
                    "in" => {}
                    told if told.starts_with("error: ") => errors += 1,
                    told => panic!("{told}"),
                }
            }
            errors
        });
        let mut acknowledged = Vec::new();
        while !calm.load(SeqCst) {
            acknowledged.extend(node.try_issue(&format!("cai{}", acknowledged.len())));
        }
        storming.join().unwrap();
        (acknowledged, verifying.join().unwrap())
    });
    until("a verdict", || node.verify(kept.token.expose()) == "in");
    for issued in &acknowledged {
        assert_eq!(node.verify(issued.token.expose()), "in");
    }
    assert_eq!(node.verify(over.token.expose()), "refused: revoked");
    println!(
        "=== storm: {} issued in it, {errors} verdicts put off",
        acknowledged.len()
    );
}

#[test]
fn clocks_that_disagree_bring_nobody_back_and_make_no_lease_longer() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let hours = Duration::from_secs(3 * 60 * 60);
    let at = [
        samples::NOW,
        samples::NOW.after(hours),
        samples::NOW.before(hours),
    ];
    let nodes = at.map(|now| {
        let clock = ManualClock::at(now);
        Node::with_clock(database.connection_string(), policy(|_| ()), clock)
    });
    for (issuer, ender) in [(0, 1), (0, 2), (1, 2), (2, 1), (1, 0), (2, 0)] {
        let name = format!("ann{issuer}{ender}");
        let issued = [(); 3].map(|()| nodes[issuer].issue(&name));
        for token in &issued {
            for node in &nodes {
                assert_eq!(node.verify(token.token.expose()), "in", "{issuer} {ender}");
            }
        }
        let refused = |token: &str| {
            nodes
                .iter()
                .all(|node| node.verify(token) == "refused: revoked")
        };
        // One by itself, and all others together.
        assert!(nodes[ender].revoke(&issued[0].selector.to_string()));
        until("one end", || refused(issued[0].token.expose()));
        let ended = nodes[ender]
            .engine
            .principals()
            .revoke_everything(issued[1].grant.principal.clone(), None);
        ended.wait().unwrap();
        for token in &issued[1..] {
            until("all ends", || refused(token.token.expose()));
        }
        // Whoever is issued one afterwards comes in, everywhere.
        let again = nodes[issuer].issue(&name);
        for node in &nodes {
            until("the new one", || node.verify(again.token.expose()) == "in");
        }
        let rotated = nodes[ender]
            .engine
            .access()
            .rotate(again.selector, countersign::Rotation::default());
        let rotated = rotated.wait().unwrap();
        for node in &nodes {
            until("its successor", || {
                node.verify(rotated.token.expose()) == "in"
            });
        }
    }
    for node in &nodes {
        assert!(node.store.status().renewals > 0);
        assert_eq!(node.store.status().resets, 0);
    }
}
