//! Carrying sessions over a restart: the snapshot is read when the engine is opened, before it is
//! handed out, and written from time to time and when it is closed.
//!
//! A session that ended after the snapshot was written may be in it. If the process is killed
//! before the next one, that session comes back, unless an epoch has moved on or its time is over:
//! both are looked at when it is read. So what ends many sessions without moving an epoch on asks
//! for the next snapshot at once.
//!
//! A snapshot that cannot be used never keeps the engine from opening: it is told of, and set
//! aside. One that cannot be had just now, as over a network, does: written over, it would be lost.

use crate::entropy;
use crate::error::Error;
use crate::inner::{Inner, system_of, watched};
use crate::trust::lapsed;
use countersign_core::policy::Policy;
use countersign_core::remember::ends_sessions;
use countersign_core::{Epoch, Key, Principal, Record, Selector, Subsystem, Timestamp, millis};
use countersign_sessions::{Epochs, Restored, SavedSessions, SnapshotError, SnapshotName};
use countersign_store::place::{SnapshotPlace, Unread};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
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
/// Records that are read together.
const TOGETHER: usize = 512;

/// What became of the sessions of before a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreReport {
    /// Where the snapshot was found: a path, or a place's name.
    pub place: String,
    /// What came of it.
    pub outcome: Result<Restored, RestoreFault>,
    /// Where it was put, if it could not be used.
    pub set_aside: Option<String>,
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
    /// Where the snapshot is, if there may be one: a path, or a place's name.
    pub place: Option<String>,
    /// What became of the one that was there when the engine was opened.
    pub restored: Option<RestoreReport>,
    /// When this engine last wrote one.
    pub written_at: Option<Timestamp>,
    /// Why the last one could not be written.
    pub failure: Option<String>,
}

/// The sessions of a snapshot, and what they stand or fall by.
struct Judged {
    saved: SavedSessions,
    /// The epoch of the sessions' switch.
    sessions: Epoch,
    logins: HashMap<Principal, Epoch>,
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
    place: Option<Arc<dyn SnapshotPlace>>,
    /// Whether this engine is the one to write it.
    writes: bool,
    /// When it was last tried, in milliseconds; the opening counts.
    tried_at: AtomicU64,
    /// How long writing the last one took, in milliseconds.
    took_ms: AtomicU64,
    /// Whether the next one is due as soon as may be.
    soon: AtomicBool,
    /// Whether it was taken away, and none was put there since.
    is_clear: AtomicBool,
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
    pub(crate) fn new(place: Option<Arc<dyn SnapshotPlace>>, writes: bool, now: Timestamp) -> Self {
        Self {
            place,
            writes,
            tried_at: AtomicU64::new(now.as_millis()),
            took_ms: AtomicU64::new(0),
            soon: AtomicBool::new(false),
            is_clear: AtomicBool::new(false),
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
            place: self.place.as_ref().map(|place| place.name()),
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
    ///
    /// # Errors
    /// When it cannot be made sure of that they are this node's alone, or they cannot be had now.
    pub(crate) fn restore_sessions(self: &Arc<Self>) -> Result<(), Error> {
        let policy = self.policy.load_full();
        let Some(place) = self.restart.place.clone() else {
            return Ok(());
        };
        if self.restart.writes {
            place.claim().map_err(|error| io_error(&*place, &error))?;
        }
        if !policy.sessions().snapshot {
            // One of before may hold who has signed out since.
            let _ = self.remove_snapshot(When::Open);
            return Ok(());
        }
        let max = largest(&policy);
        let carried = self
            .run(move |inner| async move {
                let judged = inner.saved_in(&*place, max).await?;
                Ok(judged.map(|judged| {
                    let outcome = judged.map(|judged| inner.take_in(judged));
                    let set_aside = match outcome.is_err() && inner.restart.writes {
                        // If it stays, the next one that is written takes its place.
                        true => place.set_aside(),
                        false => None,
                    };
                    RestoreReport {
                        place: place.name(),
                        outcome,
                        set_aside,
                    }
                }))
            })
            .wait()?;
        if let Some(report) = carried {
            self.tell_restored(&report);
            self.restart.state.lock().restored = Some(report);
        }
        Ok(())
    }

    /// Takes in the sessions of another node, which is gone, or has none from now on; answers what
    /// became of them.
    ///
    /// They are gone from its place before they are here: whatever fails, they are at one node.
    pub(crate) async fn take_over(
        &self,
        place: Arc<dyn SnapshotPlace>,
    ) -> Result<RestoreReport, Error> {
        self.open()?;
        let own = self.restart.place.as_ref();
        if own.is_some_and(|own| own.name() == place.name()) {
            let own = io::Error::other("it is this engine's own, which nothing is taken over from");
            return Err(io_error(&*place, &own));
        }
        let policy = self.policy_now().await?;
        place.claim().map_err(|error| io_error(&*place, &error))?;
        let taken = self.empty_out(&*place, largest(&policy)).await;
        let set_aside = match &taken {
            Ok(Some(Err(_))) => place.set_aside(),
            _ => None,
        };
        if !matches!(taken, Ok(Some(Ok(_)))) {
            // It was not emptied: another try, or another node, is to find it.
            let _ = place.release();
        }
        let outcome = match taken? {
            Some(judged) => judged.map(|judged| self.take_in(judged)),
            None => Ok(Restored::default()),
        };
        // What went wrong with the own one is in the stats, and tried again.
        self.restart.write_soon();
        if policy.sessions().snapshot {
            let _ = self.write_snapshot(&policy, When::Open);
        }
        let report = RestoreReport {
            place: place.name(),
            outcome,
            set_aside,
        };
        self.tell_restored(&report);
        Ok(report)
    }

    /// The sessions that lie in a place, and none is there any more when this returns.
    async fn empty_out(
        &self,
        place: &dyn SnapshotPlace,
        max: u64,
    ) -> Result<Option<Result<Judged, RestoreFault>>, Error> {
        let term = self.trust.term();
        let judged = self.saved_in(place, max).await?;
        if matches!(judged, Some(Ok(_))) {
            if !self.was_so(term).await? {
                return Err(lapsed());
            }
            self.open()?;
            place.vacate().map_err(|error| io_error(place, &error))?;
        }
        Ok(judged)
    }

    fn tell_restored(&self, report: &RestoreReport) {
        #[cfg(feature = "tracing")]
        crate::trace::restored(report);
        watched(|| self.observer.restored(report));
    }

    /// The sessions that lie in a place, and what they stand or fall by: all of it read before any
    /// is taken in. Nothing where nothing lies there.
    ///
    /// # Errors
    /// When it cannot be had now, or the store cannot.
    async fn saved_in(
        &self,
        place: &dyn SnapshotPlace,
        max: u64,
    ) -> Result<Option<Result<Judged, RestoreFault>>, Error> {
        let bytes = match place.read(max) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => bytes,
            Err(Unread::Unreachable(error)) => return Err(io_error(place, &error)),
            Err(Unread::Unusable(error)) => {
                return Ok(Some(Err(RestoreFault::Io(error.to_string()))));
            }
        };
        let policy = self.policy.load_full();
        let saved = SavedSessions::read(&self.moment(&policy), place.binding(), &bytes);
        drop(bytes);
        Ok(Some(match saved {
            Ok(saved) => Ok(self.judge_saved(saved).await?),
            Err(refused) => Err(refused.into()),
        }))
    }

    /// Reads what the sessions of a snapshot stand or fall by. What cannot be read of one principal
    /// or device is as good as none: they lose their sessions rather than keep what may have ended.
    async fn judge_saved(&self, mut saved: SavedSessions) -> Result<Judged, Error> {
        let system = self.load(&[Key::SYSTEM]).await?;
        let system = system_of(system.into_iter().next().flatten())?.record;
        let mut logins = HashMap::new();
        let keys = saved.principals();
        let keys: Vec<Key> = keys.iter().map(|whose| self.key_of(whose)).collect();
        self.load_each(&keys, |_, found| {
            if let Record::Principal(found) = found {
                logins.insert(found.principal, found.logins);
            }
        })
        .await?;
        let mut standing: HashSet<Selector> = HashSet::new();
        let series = saved.series();
        let keys: Vec<Key> = series.iter().copied().map(Key::series).collect();
        self.load_each(&keys, |at, found| {
            let Record::Series(found) = found else {
                return;
            };
            let logins = logins.get(&found.principal);
            let stands = logins.is_some_and(|logins| !ends_sessions(&system, *logins, &found));
            standing.extend(series.get(at).filter(|_| stands));
        })
        .await?;
        saved.keep_those_of(|series| standing.contains(&series));
        Ok(Judged {
            saved,
            sessions: system.switch(Subsystem::Sessions).epoch,
            logins,
        })
    }

    /// Reads records, many at a time, and tells of each that is there and whole, and which it is.
    async fn load_each(
        &self,
        keys: &[Key],
        mut tell: impl FnMut(usize, Record) + Send,
    ) -> Result<(), Error> {
        let mut at = 0usize;
        for some in keys.chunks(TOGETHER) {
            let (found, _) = self.load_whole(some).await?;
            for found in found {
                if let Some(found) = found {
                    tell(at, found.record);
                }
                at = at.saturating_add(1);
            }
        }
        Ok(())
    }

    fn take_in(&self, judged: Judged) -> Restored {
        let epochs = Epochs {
            sessions: judged.sessions,
            of_principal: &|principal| judged.logins.get(principal).copied(),
        };
        let policy = self.policy.load_full();
        let moment = self.moment(&policy);
        self.sessions.take_in(&moment, judged.saved, &epochs)
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
        let carried = match policy.sessions().snapshot {
            true => self.write_snapshot(&policy, When::Closing),
            false => self.remove_snapshot(When::Closing),
        };
        let own = self.restart.place.as_ref().filter(|_| self.restart.writes);
        if let Some(place) = own.filter(|_| carried.is_ok()) {
            place
                .release()
                .map_err(|error| io_error(&**place, &error))?;
        }
        carried
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
        if self.restart.is_clear.load(Ordering::Acquire) {
            return Ok(());
        }
        let removed = place.clear().map_err(|error| io_error(&**place, &error));
        self.restart
            .is_clear
            .store(removed.is_ok(), Ordering::Release);
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
        let was_asked = self.restart.soon.swap(false, Ordering::AcqRel);
        self.restart
            .tried_at
            .store(now.as_millis(), Ordering::Relaxed);
        let written = self.put_snapshot(policy, &**place);
        let took = self.now().since(now);
        self.restart.took_ms.store(millis(took), Ordering::Relaxed);
        let mut state = self.restart.state.lock();
        state.failure = written.as_ref().err().map(ToString::to_string);
        match written {
            Ok(()) => state.written_at = Some(now),
            Err(_) if was_asked => self.restart.write_soon(),
            Err(_) => {}
        }
        written
    }

    fn put_snapshot(&self, policy: &Policy, place: &dyn SnapshotPlace) -> Result<(), Error> {
        let (count, _) = self.sessions.len();
        let fault = |error: io::Error| io_error(place, &error);
        if count == 0 {
            // Where there are no sessions, there is no snapshot.
            return place.clear().map_err(fault);
        }
        self.restart.is_clear.store(false, Ordering::Release);
        let name = SnapshotName {
            binding: place.binding(),
            id: entropy::bytes(&*self.entropy)?,
        };
        let bytes = self.sessions.snapshot(&self.moment(policy), &name);
        place.put(&bytes).map_err(fault)
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

fn io_error(place: &dyn SnapshotPlace, error: &io::Error) -> Error {
    Error::Io(format!("{}: {error}", place.name()))
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
