//! Verifying access tokens with their records in memory: a refusal of each kind beside the hit.

use countersign_benches::{Filled, Shuffle, filled, mistyped, wrong_secret};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SIZES: [usize; 2] = [10_000, 100_000];

fn verify(criterion: &mut Criterion) {
    for size in SIZES {
        let filled = filled(size);
        filled.warm();
        let mut group = criterion.benchmark_group(format!("verify/cached/{size}"));
        group.throughput(Throughput::Elements(1));
        let wrong: Vec<String> = filled.texts.iter().map(|text| wrong_secret(text)).collect();
        let typo: Vec<String> = filled.texts.iter().map(|text| mistyped(text)).collect();
        for (name, texts) in [
            ("hit", &filled.texts),
            ("mismatch", &wrong),
            ("checksum", &typo),
        ] {
            let mut shuffle = Shuffle::new();
            group.bench_function(name, |bench| {
                bench.iter(|| check(&filled, texts, &mut shuffle));
            });
        }
        group.finish();
    }
}

fn check(filled: &Filled, texts: &[String], shuffle: &mut Shuffle) -> bool {
    let at = shuffle.below(texts.len());
    let Some(text) = texts.get(at) else {
        return false;
    };
    let verdict = filled.engine.access().verify(black_box(text)).wait();
    verdict.is_ok_and(|verdict| verdict.is_in())
}

criterion_group!(benches, verify);
criterion_main!(benches);
