//! Sessions through the engine: opening, a request's look at one, changing one, the sweep, and a
//! flood of anonymous ones.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::CredentialKind;
use countersign::store::MemoryStore;
use countersign::{
    AttributeChange, AttributeName, Engine, Method, NewLogIn, OpenedSession, Principal, Timeouts,
};
use countersign_benches::limits::Limits;
use countersign_benches::{Shuffle, engine_on, filled, mistyped, roomy_policy, wrong_secret};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const SESSIONS: usize = 100_000;
/// How many there may be: opening goes on until then, and after that each evicts one.
const ROOM: u64 = 4 * SESSIONS as u64;

fn engine(anonymous: u64) -> Engine {
    let mut draft = roomy_policy(SESSIONS).to_draft();
    draft.sessions.max_sessions = ROOM;
    draft.sessions.max_anonymous = anonymous;
    engine_on(Arc::new(MemoryStore::new([])), draft.build().unwrap())
}

fn log_in(engine: &Engine, n: usize) -> OpenedSession {
    let principal = Principal::new(&format!("user{n:07}")).unwrap();
    let login = NewLogIn::new(principal, Method::Password, Duration::from_secs(600));
    engine.sessions().log_in(None, login).wait().unwrap()
}

fn opened(engine: &Engine) -> Vec<OpenedSession> {
    (0..SESSIONS).map(|n| log_in(engine, n)).collect()
}

/// A request's look at a session: with a use noted and without, and each refusal.
fn requests(criterion: &mut Criterion) {
    let engine = engine(0);
    let opened = opened(&engine);
    let texts: Vec<String> = opened
        .iter()
        .map(|opened| opened.token.expose().to_owned())
        .collect();
    let wrong = texts.iter().map(|text| wrong_secret(text)).collect();
    let typo = texts.iter().map(|text| mistyped(text)).collect();
    let other = filled(1).texts;
    for (operation, touches) in [("touch", true), ("peek", false)] {
        let mut group = criterion.benchmark_group(format!("session/{operation}"));
        group.throughput(Throughput::Elements(1));
        for (name, texts) in [
            ("hit", &texts),
            ("mismatch", &wrong),
            ("checksum", &typo),
            ("other kind", &other),
        ] {
            let mut shuffle = Shuffle::new();
            group.bench_function(name, |bench| {
                bench.iter(|| {
                    let text = black_box(&texts[shuffle.below(texts.len())]);
                    let verdict = match touches {
                        true => engine.sessions().touch(text, None),
                        false => engine.sessions().peek(text, None),
                    };
                    verdict.wait().unwrap().is_in()
                });
            });
        }
        let mut limits = Limits::new(CredentialKind::Session, 2 * SESSIONS);
        let token = limits.token(&texts[0]);
        group.bench_function("limit parse", |bench| {
            bench.iter(|| limits.parse(&texts[0]));
        });
        group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&token)));
        group.bench_function("limit miss", |bench| bench.iter(|| limits.miss()));
        group.finish();
    }
    changes(criterion, &engine, &opened);
}

/// Attributes, and a sweep that finds nothing due.
fn changes(criterion: &mut Criterion, engine: &Engine, opened: &[OpenedSession]) {
    let mut group = criterion.benchmark_group("session/update");
    group.throughput(Throughput::Elements(1));
    let name = AttributeName::new("seen").unwrap();
    let mut shuffle = Shuffle::new();
    group.bench_function("add to a number", |bench| {
        bench.iter(|| {
            let session = &opened[shuffle.below(opened.len())].session;
            let add = AttributeChange::Add(name.clone(), 1);
            engine.sessions().update(session, vec![add]).wait().is_ok()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("session/sweep");
    group.throughput(Throughput::Elements(SESSIONS as u64));
    group.bench_function("none due", |bench| {
        bench.iter(|| engine.sweep(usize::MAX).wait().is_ok());
    });
    group.finish();
}

/// Opening: by log-in, anonymously, and as a flood that has to make room for itself.
fn opening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session/open");
    group.throughput(Throughput::Elements(1));
    let roomy = engine(ROOM / 2);
    group.bench_function("start", |bench| {
        bench.iter(|| roomy.sessions().start(Timeouts::default()).wait().is_ok());
    });
    let mut shuffle = Shuffle::new();
    group.bench_function("log_in", |bench| {
        bench.iter(|| log_in(&roomy, shuffle.below(10 * SESSIONS)));
    });
    let flooded = engine(1000);
    let kept = opened(&flooded);
    group.bench_function("flood", |bench| {
        bench.iter(|| flooded.sessions().start(Timeouts::default()).wait().is_ok());
    });
    // Nobody who is logged in makes room for a stranger.
    for opened in kept.iter().take(1000) {
        let verdict = flooded.sessions().peek(opened.token.expose(), None).wait();
        assert!(verdict.unwrap().is_in());
    }
    group.finish();
}

criterion_group!(benches, requests, opening);
criterion_main!(benches);
