//! The store on disk: issuing alone and together, reading, scanning, opening, and what redb and
//! the disk do by themselves.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a bench may stop"
)]

use countersign::core::{Key, Keyring, Selector, Table, Timestamp};
use countersign::store::{KeyRange, RedbStore, Store as _};
use countersign::{Engine, Pending, RedbOptions};
use countersign_benches::{Shuffle, engine_on, keys, request, roomy_policy, store_at};
use countersign_core::{Batch, Event, EventKind, Expect, Record, ShardTag};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use redb::{Database, ReadableDatabase as _, TableDefinition};
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

const ROWS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new(Table::Grants.name());
const TOKENS: usize = 10_000;
const CACHE_BYTES: usize = 64 << 20;

/// So many issues at once, each for another principal.
fn together(engine: &Engine, round: usize, issuers: usize) -> Vec<Selector> {
    let issue = |n: usize| {
        let number = 10 * (round * issuers + n);
        engine.access().issue(request(number))
    };
    let queued: Vec<_> = (0..issuers).map(issue).collect();
    let wait =
        |queued: Pending<Result<_, _>>| -> countersign::IssuedToken { queued.wait().unwrap() };
    queued
        .into_iter()
        .map(wait)
        .map(|issued| issued.selector)
        .collect()
}

fn commit_plain(db: &Database, n: u64) {
    let mut txn = db.begin_write().unwrap();
    txn.set_two_phase_commit(true);
    let key = (u128::from(n) << 64).to_be_bytes();
    txn.open_table(ROWS)
        .unwrap()
        .insert(key, [0x5a; 160].as_slice())
        .unwrap();
    txn.commit().unwrap();
}

fn issue(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("store/issue");
    group.sample_size(10);
    for issuers in [1, 8, 64] {
        let store = store_at(&dir.path().join(format!("{issuers}.redb")), CACHE_BYTES);
        let engine = engine_on(store, roomy_policy(TOKENS));
        group.throughput(Throughput::Elements(issuers as u64));
        let mut round = 0;
        group.bench_with_input(
            BenchmarkId::new("at once", issuers),
            &issuers,
            |bench, n| {
                bench.iter(|| {
                    round += 1;
                    together(&engine, round, *n)
                });
            },
        );
    }
    group.throughput(Throughput::Elements(1));
    let db = Database::create(dir.path().join("plain.redb")).unwrap();
    let mut next = 0;
    group.bench_function("limit redb", |bench| {
        bench.iter(|| {
            next += 1;
            commit_plain(&db, next);
        });
    });
    let page = File::create(dir.path().join("page")).unwrap();
    group.bench_function("limit fdatasync", |bench| {
        bench.iter(|| {
            page.write_all_at(&[0x5a; 4096], 0).unwrap();
            page.sync_data().unwrap();
        });
    });
    group.finish();
}

/// One batch of many rows, as an import writes them.
fn batch(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let store = store_at(&dir.path().join("state.redb"), CACHE_BYTES);
    let mut group = criterion.benchmark_group("store/batch");
    group.sample_size(10).throughput(Throughput::Elements(1000));
    let mut next = 0;
    group.bench_function("1000 events", |bench| {
        bench.iter(|| {
            let mut batch = Batch::grow();
            for _ in 0..1000 {
                next += 1;
                let at = Timestamp::from_millis(next);
                let id = Selector::mint(at, ShardTag::NONE, next.to_be_bytes());
                let event = Event::new(id, at, EventKind::Issued);
                batch.put(Key::event(id), Expect::Absent, Record::Event(event));
            }
            store.commit(batch).wait().unwrap()
        });
    });
    group.finish();
}

/// A closed file with tokens, and their selectors.
fn file(path: &Path) -> Vec<Selector> {
    let store = store_at(path, CACHE_BYTES);
    let engine = engine_on(Arc::clone(&store) as _, roomy_policy(TOKENS));
    let selectors = together(&engine, 0, 1000);
    let rest = (1..TOKENS / 1000).flat_map(|round| together(&engine, round, 1000));
    let selectors = selectors.into_iter().chain(rest).collect();
    engine.close().wait().unwrap();
    store.close().wait().unwrap();
    selectors
}

fn open(path: &Path) -> RedbStore {
    let keyring = Arc::new(Keyring::new(&keys()));
    // The clone guard knows a copy for one.
    let options = RedbOptions::new().adopt(Some(countersign::store::Adopt::Keep));
    options.open(path, keyring).unwrap()
}

fn read(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let [ours, plain] = ["ours", "plain"].map(|name| dir.path().join(name));
    let selectors = file(&ours);
    fs::copy(&ours, &plain).unwrap();
    let store = open(&ours);
    let db = Database::open(&plain).unwrap();
    let table = db.begin_read().unwrap().open_table(ROWS).unwrap();
    let mut group = criterion.benchmark_group("store/read");
    group.throughput(Throughput::Elements(1));
    let mut shuffle = Shuffle::new();
    let mut known = || Key::grant(selectors[shuffle.below(selectors.len())]);
    group.bench_function("hit", |bench| bench.iter(|| store.load_one(known())));
    group.bench_function("limit redb hit", |bench| {
        bench.iter(|| {
            table
                .get(&known().id)
                .unwrap()
                .map(|row| black_box(row.value().len()))
        });
    });
    // Elsewhere in the order of keys.
    let mut unknown = || {
        let mut key = known();
        key.id[15] ^= 1;
        key
    };
    group.bench_function("miss", |bench| bench.iter(|| store.load_one(unknown())));
    group.bench_function("limit redb miss", |bench| {
        bench.iter(|| table.get(&unknown().id).unwrap().is_some());
    });
    group.finish();

    let mut group = criterion.benchmark_group("store/scan");
    group.throughput(Throughput::Elements(1000));
    let all = KeyRange::all(Table::Grants);
    group.bench_function("1000 rows", |bench| {
        bench.iter(|| store.scan(all, 1000).wait());
    });
    group.bench_function("limit redb", |bench| {
        bench.iter(|| {
            let rows = table.range([0; 16]..).unwrap().take(1000);
            rows.map(|row| row.unwrap().1.value().len()).sum::<usize>()
        });
    });
    group.finish();
}

/// Opening a closed file, and one that was copied while somebody wrote it, as a crash leaves it.
fn opening(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let [ours, crashed, again] = ["ours", "crashed", "again"].map(|name| dir.path().join(name));
    file(&ours);
    let mut group = criterion.benchmark_group("store/open");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(ours.metadata().unwrap().len()));
    group.bench_function("closed", |bench| {
        bench.iter_batched(|| (), |()| open(&ours), BatchSize::PerIteration);
    });
    let checked = |path: &Path| {
        let mut builder = Database::builder();
        builder.set_check_integrity_on_open(true);
        builder.open(path).unwrap()
    };
    group.bench_function("limit redb closed", |bench| {
        bench.iter_batched(|| (), |()| checked(&ours), BatchSize::PerIteration);
    });
    {
        let store = open(&ours);
        let engine = engine_on(Arc::new(store), roomy_policy(TOKENS));
        together(&engine, 100, 100);
        fs::copy(&ours, &crashed).unwrap();
    }
    let fresh = || fs::copy(&crashed, &again).unwrap();
    group.bench_function("crashed", |bench| {
        bench.iter_batched(fresh, |_| open(&again), BatchSize::PerIteration);
    });
    group.bench_function("limit redb crashed", |bench| {
        bench.iter_batched(fresh, |_| checked(&again), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, issue, batch, read, opening);
criterion_main!(benches);
