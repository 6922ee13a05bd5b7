//! Hazard: a credential that can be guessed: because two of them have the same secret, because a
//! part of it is always the same, or because it was issued while there was no randomness.

use crate::session_help::{log_in, try_log_in, visit};
use crate::support::{DAY, builder, device, is_in, issue, keys, principal, remember, request};
use countersign::core::{Key, Record, SplitToken};
use countersign::store::{MemoryStore, Store};
use countersign::{
    BareId, Denied, Engine, Entropy, Error, NewBareSession, Rotation, Selector, SystemEntropy,
    Timeouts, TokenQuery,
};
use countersign_testkit::{ManualClock, samples};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Of each kind. That a fair bit is the same in all of them has a chance of one in 2^127.
const ISSUED: usize = 128;
/// Bytes of a token's secret half: 224 bits.
const SECRET: usize = 28;

fn open(entropy: impl Entropy) -> Engine {
    let builder = builder(&ManualClock::default()).entropy(entropy);
    let store = Arc::new(MemoryStore::new([]));
    builder.open_store(store, &keys()).unwrap()
}

/// A session of nobody under a bare id.
fn bare() -> NewBareSession {
    NewBareSession {
        principal: None,
        attributes: Vec::new(),
        ends_at: samples::NOW.after(DAY),
    }
}

/// No two of them are alike, and no bit is the same in all.
#[track_caller]
fn check_secrets<const BYTES: usize>(secrets: &[[u8; BYTES]]) {
    let different: BTreeSet<_> = secrets.iter().collect();
    assert_eq!(different.len(), ISSUED);
    for byte in 0..BYTES {
        let (ever, always) = secrets.iter().fold((0u8, 0xff), |(ever, always), secret| {
            (ever | secret[byte], always & secret[byte])
        });
        assert_eq!((ever, always), (0xff, 0), "byte {byte}");
    }
}

#[track_caller]
fn check_selectors(selectors: impl Iterator<Item = Selector>) {
    assert_eq!(selectors.collect::<BTreeSet<_>>().len(), ISSUED);
}

#[track_caller]
fn check_tokens(engine: &Engine, texts: &[String]) {
    let format = engine.format();
    let tokens = texts.iter().map(|text| format.parse_any(text.as_bytes()));
    let tokens: Vec<_> = tokens.map(|token| token.unwrap()).collect();
    let secrets = tokens.iter().map(|token| *token.verifier().expose());
    let secrets: Vec<[u8; SECRET]> = secrets.collect();
    check_secrets(&secrets);
    check_selectors(tokens.iter().map(SplitToken::selector));
}

#[test]
fn no_two_secrets_are_alike_and_no_bit_is_always_the_same() {
    let engine = open(SystemEntropy);
    let (mut sessions, mut visitors) = (Vec::new(), Vec::new());
    let (mut devices, mut tokens) = (Vec::new(), Vec::new());
    for nth in 0..ISSUED {
        let name = format!("user-{nth}");
        sessions.push(log_in(&engine, &name).token.expose().to_owned());
        visitors.push(visit(&engine).token.expose().to_owned());
        devices.push(remember(&engine, &name).token.expose().to_owned());
        tokens.push(issue(&engine, &name).token.expose().to_owned());
    }
    for texts in [sessions, visitors, devices, tokens] {
        check_tokens(&engine, &texts);
    }
}

/// The last twelve bits are a shard's tag under a veil, and not drawn: without them no two are
/// alike either. To who has no key of ours they are as good as the others.
#[test]
fn no_two_bare_ids_are_alike_and_no_bit_is_always_the_same() {
    let engine = open(SystemEntropy);
    let opened = (0..ISSUED).map(|_| engine.sessions().open_bare(bare()).wait().unwrap());
    let opened: Vec<_> = opened.collect();
    check_selectors(opened.iter().map(|opened| opened.session.selector()));
    let ids = opened.iter().map(|opened| *opened.id.expose());
    let ids: Vec<[u8; BareId::LEN]> = ids.collect();
    check_secrets(&ids);
    let drawn = ids.iter().map(|id| u128::from_be_bytes(*id) >> 12);
    assert_eq!(drawn.collect::<BTreeSet<_>>().len(), ISSUED);
}

/// The system's, until it dries up.
#[derive(Clone, Debug, Default)]
struct Well {
    is_dry: Arc<AtomicBool>,
}

impl Entropy for Well {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        match self.is_dry.load(SeqCst) {
            true => Err("dried up".to_owned()),
            false => SystemEntropy.fill(bytes),
        }
    }
}

#[test]
fn without_randomness_nothing_is_issued_and_what_there_is_goes_on() {
    let well = Well::default();
    let engine = open(well.clone());
    let (session, token) = (log_in(&engine, "ann"), issue(&engine, "ann"));
    well.is_dry.store(true, SeqCst);
    let sessions = engine.sessions();
    let refused = [
        try_log_in(&engine, "ben").map(drop),
        sessions.start(Timeouts::default()).wait().map(drop),
        sessions.renew(&session.session).wait().map(drop),
        engine.remember().start(device("ben")).wait().map(drop),
        sessions.open_bare(bare()).wait().map(drop),
        engine.access().issue(request("ben")).wait().map(drop),
        rotate(&engine, token.selector),
    ];
    for (nth, answer) in refused.into_iter().enumerate() {
        assert!(
            matches!(answer, Err(Error::Entropy(_))),
            "{nth}: {answer:?}"
        );
    }
    assert!(is_in(&engine, &token));
    well.is_dry.store(false, SeqCst);
    assert_eq!(engine.sessions().counts().all, 1);
    let listed = engine
        .access()
        .list(TokenQuery::of(principal("ben")))
        .wait();
    assert_eq!(listed.unwrap().tokens, []);
    try_log_in(&engine, "ben").unwrap();
}

fn rotate(engine: &Engine, selector: Selector) -> Result<(), Error> {
    let rotated = engine.access().rotate(selector, Rotation::default());
    rotated.wait().map(drop)
}

/// Always the same bytes for so many calls, and the system's then; counts the calls.
#[derive(Clone, Debug, Default)]
struct Stuck {
    left: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Entropy for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), String> {
        self.asked.fetch_add(1, SeqCst);
        let left = self.left.load(SeqCst);
        self.left.store(left.saturating_sub(1), SeqCst);
        match left {
            0 => SystemEntropy.fill(bytes),
            _ => {
                bytes.fill(7);
                Ok(())
            }
        }
    }
}

#[test]
fn a_session_that_met_another_s_name_is_drawn_again_a_few_times() {
    let stuck = Stuck::default();
    let engine = open(stuck.clone());
    let start = |left: usize| {
        stuck.left.store(left, SeqCst);
        stuck.asked.store(0, SeqCst);
        let opened = engine.sessions().open_bare(bare()).wait();
        (opened.map(drop), stuck.asked.load(SeqCst))
    };
    let (first, each) = start(usize::MAX);
    assert!(first.is_ok() && each > 0);
    assert_eq!(start(3 * each), (Ok(()), 4 * each));
    let collided = Err(Error::Session(Denied::Collision));
    assert_eq!(start(usize::MAX), (collided, 4 * each));
}

#[test]
fn the_name_of_a_server_is_any_of_its_letters_in_any_place() {
    let name = || {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new([]));
        let builder = builder(&ManualClock::default()).entropy(SystemEntropy);
        let _engine = builder.open_store(Arc::clone(&store), &keys()).unwrap();
        let found = store.load(&[Key::SYSTEM]).wait().unwrap().remove(0);
        match found.unwrap().record {
            Record::System(system) => system.deployment.server_id.as_str().to_owned(),
            record => panic!("{record:?}"),
        }
    };
    let names: Vec<String> = (0..64).map(|_| name()).collect();
    let letters: BTreeSet<char> = names.iter().flat_map(|name| name.chars()).collect();
    // All 32, but for a chance of one in 2^41, and the dash between groups.
    assert_eq!(letters.len(), 33, "{letters:?}");
}
