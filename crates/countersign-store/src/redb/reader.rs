//! A store that is opened for reading: a new read transaction for every call, so that it follows
//! the commits of its writer, if it has one.

use super::contain::Fault;
use super::handle::ReadHandle;
use super::meta::Meta;
use super::open::{open_for_reading, revision_of};
use super::options::RedbOptions;
use super::tables::Snapshot;
use crate::codec::Sealer;
use crate::error::{OpenError, StoreError};
use crate::store::{Changes, Health, Revision};
use countersign_core::Keyring;
use parking_lot::Mutex;
use redb::{Error, ReadTransaction, ReadableDatabase};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is opened for reading.
pub(super) struct Reader {
    path: PathBuf,
    options: RedbOptions,
    keyring: Arc<Keyring>,
    pub sealer: Sealer,
    pub meta: Meta,
    state: Mutex<State>,
}

enum State {
    Open(Arc<ReadHandle>),
    /// It failed, and the next call opens it again.
    Failed(String),
    Closed,
}

impl Reader {
    pub(super) fn open(
        path: &Path,
        options: &RedbOptions,
        keyring: Arc<Keyring>,
    ) -> Result<Self, OpenError> {
        let (handle, meta) = open_for_reading(path, options, &keyring)?;
        let state = Mutex::new(State::Open(Arc::new(handle)));
        let sealer = Sealer::new(Arc::clone(&keyring));
        let (path, options) = (path.to_owned(), options.clone());
        Ok(Self {
            path,
            options,
            keyring,
            sealer,
            meta,
            state,
        })
    }

    /// Reads from a snapshot of the present state.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        self.begin(|txn| work(&self.take(txn)?))
    }

    /// A snapshot of the present state, for long reads.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.begin(|txn| self.take(txn).map(Arc::new))
    }

    /// What changed is not followed key by key.
    pub(super) fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        let revision = self.begin(|txn| revision_of(txn, &self.keyring))?;
        let same = since == revision;
        Ok(if same {
            Changes::Keys(Vec::new(), revision)
        } else {
            Changes::Reset(revision)
        })
    }

    pub(super) fn health(&self) -> Health {
        match &*self.state.lock() {
            State::Open(_) => Health::Healthy,
            State::Failed(_) => Health::Degraded,
            State::Closed => Health::Closed,
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        match &*self.state.lock() {
            State::Failed(detail) => Some(detail.clone()),
            State::Open(_) | State::Closed => None,
        }
    }

    pub(super) fn close(&self) {
        *self.state.lock() = State::Closed;
    }

    fn take(&self, txn: &ReadTransaction) -> Result<Snapshot, Error> {
        Snapshot::take(txn, revision_of(txn, &self.keyring)?, 0)
    }

    fn begin<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let handle = self.handle()?;
        handle
            .with(|db| work(&db.begin_read()?))
            .map_err(|fault| self.fail(&handle, &fault))
    }

    /// The open file; opened again if it failed.
    fn handle(&self) -> Result<Arc<ReadHandle>, StoreError> {
        let mut state = self.state.lock();
        match &*state {
            State::Open(handle) => return Ok(Arc::clone(handle)),
            State::Closed => return Err(StoreError::Closed),
            State::Failed(_) => {}
        }
        match self.reopen() {
            Ok(handle) => {
                *state = State::Open(Arc::clone(&handle));
                Ok(handle)
            }
            Err(detail) => {
                *state = State::Failed(detail.clone());
                Err(StoreError::Unavailable(detail))
            }
        }
    }

    fn reopen(&self) -> Result<Arc<ReadHandle>, String> {
        let opened = open_for_reading(&self.path, &self.options, &self.keyring);
        let (handle, meta) = opened.map_err(|error| error.to_string())?;
        if meta.store_id != self.meta.store_id {
            return Err("another file has taken its place".to_owned());
        }
        Ok(Arc::new(handle))
    }

    fn fail(&self, handle: &Arc<ReadHandle>, fault: &Fault) -> StoreError {
        let mut state = self.state.lock();
        if let State::Open(present) = &*state
            && Arc::ptr_eq(present, handle)
        {
            *state = State::Failed(fault.detail());
        }
        StoreError::Unavailable(fault.detail())
    }
}
