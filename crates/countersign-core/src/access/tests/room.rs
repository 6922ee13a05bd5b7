//! Hazard: a limit that does not hold, one that counts the dead, or room that is made at the cost
//! of a token that must live.

use crate::access::{self, NewToken};
use crate::decision::Refusal;
use crate::event::EventKind;
use crate::grant::{EndCause, Expiry};
use crate::policy::{AccessTokenPolicy, AtLimit};
use crate::principals::PrincipalAction;
use crate::record::{Change, Expect, Key};
use crate::secret::Fresh;
use crate::switches::SwitchAction;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, SECOND, World, request};
use core::time::Duration;

fn world(live: u32, kept: u32, at_limit: AtLimit) -> World {
    World::with_policy(|draft| {
        let policy: &mut AccessTokenPolicy = &mut draft.access_tokens;
        policy.max_live_per_principal = live;
        policy.max_kept_per_principal = kept;
        policy.at_limit = at_limit;
    })
}

/// Issues `count` tokens to ann, an hour apart.
fn issue_many(world: &mut World, count: usize) -> Vec<SplitToken> {
    let mut one = || {
        world.pass(HOUR);
        world.issued("ann")
    };
    (0..count).map(|_| one()).collect()
}

fn accepted(world: &World, tokens: &[SplitToken]) -> usize {
    tokens
        .iter()
        .filter(|token| world.check(token).is_ok())
        .count()
}

#[test]
fn at_the_limit_another_token_is_denied_and_each_principal_has_a_limit_of_its_own() {
    let mut world = world(3, 9, AtLimit::Deny);
    issue_many(&mut world, 3);
    let refusal = Refusal::LimitReached { live: 3, max: 3 };
    assert_eq!(world.issue("ann", Expiry::Never).unwrap_err(), refusal);
    assert!(world.issue("bob", Expiry::Never).is_ok());
}

#[test]
fn no_way_of_dying_keeps_a_place() {
    let endings: [fn(&mut World, &SplitToken); 5] = [
        |world, token| assert!(!world.revoke(token)),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
        |world, _| {
            world.switch(SwitchAction::Off);
            world.switch(SwitchAction::On);
        },
        |world, _| world.pass(DAY.saturating_mul(2)),
    ];
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = world(1, 9, AtLimit::Deny);
        let expiry = Expiry::At(world.now.after(DAY));
        let token = world.issue("ann", expiry).unwrap();
        assert!(world.issue("ann", Expiry::Never).is_err());
        end(&mut world, &token);
        // In the same millisecond, too.
        assert!(world.issue("ann", Expiry::Never).is_ok(), "ending {at}");
        assert!(
            world.issue("ann", Expiry::Never).is_err(),
            "ending {at}: the new one counts"
        );
    }
}

#[test]
fn what_the_list_can_tell_by_itself_is_not_loaded() {
    let endings: [fn(&mut World); 3] = [
        |world| world.switch(SwitchAction::RevokeAll),
        |world| world.act("ann", PrincipalAction::Revoke),
        |world| {
            world.pass(DAY);
            world.set_policy(|draft| {
                draft.access_tokens.allow_never = false;
                draft.access_tokens.max_lifetime = HOUR;
            });
        },
    ];
    for (at, end) in endings.into_iter().enumerate() {
        for at_limit in [AtLimit::Deny, AtLimit::EvictOldest] {
            let mut world = world(2, 9, at_limit);
            issue_many(&mut world, 2);
            end(&mut world);
            let (system, ann) = (world.system(), world.principal("ann").unwrap());
            let keys = access::keys_to_issue(&world.setting(&system), &ann.record);
            assert!(keys.is_empty(), "ending {at}, {at_limit:?}");
        }
    }
}

#[test]
fn a_token_that_a_tightened_policy_ended_keeps_no_place_noted_or_not() {
    for sweep in [false, true] {
        let mut world = world(1, 9, AtLimit::Deny);
        let token = world.issued("ann");
        world.pass(DAY);
        world.set_policy(|draft| {
            draft.access_tokens.allow_never = false;
            draft.access_tokens.max_lifetime = HOUR;
        });
        if sweep {
            world.prune(&token).unwrap();
            assert!(world.list("ann")[0].ends_at < world.now);
            // What was noted holds under a loosened policy, in the list as in the grant.
            world.set_policy(|draft| draft.access_tokens.allow_never = true);
        }
        let expiry = Expiry::At(world.now.after(SECOND));
        assert!(world.issue("ann", expiry).is_ok(), "swept: {sweep}");
    }
}

#[test]
fn evicting_ends_the_oldest_live_token_for_good_and_tells_of_it() {
    let mut world = world(3, 9, AtLimit::EvictOldest);
    let tokens = issue_many(&mut world, 3);
    world.revoke(&tokens[0]);
    issue_many(&mut world, 1);
    assert_eq!(
        world.check(&tokens[1]),
        Ok(()),
        "the revoked one left a place"
    );

    let decision = world.decide_issue(&request("ann", Expiry::Never)).unwrap();
    let events: Vec<_> = decision.batch.events().map(|event| event.kind).collect();
    assert_eq!(events, [EventKind::Evicted, EventKind::Issued]);
    let evicted = decision.batch.events().next().unwrap().credential.unwrap();
    assert_eq!(evicted.selector, tokens[1].selector());
    world.commit(decision.batch);
    assert_eq!(world.check(&tokens[1]), Err(Rejection::Revoked));
    assert_eq!(world.cause(&tokens[1]), Some(EndCause::Evicted));
    assert_eq!(world.cause(&tokens[0]), Some(EndCause::Revoked(None)));
    assert_eq!(world.check(&tokens[2]), Ok(()));
}

#[test]
fn evicting_what_is_not_there_holds_the_commit_to_its_absence() {
    let mut world = world(1, 9, AtLimit::EvictOldest);
    let token = world.issued("ann");
    let (system, ann) = (world.system(), world.principal("ann"));
    // Not handed in, although it is there: it would count as ended and live on.
    let decision = access::issue(
        &world.setting(&system),
        &mut Fresh::new([7; Fresh::LEN]),
        ann.as_ref(),
        &[],
        &request("ann", Expiry::Never),
    );
    assert!(!world.holds(&decision.unwrap().batch));
    // Lost indeed: the place is free.
    world.records.remove(&Key::grant(token.selector()));
    assert!(world.issue("ann", Expiry::Never).is_ok());
    assert_eq!(world.list("ann").len(), 2);
}

#[test]
fn the_longest_dead_are_removed_for_room_and_the_living_never() {
    let mut world = world(3, 4, AtLimit::Deny);
    let tokens = issue_many(&mut world, 3);
    world.revoke(&tokens[1]);
    world.pass(HOUR);
    world.revoke(&tokens[0]);
    world.issued("ann");
    let decision = world.decide_issue(&request("ann", Expiry::Never)).unwrap();
    let removed: Vec<_> = decision
        .batch
        .writes
        .iter()
        .filter(|w| w.change == Change::Delete)
        .collect();
    assert_eq!(removed[0].key, Key::grant(tokens[1].selector()));
    let version = world.grant(tokens[1].selector()).unwrap().version;
    assert_eq!(removed[0].expect, Expect::Version(version));
    assert_eq!(
        (removed[1].key, removed[1].expect),
        (Key::usage(tokens[1].selector()), Expect::Any)
    );
    assert_eq!(removed.len(), 2);
    world.commit(decision.batch);
    assert_eq!(world.list("ann").len(), 4);
    assert_eq!(world.check(&tokens[1]), Err(Rejection::Unknown));
    assert_eq!(world.check(&tokens[2]), Ok(()));
}

#[test]
fn a_token_in_its_overlap_is_not_removed_for_room() {
    let mut world = world(2, 3, AtLimit::Deny);
    let old = world.issued("ann");
    world.rotate(&old, DAY).unwrap();
    let other = world.issued("ann");
    world.pass(HOUR);
    world.revoke(&other);
    // Off the list goes the other one, although it died later than the first was replaced.
    world.issued("ann");
    assert_eq!(
        (world.check(&old), world.check(&other)),
        (Ok(()), Err(Rejection::Unknown))
    );

    let full = Refusal::ListFull { kept: 3, max: 3 };
    world.set_policy(|draft| draft.access_tokens.max_live_per_principal = 3);
    assert_eq!(world.issue("ann", Expiry::Never).unwrap_err(), full);
    world.pass(DAY);
    assert!(world.issue("ann", Expiry::Never).is_ok());
    assert_eq!(world.check(&old), Err(Rejection::Unknown));
}

#[test]
fn where_every_place_is_taken_by_the_living_the_evicted_one_goes() {
    let mut world = world(2, 2, AtLimit::EvictOldest);
    let tokens = issue_many(&mut world, 5);
    assert_eq!((accepted(&world, &tokens), world.list("ann").len()), (2, 2));
    assert_eq!(world.check(&tokens[2]), Err(Rejection::Unknown));
    assert_eq!(world.check(&tokens[3]), Ok(()));
}

#[test]
fn lowered_limits_are_reached_step_by_step_with_bounded_work_and_randomness() {
    for at_limit in [AtLimit::EvictOldest, AtLimit::Deny] {
        let mut world = world(200, 400, at_limit);
        let mut tokens = issue_many(&mut world, 200);
        world.set_policy(|draft| {
            draft.access_tokens.max_live_per_principal = 10;
            draft.access_tokens.max_kept_per_principal = 20;
        });
        if at_limit == AtLimit::Deny {
            let refusal = Refusal::LimitReached { live: 200, max: 10 };
            assert_eq!(world.issue("ann", Expiry::Never).unwrap_err(), refusal);
            world.act("ann", PrincipalAction::Revoke);
        }
        for _ in 0..5 {
            let decision = world.decide_issue(&request("ann", Expiry::Never)).unwrap();
            assert!(
                decision.batch.writes.len() < 300,
                "{}",
                decision.batch.writes.len()
            );
            world.commit(decision.batch);
            tokens.push(*decision.outcome.token);
        }
        let expected = if at_limit == AtLimit::Deny { 5 } else { 10 };
        assert_eq!(accepted(&world, &tokens), expected, "{at_limit:?}");
        assert!(world.list("ann").len() <= 20, "{}", world.list("ann").len());
    }
}

#[test]
fn the_keys_asked_for_are_those_of_the_displaced_in_their_order() {
    let mut world = world(2, 3, AtLimit::EvictOldest);
    let tokens = issue_many(&mut world, 3);
    let (system, ann) = (world.system(), world.principal("ann").unwrap());
    let keys = access::keys_to_issue(&world.setting(&system), &ann.record);
    assert_eq!(
        keys,
        [&tokens[1], &tokens[0]].map(|token| Key::grant(token.selector()))
    );
    let new = access::keys_to_issue(&world.setting(&system), &world_record());
    assert!(new.is_empty());
}

fn world_record() -> crate::principal::PrincipalRecord {
    crate::principal::PrincipalRecord::new(crate::principal::Principal::new("new").unwrap())
}

#[test]
fn rotating_again_and_again_neither_fills_the_list_nor_takes_a_place() {
    let mut world = world(2, 10, AtLimit::Deny);
    world.set_policy(|draft| draft.access_tokens.max_overlap = DAY);
    let mut token = world.issued("ann");
    for _ in 0..40 {
        world.pass(HOUR.saturating_mul(3));
        token = world.rotate(&token, HOUR).unwrap();
    }
    assert!(world.list("ann").len() <= 10);
    assert_eq!(world.check(&token), Ok(()));
    assert!(world.issue("ann", Expiry::Never).is_ok());
    assert!(
        world.issue("ann", Expiry::Never).is_err(),
        "two live tokens are the limit"
    );
}

#[test]
fn a_rotation_makes_no_room_at_the_cost_of_an_overlap() {
    let mut world = world(2, 4, AtLimit::Deny);
    let first = world.issued("ann");
    let mut token = world.rotate(&first, DAY).unwrap();
    for _ in 0..2 {
        world.pass(HOUR);
        token = world.rotate(&token, DAY).unwrap();
    }
    let full = Refusal::ListFull { kept: 4, max: 4 };
    assert_eq!(world.rotate(&token, Duration::ZERO).unwrap_err(), full);
    assert_eq!(world.check(&first), Ok(()));
    world.pass(DAY.saturating_mul(7));
    assert!(world.rotate(&token, Duration::ZERO).is_ok());
}

#[test]
fn a_clock_that_stepped_back_behind_an_epoch_does_not_lift_the_limit() {
    let mut world = world(2, 9, AtLimit::Deny);
    world.issued("ann");
    world.switch(SwitchAction::RevokeAll);
    world.step_back(DAY);
    for _ in 0..2 {
        world
            .issue_as(&NewToken {
                ..request("ann", Expiry::Never)
            })
            .unwrap();
    }
    let refusal = Refusal::LimitReached { live: 2, max: 2 };
    assert_eq!(world.issue("ann", Expiry::Never).unwrap_err(), refusal);
}

#[test]
fn below_its_limits_nothing_that_a_principal_has_is_loaded() {
    for at_limit in [AtLimit::Deny, AtLimit::EvictOldest] {
        let mut world = world(3, 9, at_limit);
        issue_many(&mut world, 2);
        let (system, ann) = (world.system(), world.principal("ann").unwrap());
        let keys = access::keys_to_issue(&world.setting(&system), &ann.record);
        assert_eq!(keys, [], "{at_limit:?}");
    }
}
