//! Verifying access tokens, with their records in memory and without: a hit, each refusal, and
//! what limits them.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::{CredentialKind, Subsystem};
use countersign::store::{MemoryStore, Store};
use countersign::{Clock as _, Engine, Expiry, NewToken};
use countersign_benches::limits::Limits;
use countersign_benches::{
    Shuffle, engine_at, filled, mistyped, request, roomy_policy, store_at, wrong_secret,
};
use countersign_testkit::ManualClock;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const REFUSALS: [&str; 8] = [
    "mismatch",
    "unknown",
    "revoked",
    "expired",
    "disabled",
    "switched off",
    "checksum",
    "too long",
];
const HOUR: Duration = Duration::from_secs(3600);

fn cached(criterion: &mut Criterion) {
    for tokens in [10_000, 100_000] {
        let group = criterion.benchmark_group(format!("verify/cached {tokens}"));
        all(group, tokens, true, || Arc::new(MemoryStore::new([])));
    }
}

fn uncached(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut files = 0..;
    let group = criterion.benchmark_group("verify/uncached 1000");
    all(group, 1000, false, || {
        let name = format!("{}.redb", files.next().unwrap());
        store_at(&dir.path().join(name), 64 << 20)
    });
}

/// The hit, the refusals, each on an engine of its own, and the limits.
fn all(
    mut group: BenchmarkGroup<'_, WallTime>,
    tokens: usize,
    caches: bool,
    mut store: impl FnMut() -> Arc<dyn Store>,
) {
    group.throughput(Throughput::Elements(1));
    let hit = Case::new(store(), tokens, caches, "hit");
    hit.measure(&mut group);
    let mut limits = Limits::new(CredentialKind::Access, 2 * tokens);
    let text = hit.texts.first().cloned().unwrap_or_default();
    let token = limits.token(&text);
    group.bench_function("limit parse", |bench| bench.iter(|| limits.parse(&text)));
    group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&token)));
    group.bench_function("limit miss", |bench| bench.iter(|| limits.miss()));
    drop(hit);
    for name in REFUSALS {
        // As many tokens as it takes for the right one not to be the only one.
        Case::new(store(), 200, caches, name).measure(&mut group);
    }
    group.finish();
}

/// An engine, and texts that fare alike with it.
struct Case {
    name: &'static str,
    engine: Engine,
    texts: Vec<String>,
}

impl Case {
    fn new(store: Arc<dyn Store>, tokens: usize, caches: bool, name: &'static str) -> Self {
        let clock = ManualClock::default();
        let mut draft = roomy_policy(tokens).to_draft();
        if !caches {
            draft.cache.max_tokens = 0;
        }
        let engine = engine_at(clock.clone(), store, draft.build().unwrap());
        let expiry = Expiry::At(clock.now().after(HOUR));
        let issue = |n| {
            // Each for a principal of its own, so that they can share commits.
            let request = request(10 * n);
            engine.access().issue(NewToken { expiry, ..request })
        };
        let queued: Vec<_> = (0..tokens).map(issue).collect();
        let issued: Vec<_> = queued.into_iter().map(|q| q.wait().unwrap()).collect();
        let mut texts: Vec<String> = issued
            .iter()
            .map(|issued| issued.token.expose().to_owned())
            .collect();
        match name {
            "mismatch" => texts = texts.iter().map(|text| wrong_secret(text)).collect(),
            "unknown" => texts = filled(tokens).texts,
            "revoked" => issued.iter().for_each(|issued| {
                assert!(engine.access().revoke(issued.selector, None).wait().is_ok());
            }),
            "expired" => clock.advance(2 * HOUR),
            "disabled" => (0..tokens).for_each(|n| {
                let principal = request(10 * n).principal;
                assert!(engine.principals().disable(principal, None).wait().is_ok());
            }),
            "switched off" => {
                let off = engine.switches().off(Subsystem::AccessTokens, None);
                assert!(off.wait().is_ok());
            }
            "checksum" => texts = texts.iter().map(|text| mistyped(text)).collect(),
            "too long" => texts = texts.iter().map(|text| text.repeat(200)).collect(),
            _ => {}
        }
        let case = Self {
            name,
            engine,
            texts,
        };
        // Whatever can be in memory is.
        for text in &case.texts {
            assert_eq!(case.check(text), name == "hit", "{name}");
        }
        case
    }

    fn check(&self, text: &str) -> bool {
        let verdict = self.engine.access().verify(black_box(text)).wait();
        verdict.is_ok_and(|verdict| verdict.is_in())
    }

    fn measure(&self, group: &mut BenchmarkGroup<'_, WallTime>) {
        let mut shuffle = Shuffle::new();
        group.bench_function(self.name, |bench| {
            bench.iter(|| {
                let text = self.texts.get(shuffle.below(self.texts.len()));
                text.is_some_and(|text| self.check(text))
            });
        });
    }
}

criterion_group!(benches, cached, uncached);
criterion_main!(benches);
