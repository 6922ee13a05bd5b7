//! Hazard: a node dies, and its sessions with it; or they live on at two nodes at once.

use crate::node::{BOUND, Node, policy, until};
use countersign::core::Keyring;
use countersign::store::SnapshotPlace as _;
use countersign::{EndedBy, Engine, Maintenance, Method, NewLogIn, OpenedSession, Principal};
use countersign_postgres::PostgresOptions;
use countersign_testkit::postgres::shared;
use countersign_testkit::samples;
use std::sync::Arc;
use std::time::Duration;

/// A node that keeps its sessions in the database, under a name.
fn named(connection: &str, name: &str) -> Node {
    let keys = samples::keys();
    let options = PostgresOptions::new(connection).unwrap();
    let options = options.allow_lossy_crash().staleness(BOUND);
    let store = Arc::new(options.open(Arc::new(Keyring::new(&keys))).unwrap());
    let place = Arc::new(store.session_place(name).unwrap());
    let builder = Engine::builder()
        .policy(policy(|draft| draft.sessions.snapshot = true))
        .maintenance(Maintenance::HostDriven)
        .session_snapshot_in(place, store.store_id());
    let engine = builder.open_store(Arc::clone(&store) as _, &keys).unwrap();
    Node { engine, store }
}

fn log_in(node: &Node, name: &str) -> OpenedSession {
    let who = Principal::new(name).unwrap();
    let login = NewLogIn::new(who, Method::Password, Duration::from_secs(600));
    node.engine.sessions().log_in(None, login).wait().unwrap()
}

fn touched(node: &Node, opened: &OpenedSession) -> String {
    let sessions = node.engine.sessions();
    match sessions.touch(opened.token.expose(), None).wait() {
        Ok(verdict) if verdict.is_in() => "in".to_owned(),
        Ok(_) => "refused".to_owned(),
        Err(error) => format!("error: {error}"),
    }
}

fn log_out(node: &Node, opened: &OpenedSession) {
    let out = node.engine.sessions().log_out(&opened.session).wait();
    out.unwrap();
}

#[test]
fn sessions_are_taken_over_by_another_node_and_are_nobody_elses_then() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let (first, second) = (
        named(database.connection_string(), "web-1"),
        named(database.connection_string(), "web-2"),
    );
    let [ann, bob, cai, dan] = ["ann", "bob", "cai", "dan"].map(|name| log_in(&first, name));
    let own = log_in(&second, "eve");
    log_out(&first, &cai);
    // What shuts somebody out asks for a snapshot at once.
    let fay = log_in(&first, "fay");
    let fays = Principal::new("fay").unwrap();
    let ended = first.engine.sessions().end_all(&fays, EndedBy::Operator);
    assert_eq!(ended.wait().unwrap(), 1);
    first.engine.maintain().wait().unwrap();
    // Meanwhile everything of one of them ends, anywhere.
    let everything = second
        .engine
        .principals()
        .revoke_everything(Principal::new("bob").unwrap(), None);
    everything.wait().unwrap();
    assert_eq!(
        touched(&second, &ann),
        "refused",
        "sessions stay at their node"
    );

    // The first one stands still, or is cut off: it lives on, and does not know.
    let place = Arc::new(second.store.session_place("web-1").unwrap());
    let taken = second.engine.sessions();
    let taken = taken.take_over(Arc::clone(&place) as _, second.store.store_id());
    let taken = taken.wait().unwrap().outcome.unwrap();
    assert_eq!((taken.living, taken.revoked, taken.damaged), (2, 1, 0));
    for living in [&ann, &dan, &own] {
        assert_eq!(touched(&second, living), "in");
    }
    for over in [&bob, &cai, &fay] {
        assert_eq!(touched(&second, over), "refused");
    }
    // From this moment on the first one lets nobody in: who may have been logged out elsewhere.
    for session in [&ann, &dan] {
        let told = touched(&first, session);
        assert!(told.starts_with("error: "), "{told}");
    }
    for over in [&bob, &cai, &fay] {
        assert_ne!(touched(&first, over), "in");
    }
    assert_eq!(
        place.read(1 << 20).unwrap(),
        None,
        "they are in another place now"
    );

    // They outlive the second one as well, which is started anew under its name.
    log_out(&second, &dan);
    second.engine.close().wait().unwrap();
    drop(second);
    let again = named(database.connection_string(), "web-2");
    let restored = again.engine.stats().session_snapshot.restored.unwrap();
    assert_eq!(restored.outcome.unwrap().living, 2);
    assert_eq!(touched(&again, &ann), "in");
    assert_eq!(touched(&again, &own), "in");
    assert_eq!(touched(&again, &dan), "refused");
    until("the refusal", || {
        touched(&first, &ann).starts_with("error: ")
    });
}
