//! Tokens of images: signing one, opening an attachment with it, and each refusal.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::Keyring;
use countersign::core::image::prove;
use countersign::store::MemoryStore;
use countersign::{AttachmentId, Principal};
use countersign_benches::{engine_at, keys, roomy_policy};
use countersign_testkit::ManualClock;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// The characters of a signature.
const SIGNATURE: usize = 43;
const YEAR: Duration = Duration::from_secs(365 * 86_400);

fn images(criterion: &mut Criterion) {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = engine_at(clock.clone(), store, roomy_policy(1000));
    let principal = Principal::new("alice").unwrap();
    let [mine, other] = ["10000", "10001"].map(|id| AttachmentId::new(id).unwrap());
    let sign = || engine.images().sign(principal.clone(), mine.clone()).wait();
    let text = sign().unwrap().text.expose().to_owned();
    let at = text.len() - SIGNATURE;
    let digit = if &text[at..=at] == "A" { "B" } else { "A" };
    let forged = format!("{}{digit}{}", &text[..at], &text[at + 1..]);

    let mut group = criterion.benchmark_group("image/verify");
    group.throughput(Throughput::Elements(1));
    let keyring = Keyring::new(&keys());
    for (name, text, attachment) in [
        ("hit", &text, &mine),
        ("forged", &forged, &mine),
        ("other attachment", &text, &other),
        ("malformed", &"x".repeat(text.len()), &mine),
    ] {
        let verify = || {
            engine
                .images()
                .verify(black_box(text), attachment, None)
                .wait()
        };
        assert_eq!(verify().unwrap().is_in(), name == "hit", "{name}");
        group.bench_function(name, |bench| bench.iter(verify));
    }
    group.bench_function("limit proof", |bench| {
        bench.iter(|| prove(&keyring, black_box(text.as_bytes())).is_ok());
    });
    clock.advance(YEAR);
    group.bench_function("expired", |bench| {
        bench.iter(|| engine.images().verify(black_box(&text), &mine, None).wait());
    });
    group.finish();

    let mut group = criterion.benchmark_group("image/sign");
    group.throughput(Throughput::Elements(1));
    group.bench_function("known attachment", |bench| bench.iter(sign));
    group.finish();
}

criterion_group!(benches, images);
criterion_main!(benches);
