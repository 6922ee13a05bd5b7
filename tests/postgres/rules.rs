//! Hazard: a rule that holds on each node, and not across them.

use crate::node::{Node, policy, until};
use countersign::Error;
use countersign_testkit::postgres::shared;
use std::sync::Barrier;
use std::thread;

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
    let tokens = countersign::Subsystem::AccessTokens;
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
