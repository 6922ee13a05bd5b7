//! Hazard: a principal who is shut out in name only, or let in again by accident.

use super::{PrincipalAction, act};
use crate::decision::Refusal;
use crate::epoch::Epoch;
use crate::event::EventKind;
use crate::principal::{PrincipalRecord, PrincipalState};
use crate::record::{Expect, Key, Purpose, Record};
use crate::secret::Fresh;
use crate::text::Reason;
use crate::time::Timestamp;
use crate::verdict::Rejection;
use crate::world::{DAY, World};

use PrincipalAction::{CredentialsChanged, Disable, Enable, Revoke};

/// What a sequence of actions leaves of a principal with two tokens.
fn check(actions: &[PrincipalAction]) -> (PrincipalState, Result<(), Rejection>) {
    let mut world = World::new();
    let token = world.issued("ann");
    world.issued("ann");
    for action in actions {
        world.act("ann", *action);
    }
    let state = world.principal("ann").unwrap().record.state;
    (state, world.check(&token))
}

#[test]
fn disabling_shuts_out_until_enabled_and_revoking_for_good() {
    let (on, off) = (PrincipalState::Enabled, PrincipalState::Disabled);
    for (actions, state, verdict) in [
        (&[][..], on, Ok(())),
        (&[Enable], on, Ok(())),
        (&[Disable], off, Err(Rejection::Disabled)),
        (&[Disable, Disable], off, Err(Rejection::Disabled)),
        (&[Disable, Enable], on, Ok(())),
        (&[Revoke], on, Err(Rejection::Revoked)),
        (&[Revoke, Enable], on, Err(Rejection::Revoked)),
        (
            &[Revoke, Disable, Enable, Revoke],
            on,
            Err(Rejection::Revoked),
        ),
        (&[Disable, Revoke], off, Err(Rejection::Disabled)),
        (&[CredentialsChanged], on, Ok(())),
        (&[CredentialsChanged, Revoke], on, Err(Rejection::Revoked)),
    ] {
        assert_eq!(check(actions), (state, verdict), "{actions:?}");
    }
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let mut world = World::new();
    world.issued("ann");
    let enabled = world.decide_act("ann", Enable).unwrap();
    assert!(enabled.batch.writes.is_empty());
    world.act("ann", Disable);
    assert!(
        world
            .decide_act("ann", Disable)
            .unwrap()
            .batch
            .writes
            .is_empty()
    );
    assert!(
        !world
            .decide_act("ann", Revoke)
            .unwrap()
            .batch
            .writes
            .is_empty()
    );
}

#[test]
fn every_write_expects_what_was_loaded_and_tells_of_itself() {
    for (action, kind, purpose) in [
        (Enable, EventKind::PrincipalEnabled, Purpose::Grow),
        (Disable, EventKind::PrincipalDisabled, Purpose::Deny),
        (Revoke, EventKind::PrincipalRevoked, Purpose::Deny),
        (
            CredentialsChanged,
            EventKind::CredentialsChanged,
            Purpose::Deny,
        ),
    ] {
        for known in [false, true] {
            let mut world = World::new();
            if known {
                world.issued("ann");
                if action == Enable {
                    world.act("ann", Disable);
                }
            }
            let expect = Expect::as_loaded(world.principal("ann").as_ref());
            assert_eq!(expect == Expect::Absent, !known);
            let batch = world.decide_act("ann", action).unwrap().batch;
            let event = batch.events().next().unwrap();
            assert_eq!((event.kind, event.at), (kind, world.now));
            assert_eq!(event.principal.as_ref().unwrap().as_str(), "ann");
            let expected = [
                (world.principal_key("ann"), expect),
                (Key::event(event.id), Expect::Absent),
            ];
            let writes = batch.writes.iter().map(|write| (write.key, write.expect));
            assert_eq!(writes.collect::<Vec<_>>(), expected, "{action:?}");
            assert_eq!(batch.purpose, purpose);
        }
    }
}

#[test]
fn the_reason_goes_into_the_event() {
    let mut world = World::new();
    let (system, mut fresh) = (world.system(), world.fresh());
    let ann = crate::principal::Principal::new("ann").unwrap();
    let reason = Reason::new("left the company").unwrap();
    let setting = world.setting(&system);
    let decision = act(&setting, &mut fresh, &ann, None, Disable, Some(&reason)).unwrap();
    assert_eq!(decision.batch.events().next().unwrap().reason, Some(reason));
    assert_eq!(decision.outcome.state, PrincipalState::Disabled);
}

#[test]
fn an_epoch_only_grows_also_when_the_clock_steps_back() {
    let mut world = World::new();
    world.act("ann", Enable);
    let mut last = world.principal("ann").unwrap().record.epoch;
    assert_eq!(last.since(), world.now);
    for _ in 0..3 {
        world.step_back(DAY);
        world.act("ann", Revoke);
        let epoch = world.principal("ann").unwrap().record.epoch;
        assert!(epoch.number() > last.number() && epoch.since() > last.since());
        last = epoch;
    }
}

#[test]
fn the_list_knows_what_a_revocation_ended() {
    let mut world = World::new();
    world.issued("ann");
    world.pass(DAY);
    world.act("ann", Revoke);
    assert_eq!(world.list("ann")[0].ends_at, world.now);
    let before = world.now;
    world.pass(DAY);
    world.act("ann", Revoke);
    assert_eq!(world.list("ann")[0].ends_at, before, "the first end counts");
}

#[test]
fn used_up_epochs_and_randomness_are_refusals() {
    let mut world = World::new();
    world.issued("ann");
    let key = world.principal_key("ann");
    let mut found = world.principal("ann").unwrap();
    found.record.epoch = Epoch::from_parts(u32::MAX, Timestamp::ZERO);
    let record = found.map(Record::Principal);
    world.records.insert(key, record);
    assert_eq!(
        world.decide_act("ann", Revoke).unwrap_err(),
        Refusal::EpochsExhausted
    );

    let (system, mut fresh) = (world.system(), Fresh::new([0; Fresh::LEN]));
    fresh.take::<{ Fresh::LEN }>().unwrap();
    let ann = crate::principal::Principal::new("bob").unwrap();
    let outcome = act(
        &world.setting(&system),
        &mut fresh,
        &ann,
        None,
        Disable,
        None,
    );
    assert_eq!(outcome.unwrap_err(), Refusal::NotEnoughRandomness);
}

#[test]
fn records_made_anew_do_not_share_their_first_epoch() {
    let mut world = World::new();
    let mut epoch = || {
        world.records.remove(&world.principal_key("ann"));
        world.act("ann", Enable);
        world.principal("ann").unwrap().record.epoch.number()
    };
    let numbers: std::collections::BTreeSet<u32> = (0..100).map(|_| epoch()).collect();
    assert_eq!(numbers.len(), 100);
    let plain = PrincipalRecord::new(crate::principal::Principal::new("ann").unwrap());
    assert_eq!(plain.epoch, Epoch::FIRST);
}
