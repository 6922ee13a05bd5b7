//! What the benches share: engines filled with tokens, and the limits they are compared with.
//!
//! Not a harness: criterion is one, and `figures` has its own for ratios.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::must_use_candidate,
    clippy::new_without_default,
    clippy::string_slice,
    clippy::unwrap_used,
    missing_debug_implementations,
    reason = "a bench may stop, and nobody links it"
)]

use countersign::core::{
    Deployment, EpochStamp, Grant, Key, KeyMaterial, Keyring, PrincipalRecord, Record, ServerId,
    SplitToken, SystemRecord, Timestamp, TokenFormat,
};
use countersign::store::{MemoryStore, RedbStore, Store};
use countersign::{
    Clock, Draft, Engine, Expiry, Maintenance, NewToken, Policy, Principal, RedbOptions, ScopeSet,
    Selector, SystemClock, TokenName,
};
use countersign_testkit::{ManualClock, SeededEntropy};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub mod limits;
pub mod report;
pub mod signed_in;

/// The keys that every bench uses.
pub fn keys() -> KeyMaterial {
    KeyMaterial::generate(ManualClock::default().now(), [1; 32], [2; 32])
}

/// A policy that lets a bench have as many tokens as it wants in memory.
pub fn roomy_policy(tokens: usize) -> Policy {
    let mut draft = Draft::default();
    draft.cache.max_tokens = 4 * tokens.max(1000) as u64;
    draft.cache.max_principals = 4 * tokens.max(1000) as u64;
    draft.cache.max_attachments = 4 * tokens.max(1000) as u64;
    draft.audit.refusals_per_second = 0;
    draft.build().unwrap()
}

/// A request for one token; ten principals' worth share a name.
pub fn request(n: usize) -> NewToken {
    NewToken {
        principal: Principal::new(&format!("user{:07}", n / 10)).unwrap(),
        name: TokenName::new("ci").unwrap(),
        scopes: ScopeSet::new(["repo:read".parse().unwrap()]).unwrap(),
        expiry: Expiry::Never,
    }
}

/// An engine in memory with its tokens.
pub struct Filled {
    /// The engine.
    pub engine: Engine,
    /// The texts of its tokens.
    pub texts: Vec<String>,
    /// Their selectors, in the same order.
    pub selectors: Vec<Selector>,
}

/// A new redb store at `path`.
pub fn store_at(path: &Path, cache_bytes: usize) -> Arc<RedbStore> {
    let server_id = ServerId::new("bench").unwrap();
    let deployment = Deployment {
        word: None,
        server_id,
        created_at: Timestamp::ZERO,
    };
    let system = Record::System(SystemRecord::new(deployment));
    let keyring = Arc::new(Keyring::new(&keys()));
    let options = RedbOptions::new().cache_bytes(cache_bytes);
    Arc::new(
        options
            .create(path, keyring, [7; 16], vec![(Key::SYSTEM, system)])
            .unwrap(),
    )
}

/// Issues `tokens` tokens from many threads at once, so that they share commits.
pub fn issue_together(engine: &Engine, tokens: usize, threads: usize) -> Vec<(String, Selector)> {
    let next = AtomicUsize::new(0);
    let issued = Mutex::new(Vec::with_capacity(tokens));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= tokens {
                        return;
                    }
                    // Spread, so that threads do not meet at one principal's record.
                    let spread = (n % tokens.div_ceil(10).max(1)) * 10;
                    let token = engine.access().issue(request(spread)).wait().unwrap();
                    let told = (token.token.expose().to_owned(), token.selector);
                    issued.lock().unwrap().push(told);
                }
            });
        }
    });
    issued.into_inner().unwrap()
}

/// An engine on a store in memory with `tokens` tokens, none of them cached yet.
pub fn filled(tokens: usize) -> Filled {
    filled_on(Arc::new(MemoryStore::new([])), tokens)
}

/// An engine on `store`, with ids in the order of time, as in life.
pub fn engine_on(store: Arc<dyn Store>, policy: Policy) -> Engine {
    engine_at(SystemClock, store, policy)
}

/// An engine on `store` that goes by a clock of the bench's own.
pub fn engine_at(clock: impl Clock, store: Arc<dyn Store>, policy: Policy) -> Engine {
    Engine::builder()
        .clock(clock)
        .entropy(SeededEntropy::new(7))
        .maintenance(Maintenance::HostDriven)
        .policy(policy)
        .open_store(store, &keys())
        .unwrap()
}

/// An engine on `store` with `tokens` tokens.
pub fn filled_on(store: Arc<dyn Store>, tokens: usize) -> Filled {
    let engine = engine_on(store, roomy_policy(tokens));
    let (mut texts, mut selectors) = (Vec::with_capacity(tokens), Vec::with_capacity(tokens));
    for n in 0..tokens {
        let issued = engine.access().issue(request(n)).wait().unwrap();
        texts.push(issued.token.expose().to_owned());
        selectors.push(issued.selector);
    }
    Filled {
        engine,
        texts,
        selectors,
    }
}

impl Filled {
    /// Brings every record into memory.
    pub fn warm(&self) {
        for text in &self.texts {
            assert!(self.engine.access().verify(text).wait().unwrap().is_in());
        }
    }
}

/// The same text with its last digit replaced: the checksum does not fit.
pub fn mistyped(text: &str) -> String {
    let other = if text.ends_with('0') { "1" } else { "0" };
    format!("{}{other}", &text[..text.len() - 1])
}

/// A token with the same selector and another secret.
pub fn wrong_secret(text: &str) -> String {
    let format = TokenFormat::new(None).unwrap();
    let token = format.parse_any(text.as_bytes()).unwrap();
    let verifier = countersign::core::Verifier::from_bytes([0x5a; 28]);
    let forged = SplitToken::new(token.kind(), token.selector(), verifier);
    format.text(&forged).unwrap().expose().to_owned()
}

/// A token with the same selector and a secret that differs in one byte: the first, or the last.
pub fn wrong_byte(text: &str, at: End) -> String {
    let format = TokenFormat::new(None).unwrap();
    let token = format.parse_any(text.as_bytes()).unwrap();
    let mut bytes = *token.verifier().expose();
    match at {
        End::First => bytes[0] ^= 1,
        End::Last => bytes[bytes.len() - 1] ^= 1,
    }
    let verifier = countersign::core::Verifier::from_bytes(bytes);
    let forged = SplitToken::new(token.kind(), token.selector(), verifier);
    format.text(&forged).unwrap().expose().to_owned()
}

/// Where a wrong secret differs from the right one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In its first byte.
    First,
    /// In its last byte.
    Last,
}

/// The records behind an access token, for who checks without an engine.
pub struct Records {
    /// What the token may do, and how its secret is hashed.
    pub grant: Grant,
    /// Whose it is.
    pub principal: PrincipalRecord,
    /// The deployment and its switches.
    pub system: SystemRecord,
}

impl Records {
    /// Those that would let this text in.
    pub fn of(keyring: &Keyring, format: &TokenFormat, text: &str) -> Self {
        let token = format.parse_any(text.as_bytes()).unwrap();
        let request = request(0);
        let id = Some(keyring.current());
        let digest = keyring.digest(id, token.kind(), token.selector(), token.verifier());
        let grant = Grant {
            principal: request.principal.clone(),
            name: request.name,
            scopes: request.scopes,
            key_id: keyring.current(),
            digest,
            created_at: Timestamp::ZERO,
            expiry: Expiry::Never,
            stamp: EpochStamp::default(),
            predecessor: None,
            end: None,
        };
        let server_id = ServerId::new("bench").unwrap();
        let deployment = Deployment {
            word: None,
            server_id,
            created_at: Timestamp::ZERO,
        };
        let principal = PrincipalRecord::new(request.principal);
        Self {
            grant,
            principal,
            system: SystemRecord::new(deployment),
        }
    }
}

/// A number sequence that visits places in no order that hardware could guess.
pub struct Shuffle(u64);

impl Shuffle {
    /// Starts the sequence.
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// A random-order chain of 64-byte lines: each load depends on the one before.
pub struct Chain {
    lines: Vec<[u64; 8]>,
    at: usize,
}

impl Chain {
    /// A chain of `lines` lines that visits all of them (Sattolo's cycle).
    pub fn new(lines: usize) -> Self {
        let mut order: Vec<usize> = (0..lines).collect();
        let mut shuffle = Shuffle::new();
        for i in (1..lines).rev() {
            order.swap(i, shuffle.below(i));
        }
        let lines = order
            .into_iter()
            .map(|next| [next as u64, 0, 0, 0, 0, 0, 0, 0])
            .collect();
        Self { lines, at: 0 }
    }

    /// One dependent load: a miss, where the chain is larger than the caches.
    pub fn step(&mut self) -> usize {
        self.at = self.lines[self.at][0] as usize;
        self.at
    }
}

/// How long `work` takes.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
pub fn timed(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Hashes one credential as a check does.
pub fn hash_once(keyring: &Keyring, token: &SplitToken) -> bool {
    let id = Some(keyring.current());
    let digest = keyring.digest(id, token.kind(), token.selector(), token.verifier());
    digest == countersign::core::Digest::from_bytes([0; 32])
}
