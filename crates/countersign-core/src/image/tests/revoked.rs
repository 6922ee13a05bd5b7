//! Whatever moves an epoch on ends every token from before it, for good, and lets new ones be.

use super::*;
use crate::event::EventKind;
use crate::principals::PrincipalAction;
use crate::secret::Fresh;
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::text::Reason;
use crate::world::{DAY, START};
use core::time::Duration;
use proptest::prelude::*;

const MS: Duration = Duration::from_millis(1);

/// Every way to end an image token early.
const WAYS: [fn(&mut World); 5] = [
    |world| world.act("ann", PrincipalAction::Revoke),
    |world| world.revoke_attachment("10001"),
    |world| switched(world, Subsystem::ImageTokens, &[SwitchAction::RevokeAll]),
    |world| switched(world, Subsystem::ImageTokens, &OFF_AND_ON),
    |world| switched(world, Subsystem::AccessTokens, &OFF_AND_ON),
];

const OFF_AND_ON: [SwitchAction; 2] = [SwitchAction::Off, SwitchAction::On];

fn switched(world: &mut World, subsystem: Subsystem, actions: &[SwitchAction]) {
    for &action in actions {
        let decision = world.decide_switch(subsystem, action).unwrap();
        world.commit(decision.batch);
    }
}

#[test]
fn each_way_ends_the_old_text_for_good_and_gives_a_new_one() {
    for (number, end) in WAYS.into_iter().enumerate() {
        let mut world = World::new();
        let mut dead = Vec::new();
        for _ in 0..4 {
            let token = world.sign("ann", "10001");
            assert!(
                !dead.contains(&token),
                "way {number}: an ended text is signed again"
            );
            assert_eq!(world.open(&token, "10001"), Ok(()));
            end(&mut world);
            dead.push(token);
            // It holds from the very instant on.
            for token in &dead {
                assert_eq!(
                    world.open(token, "10001"),
                    Err(Rejection::Revoked),
                    "way {number}"
                );
            }
            world.pass(MS);
        }
        world.pass(DAY);
        world.sign("ann", "10001");
        for token in &dead {
            assert_eq!(
                world.open(token, "10001"),
                Err(Rejection::Revoked),
                "way {number}"
            );
        }
    }
}

#[test]
fn revoking_one_leaves_the_others_alone() {
    let mut world = World::new();
    let (ann, bob) = (world.sign("ann", "10001"), world.sign("bob", "10001"));
    let other = world.sign("ann", "10002");
    world.act("ann", PrincipalAction::Revoke);
    assert_eq!(world.open(&bob, "10001"), Ok(()));
    world.pass(MS);
    let ann_again = world.sign("ann", "10002");
    world.revoke_attachment("10001");
    assert_eq!(world.open(&bob, "10001"), Err(Rejection::Revoked));
    assert_eq!(world.open(&ann_again, "10002"), Ok(()));
    for token in [(ann, "10001"), (other, "10002")] {
        assert_eq!(world.open(&token.0, token.1), Err(Rejection::Revoked));
    }
}

/// Two revocations in one second, with a token between them: a token that carried whole seconds
/// would outlive the second one, or be signed again with the text that was ended.
#[test]
fn a_token_between_two_revocations_of_one_second_is_ended_by_the_second() {
    for first in WAYS {
        for second in WAYS {
            let mut world = World::new();
            world.sign("ann", "10001");
            first(&mut world);
            world.pass(MS);
            let between = world.sign("ann", "10001");
            second(&mut world);
            assert_eq!(world.open(&between, "10001"), Err(Rejection::Revoked));
            world.pass(MS);
            let after = world.sign("ann", "10001");
            assert_ne!(between, after);
            assert_eq!(world.open(&between, "10001"), Err(Rejection::Revoked));
            assert_eq!(world.open(&after, "10001"), Ok(()));
        }
    }
}

#[test]
fn nothing_is_signed_in_the_instant_of_a_revocation() {
    for end in WAYS {
        let mut world = World::new();
        world.sign("ann", "10001");
        end(&mut world);
        let at = START.next();
        assert_eq!(world.try_sign("ann", "10001"), Err(Refusal::NotYet { at }));
        world.now = at;
        assert!(world.try_sign("ann", "10001").is_ok());
    }
}

#[test]
fn an_attachment_can_be_revoked_before_anything_was_signed_for_it() {
    let mut world = World::new();
    world.revoke_attachment("10001");
    assert_eq!(
        world.attachment("10001").unwrap().record.epoch.since(),
        START.next()
    );
    world.pass(MS);
    let token = world.sign("ann", "10001");
    assert_eq!(world.open(&token, "10001"), Ok(()));
}

#[test]
fn a_forgotten_attachment_leaves_no_record_and_no_token_that_opens() {
    let mut world = World::new();
    let nothing = world.decide_forget_attachment("10001");
    assert!(!nothing.outcome && nothing.batch.writes.is_empty());
    let token = world.sign("ann", "10001");
    world.pass(MS);
    let decision = world.decide_forget_attachment("10001");
    let told: Vec<_> = decision.batch.events().map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::AttachmentRevoked]);
    assert!(decision.outcome);
    world.commit(decision.batch);
    assert_eq!(world.attachment("10001"), None);
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Unknown));
    // Another of that name is another one.
    world.pass(MS);
    let again = world.sign("ann", "10001");
    assert_eq!(world.open(&again, "10001"), Ok(()));
    assert_eq!(world.open(&token, "10001"), Err(Rejection::Revoked));
}

#[test]
fn a_forgotten_attachment_keeps_its_record_while_a_new_one_would_begin_too_early() {
    for back in [Duration::ZERO, MS] {
        let mut world = World::new();
        let token = world.sign("ann", "10001");
        let before = world.attachment("10001").unwrap().record.epoch;
        world.step_back(back);
        let decision = world.decide_forget_attachment("10001");
        assert!(decision.outcome);
        world.commit(decision.batch);
        let after = world.attachment("10001").unwrap().record.epoch;
        assert!(after.since() > before.since(), "{back:?}");
        world.now = START.after(DAY);
        world.sign("ann", "10001");
        assert_eq!(world.open(&token, "10001"), Err(Rejection::Revoked));
    }
}

#[test]
fn a_revocation_is_written_with_its_event_and_holds_to_what_it_read() {
    let mut world = World::new();
    world.sign("ann", "10001");
    let (system, found) = (world.system(), world.attachment("10001"));
    let mut fresh = world.fresh();
    let setting = world.setting(&system);
    let reason = Reason::new("wrong picture").unwrap();
    let revoke = |fresh: &mut Fresh| {
        let name = named("10001");
        revoke_attachment(&setting, fresh, &name, found.as_ref(), Some(&reason)).unwrap()
    };
    let decision = revoke(&mut fresh);
    let late = revoke(&mut fresh);
    let events: Vec<_> = decision.batch.events().cloned().collect();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::AttachmentRevoked);
    assert_eq!(events[0].attachment, Some(named("10001")));
    assert_eq!(events[0].reason, Some(reason.clone()));
    assert_eq!(decision.batch.purpose, crate::record::Purpose::Deny);
    world.commit(decision.batch);
    assert!(
        !world.holds(&late.batch),
        "a revocation of what has changed meanwhile"
    );
}

#[test]
fn randomness_that_runs_out_is_said() {
    let mut world = World::new();
    let system = world.system();
    let mut spent = world.fresh();
    while spent.take::<1>().is_some() {}
    let setting = world.setting(&system);
    let refused = revoke_attachment(&setting, &mut spent, &named("x"), None, None);
    assert_eq!(refused.unwrap_err(), Refusal::NotEnoughRandomness);
}

/// A step of a history that tokens live through.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u32),
    Sign,
    End(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pass = prop_oneof![0..3u32, 0..2000u32, 0..100_000_000u32].prop_map(Step::Pass);
    let step = prop_oneof![pass, Just(Step::Sign), (0..WAYS.len()).prop_map(Step::End)];
    proptest::collection::vec(step, 1..30)
}

proptest! {
    /// Against the plainest model: a token is good until the first revocation after its signing.
    #[test]
    fn what_was_ended_never_opens_again(steps in steps()) {
        let mut world = World::with_policy(|draft| draft.image_tokens.expiry_hours = 876_000);
        let mut tokens: Vec<(String, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ms) => world.pass(MS * ms),
                Step::Sign => match world.try_sign("ann", "10001") {
                    Ok(token) => {
                        let ended = tokens.iter().any(|(old, good)| *old == token && !good);
                        prop_assert!(!ended, "an ended text is signed again");
                        tokens.push((token, true));
                    }
                    Err(refusal) => {
                        let early = matches!(refusal, Refusal::NotYet { .. });
                        prop_assert!(early, "refused: {refusal}");
                    }
                },
                Step::End(way) => {
                    WAYS[way](&mut world);
                    tokens.iter_mut().for_each(|(_, good)| *good = false);
                }
            }
            for (token, good) in &tokens {
                prop_assert_eq!(world.open(token, "10001").is_ok(), *good);
            }
        }
    }
}
