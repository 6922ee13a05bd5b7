//! Hazard: an image that opens for whoever should not see it, a link that cannot be called back,
//! one whose text changes each time a mail is made, and a picture that costs a read of the disk.

use crate::denials::sick;
use crate::support::{
    DAY, Ears, Home, PATIENCE, SECOND, builder, in_memory, issue, keys, on_store, options, policy,
    principal, reason,
};
use countersign::core::{Key, Keyring};
use countersign::store::{Health, MemoryStore, Store};
use countersign::{
    AttachmentId, Clock as _, CredentialKind, Engine, Error, EventKind, EventQuery, Refusal,
    Rejection, Subsystem,
};
use countersign_testkit::{Fault, Faults, Gated, Lasting, ManualClock, wait_until};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

fn named(attachment: &str) -> AttachmentId {
    AttachmentId::new(attachment).unwrap()
}

fn try_sign(engine: &Engine, who: &str, what: &str) -> Result<String, Error> {
    let signed = engine.images().sign(principal(who), named(what)).wait()?;
    Ok(signed.text.expose().to_owned())
}

#[track_caller]
fn sign(engine: &Engine, who: &str, what: &str) -> String {
    try_sign(engine, who, what).unwrap()
}

/// What the engine says to a token that is to open an attachment.
#[track_caller]
fn opens(engine: &Engine, text: impl AsRef<[u8]>, what: &str) -> Result<(), Rejection> {
    let verdict = engine.images().verify(text, &named(what), None).wait();
    verdict.unwrap().rejection().map_or(Ok(()), Err)
}

/// A way to end a token that was sent already, and what is said of it then.
#[derive(Clone, Copy, Debug)]
enum Way {
    Attachment,
    Everything,
    Principal,
    Disable,
    ImagesOff,
    AccessOff,
    AccessRevoked,
    NoHours,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Attachment,
        Self::Everything,
        Self::Principal,
        Self::Disable,
        Self::ImagesOff,
        Self::AccessOff,
        Self::AccessRevoked,
        Self::NoHours,
    ];

    fn take(self, engine: &Engine) {
        let durable = match self {
            Self::Attachment => engine.images().revoke(named("10001"), None),
            Self::Everything => engine.images().revoke_all(None),
            Self::Principal => engine
                .principals()
                .revoke_everything(principal("ann"), None),
            Self::Disable => engine.principals().disable(principal("ann"), None),
            Self::ImagesOff => engine.switches().off(Subsystem::ImageTokens, None),
            Self::AccessOff => engine.switches().off(Subsystem::AccessTokens, None),
            Self::AccessRevoked => engine.access().revoke_all(None),
            Self::NoHours => {
                let none = policy(|draft| draft.image_tokens.expiry_hours = 0);
                return engine.set_policy(none).wait().unwrap();
            }
        };
        assert!(durable.wait().unwrap().durable);
    }

    fn undo(self, engine: &Engine) {
        let on = |subsystem| drop(engine.switches().on(subsystem, None).wait().unwrap());
        match self {
            Self::Disable => drop(engine.principals().enable(principal("ann"), None).wait()),
            Self::ImagesOff => on(Subsystem::ImageTokens),
            Self::AccessOff => on(Subsystem::AccessTokens),
            Self::NoHours => engine.set_policy(policy(|_| ())).wait().unwrap(),
            _ => {}
        }
    }

    const fn said(self) -> Rejection {
        match self {
            Self::Disable => Rejection::Disabled,
            Self::ImagesOff | Self::AccessOff | Self::NoHours => Rejection::SwitchedOff,
            _ => Rejection::Revoked,
        }
    }

    /// What is said once it was undone: what can be given back is, and nothing else.
    const fn afterwards(self) -> Result<(), Rejection> {
        match self {
            Self::Disable | Self::NoHours => Ok(()),
            _ => Err(Rejection::Revoked),
        }
    }

    const fn leaves_others(self) -> bool {
        matches!(self, Self::Attachment | Self::Principal | Self::Disable)
    }
}

#[test]
fn a_link_opens_its_attachment_for_whoever_holds_it_until_it_expires() {
    let (engine, clock) = in_memory();
    let signed = engine.images().sign(principal("ann"), named("10001"));
    let signed = signed.wait().unwrap();
    let text = signed.text.expose();
    // Forwarded: it comes from anywhere, and nobody is signed in.
    let from = |n| Some(IpAddr::from([192, 0, 2, n]));
    for n in 0..9 {
        let verdict = engine.images().verify(text, &named("10001"), from(n));
        let pass = verdict.wait().unwrap().pass().unwrap();
        assert_eq!(pass.principal(), &principal("ann"));
        assert_eq!(pass.attachment(), &named("10001"));
        assert_eq!(pass.expires_at(), signed.expires_at);
    }
    assert_eq!(opens(&engine, text, "10002"), Err(Rejection::Scope));
    assert_eq!(opens(&engine, text, "1000"), Err(Rejection::Scope));
    clock.set(signed.expires_at.before(MS));
    assert_eq!(opens(&engine, text, "10001"), Ok(()));
    clock.set(signed.expires_at);
    assert_eq!(opens(&engine, text, "10001"), Err(Rejection::Expired));
    // It is no other credential.
    let verdict = engine.access().verify(text).wait().unwrap();
    assert_eq!(verdict.rejection(), Some(Rejection::Malformed));
    let token = issue(&engine, "ann");
    let verdict = opens(&engine, token.token.expose(), "10001");
    assert_eq!(verdict, Err(Rejection::Malformed));
}

/// S10, S11: what was sent already is refused at once, and nothing new is signed meanwhile.
#[test]
fn whatever_ends_a_link_ends_those_that_were_sent_at_once() {
    for way in Way::ALL {
        let (engine, clock) = in_memory();
        let theirs = sign(&engine, "ann", "10001");
        let other = sign(&engine, "bob", "10002");
        for _ in 0..2 {
            assert_eq!(opens(&engine, &theirs, "10001"), Ok(()));
            assert_eq!(opens(&engine, &other, "10002"), Ok(()));
        }
        way.take(&engine);
        assert_eq!(opens(&engine, &theirs, "10001"), Err(way.said()), "{way:?}");
        let others = way.leaves_others().then_some(()).ok_or(way.said());
        assert_eq!(opens(&engine, &other, "10002"), others, "{way:?}");
        clock.advance(SECOND);
        let signed = try_sign(&engine, "ann", "10001");
        let refusal = match way {
            Way::Disable => Some(Refusal::Disabled),
            Way::ImagesOff | Way::AccessOff | Way::NoHours => Some(Refusal::ImageTokensOff),
            _ => None,
        };
        assert_eq!(signed.err(), refusal.map(Error::Refused), "{way:?}");

        way.undo(&engine);
        clock.advance(SECOND);
        assert_eq!(
            opens(&engine, &theirs, "10001"),
            way.afterwards(),
            "{way:?}"
        );
        let again = sign(&engine, "ann", "10001");
        assert_eq!(opens(&engine, &again, "10001"), Ok(()), "{way:?}");
        // E8: what gives nothing back gives another text.
        assert_eq!(again == theirs, way.afterwards().is_ok(), "{way:?}");
    }
}

/// Links in mails outlive log-ins, and are under the epoch of access tokens.
#[test]
fn what_ends_log_ins_leaves_links_in_mails_alone() {
    let (engine, _clock) = in_memory();
    let text = sign(&engine, "ann", "10001");
    let changed = engine.credentials_changed(principal("ann"), None, None);
    assert!(changed.wait().unwrap().revocation.durable);
    assert_eq!(opens(&engine, &text, "10001"), Ok(()));
    assert!(engine.sign_everybody_out(None).wait().unwrap().durable);
    assert_eq!(opens(&engine, &text, "10001"), Ok(()));
    let ended = engine.end_every_access_token(None);
    assert!(ended.wait().unwrap().durable);
    assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
}

/// E8: mail proxies keep one picture, and a host may make a page as often as it likes.
#[test]
fn the_text_stays_the_same_for_a_bucket_of_time_and_signing_it_again_writes_nothing() {
    let store = Arc::new(MemoryStore::new([]));
    let clock = ManualClock::default();
    let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    sign(&engine, "ann", "10001");
    // From the next midnight on: the first one was cut short by the records' beginning.
    let into = clock.now().as_millis() % 86_400_000;
    clock.set(clock.now().before(Duration::from_millis(into)).after(DAY));
    let revision = || store.attest().wait().unwrap();
    let before = revision();
    let first = sign(&engine, "ann", "10001");
    for _ in 0..23 {
        clock.advance(HOUR);
        assert_eq!(sign(&engine, "ann", "10001"), first);
        assert_ne!(sign(&engine, "bob", "10001"), first);
    }
    clock.advance(HOUR);
    assert_ne!(sign(&engine, "ann", "10001"), first);
    assert_eq!(opens(&engine, &first, "10001"), Ok(()), "and the old one");
    let bob = 1;
    assert_eq!(
        revision().0,
        before.0 + bob,
        "bob's record alone was written"
    );
}

#[test]
fn at_the_instant_of_a_revocation_the_host_is_told_when_to_sign() {
    let (engine, clock) = in_memory();
    let text = sign(&engine, "ann", "10001");
    engine.images().revoke(named("10001"), None).wait().unwrap();
    let told = try_sign(&engine, "ann", "10001").unwrap_err();
    let at = clock.now().after(MS);
    assert_eq!(told, Error::Refused(Refusal::NotYet { at }));
    assert!(told.is_retryable());
    assert_eq!(told.code(), "not_yet");
    clock.set(at);
    let again = sign(&engine, "ann", "10001");
    assert_eq!(opens(&engine, &again, "10001"), Ok(()));
    assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
    // Under a clock that has stepped back neither is good, and none is signed.
    clock.step_back(DAY);
    assert_eq!(opens(&engine, &again, "10001"), Err(Rejection::NotYet));
    assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
    let told = try_sign(&engine, "ann", "10001").unwrap_err();
    assert_eq!(told, Error::Refused(Refusal::NotYet { at }));
}

#[test]
fn an_attachment_that_nobody_has_heard_of_can_be_revoked_all_the_same() {
    let (engine, clock) = in_memory();
    let told = engine.images().revoke(named("10001"), Some(reason("leak")));
    assert!(told.wait().unwrap().durable);
    clock.advance(SECOND);
    let text = sign(&engine, "ann", "10001");
    assert_eq!(opens(&engine, &text, "10001"), Ok(()));
    let mut query = EventQuery::default();
    query.kind = Some(EventKind::AttachmentRevoked);
    let events = engine.audit().list(query).wait().unwrap().events;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].attachment, Some(named("10001")));
    assert_eq!(events[0].reason, Some(reason("leak")));
}

/// Absence denies: without its records a token is nothing, and a new record revives none.
#[test]
fn an_attachment_that_was_deleted_leaves_no_record_and_no_link() {
    let (engine, clock) = in_memory();
    let (old, other) = (sign(&engine, "ann", "1"), sign(&engine, "ann", "2"));
    let forget = || {
        let forgotten = engine.images().forget(named("1"), None).wait();
        forgotten.unwrap()
    };
    clock.advance(SECOND);
    assert!(!forget().already);
    assert_eq!(opens(&engine, &old, "1"), Err(Rejection::Unknown));
    assert_eq!(opens(&engine, &other, "2"), Ok(()));
    assert!(forget().already, "no record is left");
    // Another one of that name begins anew.
    clock.advance(SECOND);
    let new = sign(&engine, "ann", "1");
    assert_eq!(opens(&engine, &new, "1"), Ok(()));
    assert!(opens(&engine, &old, "1").is_err());
    // In the very instant of its epoch the record stays, so that no link of before stands again.
    assert!(!forget().already);
    assert!(try_sign(&engine, "ann", "1").is_err(), "not yet");
    assert!(opens(&engine, &new, "1").is_err());
    clock.advance(SECOND);
    let newer = sign(&engine, "ann", "1");
    assert!(opens(&engine, &new, "1").is_err() && opens(&engine, &newer, "1").is_ok());
}

#[test]
fn a_lost_record_opens_nothing() {
    let keyring = Keyring::new(&keys());
    let lost = [
        Key::attachment(keyring.attachment_key(&named("10001"))),
        Key::principal(keyring.principal_key(&principal("ann"))),
    ];
    for key in lost {
        let (clock, store) = (ManualClock::default(), Arc::new(MemoryStore::new([])));
        let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
        let text = sign(&engine, "ann", "10001");
        assert_eq!(opens(&engine, &text, "10001"), Ok(()));
        let mut batch = countersign::core::Batch::grow();
        batch.delete(key, countersign::core::Expect::Any);
        store.commit(batch).wait().unwrap();
        assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Unknown));
        clock.advance(SECOND);
        let again = sign(&engine, "ann", "10001");
        assert_eq!(opens(&engine, &again, "10001"), Ok(()));
        assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
    }
}

#[test]
fn a_text_is_too_long_from_the_first_byte_beyond_the_bound() {
    let (engine, _clock) = in_memory();
    let text = sign(&engine, "ann", "10001");
    let len = u32::try_from(text.len()).unwrap();
    for (longest, expected) in [(len, Ok(())), (len - 1, Err(Rejection::TooLong))] {
        let narrow = policy(|draft| draft.input.max_credential_bytes = longest);
        engine.set_policy(narrow).wait().unwrap();
        assert_eq!(opens(&engine, &text, "10001"), expected, "{longest}");
    }
}

#[test]
fn what_is_not_written_as_ours_opens_nothing() {
    let (engine, _clock) = in_memory();
    let text = sign(&engine, "ann", "10001");
    let parts: Vec<&str> = text.split('.').collect();
    let foreign = {
        let store = Arc::new(MemoryStore::new([]));
        let named = builder(&ManualClock::default())
            .server_id(countersign::ServerId::new("another").unwrap())
            .open_store(store, &keys());
        sign(&named.unwrap(), "ann", "10001")
    };
    let none = "eyJhbGciOiJub25lIn0";
    for (presented, said) in [
        (String::new(), Rejection::Malformed),
        ("..".to_owned(), Rejection::Malformed),
        (format!(" {text}"), Rejection::Unknown),
        (format!("{text} "), Rejection::Malformed),
        (format!("{text}="), Rejection::Malformed),
        (format!("{none}.{}.", parts[1]), Rejection::Malformed),
        (
            format!("{none}.{}.{}", parts[1], parts[2]),
            Rejection::Unknown,
        ),
        (
            format!("{}.{}A.{}", parts[0], parts[1], parts[2]),
            Rejection::Mismatch,
        ),
        ("A".repeat(4096), Rejection::TooLong),
        ("A".repeat(1 << 20), Rejection::TooLong),
        // The same keys, another server.
        (foreign, Rejection::Unknown),
    ] {
        let shown: String = presented.chars().take(60).collect();
        assert_eq!(opens(&engine, presented, "10001"), Err(said), "{shown}");
    }
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(opens(&engine, changed, "10001").is_err(), "byte {at}");
    }
}

/// Whoever shuts somebody out need not wait for a disk, and nothing is signed over it.
#[test]
fn a_revocation_that_the_disk_does_not_take_is_in_force_all_the_same() {
    let (home, faults) = (Home::new(), Faults::new());
    let redb = options().backend(faults.hook()).cache_bytes(16 * 1024);
    let engine = home.builder().redb(redb).open(home.path()).unwrap();
    let [ended, kept] = ["10001", "10002"].map(|what| sign(&engine, "ann", what));
    assert_eq!(opens(&engine, &ended, "10001"), Ok(()));
    assert_eq!(opens(&engine, &kept, "10002"), Ok(()));
    home.clock.advance(SECOND);

    faults.fail(None, 0, Fault::Io, Lasting::ForEver);
    let told = engine.images().revoke(named("10001"), None).wait().unwrap();
    assert!(!told.durable);
    let down = || matches!(engine.stats().health, Health::Degraded | Health::Reopening);
    assert!(wait_until(PATIENCE, down));
    assert_eq!(opens(&engine, &ended, "10001"), Err(Rejection::Revoked));
    assert_eq!(opens(&engine, &kept, "10002"), Ok(()), "read from memory");
    assert_eq!(engine.stats().waiting_denials, 1);

    faults.mend();
    let healthy = || engine.stats().health == Health::Healthy;
    assert!(wait_until(SECOND, healthy));
    let refused = try_sign(&engine, "ann", "10001").unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}");
    sign(&engine, "ann", "10002");
    assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
    assert_eq!(engine.stats().waiting_denials, 0);
    assert_eq!(opens(&engine, &ended, "10001"), Err(Rejection::Revoked));
    home.clock.advance(SECOND);
    let again = sign(&engine, "ann", "10001");
    engine.close().wait().unwrap();
    let engine = home.open();
    assert_eq!(opens(&engine, &ended, "10001"), Err(Rejection::Revoked));
    assert_eq!(opens(&engine, &again, "10001"), Ok(()));
}

#[test]
fn a_damaged_attachment_can_still_be_shut() {
    let (store, engine) = sick();
    let text = sign(&engine, "ann", "10001");
    assert_eq!(opens(&engine, &text, "10001"), Ok(()));
    let key = Keyring::new(&keys()).attachment_key(&named("10001"));
    store.damage(Key::attachment(key));
    let told = engine.images().revoke(named("10001"), None).wait();
    assert!(told.is_err(), "{told:?}");
    assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
}

/// The record was read before the revocation and arrives after it.
#[test]
fn an_attachment_that_was_read_before_its_end_is_not_kept_after_it() {
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let engine = on_store(
        &ManualClock::default(),
        Arc::clone(&store) as Arc<dyn Store>,
    );
    let text = sign(&engine, "ann", "10001");
    let key = Key::attachment(Keyring::new(&keys()).attachment_key(&named("10001")));
    let gate = store.hold_next_load(&[key]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| opens(&engine, &text, "10001"));
        assert!(gate.is_reached());
        Way::Attachment.take(&engine);
        gate.open();
        let _ = slow.join().unwrap();
    });
    for _ in 0..2 {
        assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
    }
}

/// The denial is in force when the reading begins, and is settled while it is held back.
#[test]
fn a_revocation_that_is_settled_while_a_reader_is_on_its_way_holds_for_that_reader() {
    let store = Arc::new(Gated::new(Arc::new(MemoryStore::new([]))));
    let clock = ManualClock::default();
    let engine = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    let text = sign(&engine, "ann", "10001");
    let key = Key::attachment(Keyring::new(&keys()).attachment_key(&named("10001")));
    store.turn_away(true);
    let told = engine.images().revoke(named("10001"), None).wait().unwrap();
    assert!(!told.durable);
    store.turn_away(false);
    // It reads the record as it was before, and answers after the revocation is on the disk.
    let gate = store.hold_next_load(&[key]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| opens(&engine, &text, "10001"));
        assert!(gate.is_reached());
        assert_eq!(engine.maintain().wait().unwrap().denials_written, 1);
        gate.open();
        assert_eq!(slow.join().unwrap(), Err(Rejection::Revoked));
    });
}

#[test]
fn another_engine_on_the_same_store_shuts_it_too() {
    let (clock, store) = (ManualClock::default(), Arc::new(MemoryStore::new([])));
    let ours = on_store(&clock, Arc::clone(&store) as Arc<dyn Store>);
    let theirs = on_store(&clock, store);
    for way in Way::ALL {
        clock.advance(SECOND);
        let text = sign(&ours, "ann", "10001");
        for _ in 0..2 {
            assert_eq!(opens(&ours, &text, "10001"), Ok(()));
        }
        way.take(&theirs);
        assert_eq!(opens(&ours, &text, "10001"), Err(way.said()), "{way:?}");
        way.undo(&theirs);
        clock.advance(SECOND);
    }
}

/// However many readers and signers there are: what was signed before a revocation is dead once
/// the call has returned, and what is signed after it lives.
#[test]
fn nothing_that_was_signed_before_a_revocation_opens_after_it() {
    for entries in [100_000, 1, 0] {
        let bounded = policy(|draft| {
            draft.cache.max_attachments = entries;
            draft.cache.max_principals = entries;
        });
        let clock = ManualClock::default();
        let store = Arc::new(MemoryStore::new([]));
        let engine = builder(&clock).policy(bounded).open_store(store, &keys());
        let engine = engine.unwrap();
        for _ in 0..20 {
            clock.advance(SECOND);
            let (done, signed) = (AtomicBool::new(false), AtomicUsize::new(0));
            let sent = thread::scope(|scope| {
                let signers: Vec<_> = (0..3)
                    .map(|_| {
                        scope.spawn(|| {
                            let mut sent = Vec::new();
                            while !done.load(Ordering::SeqCst) {
                                // Refused while the revocation is on its way.
                                if let Ok(text) = try_sign(&engine, "ann", "10001") {
                                    let _ = opens(&engine, &text, "10001");
                                    sent.push(text);
                                    signed.fetch_add(1, Ordering::SeqCst);
                                }
                            }
                            sent
                        })
                    })
                    .collect();
                assert!(wait_until(PATIENCE, || signed.load(Ordering::SeqCst) > 3));
                Way::Attachment.take(&engine);
                done.store(true, Ordering::SeqCst);
                let sent = signers.into_iter().flat_map(|each| each.join().unwrap());
                sent.collect::<Vec<_>>()
            });
            for text in sent {
                assert_eq!(opens(&engine, &text, "10001"), Err(Rejection::Revoked));
            }
            clock.advance(MS);
            let text = sign(&engine, "ann", "10001");
            assert_eq!(opens(&engine, &text, "10001"), Ok(()));
        }
        assert!(engine.stats().cached_attachments <= usize::try_from(entries).unwrap().max(256));
    }
}

#[test]
fn refusals_are_told_and_counted_and_looking_at_a_token_leaves_no_trace() {
    let ears = Ears::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = builder(&ManualClock::default())
        .observer(ears.clone())
        .open_store(Arc::clone(&store) as Arc<dyn Store>, &keys())
        .unwrap();
    let text = sign(&engine, "ann", "10001");
    let before = store.attest().wait().unwrap();
    let from = Some(IpAddr::from([192, 0, 2, 7]));
    let asked = |text: &str, what| {
        let verdict = engine.images().verify(text, &named(what), from);
        drop(verdict.wait().unwrap());
    };
    asked(&text, "10001");
    asked(&text, "10002");
    asked("csa_x", "10001");
    let counts = engine.stats().verdicts;
    assert_eq!((counts.admitted, counts.refused_in_all()), (1, 2));
    let told = ears.refusals.lock().unwrap().clone();
    let reasons: Vec<_> = told.iter().map(|told| told.rejection).collect();
    assert_eq!(reasons, [Rejection::Scope, Rejection::Malformed]);
    for told in &told {
        assert_eq!(told.kind, CredentialKind::Image);
        assert_eq!((told.address, told.selector), (from, None));
    }

    let looked = engine.images().check(&text).wait().unwrap();
    assert_eq!(looked.pass().unwrap().attachment(), &named("10001"));
    let looked = engine.images().check("x").wait().unwrap();
    assert_eq!(looked.rejection(), Some(Rejection::Malformed));
    assert_eq!(engine.stats().verdicts, counts);
    assert_eq!(ears.refusals.lock().unwrap().len(), 2);
    // A flood of them is no write either.
    for _ in 0..10_000 {
        asked("csa_x", "10001");
    }
    assert!(ears.refusals.lock().unwrap().len() <= 100);
    engine.flush().wait().unwrap();
    assert_eq!(store.attest().wait().unwrap(), before);
}

#[test]
fn a_closed_engine_opens_and_signs_nothing() {
    let (engine, _clock) = in_memory();
    let text = sign(&engine, "ann", "10001");
    assert_eq!(opens(&engine, &text, "10001"), Ok(()));
    engine.close().wait().unwrap();
    for presented in [&*text, "x"] {
        let told = engine.images().verify(presented, &named("10001"), None);
        assert_eq!(told.wait().unwrap_err(), Error::Closed);
        let told = engine.images().check(presented);
        assert_eq!(told.wait().unwrap_err(), Error::Closed);
    }
    assert_eq!(try_sign(&engine, "ann", "10001"), Err(Error::Closed));
    let told = engine.images().revoke(named("10001"), None).wait();
    assert_eq!(told.unwrap_err(), Error::Closed);
}
