//! Tokens of forms: minting both forms of one, and judging each as good or as not.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]

use countersign::core::CredentialKind;
use countersign::store::MemoryStore;
use countersign::{CsrfVerdict, Engine, Method, NewLogIn, OpenedSession, Principal};
use countersign_benches::limits::Limits;
use countersign_benches::{engine_on, mistyped, roomy_policy};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

fn log_in(engine: &Engine, name: &str) -> OpenedSession {
    let principal = Principal::new(name).unwrap();
    let login = NewLogIn::new(principal, Method::Password, Duration::ZERO);
    engine.sessions().log_in(None, login).wait().unwrap()
}

fn forms(criterion: &mut Criterion) {
    let engine = engine_on(Arc::new(MemoryStore::new([])), roomy_policy(1000));
    let (opened, other) = (log_in(&engine, "alice"), log_in(&engine, "bob"));
    let (session, forms) = (&opened.session, engine.forms());
    let stable = forms.stable(session, None).expose().to_owned();

    let mut group = criterion.benchmark_group("csrf/check");
    group.throughput(Throughput::Elements(1));
    let masked = forms.masked(session, None).unwrap().expose().to_owned();
    let theirs = forms.stable(&other.session, None).expose().to_owned();
    for (name, text) in [
        ("stable", Some(stable.clone())),
        ("masked", Some(masked)),
        ("other session", Some(theirs)),
        ("mistyped", Some(mistyped(&stable))),
        ("malformed", Some("x".repeat(stable.len()))),
        ("missing", None),
    ] {
        let accepted = forms.check(Some(session), text.as_deref().map(str::as_bytes), None);
        let good = matches!(name, "stable" | "masked");
        assert_eq!(accepted == CsrfVerdict::Accepted, good, "{name}");
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let text = black_box(text.as_deref());
                forms.check(Some(session), text.map(str::as_bytes), None)
            });
        });
    }
    let limits = Limits::new(CredentialKind::Session, 0);
    let token = limits.token(opened.token.expose());
    group.bench_function("limit hash", |bench| bench.iter(|| limits.hash(&token)));
    group.finish();

    let mut group = criterion.benchmark_group("csrf/mint");
    group.throughput(Throughput::Elements(1));
    group.bench_function("stable", |bench| bench.iter(|| forms.stable(session, None)));
    group.bench_function("masked", |bench| bench.iter(|| forms.masked(session, None)));
    group.bench_function("cookie", |bench| bench.iter(|| forms.cookie(session)));
    group.finish();
}

criterion_group!(benches, forms);
criterion_main!(benches);
