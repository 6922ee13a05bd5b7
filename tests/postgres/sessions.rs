//! Hazard: a node dies, and its sessions with it; or they live on at two nodes at once.

use crate::node::{BOUND, Node, policy, until};
use countersign::core::Keyring;
use countersign::store::SnapshotPlace as _;
use countersign::{
    EndedBy, Engine, Error, Label, Maintenance, Method, NewLogIn, NewSeries, OpenedSession,
    Principal,
};
use countersign_postgres::{PostgresOptions, PostgresPlace};
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
        .session_snapshot_in(place);
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

/// The place of sessions of that name, if its node is silent.
fn silent(node: &Node, name: &str, time: Duration) -> Option<Arc<PostgresPlace>> {
    let places = node.store.silent_places(time).wait().unwrap();
    let found = places.into_iter().find(|place| place.name().contains(name));
    found.map(Arc::new)
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

    // The first one stands still, or is cut off: it lives on, and does not know. Whoever is sure of
    // it does not wait.
    let place = silent(&second, "web-1", Duration::ZERO).unwrap();
    let taken = second.engine.sessions().take_over(Arc::clone(&place) as _);
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
    // Nor does it say that it has ended what it holds no more.
    let end = first.engine.sessions().log_out(&ann.session).wait();
    assert!(matches!(end, Err(Error::Store(_))), "{end:?}");
    assert!(place.claim().is_err(), "they are in another place now");

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

/// A restart of a node whose sessions were taken over finds its name free, and shuts nobody out.
#[test]
fn a_node_that_was_taken_over_may_be_started_anew_beside_the_one_that_has_its_sessions() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let [first, second] = ["web-1", "web-2"].map(|name| named(database.connection_string(), name));
    let [ann, bob] = ["ann", "bob"].map(|name| log_in(&first, name));
    first.engine.close().wait().unwrap();
    drop(first);
    let own = Arc::new(second.store.session_place("web-2").unwrap());
    let refused = second.engine.sessions().take_over(own).wait().unwrap_err();
    assert!(refused.to_string().contains("own"), "{refused}");
    let place = silent(&second, "web-1", Duration::ZERO).unwrap();
    let taken = second.engine.sessions().take_over(place).wait().unwrap();
    assert_eq!(taken.outcome.unwrap().living, 2);
    let again = named(database.connection_string(), "web-1");
    assert_eq!(again.engine.stats().session_snapshot.restored, None);
    let cai = log_in(&again, "cai");
    for (node, session) in [(&second, &ann), (&second, &bob), (&again, &cai)] {
        assert_eq!(touched(node, session), "in");
    }
    assert_eq!(touched(&again, &ann), "refused");
}

/// A revocation that was acknowledged before the sessions are taken over holds for them: whoever
/// stole the device that opened one is not let in again.
#[test]
fn sessions_of_a_device_that_was_revoked_meanwhile_are_not_taken_over() {
    let Some(shared) = shared() else { return };
    let database = shared.database();
    let [first, second] = ["web-1", "web-2"].map(|name| named(database.connection_string(), name));
    let who = || Principal::new("ann").unwrap();
    let remembered = || {
        let device = NewSeries {
            principal: who(),
            label: Label::new("laptop").unwrap(),
        };
        let device = first.engine.remember().start(device).wait().unwrap();
        let mut login = NewLogIn::new(who(), Method::Password, Duration::from_secs(600));
        login.series = Some(device.selector);
        let session = first.engine.sessions().log_in(None, login).wait().unwrap();
        (device.selector, session)
    };
    let [(_, kept), (stolen, thief)] = [remembered(), remembered()];
    first.engine.close().wait().unwrap();
    drop(first);
    second
        .engine
        .remember()
        .revoke(stolen, None)
        .wait()
        .unwrap();
    let place = silent(&second, "web-1", Duration::ZERO).unwrap();
    let taken = second.engine.sessions().take_over(place).wait().unwrap();
    let taken = taken.outcome.unwrap();
    assert_eq!((taken.living, taken.revoked), (1, 1));
    assert_eq!(touched(&second, &kept), "in");
    assert_eq!(touched(&second, &thief), "refused");
}
