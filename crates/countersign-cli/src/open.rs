//! Opening the store that a call is about, with its keys.

use crate::clock::CallClock;
use crate::failure::Failure;
use crate::reading::Reading;
use countersign::core::Keyring;
use countersign::store::{Adopt, OpenError, RedbStore, Store};
use countersign::{
    Builder, Clock as _, Create, Engine, KeyMaterial, Maintenance, Mode, Policy, RedbOptions,
    Timestamp, keyfile, snapshot_beside,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a call's store and keys are, and when it takes place.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) store: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) clock: CallClock,
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<RedbStore>,
}

impl Site {
    pub(crate) fn new(store: PathBuf, key: Option<PathBuf>, now: Option<Timestamp>) -> Self {
        let key = key.unwrap_or_else(|| keyfile::beside(&store));
        Self {
            store,
            key,
            clock: CallClock::new(now),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The keys of a store that is there: that it is not comes first.
    pub(crate) fn keys(&self) -> Result<KeyMaterial, Failure> {
        if self.store.symlink_metadata().is_err() {
            return Err(OpenError::NotFound(self.store.clone()).into());
        }
        Ok(keyfile::read(&self.key)?)
    }

    /// For commands that write: nobody else has it open.
    pub(crate) fn write(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let store = Arc::new(RedbOptions::new().open(&self.store, ring(&keys))?);
        self.start(Arc::clone(&store) as _, store, &keys, None)
    }

    /// For commands that only read: nobody else has it open, or its holder shares it.
    pub(crate) fn read(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        self.reading(self.open_to_read(&keys)?, &keys)
    }

    /// The same with the sessions that were carried over last.
    pub(crate) fn read_with_sessions(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let store = Arc::new(self.open_to_read(&keys)?);
        let reading = Arc::new(Reading(Arc::clone(&store)));
        self.start_with_sessions(reading, store, &keys)
    }

    /// For commands that write sessions, which are carried over again when it is closed.
    pub(crate) fn write_with_sessions(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let store = Arc::new(RedbOptions::new().open(&self.store, ring(&keys))?);
        self.start_with_sessions(Arc::clone(&store) as _, store, &keys)
    }

    fn start_with_sessions(
        &self,
        serving: Arc<dyn Store>,
        store: Arc<RedbStore>,
        keys: &KeyMaterial,
    ) -> Result<Opened, Failure> {
        let snapshot = snapshot_beside(&self.store);
        let builder = self.builder().session_snapshot(snapshot, store.store_id());
        let engine = builder.open_store(serving, keys)?;
        Ok(Opened { engine, store })
    }

    /// For bringing out what is whole: a damaged store is read without the check of its pages.
    /// What is wrong with it is answered too; every record is still held to its own tag.
    pub(crate) fn salvage(&self) -> Result<(Opened, Option<String>), Failure> {
        let keys = self.keys()?;
        let (store, damage) = match self.open_to_read(&keys) {
            Err(OpenError::Damaged { path, detail }) => {
                let reading = RedbOptions::new().mode(Mode::ReadOnly);
                match reading.open(&self.store, ring(&keys)) {
                    Ok(store) => (store, Some(detail)),
                    Err(_) => return Err(OpenError::Damaged { path, detail }.into()),
                }
            }
            store => (store?, None),
        };
        Ok((self.reading(store, &keys)?, damage))
    }

    fn open_to_read(&self, keys: &KeyMaterial) -> Result<RedbStore, OpenError> {
        match RedbOptions::new().open(&self.store, ring(keys)) {
            Err(first @ (OpenError::AlreadyOpen(_) | OpenError::Permission { .. })) => {
                let reading = RedbOptions::new().mode(Mode::ReadOnly);
                // What stands in the way of writing says more than what then stands in the way
                // of reading.
                reading.open(&self.store, ring(keys)).map_err(|_| first)
            }
            other => other,
        }
    }

    fn reading(&self, store: RedbStore, keys: &KeyMaterial) -> Result<Opened, Failure> {
        let store = Arc::new(store);
        self.start(Arc::new(Reading(Arc::clone(&store))), store, keys, None)
    }

    /// For following what another process writes.
    pub(crate) fn follow(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let options = RedbOptions::new().mode(Mode::ReadOnly);
        let store = Arc::new(options.open(&self.store, ring(&keys))?);
        self.start(Arc::clone(&store) as _, store, &keys, None)
    }

    /// Opens the store at `path`, which may be a copy.
    pub(crate) fn adopt(&self, path: &Path, adopt: Adopt) -> Result<Opened, Failure> {
        let keys = keyfile::read(&self.key)?;
        // The ballast belongs beside the place where the store is to serve.
        let options = RedbOptions::new().adopt(Some(adopt)).ballast_bytes(0);
        let store = Arc::new(options.open(path, ring(&keys))?);
        self.start(Arc::clone(&store) as _, store, &keys, None)
    }

    /// An engine on an open store, without a thread of its own for maintenance.
    pub(crate) fn start(
        &self,
        serving: Arc<dyn Store>,
        store: Arc<RedbStore>,
        keys: &KeyMaterial,
        policy: Option<Policy>,
    ) -> Result<Opened, Failure> {
        let mut builder = self.builder();
        if let Some(policy) = policy {
            builder = builder.policy(policy);
        }
        let engine = builder.open_store(serving, keys)?;
        Ok(Opened { engine, store })
    }
}

impl Site {
    fn builder(&self) -> Builder {
        Engine::builder()
            .clock(self.clock)
            .maintenance(Maintenance::HostDriven)
            .create(Create::Never)
    }
}

impl Opened {
    /// Writes what is waiting and lets go of the store.
    pub(crate) fn close(self) -> Result<(), Failure> {
        Ok(self.engine.close().wait()?)
    }
}

pub(crate) fn ring(keys: &KeyMaterial) -> Arc<Keyring> {
    Arc::new(Keyring::new(keys))
}
