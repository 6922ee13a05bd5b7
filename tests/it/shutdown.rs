//! Hazard: the end of a process loses what was gathered, leaves a call waiting for ever, or lets
//! an engine that is gone go on judging by what it remembers.

use crate::support::{
    Home, PATIENCE, in_memory, is_in, issue, options, principal, request, verify,
};
use countersign::core::Keyring;
use countersign::store::Health;
use countersign::{
    Engine, Error, EventKind, GrantState, Maintenance, Subsystem, TokenQuery, keyfile,
};
use countersign_testkit::Gated;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

/// Runs `work` elsewhere and fails where it does not come back.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(PATIENCE).expect("it hangs")
}

#[test]
fn closing_and_dropping_write_last_uses() {
    for maintenance in [Maintenance::HostDriven, Maintenance::Background] {
        for closes in [true, false] {
            let home = Home::new();
            let builder = home.builder().maintenance(maintenance);
            let engine = builder.open(home.path()).unwrap();
            let token = issue(&engine, "ann");
            assert!(is_in(&engine, &token));
            let other = engine.clone();
            if closes {
                assert_eq!(engine.close().wait(), Ok(()));
            }
            in_time(move || drop((engine, other)));

            let engine = home.open();
            let shown = engine.access().show(token.selector).wait().unwrap();
            let usage = shown.unwrap().usage.expect("its use was lost");
            assert_eq!(usage.last_used_at, countersign::Clock::now(&home.clock));
        }
    }
}

#[test]
fn after_closing_every_call_says_so() {
    let home = Home::new();
    let on_file = home.open();
    let (memory, _clock) = in_memory();
    for engine in [memory, on_file] {
        let token = issue(&engine, "ann");
        assert!(is_in(&engine, &token));
        let other = engine.clone();
        assert_eq!(in_time(move || other.close().wait()), Ok(()));
        assert_eq!(engine.close().wait(), Ok(()), "closing twice is no error");
        assert_eq!(engine.stats().health, Health::Closed);

        // What is still in memory is out of date from now on: nobody tells of changes any more.
        let (tokens, text) = (engine.access(), token.token.expose());
        let closed = Some(Error::Closed);
        assert_eq!(tokens.verify(text).wait().err(), closed, "verify");
        assert_eq!(tokens.verify("csa_x").wait().err(), closed);
        assert_eq!(tokens.issue(request("ann")).wait().err(), closed);
        let rotated = tokens.rotate(token.selector, Default::default()).wait();
        assert_eq!(rotated.err(), closed);
        assert_eq!(tokens.revoke(token.selector, None).wait().err(), closed);
        let ann = || principal("ann");
        assert_eq!(tokens.revoke_all_of(ann(), None).wait().err(), closed);
        assert_eq!(tokens.revoke_all(None).wait().err(), closed);
        assert_eq!(tokens.show(token.selector).wait().err(), closed);
        assert_eq!(tokens.list(TokenQuery::default()).wait().err(), closed);
        assert_eq!(tokens.list(TokenQuery::of(ann())).wait().err(), closed);
        let principals = engine.principals();
        assert_eq!(principals.show(ann()).wait().err(), closed);
        assert_eq!(principals.list(None, 1).wait().err(), closed);
        assert_eq!(principals.disable(ann(), None).wait().err(), closed);
        assert_eq!(principals.enable(ann(), None).wait().err(), closed);
        let (switches, tokens) = (engine.switches(), Subsystem::AccessTokens);
        assert_eq!(switches.list().wait().err(), closed);
        assert_eq!(switches.off(tokens, None).wait().err(), closed);
        assert_eq!(switches.on(tokens, None).wait().err(), closed);
        let audit = engine.audit().list(Default::default());
        assert_eq!(audit.wait().err(), closed);
        assert_eq!(engine.set_policy(Default::default()).wait().err(), closed);
        assert_eq!(engine.flush().wait().err(), closed);
        assert_eq!(engine.sweep(1).wait().err(), closed);
        assert_eq!(engine.maintain().wait().err(), closed);
        let noted = engine.note(EventKind::KeysRotated).wait().err();
        assert!(noted.is_some(), "note");
        let exported = engine.export(&mut Vec::new(), &mut |_| {});
        assert_eq!(exported.err(), closed);
        let imported = engine.import(&mut &b""[..], &mut |_| {});
        assert_eq!(imported.err(), closed);
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_no_reason_to_stop() {
    let home = Home::new();
    let engine = home.open();
    for name in ["ann", "bob", "cid"] {
        drop(engine.access().issue(request(name)));
    }
    let token = issue(&engine, "dan");
    drop(engine.access().revoke(token.selector, None));
    assert!(!is_in(&engine, &token), "in force although nobody waited");
    drop(engine.close());
    let other = engine.clone();
    assert_eq!(in_time(move || other.close().wait()), Ok(()));
    // The answer to the second is not there before the first is done: the file is free again.
    let engine = home.open();
    for name in ["ann", "bob", "cid"] {
        let page = engine.access().list(TokenQuery::of(principal(name)));
        assert_eq!(page.wait().unwrap().tokens.len(), 1, "{name}");
    }
    assert!(!is_in(&engine, &token));
}

#[test]
fn closing_while_many_wait_answers_each_of_them() {
    for round in 0..5 {
        let home = Home::new();
        let engine = home.open();
        let pending: Vec<_> = (0..200)
            .map(|n| {
                let name = format!("principal-{}", n % 40);
                engine.access().issue(request(&name))
            })
            .collect();
        let other = engine.clone();
        let closing = thread::spawn(move || other.close().wait());
        let answers = in_time(move || {
            pending
                .into_iter()
                .map(countersign::Pending::wait)
                .collect::<Vec<_>>()
        });
        assert_eq!(closing.join().unwrap(), Ok(()), "round {round}");
        drop(engine);
        let engine = home.open();
        for answer in answers {
            match answer {
                Ok(token) => assert!(is_in(&engine, &token), "acknowledged and gone"),
                Err(error) => assert_eq!(error, Error::Closed),
            }
        }
    }
}

/// Callers on many threads while the engine goes away under them.
#[test]
fn no_call_hangs_when_the_engine_closes_under_it() {
    let home = Home::new();
    let engine = Engine::builder().redb(options()).open(home.path()).unwrap();
    let token = issue(&engine, "ann");
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let (engine, text) = (engine.clone(), token.token.expose().to_owned());
            thread::spawn(move || {
                for round in 0u64.. {
                    let name = format!("principal-{number}-{}", round / 5);
                    let issued = engine.access().issue(request(&name)).wait();
                    let verdict = engine.access().verify(&text).wait();
                    if let (Err(Error::Closed), Err(Error::Closed)) = (&issued, &verdict) {
                        return round;
                    }
                    assert!(verdict.is_err() || verdict.unwrap().is_in());
                }
                0
            })
        })
        .collect();
    assert!(verify(&engine, token.token.expose()).is_in());
    let closing = engine.clone();
    assert_eq!(in_time(move || closing.close().wait()), Ok(()));
    let rounds = in_time(move || {
        let joined = workers.into_iter().map(|worker| worker.join().unwrap());
        joined.collect::<Vec<_>>()
    });
    assert_eq!(rounds.len(), 4);
}

/// Revocations that the store has turned away are in force in memory alone; closing is the last
/// chance to put them on the disk, however many they are.
#[test]
fn closing_writes_every_revocation_that_the_store_had_turned_away() {
    const TOKENS: usize = 3000;
    let home = Home::new();
    home.open().close().wait().unwrap();
    let keys = keyfile::read(&home.key_path()).unwrap();
    let on_file = options().open(home.path(), Arc::new(Keyring::new(&keys)));
    let store = Arc::new(Gated::new(Arc::new(on_file.unwrap())));
    let engine = home.builder().open_store(Arc::clone(&store) as _, &keys);
    let engine = engine.unwrap();
    let issued: Vec<_> = (0..TOKENS)
        .map(|number| issue(&engine, &format!("principal {number}")).selector)
        .collect();
    store.turn_away(true);
    for token in &issued {
        let told = engine.access().revoke(*token, None).wait().unwrap();
        assert!(!told.durable, "it was turned away");
    }
    assert_eq!(engine.stats().waiting_denials, TOKENS);
    store.turn_away(false);
    assert_eq!(engine.close().wait(), Ok(()));
    drop((engine, store));

    let engine = home.open();
    for token in issued {
        let shown = engine.access().show(token).wait().unwrap().unwrap();
        assert_eq!(shown.state, GrantState::Revoked, "{token} lives again");
    }
}
