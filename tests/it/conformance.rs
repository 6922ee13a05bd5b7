//! Hazard: a store that breaks a promise of the `Store` trait, on which every rule above is built.
//!
//! One suite holds every store to the same cases.

mod memory {
    use countersign::store::MemoryStore;
    use countersign_testkit::Specimen;
    use std::sync::Arc;

    countersign_testkit::suite!(|| Specimen::new(Arc::new(MemoryStore::new([]))));
}

mod redb {
    countersign_testkit::suite!(|| super::in_a_file(&crate::support::options()));
}

/// With readers beside it, when deferred commits are durable at once.
mod redb_shared {
    use countersign::Mode;

    countersign_testkit::suite!(|| {
        super::in_a_file(&crate::support::options().mode(Mode::SharedReaders))
    });
}

fn in_a_file(options: &countersign::RedbOptions) -> countersign_testkit::Specimen {
    let dir = crate::support::directory();
    let keyring = countersign_testkit::samples::keyring();
    let store = options.create(dir.path().join("state.redb"), keyring, [7; 16], vec![]);
    countersign_testkit::Specimen::keeping(std::sync::Arc::new(store.unwrap()), dir)
}
