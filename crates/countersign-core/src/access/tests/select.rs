//! Hazard: a listing or a forecast that leaves out what it was asked for, or a state that is not
//! the verdict's.

use crate::access::{self, GrantFilter, GrantState};
use crate::grant::{Expiry, Usage};
use crate::policy::Policy;
use crate::principal::Principal;
use crate::principals::PrincipalAction;
use crate::record::{Key, Record};
use crate::switches::SwitchAction;
use crate::system::Subsystem;
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;
use crate::world::{DAY, HOUR, START, World};
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn state(world: &World, token: &SplitToken) -> GrantState {
    let (system, found) = (world.system(), world.grant(token.selector()).unwrap());
    let principal = world.principal(found.record.principal.as_str());
    let principal = principal.as_ref().map(|found| &found.record);
    access::state_of(&world.setting(&system), &found.record, principal)
}

fn takes(world: &World, filter: &GrantFilter, token: &SplitToken, usage: Option<&Usage>) -> bool {
    let (system, found) = (world.system(), world.grant(token.selector()).unwrap());
    let principal = world.principal(found.record.principal.as_str());
    let principal = principal.as_ref().map(|found| &found.record);
    filter.takes(&world.setting(&system), &found.record, principal, usage)
}

#[test]
fn a_state_is_told_by_what_ended_the_token_first_of_all_by_revocation() {
    type Change = fn(&mut World, &SplitToken);
    let cases: [(Change, GrantState); 10] = [
        (|_, _| (), GrantState::Live),
        (
            |world, _| world.pass(DAY.saturating_sub(MS)),
            GrantState::Live,
        ),
        (|world, _| world.pass(DAY), GrantState::Expired),
        (
            |world, token| assert!(!world.revoke(token)),
            GrantState::Revoked,
        ),
        (
            |world, token| drop(world.rotate(token, HOUR).unwrap()),
            GrantState::Rotated,
        ),
        (
            |world, token| {
                drop(world.rotate(token, HOUR).unwrap());
                world.revoke(token);
            },
            GrantState::Revoked,
        ),
        (
            |world, _| world.act("ann", PrincipalAction::Revoke),
            GrantState::Revoked,
        ),
        (
            |world, _| world.switch(SwitchAction::RevokeAll),
            GrantState::Revoked,
        ),
        (
            |world, token| {
                world.pass(DAY);
                world.prune(token).unwrap();
            },
            GrantState::Expired,
        ),
        (
            |world, _| drop(world.records.remove(&world.principal_key("ann"))),
            GrantState::Revoked,
        ),
    ];
    for (at, (change, expected)) in cases.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.issue("ann", Expiry::At(START.after(DAY))).unwrap();
        change(&mut world, &token);
        assert_eq!(state(&world, &token), expected, "case {at}");
    }
}

#[test]
fn each_field_of_a_filter_asks_its_own_question() {
    let mut world = World::new();
    let token = world.issue("ann", Expiry::At(START.after(DAY))).unwrap();
    world.pass(HOUR);
    let usage = Usage {
        last_used_at: START.after(MS),
        addresses: Vec::new(),
    };
    let ann = || Principal::new("ann").ok();
    let all = GrantFilter::default;
    let soon = |at: Timestamp| GrantFilter {
        expires_before: Some(at),
        ..all()
    };
    let idle = |at: Timestamp| GrantFilter {
        unused_since: Some(at),
        ..all()
    };
    let in_state = |state| GrantFilter {
        state: Some(state),
        ..all()
    };
    let from = |at| GrantFilter {
        created_from: Some(at),
        ..all()
    };
    let before = |at| GrantFilter {
        created_before: Some(at),
        ..all()
    };
    for (at, (filter, when_used, when_unused)) in [
        (all(), true, true),
        (
            GrantFilter {
                principal: ann(),
                ..all()
            },
            true,
            true,
        ),
        (
            GrantFilter {
                principal: Principal::new("bob").ok(),
                ..all()
            },
            false,
            false,
        ),
        (in_state(GrantState::Live), true, true),
        (in_state(GrantState::Revoked), false, false),
        (from(START), true, true),
        (from(START.after(MS)), false, false),
        (before(START), false, false),
        (before(START.after(MS)), true, true),
        (soon(START.after(DAY)), false, false),
        (soon(START.after(DAY).after(MS)), true, true),
        (idle(START), false, false),
        (idle(START.after(MS)), false, true),
        (idle(START.after(MS).after(MS)), true, true),
        (
            GrantFilter {
                used: Some(true),
                ..all()
            },
            true,
            false,
        ),
        (
            GrantFilter {
                used: Some(false),
                ..all()
            },
            false,
            true,
        ),
        (
            GrantFilter {
                used: Some(true),
                ..before(START)
            },
            false,
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let found = (
            takes(&world, &filter, &token, Some(&usage)),
            takes(&world, &filter, &token, None),
        );
        assert_eq!(found, (when_used, when_unused), "filter {at}: {filter:?}");
    }
}

#[test]
fn what_is_dead_is_not_expiring() {
    let endings: [fn(&mut World, &SplitToken); 4] = [
        |world, token| assert!(!world.revoke(token)),
        |world, _| world.act("ann", PrincipalAction::Revoke),
        |world, _| world.switch(SwitchAction::RevokeAll),
        |world, _| world.pass(DAY),
    ];
    let filter = GrantFilter {
        expires_before: Some(Timestamp::MAX),
        ..GrantFilter::default()
    };
    for (at, end) in endings.into_iter().enumerate() {
        let mut world = World::new();
        let token = world.issue("ann", Expiry::At(START.after(DAY))).unwrap();
        assert!(takes(&world, &filter, &token, None));
        end(&mut world, &token);
        assert!(!takes(&world, &filter, &token, None), "ending {at}");
    }
}

#[test]
fn an_overlap_that_runs_out_is_expiring() {
    let mut world = World::new();
    let token = world.issued("ann");
    world.rotate(&token, HOUR).unwrap();
    let before = |at| GrantFilter {
        expires_before: Some(at),
        ..GrantFilter::default()
    };
    assert!(takes(
        &world,
        &before(START.after(HOUR).after(MS)),
        &token,
        None
    ));
    assert!(!takes(&world, &before(START.after(HOUR)), &token, None));
}

#[test]
fn a_forecast_under_a_tightened_policy_tells_what_would_die_and_when() {
    let mut world = World::new();
    let (eternal, short) = (
        world.issued("ann"),
        world.issue("ann", Expiry::At(START.after(HOUR))).unwrap(),
    );
    world.pass(HOUR.saturating_sub(MS));
    let mut draft = Policy::default().to_draft();
    draft.access_tokens.allow_never = false;
    draft.access_tokens.max_lifetime = DAY;
    let proposed = draft.build().unwrap();

    let end = |policy: &Policy, token: &SplitToken| {
        access::end_of(policy, &world.grant(token.selector()).unwrap().record)
    };
    assert_eq!(end(&world.policy, &eternal), Timestamp::MAX);
    assert_eq!(end(&proposed, &eternal), START.after(DAY));
    assert_eq!(end(&proposed, &short), START.after(HOUR));

    let filter = |days: u32| GrantFilter {
        expires_before: Some(START.after(DAY.saturating_mul(days))),
        ..GrantFilter::default()
    };
    let foretold = |world: &World, days, token: &SplitToken| {
        let (system, found) = (world.system(), world.grant(token.selector()).unwrap());
        let ann = world.principal("ann").unwrap().record;
        let setting = world.setting(&system);
        filter(days).takes_under(&setting, &proposed, &found.record, Some(&ann), None)
    };
    let today = takes(&world, &filter(30), &eternal, None);
    assert!(!today, "under the policy of today it ends never");
    assert!(foretold(&world, 30, &eternal) && foretold(&world, 30, &short));
    assert!(!foretold(&world, 1, &eternal) && foretold(&world, 1, &short));
    world.pass(DAY.saturating_mul(2));
    assert!(
        foretold(&world, 3, &eternal),
        "what would die at once is foretold"
    );
    assert!(!foretold(&world, 3, &short), "what is dead today is not");
}

#[test]
fn usable_is_what_would_be_let_in() {
    // The world's `check` compares the two; here are the cases in which they could differ.
    let mut world = World::new();
    let (old, other) = (world.issued("ann"), world.issued("ann"));
    world.rotate(&old, HOUR).unwrap();
    assert!(world.check(&old).is_ok(), "in its overlap");
    world.pass(HOUR);
    assert!(world.check(&old).is_err());
    world.act("ann", PrincipalAction::Disable);
    assert!(world.check(&other).is_err());
    world.act("ann", PrincipalAction::Enable);
    assert!(world.check(&other).is_ok());
    // Off without an epoch that moved on, as no decision of ours leaves it.
    let mut system = world.system();
    system.record.switch_mut(Subsystem::AccessTokens).on = false;
    world
        .records
        .insert(Key::SYSTEM, system.map(Record::System));
    assert_eq!(world.check(&other), Err(Rejection::SwitchedOff));
}

#[test]
fn scripts_read_one_of_four_words_for_a_state() {
    let states = [
        GrantState::Live,
        GrantState::Rotated,
        GrantState::Revoked,
        GrantState::Expired,
    ];
    let words = ["live", "rotated", "revoked", "expired"];
    assert_eq!(states.map(GrantState::name), words);
    assert_eq!(states.map(|state| state.to_string()), words);
}
