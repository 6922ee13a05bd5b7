//! Where a store is kept that a sequence closes and opens again.

use countersign_core::Table;
use countersign_store::{KeyRange, MemoryStore, Store};
use countersign_testkit::must;
use std::path::PathBuf;
use std::sync::Arc;

/// A place where one store is kept.
pub trait Place {
    /// Opens the store that is kept here; the first call makes an empty one. Whoever had it open
    /// has let go of it.
    fn open(&mut self) -> Arc<dyn Store>;

    /// The store is about to be closed, and will be opened again.
    fn leave(&mut self) {}

    /// A commit was acknowledged as durable.
    fn acknowledged(&mut self) {}

    /// The file that sessions are carried over a restart in, if they are.
    fn snapshot(&self) -> Option<PathBuf> {
        None
    }
}

impl<P: Place + ?Sized> Place for &mut P {
    fn open(&mut self) -> Arc<dyn Store> {
        (**self).open()
    }

    fn leave(&mut self) {
        (**self).leave();
    }

    fn acknowledged(&mut self) {
        (**self).acknowledged();
    }

    fn snapshot(&self) -> Option<PathBuf> {
        (**self).snapshot()
    }
}

/// A place in memory, for an engine.
///
/// What is written on closing is lost, as by a kill, and versions begin anew: another store holds
/// the same records.
#[derive(Debug, Default)]
pub struct Memory {
    open: Option<Arc<MemoryStore>>,
    left: Option<MemoryStore>,
}

impl Place for Memory {
    fn open(&mut self) -> Arc<dyn Store> {
        let store = self.left.take().unwrap_or_else(|| MemoryStore::new([]));
        let store = Arc::new(store);
        self.open = Some(Arc::clone(&store));
        store
    }

    fn leave(&mut self) {
        let Some(store) = self.open.take() else {
            return;
        };
        let page = |table| must(store.scan(KeyRange::all(table), usize::MAX).wait());
        let records = Table::ALL.into_iter().flat_map(|table| page(table).records);
        let records = records.map(|(key, found)| (key, found.record));
        self.left = Some(MemoryStore::new(records));
    }
}
