//! The durable side: issuing one after another and together, and reading what is not in memory.

use countersign::Engine;
use countersign::core::Key;
use countersign_benches::{Shuffle, filled_on, request, store_at};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use std::thread;

fn issue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store/issue");
    group.sample_size(10);
    for issuers in [1usize, 8, 64] {
        let Ok(dir) = tempfile::tempdir() else { return };
        let store = store_at(&dir.path().join("state.redb"), 64 << 20);
        let engine = filled_on(store, 0).engine;
        group.throughput(Throughput::Elements(issuers as u64));
        let mut round = 0usize;
        group.bench_with_input(
            BenchmarkId::from_parameter(issuers),
            &issuers,
            |bench, &issuers| {
                bench.iter(|| {
                    round = round.wrapping_add(1);
                    together(&engine, round, issuers);
                });
            },
        );
    }
    group.finish();
}

fn together(engine: &Engine, round: usize, issuers: usize) {
    thread::scope(|scope| {
        for issuer in 0..issuers {
            let number = round
                .wrapping_mul(issuers)
                .wrapping_add(issuer)
                .wrapping_mul(10);
            scope.spawn(move || assert!(engine.access().issue(request(number)).wait().is_ok()));
        }
    });
}

fn uncached(criterion: &mut Criterion) {
    let Ok(dir) = tempfile::tempdir() else { return };
    let store = store_at(&dir.path().join("state.redb"), 64 << 20);
    let filled = filled_on(Arc::clone(&store) as _, 1000);
    let mut shuffle = Shuffle::new();
    criterion.bench_function("store/load_one/1000", |bench| {
        bench.iter(|| {
            let at = shuffle.below(filled.selectors.len());
            let key = filled
                .selectors
                .get(at)
                .map(|selector| Key::grant(*selector));
            key.and_then(|key| store.load_one(key).ok())
        });
    });
}

criterion_group!(benches, issue, uncached);
criterion_main!(benches);
