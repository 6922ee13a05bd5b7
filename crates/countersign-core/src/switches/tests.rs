//! Hazard: a subsystem that is off in name only, or whose dead credentials come back with it.

use super::{SwitchAction, act};
use crate::decision::Refusal;
use crate::epoch::Epoch;
use crate::event::EventKind;
use crate::grant::Expiry;
use crate::record::{Expect, Key, Purpose, Record};
use crate::system::Subsystem;
use crate::text::Reason;
use crate::time::Timestamp;
use crate::verdict::Rejection;
use crate::world::{DAY, World};

use SwitchAction::{Off, On, RevokeAll};

/// What a sequence of actions makes of a token that was issued before it, and whether another
/// one is issued after it.
fn check(actions: &[SwitchAction]) -> (Result<(), Rejection>, bool) {
    let mut world = World::new();
    let token = world.issued("ann");
    for action in actions {
        world.switch(*action);
    }
    (
        world.check(&token),
        world.issue("ann", Expiry::Never).is_ok(),
    )
}

#[test]
fn no_sequence_of_switching_revives_what_was_issued_before_it() {
    let (off, dead) = (Err(Rejection::SwitchedOff), Err(Rejection::Revoked));
    for (actions, expected) in [
        (&[][..], (Ok(()), true)),
        (&[On], (Ok(()), true)),
        (&[Off], (off, false)),
        (&[Off, Off], (off, false)),
        (&[Off, On], (dead, true)),
        (&[Off, On, Off, On], (dead, true)),
        (&[RevokeAll], (dead, true)),
        (&[RevokeAll, On], (dead, true)),
        (&[Off, RevokeAll], (off, false)),
        (&[Off, RevokeAll, On], (dead, true)),
    ] {
        assert_eq!(check(actions), expected, "{actions:?}");
    }
}

#[test]
fn each_switch_is_its_own() {
    for subsystem in Subsystem::ALL {
        for action in [Off, RevokeAll] {
            let mut world = World::new();
            let before = world.system().record;
            let after = world.decide_switch(subsystem, action).unwrap().outcome;
            for other in Subsystem::ALL {
                let changed = before.switch(other) != after.switch(other);
                assert_eq!(
                    changed,
                    other == subsystem,
                    "{action:?} {subsystem} on {other}"
                );
            }
            assert_eq!(after.switch(subsystem).on, action != Off);
            assert_eq!(after.switch(subsystem).epoch.number(), 1);
            assert_eq!(after.deployment, before.deployment);
        }
    }
}

#[test]
fn switching_access_tokens_off_switches_image_tokens_off() {
    let mut world = World::new();
    world.switch(Off);
    let system = world.system().record;
    assert!(!system.is_on(Subsystem::ImageTokens));
    assert!(
        system.switch(Subsystem::ImageTokens).on,
        "its own switch is as it was"
    );
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let mut world = World::new();
    let is_empty = |world: &mut World, action| {
        let decision = world
            .decide_switch(Subsystem::AccessTokens, action)
            .unwrap();
        decision.batch.writes.is_empty()
    };
    assert!(is_empty(&mut world, On) && !is_empty(&mut world, Off));
    world.switch(Off);
    assert!(is_empty(&mut world, Off) && !is_empty(&mut world, On));
    assert!(!is_empty(&mut world, RevokeAll));
}

#[test]
fn every_write_expects_what_was_loaded_and_tells_of_itself() {
    for (action, kind, purpose) in [
        (On, EventKind::SwitchedOn, Purpose::Grow),
        (Off, EventKind::SwitchedOff, Purpose::Deny),
        (RevokeAll, EventKind::SubsystemRevoked, Purpose::Deny),
    ] {
        let mut world = World::new();
        if action == On {
            world.switch(Off);
        }
        let system = world.system();
        let mut fresh = world.fresh();
        let reason = Reason::new("drill").unwrap();
        let setting = world.setting(&system);
        let decision = act(
            &setting,
            &mut fresh,
            Subsystem::AccessTokens,
            action,
            Some(&reason),
        )
        .unwrap();
        let event = decision.batch.events().next().unwrap();
        assert_eq!(
            (event.kind, event.subsystem),
            (kind, Some(Subsystem::AccessTokens))
        );
        assert_eq!(
            (event.at, event.reason.as_ref()),
            (world.now, Some(&reason))
        );
        let expected = [
            (Key::SYSTEM, Expect::Version(system.version)),
            (Key::event(event.id), Expect::Absent),
        ];
        let writes = decision
            .batch
            .writes
            .iter()
            .map(|write| (write.key, write.expect));
        assert_eq!(writes.collect::<Vec<_>>(), expected);
        assert_eq!(decision.batch.purpose, purpose);
    }
}

#[test]
fn two_operators_at_once_do_not_undo_each_other() {
    let mut world = World::new();
    let revoke = world
        .decide_switch(Subsystem::AccessTokens, RevokeAll)
        .unwrap();
    let off = world.decide_switch(Subsystem::Sessions, Off).unwrap();
    world.commit(revoke.batch);
    assert!(!world.holds(&off.batch));
}

#[test]
fn an_epoch_only_grows_also_when_the_clock_steps_back() {
    let mut world = World::new();
    let mut last = world.system().record.switch(Subsystem::AccessTokens).epoch;
    for action in [RevokeAll, Off, On, RevokeAll] {
        world.step_back(DAY);
        world.switch(action);
        let epoch = world.system().record.switch(Subsystem::AccessTokens).epoch;
        if action == On {
            assert_eq!(epoch, last);
        } else {
            assert!(epoch.number() > last.number() && epoch.since() > last.since());
        }
        last = epoch;
    }
}

#[test]
fn used_up_epochs_are_a_refusal_where_one_is_needed() {
    let mut world = World::new();
    let mut found = world.system();
    found.record.switch_mut(Subsystem::AccessTokens).epoch =
        Epoch::from_parts(u32::MAX, Timestamp::ZERO);
    world.records.insert(Key::SYSTEM, found.map(Record::System));
    for action in [Off, RevokeAll] {
        let outcome = world.decide_switch(Subsystem::AccessTokens, action);
        assert_eq!(outcome.unwrap_err(), Refusal::EpochsExhausted);
    }
    assert!(world.decide_switch(Subsystem::AccessTokens, On).is_ok());
}
