//! Hazard: a listing that leaves a token out, shows one twice, or tells another end than comes:
//! what an operator does not see is not revoked.

use crate::support::{
    DAY, Home, MINUTE, SECOND, builder, in_memory, is_in, issue, keys, policy, principal, refused,
    request, revoke, roomy,
};
use countersign::store::MemoryStore;
use countersign::{
    AttachmentId, Engine, Expiry, GrantState, IssuedToken, Policy, Rejection, TokenInfo, TokenName,
    TokenQuery,
};
use countersign_testkit::ManualClock;
use std::sync::Arc;

fn list(engine: &Engine, change: impl FnOnce(&mut TokenQuery)) -> Vec<TokenInfo> {
    let mut query = TokenQuery::default();
    change(&mut query);
    engine.access().list(query).wait().unwrap().tokens
}

fn names(tokens: &[TokenInfo]) -> Vec<&str> {
    tokens.iter().map(|token| token.name.as_str()).collect()
}

fn named(engine: &Engine, who: &str, name: &str, expiry: Expiry) -> IssuedToken {
    let mut wanted = request(who);
    wanted.name = TokenName::new(name).unwrap();
    wanted.expiry = expiry;
    engine.access().issue(wanted).wait().unwrap()
}

fn clock_now(clock: &ManualClock) -> countersign::Timestamp {
    countersign::Clock::now(clock)
}

#[test]
fn listings_filter_by_everything_that_they_offer() {
    let home = Home::new();
    for (engine, clock) in [in_memory(), (home.open(), home.clock.clone())] {
        let soon = Expiry::At(clock_now(&clock).after(DAY));
        named(&engine, "ann", "deploy staging", soon);
        // Within one millisecond the order is left to chance.
        clock.advance(SECOND);
        let ended = named(&engine, "ann", "deploy live", Expiry::Never);
        clock.advance(DAY / 2);
        let middle = clock_now(&clock);
        let used = named(&engine, "bob", "ci nightly", Expiry::Never);
        assert!(is_in(&engine, &used));
        revoke(&engine, ended.selector);
        clock.advance(MINUTE);

        let all = ["deploy staging", "deploy live", "ci nightly"];
        assert_eq!(names(&list(&engine, |_| {})), all);
        let of_ann = list(&engine, |query| {
            query.filter.principal = Some(principal("ann"));
        });
        assert_eq!(names(&of_ann), all[..2]);
        let of_nobody = list(&engine, |query| {
            query.filter.principal = Some(principal("x"));
        });
        assert!(of_nobody.is_empty());
        let by_name = list(&engine, |query| query.name = Some("deploy*".to_owned()));
        assert_eq!(names(&by_name), all[..2]);
        let by_name = list(&engine, |query| query.name = Some("?i nightly".to_owned()));
        assert_eq!(names(&by_name), all[2..]);
        let revoked = list(&engine, |query| {
            query.filter.state = Some(GrantState::Revoked);
        });
        assert_eq!(names(&revoked), all[1..2]);
        let later = list(&engine, |query| query.filter.created_from = Some(middle));
        assert_eq!(names(&later), all[2..]);
        let earlier = list(&engine, |query| query.filter.created_before = Some(middle));
        assert_eq!(names(&earlier), all[..2]);
        let with_use = list(&engine, |query| query.filter.used = Some(true));
        assert_eq!(names(&with_use), all[2..]);
        let unused = list(&engine, |query| query.filter.used = Some(false));
        assert_eq!(names(&unused), all[..2]);
        let now = clock_now(&clock);
        let idle = list(&engine, |query| query.filter.unused_since = Some(now));
        assert_eq!(names(&idle), all);
        let idle = list(&engine, |query| query.filter.unused_since = Some(middle));
        assert_eq!(names(&idle), all[..2]);
        let ending = list(&engine, |query| {
            query.filter.expires_before = Some(now.after(DAY));
        });
        assert_eq!(names(&ending), all[..1]);
    }
}

#[test]
fn pages_follow_one_another_without_a_gap_and_without_a_double() {
    let home = Home::new();
    for engine in [in_memory().0, home.open()] {
        let mut issued: Vec<_> = (0..25)
            .map(|n| issue(&engine, ["ann", "bob", "cid"][n % 3]).selector)
            .collect();
        issued.sort_unstable();
        for limit in [1, 4, 25, 100] {
            for who in [None, Some(principal("ann"))] {
                let mut found = Vec::new();
                let mut query = TokenQuery::default();
                query.limit = limit;
                query.filter.principal.clone_from(&who);
                loop {
                    let page = engine.access().list(query.clone()).wait().unwrap();
                    assert!(page.tokens.len() <= limit);
                    found.extend(page.tokens.iter().map(|token| token.selector));
                    query.after = page.next;
                    if page.next.is_none() {
                        break;
                    }
                }
                let expected = if who.is_some() { 9 } else { 25 };
                assert_eq!(found.len(), expected);
                assert!(found.is_sorted_by(|a, b| a < b));
                assert!(found.iter().all(|selector| issued.contains(selector)));
            }
        }
    }
}

/// More than is read from the store at once.
#[test]
fn a_long_list_is_whole_in_one_page_and_in_many() {
    let clock = ManualClock::default();
    let engine = builder(&clock)
        .policy(roomy())
        .open_store(Arc::new(MemoryStore::new([])), &keys())
        .unwrap();
    let mut issued: Vec<_> = (0..600).map(|_| issue(&engine, "ann").selector).collect();
    issued.sort_unstable();
    for limit in [255, 256, 257, 1000] {
        for who in [None, Some(principal("ann"))] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let mut query = TokenQuery::default();
                (query.limit, query.after) = (limit, after);
                query.filter.principal.clone_from(&who);
                let page = engine.access().list(query).wait().unwrap();
                found.extend(page.tokens.iter().map(|token| token.selector));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, issued, "pages of {limit}");
        }
    }
}

#[test]
fn a_forecast_tells_what_would_die_and_changes_nothing() {
    let (engine, clock) = in_memory();
    let now = clock_now(&clock);
    named(&engine, "ann", "in a day", Expiry::At(now.after(DAY)));
    clock.advance(SECOND);
    named(&engine, "ann", "in a week", Expiry::At(now.after(DAY * 7)));
    clock.advance(SECOND);
    let eternal = named(&engine, "ann", "eternal", Expiry::Never);
    let tokens = engine.access();
    let query = TokenQuery::default;
    let forecast = |within, under: Option<Policy>| {
        let page = tokens.forecast(within, under, query()).wait().unwrap();
        page.tokens
    };
    assert_eq!(names(&forecast(DAY * 2, None)), ["in a day"]);
    assert_eq!(names(&forecast(DAY * 8, None)), ["in a day", "in a week"]);
    let expiring = tokens.expiring(query()).wait().unwrap().tokens;
    assert_eq!(names(&expiring), ["in a day"], "within five days");
    let strict = policy(|draft| {
        draft.access_tokens.allow_never = false;
        draft.access_tokens.max_lifetime = DAY * 2;
    });
    let under = forecast(DAY * 3, Some(strict.clone()));
    assert_eq!(names(&under), ["in a day", "in a week", "eternal"]);
    assert_eq!(names(&forecast(DAY * 3, None)), ["in a day"]);
    assert!(is_in(&engine, &eternal));

    // And so it comes once the policy is in force, and goes again with it.
    engine.set_policy(strict).wait().unwrap();
    clock.advance(DAY * 2);
    assert_eq!(refused(&engine, &eternal), Rejection::Expired);
    engine.set_policy(Policy::default()).wait().unwrap();
    assert!(is_in(&engine, &eternal), "nothing was noted as its end");
}

#[test]
fn an_operator_sees_how_many_records_are_in_memory() {
    let (engine, _clock) = in_memory();
    let held = || {
        let stats = engine.stats();
        (
            stats.cached_tokens,
            stats.cached_principals,
            stats.cached_attachments,
        )
    };
    assert_eq!(held(), (0, 0, 0));
    let tokens: Vec<_> = (0..5)
        .map(|n| issue(&engine, ["ann", "bob", "cid"][n % 3]))
        .collect();
    for token in &tokens {
        assert!(is_in(&engine, token));
    }
    assert_eq!(held(), (5, 3, 0));
    for name in ["10001", "10002"] {
        let image = AttachmentId::new(name).unwrap();
        let signed = engine.images().sign(principal("ann"), image.clone());
        let text = signed.wait().unwrap().text;
        let verdict = engine.images().verify(text.expose(), &image, None);
        assert!(verdict.wait().unwrap().is_in());
    }
    assert_eq!(held(), (5, 3, 2));
    engine.access().revoke_all(None).wait().unwrap();
    revoke(&engine, tokens[0].selector);
    assert_eq!(held(), (4, 2, 2), "what was changed is let go of");
}

/// Hazard: an operator's list that leaves somebody out, or never ends.
#[test]
fn every_principal_is_listed_once_whatever_the_size_of_a_page() {
    let (engine, _clock) = in_memory();
    let names = ["ada", "bob", "cyd", "dan", "eve"];
    for name in names {
        issue(&engine, name);
    }
    for limit in [0, 1, 2, 5, 4096] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = engine.principals().list(after, limit).wait().unwrap();
            assert!(page.principals.len() <= limit.max(1), "{limit}");
            found.extend(
                page.principals
                    .iter()
                    .map(|record| record.principal.to_string()),
            );
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, names, "{limit}");
    }
}
