//! Hazard: a rule that holds on each node, and not across them.

use crate::node::{Node, policy, slow, until};
use countersign::{Error, Subsystem};
use countersign_store::Store;
use countersign_testkit::postgres::{Cluster, shared};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn the_limit_of_live_tokens_holds_for_all_nodes_together() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let limited = policy(|draft| draft.access_tokens.max_live_per_principal = 5);
    let nodes: Vec<Node> = (0..2)
        .map(|_| Node::with_policy(database.connection_string(), limited.clone()))
        .collect();
    let begin = Barrier::new(8);
    let issued: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (node, begin) = (&nodes[n % 2], &begin);
                scope.spawn(move || {
                    begin.wait();
                    (0..3).filter(|_| node.try_issue("ann").is_ok()).count()
                })
            })
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(issued, 5);
    for node in &nodes {
        let refused = node.try_issue("ann").map(drop);
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    }
}

#[test]
fn a_switch_and_an_epoch_of_one_node_are_those_of_all() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let first = Node::open(database.connection_string());
    let second = Node::open(database.connection_string());
    let issued = first.issue("ann");
    let token = issued.token.expose().to_owned();
    assert_eq!(second.verify(&token), "in");
    let tokens = Subsystem::AccessTokens;
    first.engine.switches().off(tokens, None).wait().unwrap();
    until("the switch", || {
        second.verify(&token) == "refused: switched_off"
    });
    assert!(second.try_issue("bob").is_err());
    second.engine.switches().on(tokens, None).wait().unwrap();
    // Off and on again revives nothing, anywhere.
    until("the epoch", || first.verify(&token) == "refused: revoked");
    let issued = first.issue("ann");
    let token = issued.token.expose().to_owned();
    assert_eq!(second.verify(&token), "in");
    let ann = issued.grant.principal.clone();
    let ended = second.engine.principals().revoke_everything(ann, None);
    ended.wait().unwrap();
    until("the epoch", || first.verify(&token) == "refused: revoked");
}

/// Whoever issues holds the record of the switches against changes, each for a moment, and all
/// together without a gap.
#[test]
fn a_switch_goes_through_while_other_nodes_issue_without_end() {
    // As slow as with standbys in another building.
    let Some(cluster) = Cluster::start_or_skip(&slow(20_000)) else {
        return;
    };
    let nodes: Vec<Node> = (0..7)
        .map(|_| Node::open(&cluster.connection_string()))
        .collect();
    let (operator, others) = nodes.split_first().unwrap();
    let (over, issued) = (AtomicBool::new(false), AtomicU64::new(0));
    let tokens = Subsystem::AccessTokens;
    thread::scope(|scope| {
        for (node, number) in (0..48).map(|number| (&others[number % others.len()], number)) {
            let (over, issued) = (&over, &issued);
            scope.spawn(move || {
                let principals = (0u64..).map(|round| format!("{number}-{}", round / 8));
                for principal in principals.take_while(|_| !over.load(Ordering::Relaxed)) {
                    if node.try_issue(&principal).is_ok() {
                        issued.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        until("many issues", || issued.load(Ordering::Relaxed) > 500);
        let off = operator.engine.switches().off(tokens, None).wait();
        over.store(true, Ordering::Relaxed);
        assert!(off.is_ok(), "{off:?}");
    });
    for node in &nodes {
        until("the switch", || node.try_issue("ann").is_err());
    }
}

#[test]
fn one_node_at_a_time_sweeps_and_another_takes_over_from_one_that_is_gone() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let nodes: Vec<Node> = (0..2)
        .map(|_| Node::open(database.connection_string()))
        .collect();
    let turn = |node: &Node, ms| {
        let turn = node.store.turn("some chore", Duration::from_millis(ms));
        turn.wait().unwrap()
    };
    assert!(turn(&nodes[0], 60_000));
    assert!(!turn(&nodes[1], 60_000));
    // Whoever has it keeps it, here for less long.
    assert!(turn(&nodes[0], 50));
    until("the turn of the other", || turn(&nodes[1], 60_000));
    assert!(!turn(&nodes[0], 60_000));
    // Another chore is another turn.
    let other = nodes[0].store.turn("another", Duration::from_secs(60));
    assert!(other.wait().unwrap());
    // Of the real one, each node's maintenance asks.
    let swept = |node: &Node| node.engine.maintain().wait().unwrap().swept;
    nodes[0].issue("ann");
    let examined = nodes.iter().map(|node| swept(node).examined > 0);
    assert_eq!(examined.filter(|swept| *swept).count(), 1);
}

#[test]
fn the_last_use_is_the_last_one_on_any_node() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let nodes: Vec<Node> = (0..2)
        .map(|_| Node::open(database.connection_string()))
        .collect();
    let issued: Vec<_> = (0..50)
        .map(|number| nodes[0].issue(&format!("ann{number}")))
        .collect();
    for _ in 0..3 {
        for (number, issued) in issued.iter().enumerate() {
            let token = issued.token.expose();
            for at in [number % 2, (number + 1) % 2] {
                assert_eq!(nodes[at].verify(token), "in");
                thread::sleep(Duration::from_millis(1));
            }
        }
        let shown = |node: &Node, issued: &countersign::IssuedToken| {
            let shown = node.engine.access().show(issued.selector).wait();
            shown.unwrap().unwrap().usage.unwrap().last_used_at
        };
        // What each knows of itself, before both write at once.
        let expected: Vec<_> = issued
            .iter()
            .map(|issued| shown(&nodes[0], issued).max(shown(&nodes[1], issued)))
            .collect();
        thread::scope(|scope| {
            for node in &nodes {
                scope.spawn(|| node.engine.flush().wait().unwrap());
            }
        });
        for (issued, expected) in issued.iter().zip(expected) {
            let key = countersign_core::Key::usage(issued.selector);
            let stored = nodes[0].store.load(&[key]).wait().unwrap().remove(0);
            let Some(countersign_core::Record::Usage(usage)) = stored.map(|it| it.record) else {
                panic!("no use of {}", issued.selector);
            };
            assert_eq!(usage.last_used_at, expected);
        }
    }
}
