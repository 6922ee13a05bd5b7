//! Hazard: whoever holds a device that was forgotten stays in, with a session that it has opened.

use crate::denials::sick_at;
use crate::remember_theft::{come_back, given, is_in, log_in};
use crate::session_help::SessionEars;
use crate::support::{Home, MINUTE, in_memory, keys, principal};
use countersign::store::MemoryStore;
use countersign::{EndedBy, Engine, Selector, Subsystem};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Sessions that are open: of ann's lost device (one that it was remembered with, one that it has
/// opened), of her other one, of none of her devices, and of bob's device.
struct World {
    engine: Engine,
    lost: Selector,
    kept: Selector,
    sessions: [String; 5],
}

impl World {
    fn on(engine: Engine) -> Self {
        let text = |token: &countersign::SecretText| token.expose().to_owned();
        let lost = log_in(&engine, "ann", true);
        let device = lost.device.unwrap();
        let (opened, _) = given(come_back(&engine, device.token.expose()));
        let kept = log_in(&engine, "ann", true);
        let none = log_in(&engine, "ann", false);
        let bob = log_in(&engine, "bob", true);
        let sessions = [
            text(&lost.session.token),
            opened,
            text(&kept.session.token),
            text(&none.session.token),
            text(&bob.session.token),
        ];
        Self {
            engine,
            lost: device.selector,
            kept: kept.device.unwrap().selector,
            sessions,
        }
    }

    fn ins(&self) -> [bool; 5] {
        std::array::from_fn(|at| is_in(&self.engine, &self.sessions[at]))
    }
}

type Act = fn(&World) -> countersign::Revocation;

/// What has sessions end, and which are left.
const ACTS: [(&str, Act, [bool; 5]); 5] = [
    (
        "one device",
        |world| {
            let remember = world.engine.remember();
            remember.revoke(world.lost, None).wait().unwrap()
        },
        [false, false, true, true, true],
    ),
    (
        "all but one of ann's",
        |world| {
            let remember = world.engine.remember();
            let forgotten = remember.forget(principal("ann"), Some(world.kept), None);
            forgotten.wait().unwrap()
        },
        [false, false, true, true, true],
    ),
    (
        "all of ann's",
        |world| {
            let remember = world.engine.remember();
            let forgotten = remember.forget(principal("ann"), None, None);
            forgotten.wait().unwrap()
        },
        [false, false, false, true, true],
    ),
    (
        "every device",
        |world| world.engine.remember().revoke_all(None).wait().unwrap(),
        [false, false, false, true, false],
    ),
    (
        "switched off",
        |world| {
            let switches = world.engine.switches();
            switches.off(Subsystem::RememberMe, None).wait().unwrap()
        },
        [false, false, false, true, false],
    ),
];

#[test]
fn a_forgotten_device_takes_its_sessions_with_it_and_no_others() {
    for (what, act, left) in ACTS {
        let world = World::on(in_memory().0);
        assert_eq!(world.ins(), [true; 5], "{what}");
        assert!(act(&world).durable, "{what}");
        assert_eq!(world.ins(), left, "{what}");
    }
}

#[test]
fn it_does_so_whatever_the_disk_does() {
    for (what, act, left) in ACTS {
        let (store, engine, _) = sick_at();
        let world = World::on(engine);
        store.unknown.store(true, Ordering::SeqCst);
        assert!(!act(&world).durable, "{what}");
        assert_eq!(world.ins(), left, "{what}");
    }
}

#[test]
fn its_sessions_are_told_of_as_revoked() {
    let ears = SessionEars::default();
    let clock = countersign_testkit::ManualClock::default();
    let engine = crate::support::builder(&clock).observer(ears.clone());
    let engine = engine.open_store(Arc::new(MemoryStore::new([])), &keys());
    let world = World::on(engine.unwrap());
    drop(ears.changes());
    let remember = world.engine.remember();
    remember.revoke(world.lost, None).wait().unwrap();
    assert_eq!(ears.ends(), [EndedBy::Operator; 2]);
    // Once more, there is nothing left to end.
    remember.revoke(world.lost, None).wait().unwrap();
    assert_eq!(ears.ends(), []);
}

#[test]
fn its_sessions_are_not_carried_over_a_restart() {
    let home = Home::new();
    let world = World::on(home.open());
    home.clock.advance(MINUTE * 2);
    world.engine.maintain().wait().unwrap();
    let remember = world.engine.remember();
    remember.revoke(world.lost, None).wait().unwrap();
    // The snapshot that it asks for, and a kill.
    home.clock.advance(MINUTE);
    world.engine.maintain().wait().unwrap();
    let bytes = std::fs::read(home.dir.path().join("state.sessions")).unwrap();
    world.engine.close().wait().unwrap();
    std::fs::write(home.dir.path().join("state.sessions"), bytes).unwrap();
    let world = World {
        engine: home.open(),
        ..world
    };
    assert_eq!(world.ins(), [false, false, true, true, true]);
}

#[test]
fn a_device_that_logs_out_leaves_none_of_its_sessions_behind() {
    let (engine, _) = in_memory();
    let ann = log_in(&engine, "ann", true);
    let (other_tab, _) = given(come_back(&engine, ann.device.unwrap().token.expose()));
    let out = engine.log_out(&ann.session.session, None).wait().unwrap();
    assert!(!out.session.already);
    assert!(!is_in(&engine, &other_tab));
    let nobody = log_in(&engine, "ann", false);
    assert!(is_in(&engine, nobody.session.token.expose()));
}
