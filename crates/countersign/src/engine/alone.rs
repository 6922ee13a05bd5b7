//! An engine in memory for unit tests, whose locks are shuttle's: to ask the parts of it which way
//! they went. What they answer is tried in `tests/it`.

use super::Engine;
use crate::inner::Inner;
use crate::maintenance::Maintenance;
use countersign_core::{KeyMaterial, Timestamp};
use countersign_store::MemoryStore;
use shuttle::scheduler::RandomScheduler;
use shuttle::{Config, Runner};
use std::sync::Arc;

/// An engine goes deeper than the models of its parts, which have 32 KiB.
const STACK: usize = 1 << 20;

/// Runs `test` once, in one order.
pub(crate) fn with_engine(test: impl Fn(&Engine, &Arc<Inner>) + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    Runner::new(RandomScheduler::new(1), config).run(move || {
        let keys = KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]);
        let engine = Engine::builder()
            .maintenance(Maintenance::HostDriven)
            .open_store(Arc::new(MemoryStore::new([])), &keys)
            .unwrap();
        test(&engine, &engine.0.inner);
    });
}
