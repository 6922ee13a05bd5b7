//! Hazard: a node that is out of its lease, or has none.

use crate::node::{Node, policy, until};
use countersign_testkit::postgres::{Cluster, Options, shared};

#[test]
fn with_a_bound_of_nothing_every_verdict_is_asked_for() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let strict = policy(|draft| draft.cache.staleness_ms = 0);
    let first = Node::with_policy(database.connection_string(), strict.clone());
    let second = Node::with_policy(database.connection_string(), strict);
    for round in 0..20 {
        let issued = first.issue(&format!("ann{round}"));
        let token = issued.token.expose().to_owned();
        assert_eq!(second.verify(&token), "in");
        assert!(first.revoke(&issued.selector.to_string()));
        // With no pause at all between the acknowledgement and this.
        assert_eq!(second.verify(&token), "refused: revoked", "round {round}");
    }
}

#[test]
fn with_the_standbys_away_what_is_in_memory_serves_as_long_as_the_lease_and_comes_back() {
    let options = Options::new().standbys(1).synchronous(1).fsync(false);
    let Some(cluster) = Cluster::start_or_skip(&options) else {
        return;
    };
    // Long enough for a busy machine to get to the next line but one.
    let patient = policy(|draft| draft.cache.staleness_ms = 4000);
    let node = Node::with_policy(&cluster.connection_string(), patient);
    let issued = node.issue("ann");
    let token = issued.token.expose().to_owned();
    assert_eq!(node.verify(&token), "in");
    cluster.standbys()[0].pause();
    assert_eq!(node.verify(&token), "in", "within the bound");
    until("the end of the lease", || {
        node.verify(&token).starts_with("error: ")
    });
    cluster.standbys()[0].resume();
    until("a verdict", || node.verify(&token) == "in");
    assert_eq!(node.store.status().resets, 0);
}
