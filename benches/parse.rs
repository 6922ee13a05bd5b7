//! Reading the text of a token: good, and each way of being bad.

use countersign::core::{CredentialKind, Keyring, TokenFormat};
use countersign_benches::{filled, keys, mistyped};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

fn parse(criterion: &mut Criterion) {
    let filled = filled(1);
    let good = filled.texts.first().cloned().unwrap_or_default();
    let format = filled.engine.format().clone();
    let cases = [
        ("good", good.clone()),
        ("checksum", mistyped(&good)),
        ("digit", format!("{}-", good.get(..69).unwrap_or_default())),
        ("prefix", good.replacen("csa", "csr", 1)),
        ("length", format!("{good}x")),
    ];
    let mut group = criterion.benchmark_group("token/parse");
    for (name, text) in cases {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                format
                    .parse(CredentialKind::Access, black_box(text.as_bytes()))
                    .is_ok()
            });
        });
    }
    group.finish();
    digest(criterion, &format, &good);
}

fn digest(criterion: &mut Criterion, format: &TokenFormat, text: &str) {
    let keyring = Keyring::new(&keys());
    let Ok(token) = format.parse(CredentialKind::Access, text.as_bytes()) else {
        return;
    };
    criterion.bench_function("token/digest/one_block", |bench| {
        bench.iter(|| countersign_benches::hash_once(&keyring, black_box(&token)));
    });
}

criterion_group!(benches, parse);
criterion_main!(benches);
