//! Hazard: a token is let in after the call that shut it out has returned: by a reader that was
//! under way, a cache that was filled behind the change, or a link to an older record.

use crate::support::{
    Home, PATIENCE, builder, is_in, issue, keys, on_store, policy, principal, refused, verify,
};
use countersign::core::{Key, Keyring};
use countersign::store::{MemoryStore, Store};
use countersign::{Engine, IssuedToken, Policy, Rejection, Revocation, Subsystem};
use countersign_testkit::{Ending, Gated, ManualClock, wait_until};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

const READERS: usize = 3;

/// One way to shut a token out.
#[derive(Clone, Copy, Debug)]
enum Way {
    Revoke,
    AllOf,
    All,
    Disable,
    Off,
    Rotate,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Revoke,
        Self::AllOf,
        Self::All,
        Self::Disable,
        Self::Off,
        Self::Rotate,
    ];

    fn shut(self, engine: &Engine, token: &IssuedToken) {
        let expected = Revocation {
            durable: true,
            already: false,
        };
        assert_eq!(self.try_shut(engine, token), expected);
    }

    /// The same on a store that may not take it.
    fn try_shut(self, engine: &Engine, token: &IssuedToken) -> Revocation {
        let (tokens, ann) = (engine.access(), principal("ann"));
        let outcome = match self {
            Self::Revoke => tokens.revoke(token.selector, None).wait(),
            Self::AllOf => tokens.revoke_all_of(ann, None).wait(),
            Self::All => tokens.revoke_all(None).wait(),
            Self::Disable => engine.principals().disable(ann, None).wait(),
            Self::Off => engine.switches().off(Subsystem::AccessTokens, None).wait(),
            Self::Rotate => {
                let rotated = tokens.rotate(token.selector, Default::default()).wait();
                tokens.revoke(rotated.unwrap().selector, None).wait()
            }
        };
        outcome.unwrap()
    }

    /// Makes the next token possible.
    fn undo(self, engine: &Engine) {
        match self {
            Self::Disable => drop(engine.principals().enable(principal("ann"), None).wait()),
            Self::Off => drop(engine.switches().on(Subsystem::AccessTokens, None).wait()),
            _ => {}
        }
    }

    const fn rejection(self) -> Rejection {
        match self {
            Self::Disable => Rejection::Disabled,
            Self::Off => Rejection::SwitchedOff,
            _ => Rejection::Revoked,
        }
    }
}

/// Readers verify without pause while the token is shut out under them.
fn race(engine: &Engine, way: Way) {
    let token = issue(engine, "ann");
    let text = token.token.expose();
    let (shut, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let (before, after) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    // Looked at before the call begins: only then is the verdict bound by it.
                    let was_shut = shut.load(Ordering::SeqCst);
                    let verdict = verify(engine, text);
                    if was_shut {
                        assert!(!verdict.is_in(), "{way:?}: let in after it was shut out");
                        after.fetch_add(1, Ordering::SeqCst);
                    } else {
                        before.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let _ending = Ending(&done);
        let read = |count: &AtomicUsize, most| {
            assert!(wait_until(PATIENCE, || count.load(Ordering::SeqCst) >= most));
        };
        read(&before, READERS);
        way.shut(engine, &token);
        shut.store(true, Ordering::SeqCst);
        read(&after, 2 * READERS);
    });
    assert_eq!(refused(engine, &token), way.rejection());
    way.undo(engine);
    let stays_dead = !matches!(way, Way::Disable);
    assert_eq!(!is_in(engine, &token), stays_dead, "{way:?} was undone");
    if !stays_dead {
        crate::support::revoke(engine, token.selector);
    }
}

fn with_cache(entries: u64) -> Policy {
    policy(|draft| {
        draft.cache.max_tokens = entries;
        draft.cache.max_principals = entries;
        draft.access_tokens.max_live_per_principal = 1000;
        draft.access_tokens.max_kept_per_principal = 1000;
    })
}

#[test]
fn nobody_comes_in_once_the_call_has_returned() {
    for cache in [100_000, 1, 0] {
        let home = Home::new();
        let policy = with_cache(cache);
        let on_file = home.builder().policy(policy.clone()).open(home.path());
        let memory = Arc::new(MemoryStore::new([]));
        let in_memory = builder(&ManualClock::default())
            .policy(policy)
            .open_store(memory, &keys());
        for engine in [in_memory.unwrap(), on_file.unwrap()] {
            for way in Way::ALL {
                for _ in 0..12 {
                    race(&engine, way);
                }
            }
        }
    }
}

#[test]
fn a_principal_who_was_shut_out_before_is_so_for_every_token_at_once() {
    let (engine, _clock) = crate::support::in_memory();
    for way in [Way::AllOf, Way::All, Way::Disable, Way::Off] {
        let tokens: Vec<_> = (0..5).map(|_| issue(&engine, "ann")).collect();
        let other = issue(&engine, "bob");
        assert!(tokens.iter().all(|token| is_in(&engine, token)));
        way.shut(&engine, &tokens[0]);
        for token in &tokens {
            assert_eq!(refused(&engine, token), way.rejection(), "{way:?}");
        }
        let others_too = matches!(way, Way::All | Way::Off);
        assert_eq!(is_in(&engine, &other), !others_too, "{way:?}");
        way.undo(&engine);
        let all_of = engine.access().revoke_all_of(principal("ann"), None);
        all_of.wait().unwrap();
        let all_of = engine.access().revoke_all_of(principal("bob"), None);
        all_of.wait().unwrap();
    }
}

/// A reader that found the principal's record before the change files its link to it after
/// another reader, which began after the change, has filed the right one.
#[test]
fn a_slow_reader_s_old_link_is_not_what_a_later_reader_judges_by() {
    let clock = ManualClock::default();
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    let token = issue(&engine, "ann");
    assert!(is_in(&engine, &token));
    let keyring = Keyring::new(&keys());
    let record = Key::principal(keyring.principal_key(&principal("ann")));
    // The principal's entry goes stale while the token's own stays in memory.
    issue(&engine, "ann");

    let slow_gate = store.hold_next_load(&[record]);
    let text = token.token.expose();
    thread::scope(|scope| {
        let slow = scope.spawn(|| verify(&engine, text).is_in());
        assert!(slow_gate.is_reached());
        let all_of = engine.access().revoke_all_of(principal("ann"), None);
        assert!(all_of.wait().unwrap().durable);
        // The system record has to be read anew, which is where the late reader is held.
        let off = engine.switches().off(Subsystem::ImageTokens, None);
        assert!(off.wait().unwrap().durable);
        let late_gate = store.hold_next_load(&[Key::SYSTEM]);
        let late = scope.spawn(|| verify(&engine, text).is_in());
        assert!(late_gate.is_reached());
        slow_gate.open();
        slow.join().unwrap();
        late_gate.open();
        assert!(!late.join().unwrap(), "it began after the revocation");
    });
    assert_eq!(refused(&engine, &token), Rejection::Revoked);
}

/// The denial is in force when a reader sets out, and is settled while that reader is held back
/// with what it had read before: it is neither in the records nor among those that wait.
#[test]
fn a_denial_that_is_settled_while_a_reader_is_on_its_way_holds_for_that_reader() {
    let keyring = Keyring::new(&keys());
    let ann = Key::principal(keyring.principal_key(&principal("ann")));
    for way in [Way::Revoke, Way::AllOf, Way::All, Way::Disable, Way::Off] {
        // Where a reader is held: its own record read, the principal's too, and all three.
        for at in 0..3 {
            let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
            let clock = ManualClock::default();
            let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
            let token = issue(&engine, "ann");
            store.turn_away(true);
            assert!(!way.try_shut(&engine, &token).durable);
            store.turn_away(false);
            let held = [Key::grant(token.selector), ann, Key::SYSTEM][at];
            let gate = store.hold_next_load(&[held]);
            let text = token.token.expose();
            thread::scope(|scope| {
                let slow = scope.spawn(|| verify(&engine, text).is_in());
                assert!(gate.is_reached());
                assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
                gate.open();
                assert!(!slow.join().unwrap(), "{way:?}, held at {at}");
            });
        }
    }
}

/// The record was read before the revocation and arrives after it.
#[test]
fn a_record_that_was_read_before_the_change_is_not_kept_after_it() {
    let clock = ManualClock::default();
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    for way in Way::ALL {
        let token = issue(&engine, "ann");
        let gate = store.hold_next_load(&[Key::grant(token.selector)]);
        let text = token.token.expose();
        thread::scope(|scope| {
            let slow = scope.spawn(|| verify(&engine, text).is_in());
            assert!(gate.is_reached());
            way.shut(&engine, &token);
            gate.open();
            slow.join().unwrap();
        });
        assert_eq!(refused(&engine, &token), way.rejection(), "{way:?}");
        way.undo(&engine);
        let all_of = engine.access().revoke_all_of(principal("ann"), None);
        all_of.wait().unwrap();
    }
}
