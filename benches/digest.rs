//! Proving a secret by its digest: one that fits, one that does not, and the hash alone.

use countersign::core::{CredentialKind, Digest, Keyring, SplitToken, Verifier};
use countersign_benches::limits::Limits;
use countersign_benches::{filled, keys};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// The bytes of a secret.
const SECRET_BYTES: u64 = 28;

fn digest(criterion: &mut Criterion) {
    let text = filled(1).texts.first().cloned().unwrap_or_default();
    let limits = Limits::new(CredentialKind::Access, 0);
    let keyring = Keyring::new(&keys());
    let good = limits.token(&text);
    let verifier = Verifier::from_bytes([0x5a; 28]);
    let wrong = SplitToken::new(good.kind(), good.selector(), verifier);
    let digest_of = |token: &SplitToken| {
        let id = Some(keyring.current());
        keyring.digest(id, token.kind(), token.selector(), token.verifier())
    };
    let kept: Digest = digest_of(&good);

    let mut group = criterion.benchmark_group("token/digest");
    group.throughput(Throughput::Bytes(SECRET_BYTES));
    for (name, token) in [("hit", &good), ("mismatch", &wrong)] {
        group.bench_function(name, |bench| {
            bench.iter(|| digest_of(black_box(token)) == *black_box(&kept));
        });
    }
    group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&good)));
    group.bench_function("limit parse", |bench| bench.iter(|| limits.parse(&text)));
    group.finish();
}

criterion_group!(benches, digest);
criterion_main!(benches);
