//! Hazard: a use that was noted never reaches the store: its writing failed, its record is damaged,
//! or it came from where the one before it came from; or requests wait for a disk because of it.

use crate::denials::sick;
use crate::shutdown::in_time;
use crate::support::{
    Home, MINUTE, SECOND, builder, in_memory, issue, keys, on_store, policy, principal, verify,
};
use countersign::core::{Durability, Key, Record};
use countersign::store::{MemoryStore, Store};
use countersign::{Clock as _, Conditions, Engine, Error, IssuedToken, Timestamp, Usage};
use countersign_testkit::{Gated, ManualClock, tamper};
use std::net::IpAddr;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[track_caller]
fn use_from(engine: &Engine, token: &IssuedToken, address: Option<IpAddr>) {
    let conditions = Conditions {
        scope: None,
        address,
    };
    let verdict = engine
        .access()
        .verify_with(token.token.expose(), conditions);
    assert!(verdict.wait().unwrap().is_in());
}

/// What the store knows of a token's use.
#[track_caller]
fn stored(store: &dyn Store, token: &IssuedToken) -> Usage {
    let found = store.load(&[Key::usage(token.selector)]).wait().unwrap();
    match found[0].clone().unwrap().record {
        Record::Usage(usage) => usage,
        record => panic!("{record:?}"),
    }
}

#[test]
fn no_use_is_lost_by_a_writing_that_failed() {
    for held in [0, 100] {
        let clock = ManualClock::default();
        let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
        let store = Arc::clone(&gated) as Arc<dyn Store>;
        let engine = builder(&clock)
            .policy(policy(|draft| draft.cache.max_tokens = held))
            .open_store(Arc::clone(&store), &keys())
            .unwrap();
        let tokens: Vec<_> = (0..3).map(|_| issue(&engine, "ann")).collect();
        let used = clock.now();
        for token in &tokens {
            use_from(&engine, token, Some(HERE));
        }
        gated.turn_away(true);
        for _ in 0..2 {
            assert!(engine.flush().wait().is_err());
        }
        gated.turn_away(false);
        clock.advance(MINUTE);
        assert_eq!(engine.flush().wait(), Ok(3), "{held} are held");
        for token in &tokens {
            assert_eq!(stored(&*store, token).last_used_at, used);
        }
        assert_eq!(engine.flush().wait(), Ok(0));
    }
}

#[test]
fn a_use_from_where_the_last_one_came_from_is_written_too() {
    for address in [None, Some(HERE)] {
        let clock = ManualClock::default();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new([]));
        let engine = on_store(&clock, Arc::clone(&store));
        let token = issue(&engine, "ann");
        for _ in 0..3 {
            clock.advance(SECOND);
            use_from(&engine, &token, address);
            assert_eq!(engine.flush().wait(), Ok(1), "{address:?}");
            let usage = stored(&*store, &token);
            assert_eq!(usage.last_used_at, clock.now(), "{address:?}");
            let seen = usage.addresses.first().map(|seen| (seen.address, seen.at));
            assert_eq!(seen, address.map(|address| (address, clock.now())));
        }
    }
}

#[test]
fn a_token_that_is_used_from_several_places_in_a_second_is_seen_at_each() {
    let (engine, _clock) = in_memory();
    let token = issue(&engine, "ann");
    let places = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n]));
    for place in places {
        use_from(&engine, &token, Some(place));
    }
    let shown = engine.access().show(token.selector).wait().unwrap();
    let usage = shown.unwrap().usage.unwrap();
    let mut seen: Vec<_> = usage.addresses.iter().map(|seen| seen.address).collect();
    seen.sort_unstable();
    assert_eq!(seen, places);
}

#[test]
fn what_is_known_of_a_use_survives_another_change_of_its_principal() {
    let clock = ManualClock::default();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new([]));
    let engine = on_store(&clock, Arc::clone(&store));
    let token = issue(&engine, "ann");
    let other = IpAddr::from([192, 0, 2, 9]);
    for address in [other, HERE] {
        use_from(&engine, &token, Some(address));
        // Its entry makes way for one that points at the principal's record as it is now.
        issue(&engine, "ann");
        clock.advance(MINUTE);
    }
    use_from(&engine, &token, None);
    assert_eq!(engine.flush().wait(), Ok(1));
    let usage = stored(&*store, &token);
    assert_eq!(usage.last_used_at, clock.now());
    let seen: Vec<_> = usage.addresses.iter().map(|seen| seen.address).collect();
    assert_eq!(seen, [HERE, other]);
}

#[test]
fn a_damaged_record_of_a_use_is_written_anew() {
    let home = Home::new();
    let engine = home.open();
    let tokens = ["ann", "bob"].map(|name| issue(&engine, name));
    for token in &tokens {
        use_from(&engine, token, None);
    }
    engine.close().wait().unwrap();
    let damaged = Key::usage(tokens[0].selector);
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    assert!(tamper::edit(&home.path(), damaged, flip).unwrap());

    home.clock.advance(MINUTE);
    let engine = home.open();
    for token in &tokens {
        use_from(&engine, token, None);
    }
    assert_eq!(engine.flush().wait(), Ok(2));
    engine.close().wait().unwrap();
    let engine = home.open();
    for token in &tokens {
        let shown = engine.access().show(token.selector).wait().unwrap();
        let used: Timestamp = shown.unwrap().usage.unwrap().last_used_at;
        assert_eq!(used, home.clock.now());
    }
}

#[test]
fn no_last_use_is_worth_waiting_for_a_disk() {
    let clock = ManualClock::default();
    let gated = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&gated) as Arc<dyn Store>);
    let token = issue(&engine, "ann");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    gated.listen(move |batch, _| heard.lock().unwrap().push(batch.durability));
    assert!(verify(&engine, token.token.expose()).is_in());
    assert_eq!(engine.flush().wait(), Ok(1));
    let denied = engine.principals().disable(principal("ann"), None);
    assert!(denied.wait().unwrap().durable);
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.first(), Some(&Durability::Deferred));
    assert!(
        seen.len() == 2 && seen[1] != Durability::Deferred,
        "{seen:?}"
    );
}

#[test]
fn uses_that_others_write_too_are_merged_anew_a_few_times_and_left_for_later_then() {
    let (store, engine) = sick();
    let token = issue(&engine, "ann");
    let flush = || {
        let engine = engine.clone();
        in_time(move || engine.flush().wait())
    };
    use_from(&engine, &token, Some(HERE));
    store.contested.store(3, SeqCst);
    assert_eq!(flush(), Ok(1));
    use_from(&engine, &token, Some(IpAddr::from([192, 0, 2, 9])));
    store.contested.store(usize::MAX, SeqCst);
    let fault = flush().unwrap_err();
    assert_eq!(fault, Error::Contended { attempts: 9 });
    store.contested.store(0, SeqCst);
    assert_eq!(flush(), Ok(1), "none was lost");
    assert_eq!(stored(&*store, &token).addresses.len(), 2);
}
