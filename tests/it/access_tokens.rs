//! Hazard: an access token that does not do in the whole engine what the rules say.
//!
//! Every promise of the engine's surface is tried on both stores, by blocking and by async calls.

use crate::support::{
    DAY, Ears, Home, MINUTE, SECOND, builder, in_memory, is_in, issue, keys, on_store, policy,
    principal, reason, refused, request, revoke, scope, verify,
};
use countersign::core::{Key, Record, Refusal};
use countersign::store::{MemoryStore, Store};
use countersign::{
    Conditions, Engine, Error, Event, EventKind, EventQuery, Expiry, GrantState, Policy, Rejection,
    Revocation, Rotation, ScopeSet, Subsystem, TokenInfo, TokenName, TokenQuery,
};
use countersign_testkit::{Gated, ManualClock, samples};
use futures_executor::block_on;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn list(engine: &Engine, change: impl FnOnce(&mut TokenQuery)) -> Vec<TokenInfo> {
    let mut query = TokenQuery::default();
    change(&mut query);
    engine.access().list(query).wait().unwrap().tokens
}

#[test]
fn issued_verified_revoked() {
    let home = Home::new();
    for engine in [in_memory().0, home.open()] {
        let token = issue(&engine, "ann");
        for _ in 0..2 {
            let pass = verify(&engine, token.token.expose()).pass().unwrap();
            assert_eq!(pass.principal().as_str(), "ann");
            assert_eq!(pass.selector(), token.selector);
        }
        revoke(&engine, token.selector);
        assert_eq!(refused(&engine, &token), Rejection::Revoked);
        let again = engine.access().revoke(token.selector, None).wait();
        let expected = Revocation {
            durable: true,
            already: true,
        };
        assert_eq!(again, Ok(expected));
        assert_eq!(list(&engine, |_| {}).len(), 1, "it stays listed");
    }
}

#[test]
fn blocking_and_async_callers_get_the_same() {
    let home = Home::new();
    for engine in [in_memory().0, home.open()] {
        block_on(async {
            let tokens = engine.access();
            let token = tokens.issue(request("ann")).await.unwrap();
            let text = token.token.expose();
            assert!(tokens.verify(text).await.unwrap().is_in());
            let rotated = tokens.rotate(token.selector, Rotation::default());
            let rotated = rotated.await.unwrap();
            let verdict = tokens.verify(text).await.unwrap();
            assert_eq!(verdict.rejection(), Some(Rejection::Revoked));
            assert!(tokens.revoke(rotated.selector, None).await.unwrap().durable);
            let page = tokens.list(TokenQuery::default()).await.unwrap();
            assert_eq!(page.tokens.len(), 2);
            assert!(tokens.show(token.selector).await.unwrap().is_some());
            let ann = principal("ann");
            assert!(tokens.revoke_all_of(ann, None).await.unwrap().durable);
            assert!(tokens.revoke_all(None).await.unwrap().durable);
            engine.maintain().await.unwrap();
            engine.close().await.unwrap();
            assert_eq!(tokens.verify(text).await.err(), Some(Error::Closed));
        });
    }
}

#[test]
fn each_bad_text_is_refused_for_its_reason_and_no_length_is_too_much() {
    let (engine, _clock) = in_memory();
    let token = issue(&engine, "ann");
    let text = token.token.expose().to_owned();
    let mut mistyped = text.clone();
    let last = if mistyped.ends_with('0') { "1" } else { "0" };
    mistyped.replace_range(text.len() - 1.., last);
    let other_kind = text.replacen("csa_", "csr_", 1);
    let long = "x".repeat(10 << 20);
    let cases: [(&[u8], Rejection); 13] = [
        (b"", Rejection::Malformed),
        (b"Bearer", Rejection::Malformed),
        (b"csa_", Rejection::Malformed),
        (b"csa_\0", Rejection::Malformed),
        (&[0xff; 70], Rejection::Malformed),
        (&text.as_bytes()[..text.len() - 1], Rejection::Malformed),
        (&[text.as_bytes(), b" "].concat(), Rejection::Malformed),
        (
            &[text.as_bytes(), text.as_bytes()].concat(),
            Rejection::Malformed,
        ),
        (other_kind.as_bytes(), Rejection::Malformed),
        (mistyped.as_bytes(), Rejection::Checksum),
        (long.as_bytes(), Rejection::TooLong),
        (&[b'0'; 4096], Rejection::Malformed),
        (&[b'0'; 4097], Rejection::TooLong),
    ];
    for (number, (bytes, expected)) in cases.into_iter().enumerate() {
        let verdict = engine.access().verify(bytes).wait().unwrap();
        assert_eq!(verdict.rejection(), Some(expected), "case {number}");
    }
    let unknown = crate::support::with_wrong_secret(&engine, samples::selector(1), 1);
    let verdict = verify(&engine, &unknown);
    assert_eq!(verdict.rejection(), Some(Rejection::Unknown));
    assert!(is_in(&engine, &token));
}

#[test]
fn scopes_are_asked_for_by_the_request_and_held_by_the_token() {
    let (engine, _clock) = in_memory();
    let mut wanted = request("ann");
    wanted.scopes = ScopeSet::new([scope("repo:*"), scope("issues:read")]).unwrap();
    let token = engine.access().issue(wanted).wait().unwrap();
    for (asked, may) in [
        ("repo:write", true),
        ("issues:read", true),
        ("issues:write", false),
        ("admin", false),
    ] {
        let asked = scope(asked);
        let conditions = Conditions {
            scope: Some(&asked),
            address: None,
        };
        let text = token.token.expose();
        let verdict = engine
            .access()
            .verify_with(text, conditions)
            .wait()
            .unwrap();
        let expected = (!may).then_some(Rejection::Scope);
        assert_eq!(verdict.rejection(), expected, "{asked:?}");
        let pass = verify(&engine, text).pass().unwrap();
        assert_eq!(pass.covers(&asked), may);
    }
}

#[test]
fn a_verdict_says_of_a_token_what_its_record_says() {
    let (engine, clock) = in_memory();
    // Few and many: what does not fit into a copy is taken from the record itself.
    for count in [0, 1, 32] {
        clock.advance(SECOND);
        let all = (0..count).map(|n| scope(&format!("scope-{n}-{}", "x".repeat(count))));
        let mut asked = request("ann");
        asked.scopes = ScopeSet::new(all).unwrap();
        let issued = engine.access().issue(asked.clone()).wait().unwrap();
        let issued_at = clock_now(&clock);
        clock.advance(SECOND);
        for look in 0..3 {
            let pass = verify(&engine, issued.token.expose()).pass().unwrap();
            assert_eq!(pass.scopes(), &asked.scopes, "{count}, look {look}");
            assert_eq!(pass.created_at(), issued_at, "{count}, look {look}");
            assert_eq!(
                (pass.principal(), pass.expiry()),
                (&asked.principal, Expiry::Never)
            );
            let printed = format!("{pass:?}");
            assert!(printed.contains("ann"), "{printed}");
        }
    }
}

#[test]
fn rotation_replaces_and_leaves_an_overlap_only_where_it_is_asked_for() {
    let home = Home::new();
    for (engine, clock) in [in_memory(), (home.open(), home.clock.clone())] {
        let tokens = engine.access();
        let first = issue(&engine, "ann");
        let second = tokens.rotate(first.selector, Rotation::default());
        let second = second.wait().unwrap();
        assert_eq!(second.grant.predecessor, Some(first.selector));
        assert_eq!(refused(&engine, &first), Rejection::Revoked);
        let rotation = Rotation {
            overlap: MINUTE,
            expiry: Some(Expiry::At(clock_now(&clock).after(DAY))),
        };
        let third = tokens.rotate(second.selector, rotation).wait().unwrap();
        assert!(is_in(&engine, &second) && is_in(&engine, &third));
        let twice = tokens.rotate(second.selector, rotation).wait();
        let not_live = Refusal::NotLive(GrantState::Rotated);
        assert_eq!(twice.unwrap_err(), Error::Refused(not_live));
        clock.advance(MINUTE);
        assert!(!is_in(&engine, &second) && is_in(&engine, &third));
        clock.advance(DAY);
        assert_eq!(refused(&engine, &third), Rejection::Expired);
        let unknown = tokens.rotate(samples::selector(5), Rotation::default());
        let not_found = Error::Refused(Refusal::NotFound);
        assert_eq!(unknown.wait().unwrap_err(), not_found);
        let unknown = tokens.revoke(samples::selector(5), None).wait();
        assert_eq!(unknown.unwrap_err(), not_found);
        assert_eq!(engine.stats().waiting_denials, 0);
    }
}

fn clock_now(clock: &ManualClock) -> countersign::Timestamp {
    countersign::Clock::now(clock)
}

#[test]
fn what_is_over_for_many_at_once_is_over_for_each_and_for_nobody_else() {
    let (engine, _clock) = in_memory();
    let (ann, bob) = (issue(&engine, "ann"), issue(&engine, "bob"));
    let all_of = engine.access().revoke_all_of(principal("ann"), None);
    assert!(all_of.wait().unwrap().durable);
    assert_eq!(refused(&engine, &ann), Rejection::Revoked);
    assert!(is_in(&engine, &bob));
    let ann = issue(&engine, "ann");
    assert!(is_in(&engine, &ann), "they may have new ones");
    assert!(engine.access().revoke_all(None).wait().unwrap().durable);
    assert!(!is_in(&engine, &ann) && !is_in(&engine, &bob));

    let bob = issue(&engine, "bob");
    engine
        .principals()
        .disable(principal("bob"), None)
        .wait()
        .unwrap();
    assert_eq!(refused(&engine, &bob), Rejection::Disabled);
    let issued = engine.access().issue(request("bob")).wait().unwrap_err();
    assert_eq!(issued, Error::Refused(Refusal::Disabled));
    engine
        .principals()
        .enable(principal("bob"), None)
        .wait()
        .unwrap();
    assert!(is_in(&engine, &bob));

    let access = Subsystem::AccessTokens;
    engine.switches().off(access, None).wait().unwrap();
    assert_eq!(refused(&engine, &bob), Rejection::SwitchedOff);
    let issued = engine.access().issue(request("bob")).wait().unwrap_err();
    assert_eq!(
        issued,
        Error::Refused(Refusal::SwitchedOff(Subsystem::AccessTokens))
    );
    engine.switches().on(access, None).wait().unwrap();
    assert_eq!(refused(&engine, &bob), Rejection::Revoked, "dead for good");
    assert!(is_in(&engine, &issue(&engine, "bob")));
}

#[test]
fn uses_are_noted_with_the_latest_five_addresses_and_written_in_batches() {
    noted_and_written(100);
}

#[test]
fn so_are_those_of_tokens_that_are_not_held_in_memory() {
    noted_and_written(0);
}

fn noted_and_written(held: u64) {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = builder(&clock)
        .policy(policy(|draft| draft.cache.max_tokens = held))
        .open_store(Arc::clone(&store) as Arc<dyn Store>, &keys())
        .unwrap();
    let tokens: Vec<_> = (0..10).map(|_| issue(&engine, "ann")).collect();
    let revision = || store.attest().wait().unwrap();
    let before = revision();
    for n in 0..7u8 {
        for token in &tokens {
            let conditions = Conditions {
                scope: None,
                address: Some(IpAddr::from([10, 0, 0, n])),
            };
            let text = token.token.expose();
            let verdict = engine.access().verify_with(text, conditions);
            assert!(verdict.wait().unwrap().is_in());
        }
        clock.advance(SECOND);
    }
    assert_eq!(revision(), before, "verification writes nothing");
    let usage = |engine: &Engine| {
        let shown = engine.access().show(tokens[0].selector).wait().unwrap();
        shown.unwrap().usage.unwrap()
    };
    let in_memory = usage(&engine);
    assert_eq!(engine.flush().wait(), Ok(10));
    assert_eq!(revision().0, before.0 + 1, "ten tokens, one commit");
    assert_eq!(engine.flush().wait(), Ok(0), "and nothing twice");
    assert_eq!(revision().0, before.0 + 1);

    let restarted = on_store(&clock, store);
    for usage in [in_memory, usage(&restarted)] {
        assert_eq!(usage.last_used_at, samples::NOW.after(SECOND * 6));
        let seen: Vec<_> = usage.addresses.iter().map(|seen| seen.address).collect();
        assert_eq!(seen, [6, 5, 4, 3, 2].map(|n| IpAddr::from([10, 0, 0, n])));
    }
}

/// A record that is read anew between two uses leaves two entries that want to be written.
#[test]
fn a_token_that_was_read_anew_between_two_uses_is_written_once_and_whole() {
    let clock = ManualClock::default();
    let one = policy(|draft| (draft.cache.max_tokens, draft.cache.max_principals) = (1, 1));
    let engine = builder(&clock)
        .policy(one)
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let tokens: Vec<_> = (0..8).map(|_| issue(&engine, "ann")).collect();
    for _ in 0..3 {
        for token in &tokens {
            assert!(is_in(&engine, token));
            // Every change of a principal's or of the system record drops what was in memory.
            engine
                .switches()
                .off(Subsystem::Sessions, None)
                .wait()
                .unwrap();
            engine
                .switches()
                .on(Subsystem::Sessions, None)
                .wait()
                .unwrap();
        }
        let rotated = engine.access().rotate(
            tokens[0].selector,
            Rotation {
                overlap: DAY,
                expiry: None,
            },
        );
        let _ = rotated.wait();
        clock.advance(MINUTE);
    }
    assert_eq!(engine.flush().wait(), Ok(8));
    for token in &tokens {
        let shown = engine
            .access()
            .show(token.selector)
            .wait()
            .unwrap()
            .unwrap();
        assert_eq!(
            shown.usage.unwrap().last_used_at,
            samples::NOW.after(MINUTE * 2)
        );
    }
}

#[test]
fn what_happens_is_told_to_the_observer_and_stands_in_the_audit_log() {
    let clock = ManualClock::default();
    let ears = Ears::default();
    let engine = builder(&clock)
        .observer(ears.clone())
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let tokens = engine.access();
    let first = issue(&engine, "ann");
    let second = tokens.rotate(first.selector, Rotation::default());
    let second = second.wait().unwrap();
    let why = reason("leaked in a log");
    tokens
        .revoke(second.selector, Some(why.clone()))
        .wait()
        .unwrap();
    let ann = || principal("ann");
    tokens.revoke_all_of(ann(), None).wait().unwrap();
    engine.principals().disable(ann(), None).wait().unwrap();
    engine.principals().enable(ann(), None).wait().unwrap();
    tokens.revoke_all(None).wait().unwrap();
    let access = Subsystem::AccessTokens;
    engine.switches().off(access, None).wait().unwrap();
    engine.switches().on(access, None).wait().unwrap();
    engine.set_policy(Policy::default()).wait().unwrap();
    engine.note(EventKind::KeysRotated).wait().unwrap();

    let told = ears.events.lock().unwrap().clone();
    let kinds: Vec<&str> = told.iter().map(|event| event.kind.name()).collect();
    let known = [
        "issued",
        "rotated",
        "revoked",
        "principal-revoked",
        "principal-disabled",
        "principal-enabled",
        "subsystem-revoked",
        "switched-off",
        "switched-on",
        "policy-set",
        "keys-rotated",
    ];
    assert_eq!(kinds, known);
    let rotated = &told[1];
    assert_eq!(rotated.successor, Some(second.selector));
    assert_eq!(told[2].reason, Some(why));
    assert_eq!(told[2].credential.unwrap().selector, second.selector);

    let logged = |change: &dyn Fn(&mut EventQuery)| -> Vec<Event> {
        let mut query = EventQuery::default();
        change(&mut query);
        let page = engine.audit().list(query).wait().unwrap();
        assert!(page.at_end);
        page.events
    };
    let mut sorted = told.clone();
    sorted.sort_by_key(|event| event.id);
    assert_eq!(logged(&|_| {}), sorted);
    let of_second = logged(&|query| query.selector = Some(second.selector));
    assert_eq!(of_second.len(), 2, "its birth and its end");
    assert_eq!(logged(&|query| query.principal = Some(ann())).len(), 6);
    assert_eq!(
        logged(&|query| query.kind = Some(EventKind::Revoked)).len(),
        1
    );
    assert!(logged(&|query| query.since = Some(samples::NOW.after(SECOND))).is_empty());
}

#[test]
fn refusals_are_told_up_to_the_rate_and_counted_beyond_it() {
    let clock = ManualClock::default();
    let ears = Ears::default();
    let few = policy(|draft| draft.audit.refusals_per_second = 3);
    let engine = builder(&clock)
        .policy(few)
        .observer(ears.clone())
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    for _ in 0..10 {
        assert!(!verify(&engine, "csa_nonsense").is_in());
    }
    clock.advance(SECOND);
    assert!(!verify(&engine, "csa_nonsense").is_in());
    let told = ears.refusals.lock().unwrap();
    let suppressed: Vec<_> = told.iter().map(|refused| refused.suppressed).collect();
    assert_eq!(suppressed, [0, 0, 0, 7]);
    assert!(
        told.iter()
            .all(|refused| refused.rejection == Rejection::Malformed)
    );
    assert_eq!(engine.stats().verdicts.refused_in_all(), 11);
}

#[test]
fn a_policy_is_stored_and_holds_for_what_exists_already() {
    let home = Home::new();
    let engine = home.open();
    let token = issue(&engine, "ann");
    let strict = policy(|draft| {
        draft.access_tokens.max_lifetime = DAY;
        draft.access_tokens.allow_never = false;
        draft.access_tokens.max_name_chars = 2;
        draft.access_tokens.max_scopes = 0;
    });
    engine.set_policy(strict.clone()).wait().unwrap();
    let mut wanted = request("ann");
    let never = Refusal::NeverNotAllowed { max: DAY };
    let tried = |wanted| engine.access().issue(wanted).wait().unwrap_err();
    assert_eq!(tried(wanted.clone()), Error::Refused(never));
    wanted.expiry = Expiry::At(clock_now(&home.clock).after(DAY * 2));
    let too_long = Refusal::LifetimeTooLong { max: DAY };
    assert_eq!(tried(wanted.clone()), Error::Refused(too_long));
    wanted.expiry = Expiry::At(clock_now(&home.clock));
    assert_eq!(tried(wanted.clone()), Error::Refused(Refusal::ExpiryInPast));
    wanted.expiry = Expiry::At(clock_now(&home.clock).after(MINUTE));
    wanted.name = TokenName::new("long").unwrap();
    let name = Refusal::NameTooLong { chars: 4, max: 2 };
    assert_eq!(tried(wanted), Error::Refused(name));
    engine.close().wait().unwrap();

    let engine = home.open();
    assert_eq!(*engine.policy(), strict);
    home.clock.advance(DAY - Duration::from_millis(1));
    assert!(is_in(&engine, &token));
    home.clock.advance(Duration::from_millis(1));
    assert_eq!(refused(&engine, &token), Rejection::Expired);
    // One that the host gives is used, and is not stored.
    drop(engine);
    let engine = home.builder().policy(Policy::default()).open(home.path());
    assert!(is_in(&engine.unwrap(), &token));
    assert_eq!(*home.open().policy(), strict);
}

#[test]
fn verdicts_are_the_same_after_a_restart() {
    let home = Home::new();
    let engine = home.open();
    let live = issue(&engine, "ann");
    let dead = [
        issue(&engine, "ann"),
        issue(&engine, "bob"),
        issue(&engine, "cid"),
    ];
    revoke(&engine, dead[0].selector);
    engine
        .access()
        .revoke_all_of(principal("bob"), None)
        .wait()
        .unwrap();
    engine
        .principals()
        .disable(principal("cid"), None)
        .wait()
        .unwrap();
    for restarts in 0..3 {
        let engine = if restarts == 0 {
            engine.clone()
        } else {
            engine.close().wait().unwrap();
            home.open()
        };
        assert!(is_in(&engine, &live), "restart {restarts}");
        let reasons = dead.each_ref().map(|token| refused(&engine, token));
        let expected = [Rejection::Revoked, Rejection::Revoked, Rejection::Disabled];
        assert_eq!(reasons, expected, "restart {restarts}");
    }
}

#[test]
fn a_deployment_s_word_stands_in_front_of_its_tokens_and_no_other_is_taken() {
    let home = Home::new();
    let engine = home.builder().word("acme").open(home.path()).unwrap();
    let token = issue(&engine, "ann");
    let text = token.token.expose();
    assert!(text.starts_with("acme_csa_"), "{text}");
    assert!(is_in(&engine, &token));
    let bare = text.strip_prefix("acme_").unwrap();
    let verdict = verify(&engine, bare);
    assert_eq!(verdict.rejection(), Some(Rejection::Malformed));
    let wrong = Home::new();
    let refused = wrong.builder().word("No!").open(wrong.path());
    assert!(matches!(refused, Err(Error::Setup(_))));
    assert!(crate::support::contents(wrong.dir.path()).is_empty());
}

#[test]
fn uses_that_two_nodes_write_at_once_are_merged_and_the_later_one_wins() {
    let clock = ManualClock::default();
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let [first, second] = [0, 1].map(|_| on_store(&clock, Arc::clone(&store) as _));
    let token = issue(&first, "ann");
    let used_from = |engine: &Engine, last: u8| {
        let conditions = Conditions {
            scope: None,
            address: Some(IpAddr::from([10, 0, 0, last])),
        };
        let text = token.token.expose();
        let verdict = engine.access().verify_with(text, conditions);
        assert!(verdict.wait().unwrap().is_in());
    };
    used_from(&first, 1);
    clock.advance(SECOND);
    used_from(&second, 2);
    let latest = second.now();
    // The first has read that there is no use yet when the second writes its own.
    let usage = Key::usage(token.selector);
    let gate = store.hold_next_load(&[usage, Key::grant(token.selector)]);
    thread::scope(|scope| {
        let flushing = scope.spawn(|| first.flush().wait());
        assert!(gate.is_reached());
        assert_eq!(second.flush().wait(), Ok(1));
        gate.open();
        assert_eq!(flushing.join().unwrap(), Ok(1));
    });
    let stored = store.load(&[usage]).wait().unwrap().remove(0).unwrap();
    let Record::Usage(stored) = stored.record else {
        panic!("{stored:?}");
    };
    assert_eq!(stored.last_used_at, latest);
    let seen: Vec<_> = stored.addresses.iter().map(|seen| seen.address).collect();
    assert_eq!(seen, [2, 1].map(|last| IpAddr::from([10, 0, 0, last])));
}
