//! Hazard: a restart that signs everybody out, or lets somebody back in (E13).

use crate::support::{DAY, HOUR, SECOND, World, login, name, principal, quiet, set, why};
use countersign_core::{Epoch, EpochStamp, Principal, Timestamp};
use countersign_sessions::{
    AttributeChange, EndedBy, Epochs, JsonText, Method, Opened, Privilege, Restored, SavedSessions,
    SnapshotError, SnapshotName, Timeouts, Value,
};

pub(crate) const NAME: SnapshotName = SnapshotName {
    binding: [0xb1; 16],
    id: [0x1d; 16],
};

pub(crate) fn restore(world: &World, bytes: &[u8]) -> Result<Restored, SnapshotError> {
    let epochs = Epochs {
        sessions: Epoch::FIRST,
        of_principal: &|_| Some(Epoch::FIRST),
    };
    world
        .table
        .restore(&world.moment(), NAME.binding, bytes, &epochs)
}

fn moved(number: u32) -> Epoch {
    Epoch::from_parts(number, Timestamp::ZERO)
}

/// A session with everything that one can have.
fn rich(world: &World) -> Opened {
    let ann = principal("ann");
    let carry = [name("before")];
    let anonymous = world.start();
    let selector = anonymous.session.selector();
    quiet(
        world
            .table
            .update(&world.moment(), selector, &[set("before", "x")]),
    )
    .unwrap();
    let mut wanted = login(&ann);
    wanted.carry = &carry;
    wanted.series = Some(selector);
    wanted.timeouts = Timeouts {
        idle: Some(20 * HOUR),
        absolute: None,
    };
    let opened = world
        .log_in_as(Some(&anonymous.session), &wanted)
        .outcome
        .unwrap();
    let (moment, mut fresh) = (world.moment(), world.fresh());
    let live = &opened.session;
    let elevated = world
        .table
        .elevate(&moment, &mut fresh, live, Method::MultiFactor, HOUR);
    let elevated = quiet(elevated).unwrap();
    let changes = [
        AttributeChange::Set(name("count"), Value::Integer(i64::MIN)),
        AttributeChange::Set(name("yes"), Value::Boolean(true)),
        AttributeChange::Set(name("no"), Value::Boolean(false)),
        AttributeChange::Set(name("blob"), Value::Bytes([0, 255][..].into())),
        AttributeChange::Set(name("cart"), Value::Json(JsonText::new(" {} ").unwrap())),
        set("empty", ""),
    ];
    quiet(world.table.update(&moment, live.selector(), &changes)).unwrap();
    elevated
}

#[test]
fn everything_of_a_session_comes_back_and_its_token_and_forms_still_work() {
    let world = World::new(|_| ());
    let (rich, anonymous) = (rich(&world), world.start());
    let long = world.log_in("a.long.name.of.more.than.twenty-two.bytes@example.com");
    world.pass(60 * SECOND);
    world.touch(&rich.token).unwrap();
    let before = world.touch(&rich.token).unwrap();
    let described = quiet(world.table.describe(&world.moment(), before.selector())).unwrap();
    let bytes = world.table.snapshot(&world.moment(), &NAME);

    let again = world.restarted();
    let restored = restore(&again, &bytes).unwrap();
    assert_eq!((restored.living, restored.written_at), (3, world.now()));
    assert_eq!(again.table.len(), (3, 1));
    let after = again.peek(&rich.token).unwrap();
    assert_eq!(after.attributes(), before.attributes());
    assert_eq!(after.authentication(), before.authentication());
    assert_eq!(after.series(), before.series());
    assert_eq!(after.stamp(), before.stamp());
    assert_eq!(after.expires_at(), before.expires_at());
    assert_eq!(after.last_seen_at(), before.last_seen_at());
    assert_eq!(
        after.csrf_secret(&again.keyring).expose(),
        before.csrf_secret(&world.keyring).expose()
    );
    let listed = quiet(again.table.describe(&again.moment(), before.selector())).unwrap();
    assert_eq!(listed.idle_timeout, described.idle_timeout);
    assert_eq!(listed.ends_at, described.ends_at);
    assert_eq!(why(&again.touch(&anonymous.token)), "in");
    assert_eq!(why(&again.touch(&long.token)), "in");
    assert_eq!(again.names("ann"), 1);
    assert_eq!(
        again.table.snapshot(&again.moment(), &NAME).len(),
        bytes.len()
    );
}

#[test]
fn what_was_read_of_a_snapshot_shows_how_many_and_not_who() {
    let world = World::new(|_| ());
    let opened = [world.log_in("ann"), world.log_in("bob")];
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let saved = SavedSessions::read(&world.moment(), NAME.binding, &bytes).unwrap();
    assert_eq!(format!("{saved:?}"), "SavedSessions { count: 2, .. }");
    assert_eq!((saved.principals().len(), opened.len()), (2, 2));
}

#[test]
fn as_many_attributes_as_a_session_can_have_come_back() {
    let world = World::new(|policy| policy.max_attributes = 1024);
    let opened = world.log_in("ann");
    let changes: Vec<AttributeChange> = (0..1024)
        .map(|n| AttributeChange::Set(name(&format!("a{n}")), Value::Boolean(n % 2 == 0)))
        .collect();
    let selector = opened.session.selector();
    let made = quiet(world.table.update(&world.moment(), selector, &changes)).unwrap();
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let again = world.restarted();
    assert_eq!(restore(&again, &bytes).unwrap().living, 1);
    let after = again.touch(&opened.token).unwrap();
    assert_eq!(
        (after.attributes().len(), after.attributes()),
        (1024, &made)
    );
}

#[test]
fn what_had_ended_before_does_not_come_back() {
    let world = World::new(|_| ());
    let (out, stays) = (world.log_in("ann"), world.log_in("bob"));
    let over = world.log_in("cyd");
    let short = Timeouts {
        idle: Some(SECOND),
        absolute: None,
    };
    let selector = over.session.selector();
    quiet(world.table.set_timeouts(&world.moment(), selector, short)).unwrap();
    world.end(&out.session, EndedBy::Principal).outcome.unwrap();
    world.pass(SECOND);
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let again = world.restarted();
    assert_eq!(restore(&again, &bytes).unwrap().living, 1);
    assert_eq!(why(&again.touch(&out.token)), "unknown");
    assert_eq!(why(&again.touch(&over.token)), "unknown");
    assert_eq!(why(&again.touch(&stays.token)), "in");
    // Nor does what ends afterwards, from the same snapshot into the same table.
    again
        .end(&stays.session, EndedBy::Principal)
        .outcome
        .unwrap();
    let second = restore(&again, &bytes).unwrap();
    assert_eq!((second.living, second.known), (0, 1));
    assert_eq!(why(&again.touch(&stays.token)), "gone: principal");
}

#[test]
fn time_passes_while_nothing_runs() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    world.pass(5 * HOUR);
    let again = world.restarted();
    let restored = restore(&again, &bytes).unwrap();
    assert_eq!((restored.living, restored.expired), (0, 1));
    assert_eq!(why(&again.touch(&opened.token)), "unknown");
}

#[test]
fn a_clock_that_stepped_back_over_the_restart_lengthens_nothing() {
    let world = World::new(|_| ());
    world.pass(365 * DAY);
    let opened = world.log_in("ann");
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let again = world.restarted();
    again.set(crate::support::START);
    assert_eq!(restore(&again, &bytes).unwrap().living, 1);
    again.pass(5 * HOUR);
    assert_eq!(why(&again.touch(&opened.token)), "gone: idle");
}

#[test]
fn an_epoch_that_moved_on_meanwhile_ends_what_it_is_for() {
    let world = World::new(|_| ());
    let stamped = |who: &str, subsystem, own| {
        let who = principal(who);
        let mut wanted = login(&who);
        wanted.stamp = EpochStamp {
            subsystem,
            principal: own,
        };
        quiet(world.log_in_as(None, &wanted)).unwrap()
    };
    let ann = stamped("ann", 3, 5);
    let (bob, cyd) = (stamped("bob", 3, 6), stamped("cyd", 3, 5));
    let early = stamped("dan", 2, 5);
    let timeouts = Timeouts::default();
    let anonymous = |switch| {
        let started = world
            .table
            .start(&world.moment(), &mut world.fresh(), switch, timeouts);
        quiet(started).unwrap()
    };
    let (now, old) = (anonymous(3), anonymous(2));
    let bytes = world.table.snapshot(&world.moment(), &NAME);

    let again = world.restarted();
    let of_principal = |who: &Principal| (who.as_str() != "cyd").then(|| moved(5));
    let epochs = Epochs {
        sessions: moved(3),
        of_principal: &of_principal,
    };
    let restored = again
        .table
        .restore(&again.moment(), NAME.binding, &bytes, &epochs);
    let restored = restored.unwrap();
    assert_eq!((restored.living, restored.revoked), (2, 4));
    for opened in [&ann, &now] {
        assert_eq!(why(&again.touch(&opened.token)), "in");
    }
    for opened in [&bob, &cyd, &early, &old] {
        assert_eq!(why(&again.touch(&opened.token)), "unknown");
    }
}

#[test]
fn bounds_that_became_smaller_keep_the_latest_and_principals_first() {
    let world = World::new(|_| ());
    let first = world.log_in("ann");
    for _ in 0..4 {
        world.pass(SECOND);
        world.start();
        world.log_in("ann");
    }
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let mut again = world.restarted();
    again.policy.max_sessions = 6;
    again.policy.max_per_principal = 4;
    let restored = restore(&again, &bytes).unwrap();
    assert_eq!((restored.living, restored.no_room), (6, 3));
    assert_eq!(again.table.len(), (6, 2));
    assert_eq!(why(&again.touch(&first.token)), "unknown", "the idlest one");
}

#[test]
fn a_snapshot_of_another_store_or_of_other_keys_is_refused() {
    let world = World::new(|_| ());
    let opened = world.log_in("ann");
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let mut again = world.restarted();
    let epochs = Epochs {
        sessions: Epoch::FIRST,
        of_principal: &|_| Some(Epoch::FIRST),
    };
    let elsewhere = again
        .table
        .restore(&again.moment(), [0; 16], &bytes, &epochs);
    assert_eq!(elsewhere, Err(SnapshotError::Damaged));
    let keys = countersign_core::KeyMaterial::generate(world.now(), [9; 32], [2; 32]);
    again.keyring = countersign_core::Keyring::new(&keys);
    assert_eq!(restore(&again, &bytes), Err(SnapshotError::Damaged));
    assert_eq!(why(&again.touch(&opened.token)), "unknown");
}

#[test]
fn a_session_that_lies_elsewhere_after_the_restart_is_found_all_the_same() {
    // Rows are taken before the snapshot is restored, and there are fewer shards than before.
    let world = World::new(|policy| policy.max_sessions = 100_000);
    let kept: Vec<Opened> = (0..300).map(|n| world.log_in(&format!("p{n}"))).collect();
    let ended: Vec<Opened> = (0..100).map(|n| world.log_in(&format!("q{n}"))).collect();
    for opened in &ended {
        world
            .end(&opened.session, EndedBy::Principal)
            .outcome
            .unwrap();
    }
    let mut live = kept[0].session.clone();
    for _ in 0..3 {
        let (moment, mut fresh) = (world.moment(), world.fresh());
        let renewed = world
            .table
            .renew(&moment, &mut fresh, &live, Privilege::Same);
        live = quiet(renewed).unwrap().session;
    }
    let bytes = world.table.snapshot(&world.moment(), &NAME);
    let again = World::new(|policy| {
        policy.max_sessions = 1000;
        policy.max_anonymous = 0;
    });
    let early: Vec<Opened> = (0..300).map(|n| again.log_in(&format!("r{n}"))).collect();
    assert_eq!(restore(&again, &bytes).unwrap().living, 300);
    for opened in kept[1..].iter().chain(&early) {
        assert_eq!(why(&again.touch(&opened.token)), "in");
        again
            .end(&opened.session, EndedBy::Principal)
            .outcome
            .unwrap();
        assert_eq!(why(&again.touch(&opened.token)), "gone: principal");
    }
    assert_eq!(again.table.len(), (1, 0));
}
