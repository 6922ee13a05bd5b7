//! Opening the store that a call is about, with its keys.

use crate::clock::CallClock;
use crate::database::{self, Tables};
use crate::failure::Failure;
use crate::place::{DatabaseOptions, Place};
use crate::reading::Reading;
use countersign::core::Keyring;
use countersign::store::{Adopt, OpenError, RedbStore, Store};
use countersign::{
    Builder, Clock as _, Create, Engine, KeyMaterial, Maintenance, Mode, Policy, RedbOptions,
    Timestamp, keyfile, snapshot_beside,
};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a call's store and keys are, and when it takes place.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) place: Place,
    database: DatabaseOptions,
    key: Option<PathBuf>,
    pub(crate) clock: CallClock,
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) engine: Engine,
    pub(crate) records: Records,
}

/// What the engine's records are in.
#[derive(Clone)]
pub(crate) enum Records {
    File(Arc<RedbStore>),
    Database(Arc<dyn Store>),
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Database(_) => "Database",
        })
    }
}

impl Records {
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::File(store) => Arc::clone(store) as _,
            Self::Database(store) => Arc::clone(store),
        }
    }
}

impl Site {
    pub(crate) fn new(
        place: Place,
        database: DatabaseOptions,
        key: Option<PathBuf>,
        now: Option<Timestamp>,
    ) -> Self {
        Self {
            place,
            database,
            key,
            clock: CallClock::new(now),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The key file: beside a store that is a file, unless it was named.
    pub(crate) fn key(&self) -> Result<Cow<'_, Path>, Failure> {
        match (&self.key, &self.place) {
            (Some(key), _) => Ok(key.into()),
            (None, Place::File(path)) => Ok(keyfile::beside(path).into()),
            (None, Place::Database(_)) => Err(Failure::usage(
                "a database has no key file beside it: name the one that its records were made \
                 with, as in `--key countersign.key`",
            )),
        }
    }

    /// The store's file, for what works on a file alone. `instead` says what to do otherwise.
    pub(crate) fn file(&self, instead: &str) -> Result<&Path, Failure> {
        match &self.place {
            Place::File(path) => Ok(path),
            Place::Database(url) => Err(Failure::usage(format_args!(
                "this works on a store's file, and {url} is a database: {instead}"
            ))),
        }
    }

    /// The store's file, if it is one, to be named beside an error.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Database(_) => None,
        }
    }

    /// The keys of a store that is there, as far as that can be seen: that it is not comes first.
    pub(crate) fn keys(&self) -> Result<KeyMaterial, Failure> {
        if let Some(path) = self.path()
            && path.symlink_metadata().is_err()
        {
            return Err(OpenError::NotFound(path.to_owned()).into());
        }
        Ok(keyfile::read(&self.key()?)?)
    }

    /// For commands that write: nobody else has it open, where it is a file.
    pub(crate) fn write(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let records = self.records(&keys)?;
        self.start(records.store(), records, &keys, None)
    }

    /// For commands that only read: nobody else has it open, or its holder shares it.
    pub(crate) fn read(&self) -> Result<Opened, Failure> {
        let keys = self.keys()?;
        let records = self.records_to_read(&keys)?;
        self.reading(records, &keys)
    }

    /// The same with the sessions that were carried over last, which are in a file beside the
    /// store's: those of a database are where its nodes keep them.
    pub(crate) fn read_with_sessions(&self) -> Result<Opened, Failure> {
        let Place::File(path) = &self.place else {
            return self.read();
        };
        let keys = self.keys()?;
        let store = Arc::new(Self::open_to_read(path, &keys)?);
        let reading = Arc::new(Reading(Arc::clone(&store) as _));
        self.start_with_sessions(reading, store, path, &keys)
    }

    /// For commands that write sessions, which are carried over again when it is closed.
    pub(crate) fn write_with_sessions(&self) -> Result<Opened, Failure> {
        let path = self.file(SESSIONS)?;
        let keys = self.keys()?;
        let store = Arc::new(RedbOptions::new().open(path, ring(&keys))?);
        self.start_with_sessions(Arc::clone(&store) as _, store, path, &keys)
    }

    fn start_with_sessions(
        &self,
        serving: Arc<dyn Store>,
        store: Arc<RedbStore>,
        path: &Path,
        keys: &KeyMaterial,
    ) -> Result<Opened, Failure> {
        let builder = self
            .builder()
            .session_snapshot(snapshot_beside(path), store.store_id());
        let engine = builder.open_store(serving, keys)?;
        let records = Records::File(store);
        Ok(Opened { engine, records })
    }

    /// For bringing out what is whole: a damaged store is read without the check of its pages.
    /// What is wrong with it is answered too; every record is still held to its own tag.
    pub(crate) fn salvage(&self) -> Result<(Opened, Option<String>), Failure> {
        let Place::File(path) = &self.place else {
            return Ok((self.read()?, None));
        };
        let keys = self.keys()?;
        let (store, damage) = match Self::open_to_read(path, &keys) {
            Err(OpenError::Damaged { path, detail }) => {
                let reading = RedbOptions::new().mode(Mode::ReadOnly);
                match reading.open(&path, ring(&keys)) {
                    Ok(store) => (store, Some(detail)),
                    Err(_) => return Err(OpenError::Damaged { path, detail }.into()),
                }
            }
            store => (store?, None),
        };
        let records = Records::File(Arc::new(store));
        Ok((self.reading(records, &keys)?, damage))
    }

    fn records(&self, keys: &KeyMaterial) -> Result<Records, Failure> {
        match &self.place {
            Place::File(path) => {
                let store = RedbOptions::new().open(path, ring(keys))?;
                Ok(Records::File(Arc::new(store)))
            }
            Place::Database(_) => self.tables(Tables::Found, keys),
        }
    }

    fn records_to_read(&self, keys: &KeyMaterial) -> Result<Records, Failure> {
        match &self.place {
            Place::File(path) => Ok(Records::File(Arc::new(Self::open_to_read(path, keys)?))),
            Place::Database(_) => self.tables(Tables::Found, keys),
        }
    }

    /// The tables of the database that the call is about.
    pub(crate) fn tables(&self, tables: Tables, keys: &KeyMaterial) -> Result<Records, Failure> {
        match &self.place {
            Place::Database(url) => {
                let store = database::open(url, &self.database, tables, keys)?;
                Ok(Records::Database(store))
            }
            Place::File(path) => Err(OpenError::NotFound(path.clone()).into()),
        }
    }

    fn open_to_read(path: &Path, keys: &KeyMaterial) -> Result<RedbStore, OpenError> {
        match RedbOptions::new().open(path, ring(keys)) {
            Err(first @ (OpenError::AlreadyOpen(_) | OpenError::Permission { .. })) => {
                let reading = RedbOptions::new().mode(Mode::ReadOnly);
                // What stands in the way of writing says more than what then stands in the way
                // of reading.
                reading.open(path, ring(keys)).map_err(|_| first)
            }
            other => other,
        }
    }

    fn reading(&self, records: Records, keys: &KeyMaterial) -> Result<Opened, Failure> {
        let reading = Arc::new(Reading(records.store()));
        self.start(reading, records, keys, None)
    }

    /// For following what another process writes.
    pub(crate) fn follow(&self) -> Result<Opened, Failure> {
        let Place::File(path) = &self.place else {
            return self.read();
        };
        let keys = self.keys()?;
        let options = RedbOptions::new().mode(Mode::ReadOnly);
        let records = Records::File(Arc::new(options.open(path, ring(&keys))?));
        self.start(records.store(), records, &keys, None)
    }

    /// Opens the store at `path`, which may be a copy.
    pub(crate) fn adopt(&self, path: &Path, adopt: Adopt) -> Result<(Opened, bool), Failure> {
        let keys = keyfile::read(&self.key()?)?;
        // The ballast belongs beside the place where the store is to serve.
        let options = RedbOptions::new().adopt(Some(adopt)).ballast_bytes(0);
        let store = Arc::new(options.open(path, ring(&keys))?);
        let adopted = store.was_adopted();
        let records = Records::File(store);
        let opened = self.start(records.store(), records, &keys, None)?;
        Ok((opened, adopted))
    }

    /// An engine on open records, without a thread of its own for maintenance.
    pub(crate) fn start(
        &self,
        serving: Arc<dyn Store>,
        records: Records,
        keys: &KeyMaterial,
        policy: Option<Policy>,
    ) -> Result<Opened, Failure> {
        let mut builder = self.builder();
        if let Some(policy) = policy {
            builder = builder.policy(policy);
        }
        let engine = builder.open_store(serving, keys)?;
        Ok(Opened { engine, records })
    }

    /// An engine on the tables of a database, with the records of a new store if they are empty.
    pub(crate) fn make_in_database(
        &self,
        records: Records,
        keys: &KeyMaterial,
        describe: impl FnOnce(Builder) -> Builder,
    ) -> Result<Opened, Failure> {
        let builder = describe(self.builder().create(Create::IfMissing));
        let engine = builder.open_store(records.store(), keys)?;
        Ok(Opened { engine, records })
    }

    fn builder(&self) -> Builder {
        Engine::builder()
            .clock(self.clock)
            .maintenance(Maintenance::HostDriven)
            .create(Create::Never)
    }
}

/// What to do about sessions of a database.
pub(crate) const SESSIONS: &str = "sessions are in the memory of the application's nodes, and in \
                                   their snapshots; to end all of them use `switch sessions off`, \
                                   and all of one principal's `principal revoke`";

impl Opened {
    /// Writes what is waiting and lets go of the store.
    pub(crate) fn close(self) -> Result<(), Failure> {
        Ok(self.engine.close().wait()?)
    }
}

pub(crate) fn ring(keys: &KeyMaterial) -> Arc<Keyring> {
    Arc::new(Keyring::new(keys))
}
