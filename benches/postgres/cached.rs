//! P18: verification of a cached record, with the database behind it and with an embedded store.

use crate::nodes;
use countersign::store::MemoryStore;
use countersign::{Engine, Selector};
use countersign_benches::limits::{Rounds, Size};
use countersign_benches::{Filled, Shuffle, engine_on, filled_on, roomy_policy};
use countersign_postgres::PostgresStore;
use countersign_testkit::postgres::Cluster;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const ROUNDS: usize = 201;
/// Few enough that their texts stay near: a server has just received what it checks.
const EACH: usize = 2000;
/// How many bring records into memory at once.
const WARMING: usize = 64;

/// A store that is full of tokens, and which they are.
pub(crate) struct Full {
    /// Open for as long as the store is to be.
    _engine: Engine,
    pub(crate) store: Arc<PostgresStore>,
    pub(crate) selectors: Vec<Selector>,
}

/// The same tokens on both sides, in tables of one size, verified as P1 does it.
pub(crate) fn beside_embedded(cluster: &Cluster, size: &Size) -> Full {
    let memory = Arc::new(MemoryStore::new([]));
    let filled = filled_on(Arc::clone(&memory) as _, size.count);
    let store = nodes::store(&cluster.primary().connection_string(), "cached");
    nodes::copy(&*memory, &*store);
    cluster
        .primary()
        .sql("vacuum (freeze, analyze) cached.record; checkpoint");
    let shared = engine_on(Arc::clone(&store) as _, roomy_policy(size.count));
    // Twice: the first call brings a record into memory, the next one to where the others look.
    for _ in 0..2 {
        filled.warm();
        warm(&shared, &filled);
    }

    let (mut rounds, mut shuffle) = (Rounds::default(), Shuffle::new());
    for round in 0..size.rounds(ROUNDS) {
        let texts: Vec<String> = (0..EACH)
            .map(|_| filled.texts[shuffle.below(filled.texts.len())].clone())
            .collect();
        let mut sides = [("postgres", &shared), ("embedded", &filled.engine)];
        if round % 2 == 1 {
            sides.reverse();
        }
        for (name, engine) in sides {
            rounds.time(name, EACH, || {
                for text in &texts {
                    let verdict = engine.access().verify(black_box(text)).wait();
                    assert!(verdict.is_ok_and(|verdict| verdict.is_in()));
                }
            });
        }
    }
    let what = format!(
        "verify, cached, {} tokens, with PostgreSQL over an embedded store",
        size.count
    );
    let figure = rounds.ratio("P18", what, "postgres", &["embedded"]);
    figure.at_most(1.1).tell();
    Full {
        _engine: shared,
        store,
        selectors: filled.selectors,
    }
}

/// Brings every record into memory, many at once since each waits for the database.
fn warm(engine: &Engine, filled: &Filled) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..WARMING {
            scope.spawn(|| {
                while let Some(text) = filled.texts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    assert!(engine.access().verify(text).wait().unwrap().is_in());
                }
            });
        }
    });
}
