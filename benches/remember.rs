//! Remembered devices: a secret that is due to be replaced, one that is not, and refusals.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::CredentialKind;
use countersign::store::MemoryStore;
use countersign::{Engine, Label, NewSeries, Principal, Recall};
use countersign_benches::limits::Limits;
use countersign_benches::{engine_at, mistyped, roomy_policy, wrong_secret};
use countersign_testkit::ManualClock;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

fn device(engine: &Engine, name: &str) -> String {
    let series = NewSeries {
        principal: Principal::new(name).unwrap(),
        label: Label::new("browser").unwrap(),
    };
    let started = engine.remember().start(series).wait().unwrap();
    started.token.expose().to_owned()
}

fn present(criterion: &mut Criterion) {
    let clock = ManualClock::default();
    let store = Arc::new(MemoryStore::new([]));
    let engine = engine_at(clock.clone(), store, roomy_policy(1000));
    let mut group = criterion.benchmark_group("remember/present");
    group.throughput(Throughput::Elements(1));

    let text = device(&engine, "alice");
    for (name, text) in [
        ("hit", text.clone()),
        ("checksum", mistyped(&text)),
        ("other kind", text.replacen("csr", "csa", 1)),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| engine.remember().present(black_box(&text), None).wait());
        });
    }
    // A wrong secret may be taken for theft, which ends the series: a device of its own.
    let wrong = wrong_secret(&device(&engine, "bob"));
    group.bench_function("mismatch", |bench| {
        bench.iter(|| engine.remember().present(black_box(&wrong), None).wait());
    });
    let limits = Limits::new(CredentialKind::Remember, 0);
    let token = limits.token(&text);
    group.bench_function("limit parse", |bench| bench.iter(|| limits.parse(&text)));
    group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&token)));

    // Used again just after the time at which its secret is replaced.
    let due = engine
        .policy()
        .remember_me()
        .rotate_after
        .saturating_add(Duration::from_secs(1));
    let (mut held, mut rotated) = (device(&engine, "carol"), 0u64);
    group.bench_function("rotation", |bench| {
        bench.iter(|| {
            clock.advance(due);
            let recall = engine.remember().present(black_box(&held), None).wait();
            match recall.unwrap() {
                Recall::In(recalled) => {
                    if let Some(successor) = recalled.successor {
                        held = successor.expose().to_owned();
                        rotated += 1;
                    }
                }
                // Its time was over.
                Recall::Refused(_) => held = device(&engine, "carol"),
            }
        });
    });
    assert!(rotated > 0);
    group.finish();
}

criterion_group!(benches, present);
criterion_main!(benches);
