//! What the writer and those who call the store share: the snapshot, the queue, how it is.

use super::contain::contain;
use super::meta::Meta;
use super::queue::Queue;
use super::tables::Snapshot;
use crate::codec::Sealer;
use crate::error::StoreError;
use crate::recent::Recent;
use crate::store::{Changes, Health, Revision};
use crate::sync::Mutex;
use crate::watchers::Watchers;
use arc_swap::ArcSwapOption;
use countersign_core::keys::KeyCheck;
use countersign_core::{Key, KeyId};
use redb::Error;
use std::sync::Arc;

/// Shared by the store and its writer.
pub(super) struct Shared {
    pub queue: Queue,
    pub sealer: Sealer,
    pub watchers: Watchers,
    /// What is read from; nothing while the store is not in order.
    snapshot: ArcSwapOption<Snapshot>,
    status: Mutex<Status>,
    recent: Mutex<Recent>,
    /// The peppers that the store has noted.
    peppers: Mutex<Vec<(KeyId, KeyCheck)>>,
}

struct Status {
    health: Health,
    trouble: Option<String>,
    /// The revision that was published last.
    revision: Revision,
    /// Counts the openings of the file.
    generation: u64,
}

impl Shared {
    pub(super) fn new(sealer: Sealer, snapshot: Snapshot, meta: &Meta, queue_depth: usize) -> Self {
        let status = Status {
            health: Health::Healthy,
            trouble: None,
            revision: snapshot.revision,
            generation: snapshot.generation,
        };
        Self {
            queue: Queue::new(queue_depth),
            sealer,
            recent: Mutex::new(Recent::starting_at(snapshot.revision)),
            snapshot: ArcSwapOption::from_pointee(snapshot),
            status: Mutex::new(status),
            watchers: Watchers::default(),
            peppers: Mutex::new(meta.peppers.clone()),
        }
    }

    /// Reads from the shared snapshot. A fault in it ends this opening of the file.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Snapshot) -> Result<T, Error>,
    ) -> Result<T, StoreError> {
        let snapshot = self.snapshot.load();
        let Some(snapshot) = &*snapshot else {
            return Err(self.unavailable());
        };
        contain(|| work(snapshot)).map_err(|fault| {
            let detail = fault.detail();
            if self.fail(snapshot.generation, &detail) {
                self.queue.wake();
            }
            StoreError::Unavailable(detail)
        })
    }

    /// The snapshot itself, for long reads.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.snapshot.load_full().ok_or_else(|| self.unavailable())
    }

    /// Why there is nothing to read from.
    pub(super) fn unavailable(&self) -> StoreError {
        let status = self.status.lock();
        if status.health == Health::Closed {
            return StoreError::Closed;
        }
        let trouble = status.trouble.clone();
        StoreError::Unavailable(trouble.unwrap_or_else(|| "it is being opened".to_owned()))
    }

    pub(super) fn health(&self) -> Health {
        self.status.lock().health
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.status.lock().trouble.clone()
    }

    pub(super) fn revision(&self) -> Revision {
        self.status.lock().revision
    }

    /// Says how a store with an open file is; a fault that a reader has met stands.
    pub(super) fn settle(&self, health: Health, trouble: Option<String>) {
        let mut status = self.status.lock();
        if matches!(status.health, Health::Healthy | Health::NoRoom) {
            status.health = health;
            status.trouble = trouble;
        }
    }

    /// Takes the snapshot of opening `generation` away; says whether it was the present one.
    pub(super) fn fail(&self, generation: u64, detail: &str) -> bool {
        let mut status = self.status.lock();
        if status.generation != generation
            || !matches!(status.health, Health::Healthy | Health::NoRoom)
        {
            return false;
        }
        status.health = Health::Degraded;
        status.trouble = Some(detail.to_owned());
        self.snapshot.store(None);
        true
    }

    /// Takes the snapshot away for another reason than a fault.
    pub(super) fn withdraw(&self, health: Health, trouble: Option<String>) {
        let mut status = self.status.lock();
        status.health = health;
        status.trouble = trouble;
        self.snapshot.store(None);
    }

    /// Shows the snapshot of a newly opened file, in which anything may have changed.
    pub(super) fn reopen(&self, snapshot: Snapshot, health: Health, trouble: Option<String>) {
        {
            let mut status = self.status.lock();
            *self.recent.lock() = Recent::starting_at(snapshot.revision);
            status.revision = snapshot.revision;
            status.generation = snapshot.generation;
            status.health = health;
            status.trouble = trouble;
            self.snapshot.store(Some(Arc::new(snapshot)));
        }
        self.watchers.reset();
    }

    /// Shows what a commit has left, and tells of what it changed.
    pub(super) fn publish(&self, snapshot: Snapshot, changed: &[(Revision, Key)]) {
        {
            let mut status = self.status.lock();
            let mut recent = self.recent.lock();
            for (revision, key) in changed {
                recent.note(*revision, *key);
            }
            status.revision = snapshot.revision;
            // A reader may have met a fault in the meantime; its verdict stands.
            if status.generation == snapshot.generation && status.health != Health::Degraded {
                self.snapshot.store(Some(Arc::new(snapshot)));
            }
        }
        self.tell(changed);
    }

    /// Tells of what a commit changed, whether or not it can be loaded already.
    pub(super) fn tell(&self, changed: &[(Revision, Key)]) {
        self.watchers.changed(changed.iter().map(|(_, key)| *key));
    }

    /// Ends it: nothing is read any more, and who watches is told before it is let go.
    pub(super) fn close(&self, trouble: Option<String>) {
        self.withdraw(Health::Closed, trouble);
        self.watchers.let_go();
    }

    pub(super) fn changes(&self, since: Revision) -> Result<Changes, StoreError> {
        // What was noted before a failure says nothing of what was lost in it.
        if self.snapshot.load().is_none() {
            return Err(self.unavailable());
        }
        Ok(self.recent.lock().since(since))
    }

    pub(super) fn note_peppers(&self, peppers: Vec<(KeyId, KeyCheck)>) {
        *self.peppers.lock() = peppers;
    }

    pub(super) fn peppers(&self) -> Vec<(KeyId, KeyCheck)> {
        self.peppers.lock().clone()
    }
}
