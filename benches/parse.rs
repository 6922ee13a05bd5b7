//! Reading the text of a token: good, and each way of being bad.

use countersign::core::CredentialKind;
use countersign_benches::limits::Limits;
use countersign_benches::{filled, mistyped};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn parse(criterion: &mut Criterion) {
    let good = filled(1).texts.first().cloned().unwrap_or_default();
    let limits = Limits::new(CredentialKind::Access, 0);
    let cases = [
        ("good", good.clone()),
        ("checksum", mistyped(&good)),
        ("digit", format!("{}-", good.get(..69).unwrap_or_default())),
        ("prefix", good.replacen("csa", "csr", 1)),
        ("long", format!("{good}x")),
        ("short", good.get(..40).unwrap_or_default().to_owned()),
    ];
    let mut group = criterion.benchmark_group("token/parse");
    for (name, text) in cases {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bench| bench.iter(|| limits.parse(&text)));
    }
    let token = limits.token(&good);
    group.throughput(Throughput::Elements(1));
    group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&token)));
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
