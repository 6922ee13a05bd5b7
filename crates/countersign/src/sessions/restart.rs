//! Carrying sessions over a restart: the snapshot is read when the engine is opened, before it is
//! handed out, and written from time to time and when it is closed.
//!
//! A session that ended after the snapshot was written may be in it. If the process is killed
//! before the next one, that session comes back, unless an epoch has moved on or its time is over:
//! both are looked at when it is read. So what ends many sessions without moving an epoch on asks
//! for the next snapshot at once.
//!
//! A snapshot that cannot be used never keeps the engine from opening: it is told of, and set
//! aside.

use super::snapshot_file as file;
use crate::entropy;
use crate::error::Error;
use crate::inner::{Inner, watched};
use countersign_core::policy::Policy;
use countersign_core::{Epoch, Principal, Subsystem, SystemRecord, Timestamp, millis};
use countersign_sessions::{Epochs, Restored, SnapshotError, SnapshotName};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What a session takes in a snapshot besides its attributes: at most this, generously.
const SESSION_BYTES: u64 = 1024;
/// The same for each attribute: its name, type and length.
const ATTRIBUTE_BYTES: u64 = 128;
const HEAD_BYTES: u64 = 1024;
/// One that is asked for is not begun before so many times as long as the last one took, or who
/// signs out again and again would keep the disk busy with everybody's sessions.
const PAUSE: u32 = 10;

/// What became of the sessions of before a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// The snapshot that was found.
    pub path: PathBuf,
    /// What came of it.
    pub outcome: Result<Restored, RestoreFault>,
    /// Where it was put, if it could not be used.
    pub set_aside: Option<PathBuf>,
}

/// Why a snapshot could not be used. Its sessions are lost: their holders log in again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreFault {
    /// It is damaged, or not of this store and its keys.
    #[error(transparent)]
    Refused(#[from] SnapshotError),
    /// It could not be read.
    #[error("{0}")]
    Io(String),
}

/// How sessions are carried over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStats {
    /// Where the snapshot is, if there may be one.
    pub path: Option<PathBuf>,
    /// What became of the one that was there when the engine was opened.
    pub restored: Option<RestoreReport>,
    /// When this engine last wrote one.
    pub written_at: Option<Timestamp>,
    /// Why the last one could not be written.
    pub failure: Option<String>,
}

/// Where the snapshot is, and what it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) binding: [u8; 16],
}

impl Place {
    pub(crate) fn beside(store: &Path, binding: [u8; 16]) -> Self {
        Self {
            path: file::snapshot_beside(store),
            binding,
        }
    }
}

/// When a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// While the engine serves.
    Open,
    /// For the last time.
    Closing,
}

/// What the engine keeps of it.
#[derive(Debug)]
pub(crate) struct Restart {
    place: Option<Place>,
    /// Whether this engine is the one to write it.
    writes: bool,
    /// When it was last tried, in milliseconds; the opening counts.
    tried_at: AtomicU64,
    /// How long writing the last one took, in milliseconds.
    took_ms: AtomicU64,
    /// Whether the next one is due as soon as may be.
    soon: AtomicBool,
    state: Mutex<State>,
    /// Held by whoever writes it.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    restored: Option<RestoreReport>,
    written_at: Option<Timestamp>,
    failure: Option<String>,
}

impl Restart {
    pub(crate) fn new(place: Option<Place>, writes: bool, now: Timestamp) -> Self {
        Self {
            place,
            writes,
            tried_at: AtomicU64::new(now.as_millis()),
            took_ms: AtomicU64::new(0),
            soon: AtomicBool::new(false),
            state: Mutex::new(State::default()),
            writing: Mutex::new(()),
        }
    }

    /// Has the next snapshot written as soon as maintenance comes by, with a pause between two.
    pub(crate) fn write_soon(&self) {
        self.soon.store(true, Ordering::Release);
    }

    pub(crate) fn stats(&self) -> SnapshotStats {
        let state = self.state.lock();
        SnapshotStats {
            path: self.place.as_ref().map(|place| place.path.clone()),
            restored: state.restored.clone(),
            written_at: state.written_at,
            failure: state.failure.clone(),
        }
    }

    fn is_due(&self, policy: &Policy, now: Timestamp) -> bool {
        let last = Timestamp::from_millis(self.tried_at.load(Ordering::Relaxed));
        let interval = policy.sessions().snapshot_interval;
        let took = Duration::from_millis(self.took_ms.load(Ordering::Relaxed));
        let pause = match self.soon.load(Ordering::Acquire) {
            true => took.saturating_mul(PAUSE).min(interval),
            false => interval,
        };
        // A clock that stepped back would otherwise put the next one off for as long.
        now >= last.after(pause) || now < last
    }
}

impl Inner {
    /// Takes in the sessions of before a restart. Nobody has the engine yet.
    pub(crate) fn restore_sessions(&self, system: &SystemRecord) {
        let policy = self.policy.load();
        let Some(place) = &self.restart.place else {
            return;
        };
        if !policy.sessions().snapshot {
            // One of before may hold who has signed out since.
            let _ = self.remove_snapshot(When::Open);
            return;
        }
        let outcome = match file::read(&place.path, largest(&policy)) {
            Ok(None) => return,
            Ok(Some(bytes)) => self.restore_from(&policy, system, place.binding, &bytes),
            Err(error) => Err(RestoreFault::Io(error.to_string())),
        };
        let set_aside = match outcome.is_err() && self.restart.writes {
            // If it stays, the next one that is written takes its place.
            true => file::set_aside(&place.path).ok(),
            false => None,
        };
        let report = RestoreReport {
            path: place.path.clone(),
            outcome,
            set_aside,
        };
        #[cfg(feature = "tracing")]
        crate::trace::restored(&report);
        watched(|| self.observer.restored(&report));
        self.restart.state.lock().restored = Some(report);
    }

    fn restore_from(
        &self,
        policy: &Policy,
        system: &SystemRecord,
        binding: [u8; 16],
        bytes: &[u8],
    ) -> Result<Restored, RestoreFault> {
        let known: RefCell<HashMap<Principal, Option<Epoch>>> = RefCell::default();
        let of_principal = |principal: &Principal| {
            let found = known.borrow().get(principal).copied();
            found.unwrap_or_else(|| {
                let epoch = self.epoch_of_log_ins(principal);
                known.borrow_mut().insert(principal.clone(), epoch);
                epoch
            })
        };
        let epochs = Epochs {
            sessions: system.switch(Subsystem::Sessions).epoch,
            of_principal: &of_principal,
        };
        let moment = self.moment(policy);
        let restored = self.sessions.restore(&moment, binding, bytes, &epochs);
        Ok(restored?)
    }

    /// The epoch of a principal's log-ins; one whose record cannot be read is as good as none, and
    /// loses their sessions rather than keep what may have ended.
    fn epoch_of_log_ins(&self, principal: &Principal) -> Option<Epoch> {
        let loaded = futures_executor::block_on(self.load_principal(principal));
        Some(loaded.ok()?.1?.record.logins)
    }

    /// Writes the snapshot if it is time to, or takes it away where sessions are not to be carried
    /// over any more.
    pub(crate) fn snapshot_if_due(&self, policy: &Policy) {
        // What went wrong is in the stats, and tried again later.
        if !policy.sessions().snapshot {
            let _ = self.remove_snapshot(When::Open);
        } else if self.restart.is_due(policy, self.now()) {
            let _ = self.write_snapshot(policy, When::Open);
        }
    }

    /// Writes it for the last time, or takes it away where sessions are not to be carried over.
    pub(crate) fn snapshot_at_close(&self) -> Result<(), Error> {
        let policy = self.policy.load();
        if policy.sessions().snapshot {
            return self.write_snapshot(&policy, When::Closing);
        }
        self.remove_snapshot(When::Closing)
    }

    /// Takes the snapshot away: what is in it would come back once sessions are carried over again.
    fn remove_snapshot(&self, when: When) -> Result<(), Error> {
        let Some(place) = self.restart.place.as_ref().filter(|_| self.restart.writes) else {
            return Ok(());
        };
        let _turn = self.restart.writing.lock();
        if when == When::Open {
            self.open()?;
        }
        if !file::exists(&place.path) {
            return Ok(());
        }
        let removed = file::remove(&place.path).map_err(|error| io_error(&place.path, &error));
        self.restart.state.lock().failure = removed.as_ref().err().map(ToString::to_string);
        removed
    }

    fn write_snapshot(&self, policy: &Policy, when: When) -> Result<(), Error> {
        let Some(place) = self.restart.place.as_ref().filter(|_| self.restart.writes) else {
            return Ok(());
        };
        let _turn = self.restart.writing.lock();
        if when == When::Open {
            // Once the last one is written, the file may be another process's.
            self.open()?;
        }
        let now = self.now();
        // Before the sessions are read: what ends from now on asks anew.
        self.restart.soon.store(false, Ordering::Release);
        self.restart
            .tried_at
            .store(now.as_millis(), Ordering::Relaxed);
        let written = self.put_snapshot(policy, place);
        let took = self.now().since(now);
        self.restart.took_ms.store(millis(took), Ordering::Relaxed);
        let mut state = self.restart.state.lock();
        state.failure = written.as_ref().err().map(ToString::to_string);
        if written.is_ok() {
            state.written_at = Some(now);
        }
        written
    }

    fn put_snapshot(&self, policy: &Policy, place: &Place) -> Result<(), Error> {
        let (count, _) = self.sessions.len();
        let fault = |error: io::Error| io_error(&place.path, &error);
        if count == 0 {
            // Where there are no sessions, there is no file.
            return match file::exists(&place.path) {
                true => file::remove(&place.path).map_err(fault),
                false => Ok(()),
            };
        }
        let name = SnapshotName {
            binding: place.binding,
            id: entropy::bytes(&*self.entropy)?,
        };
        let bytes = self.sessions.snapshot(&self.moment(policy), &name);
        file::write(&place.path, &bytes).map_err(fault)
    }
}

/// More bytes than this no snapshot has under a policy.
fn largest(policy: &Policy) -> u64 {
    let policy = policy.sessions();
    let attributes = u64::from(policy.max_attributes).saturating_mul(ATTRIBUTE_BYTES);
    let each = u64::from(policy.max_attribute_bytes)
        .saturating_add(attributes)
        .saturating_add(SESSION_BYTES);
    policy
        .max_sessions
        .saturating_mul(each)
        .saturating_add(HEAD_BYTES)
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_asked_for_waits_ten_times_as_long_as_the_last_one_took_and_an_interval_at_most()
    {
        let (policy, begun) = (Policy::default(), Timestamp::from_millis(1_000_000));
        let interval = policy.sessions().snapshot_interval;
        let restart = Restart::new(None, true, begun);
        let due = |after: Duration| restart.is_due(&policy, begun.after(after));
        let ms = Duration::from_millis;
        assert!(!due(ms(0)) && due(interval), "nobody asked");
        restart.write_soon();
        assert!(due(ms(0)), "none was written yet, or it took no time");
        restart.took_ms.store(300, Ordering::Relaxed);
        assert!(!due(ms(2999)) && due(ms(3000)));
        restart.took_ms.store(u64::MAX, Ordering::Relaxed);
        assert!(!due(interval.saturating_sub(ms(1))) && due(interval));
    }
}
