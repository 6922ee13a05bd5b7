//! Hazard: a remembered device is shut out and a session of its goes on, or one of another ends.

use crate::support::{HOUR, START, World, by, login, principal, quiet, why};
use countersign_core::Selector;
use countersign_sessions::{Ended, EndedBy, LogIn, Opened, Owner};

/// Sessions of ann's two devices and of none, and one of bob's device.
struct Devices {
    world: World,
    phone: Selector,
    laptop: Selector,
    sessions: [Opened; 4],
}

impl Devices {
    fn new() -> Self {
        let world = World::new(|_| ());
        let series = |who: &str, n: u8| {
            let tag = world.keyring.shard_tag(&principal(who));
            Selector::mint(START, tag, [n; 8])
        };
        let open = |who: &str, series: Option<Selector>| {
            let who = principal(who);
            let login = LogIn {
                series,
                ..login(&who)
            };
            quiet(world.log_in_as(None, &login)).unwrap()
        };
        let (phone, laptop) = (series("ann", 1), series("ann", 2));
        let sessions = [
            open("ann", Some(phone)),
            open("ann", Some(laptop)),
            open("ann", None),
            open("bob", Some(series("bob", 3))),
        ];
        Self {
            world,
            phone,
            laptop,
            sessions,
        }
    }
}

/// Of the phone, the laptop, no device, and bob's, those that a call ends: it tells of each, and
/// all others go on.
#[track_caller]
fn check(expected: [bool; 4], end: impl Fn(&Devices) -> Vec<Ended>) {
    let devices = Devices::new();
    let mut told: Vec<Selector> = end(&devices).iter().map(|ended| ended.selector).collect();
    told.sort_unstable();
    let concerned = devices.sessions.iter().zip(expected);
    let mut over: Vec<Selector> = concerned
        .filter(|(_, ends)| *ends)
        .map(|(opened, _)| opened.session.selector())
        .collect();
    over.sort_unstable();
    assert_eq!(told, over);
    for (opened, ends) in devices.sessions.iter().zip(expected) {
        let answer = why(&devices.world.touch(&opened.token));
        assert_eq!(answer, if ends { "gone: theft" } else { "in" });
    }
}

#[test]
fn shutting_a_device_out_ends_its_sessions_and_no_others() {
    let (ann, theft) = (principal("ann"), EndedBy::Theft);
    check([true, false, false, false], |devices| {
        let world = &devices.world;
        let moment = world.moment();
        world
            .table
            .end_of_series(&moment, &ann, devices.phone, theft)
    });
    check([false, true, false, false], |devices| {
        let world = &devices.world;
        world
            .table
            .end_of_device(&world.moment(), devices.laptop, theft)
    });
    check([false, true, false, false], |devices| {
        let (world, keep) = (&devices.world, Some(devices.phone));
        world
            .table
            .end_of_devices(&world.moment(), &ann, keep, theft)
    });
    check([true, true, false, false], |devices| {
        let world = &devices.world;
        world
            .table
            .end_of_devices(&world.moment(), &ann, None, theft)
    });
    check([true, true, false, true], |devices| {
        let (world, mut told) = (&devices.world, Vec::new());
        let tell = |ended| told.push(ended);
        let count = world
            .table
            .end_of_every_device(&world.moment(), theft, tell);
        assert_eq!(count, 3);
        told
    });
}

#[test]
fn of_a_device_whose_session_s_time_is_over_that_is_what_is_told() {
    let devices = Devices::new();
    devices.world.pass(5 * HOUR);
    let moment = devices.world.moment();
    let ended = devices
        .world
        .table
        .end_of_device(&moment, devices.phone, EndedBy::Theft);
    assert_eq!(by(&ended), [EndedBy::Idle]);
}

#[test]
fn a_list_tells_of_which_device_a_session_is() {
    let devices = Devices::new();
    let moment = devices.world.moment();
    let listed = quiet(devices.world.table.list(&moment, &principal("ann")));
    for (opened, series) in
        devices
            .sessions
            .iter()
            .zip([Some(devices.phone), Some(devices.laptop), None])
    {
        let selector = opened.session.selector();
        let shown = listed.iter().find(|shown| shown.selector == selector);
        assert_eq!(shown.unwrap().series(), series);
        assert_eq!(opened.session.series(), series);
    }
}

#[test]
fn a_session_tells_whose_it_is() {
    let devices = Devices::new();
    let long = "a-principal-with-a-name-that-does-not-fit-in-place@example.com";
    for who in ["ann", long] {
        let live = devices.world.log_in(who).session;
        assert_eq!(live.owner().map(Owner::as_str), Some(who));
        assert_eq!(live.principal(), Some(principal(who)));
    }
    let nobody = devices.world.start().session;
    assert!(nobody.owner().is_none() && nobody.principal().is_none());
}
