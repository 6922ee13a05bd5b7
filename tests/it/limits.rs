//! Hazard: many issuers of one principal at once get past the limit of live tokens together.

use crate::support::{Home, builder, issue, keys, policy, principal, request};
use countersign::core::Refusal;
use countersign::core::policy::AtLimit;
use countersign::store::MemoryStore;
use countersign::{
    Engine, Error, EventKind, GrantState, IssuedToken, Policy, Rotation, TokenQuery,
};
use countersign_testkit::ManualClock;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

const ISSUERS: usize = 64;

/// One engine on each store.
fn engines(policy: &Policy) -> Vec<(Engine, Option<Home>)> {
    let home = Home::new();
    let on_file = home.builder().policy(policy.clone()).open(home.path());
    let memory = Arc::new(MemoryStore::new([]));
    let clock = ManualClock::default();
    let in_memory = builder(&clock)
        .policy(policy.clone())
        .open_store(memory, &keys());
    vec![(in_memory.unwrap(), None), (on_file.unwrap(), Some(home))]
}

/// All of them at once.
fn race(engine: &Engine) -> Vec<Result<IssuedToken, Error>> {
    let (begin, outcomes) = (Barrier::new(ISSUERS), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..ISSUERS {
            scope.spawn(|| {
                begin.wait();
                let outcome = engine.access().issue(request("ann")).wait();
                outcomes.lock().unwrap().push(outcome);
            });
        }
    });
    outcomes.into_inner().unwrap()
}

fn live(engine: &Engine) -> usize {
    let mut query = TokenQuery::of(principal("ann"));
    query.filter.state = Some(GrantState::Live);
    query.limit = 1000;
    engine.access().list(query).wait().unwrap().tokens.len()
}

fn let_in(engine: &Engine, outcomes: &[Result<IssuedToken, Error>]) -> usize {
    let tokens = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
    tokens
        .filter(|token| crate::support::is_in(engine, token))
        .count()
}

#[test]
fn sixty_four_issuers_get_ten_tokens_and_fifty_four_refusals() {
    for (engine, _home) in engines(&Policy::default()) {
        let outcomes = race(&engine);
        let refusal = Error::Refused(Refusal::LimitReached { live: 10, max: 10 });
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        let refused: Vec<_> = refused.collect();
        assert!(
            refused.iter().all(|error| **error == refusal),
            "{refused:?}"
        );
        assert_eq!((outcomes.len(), refused.len()), (ISSUERS, 54));
        assert_eq!((live(&engine), let_in(&engine, &outcomes)), (10, 10));
        // Another principal is not concerned.
        assert!(crate::support::is_in(&engine, &issue(&engine, "bob")));
    }
}

#[test]
fn where_the_oldest_make_room_ten_are_left_and_each_eviction_is_told() {
    let evicting = policy(|draft| draft.access_tokens.at_limit = AtLimit::EvictOldest);
    for (engine, _home) in engines(&evicting) {
        let outcomes = race(&engine);
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!((live(&engine), let_in(&engine, &outcomes)), (10, 10));
        let mut query = countersign_query();
        query.kind = Some(EventKind::Evicted);
        let events = engine.audit().list(query).wait().unwrap().events;
        assert_eq!(events.len(), 54);
    }
}

fn countersign_query() -> countersign::EventQuery {
    let mut query = countersign::EventQuery::default();
    query.limit = 1000;
    query
}

#[test]
fn a_lower_limit_holds_for_the_next_issue_and_room_comes_with_revocation() {
    for (engine, _home) in engines(&Policy::default()) {
        let tokens: Vec<_> = (0..4).map(|_| issue(&engine, "ann")).collect();
        let tight = policy(|draft| draft.access_tokens.max_live_per_principal = 3);
        engine.set_policy(tight).wait().unwrap();
        let refusal = engine.access().issue(request("ann")).wait().unwrap_err();
        let expected = Refusal::LimitReached { live: 4, max: 3 };
        assert_eq!(refusal, Error::Refused(expected));
        // A rotation replaces, so it needs no room.
        let rotated = engine
            .access()
            .rotate(tokens[0].selector, Rotation::default())
            .wait()
            .unwrap();
        for selector in [rotated.selector, tokens[1].selector] {
            crate::support::revoke(&engine, selector);
        }
        issue(&engine, "ann");
        assert_eq!(live(&engine), 3);
    }
}
