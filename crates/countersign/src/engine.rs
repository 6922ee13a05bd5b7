//! The handle to everything.

#[cfg(test)]
pub(crate) mod alone;

use crate::access::AccessTokens;
use crate::admin::{Principals, Switches};
use crate::audit::Audit;
use crate::builder::Builder;
use crate::counters::VerdictCounts;
use crate::driver;
use crate::error::Error;
use crate::forms::FormTokens;
use crate::images::ImageTokens;
use crate::inner::Inner;
use crate::maintenance::MaintenanceReport;
use crate::remember::Remember;
use crate::sessions::{SessionCounts, Sessions, SnapshotStats};
use crate::sweep::SweepReport;
use crate::worker::Worker;
use countersign_core::policy::Policy;
use countersign_core::{Batch, Event, KeyId};
use countersign_core::{
    EventKind, Expect, Fresh, Key, Record, Selector, ShardTag, Timestamp, TokenFormat,
};
use countersign_store::error::StoreError;
use countersign_store::pending::Pending;
use countersign_store::store::Health;
use parking_lot::Mutex;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// The engine. Cloning it makes another handle on the same one.
///
/// Every method serves blocking callers by `.wait()` and async ones by `.await`. Dropping the last
/// handle writes what is waiting and closes the store; [`Engine::close`] does so and says how it
/// went.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle {
    inner: Arc<Inner>,
    worker: Option<Worker>,
    /// Held while it is closed, so that who closes it again is answered when that is done.
    closing: Mutex<()>,
}

/// How the engine is, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineStats {
    /// How the store is.
    pub health: Health,
    /// Verdicts since the engine was opened.
    pub verdicts: VerdictCounts,
    /// Tokens in memory.
    pub cached_tokens: usize,
    /// Principals in memory.
    pub cached_principals: usize,
    /// Attachments in memory.
    pub cached_attachments: usize,
    /// Denials in force that the disk does not have yet.
    pub waiting_denials: usize,
    /// Sessions in memory.
    pub sessions: SessionCounts,
    /// How they outlive a restart.
    pub session_snapshot: SnapshotStats,
}

impl Engine {
    /// Opens the store at `path`, or makes it together with its key file.
    ///
    /// The key file stands beside it: `state.redb` has `state.key`.
    ///
    /// # Errors
    /// When either cannot be opened or made. A missing key file beside a store that exists is an
    /// error, never a new key.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::builder().open(path)
    }

    /// For everything that [`Engine::open`] leaves at its default.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) const fn from_parts(inner: Arc<Inner>, worker: Option<Worker>) -> Handles {
        Handles { inner, worker }
    }

    /// Personal access tokens.
    #[must_use]
    pub fn access(&self) -> AccessTokens<'_> {
        AccessTokens(&self.0.inner)
    }

    /// Remembered devices.
    #[must_use]
    pub fn remember(&self) -> Remember<'_> {
        Remember(&self.0.inner)
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(&self.0.inner)
    }

    /// Form tokens.
    #[must_use]
    pub fn forms(&self) -> FormTokens<'_> {
        FormTokens(&self.0.inner)
    }

    /// Image tokens.
    #[must_use]
    pub fn images(&self) -> ImageTokens<'_> {
        ImageTokens(&self.0.inner)
    }

    /// Principals.
    #[must_use]
    pub fn principals(&self) -> Principals<'_> {
        Principals(&self.0.inner)
    }

    /// Switches of the subsystems.
    #[must_use]
    pub fn switches(&self) -> Switches<'_> {
        Switches(&self.0.inner)
    }

    /// The audit log.
    #[must_use]
    pub fn audit(&self) -> Audit<'_> {
        Audit(&self.0.inner)
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.0.inner.policy.load_full()
    }

    /// Stores a policy and puts it in force. Tightened bounds hold for what exists already.
    pub fn set_policy(&self, policy: Policy) -> Pending<Result<(), Error>> {
        self.0
            .inner
            .run(|inner| async move { inner.set_policy(policy).await })
    }

    /// Makes a call that may not hold up the calling thread: what is in memory is answered at
    /// once, and whatever may read the disk is done on a thread of the engine's own.
    ///
    /// For async hosts, on whose threads other tasks wait. Without this, a record that is not in
    /// memory is read where the call is made, which is quicker, unless the disk is slow.
    ///
    /// ```
    /// # use countersign::{Engine, Presented};
    /// # async fn example(engine: &Engine) -> Result<(), countersign::Error> {
    /// let presented = Presented::default();
    /// let who = engine.off_thread(|engine| engine.authenticate(presented)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn off_thread<T>(&self, call: impl FnOnce(&Self) -> Pending<T>) -> Pending<T> {
        driver::off_thread(|| call(self))
    }

    /// Whether the other is a handle to this same engine.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The instant that the engine goes by, for what goes with its answers, such as the age of a
    /// cookie.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.inner.now()
    }

    /// How tokens of this deployment are written.
    #[must_use]
    pub fn format(&self) -> &TokenFormat {
        &self.0.inner.format
    }

    /// The pepper that new digests are made under.
    #[must_use]
    pub fn current_key(&self) -> KeyId {
        self.0.inner.keyring.current()
    }

    /// Counts and sizes.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let inner = &self.0.inner;
        let (cached_tokens, cached_principals, cached_attachments) = inner.cache.len();
        EngineStats {
            health: inner.store.health(),
            verdicts: inner.counters.sum(),
            cached_tokens,
            cached_principals,
            cached_attachments,
            waiting_denials: inner.cache.denials.count(),
            sessions: inner.session_counts(),
            session_snapshot: inner.restart.stats(),
        }
    }

    /// Writes last uses and renewed digests now; answers for how many tokens.
    pub fn flush(&self) -> Pending<Result<usize, Error>> {
        self.0.inner.run(|inner| async move {
            inner.open()?;
            inner.flush().await
        })
    }

    /// Notes expiries and removes what has been dead for long, looking at no more than `budget`
    /// records and going on where the last sweep stopped.
    pub fn sweep(&self, budget: usize) -> Pending<Result<SweepReport, Error>> {
        self.0
            .inner
            .run(|inner| async move { inner.sweep(budget).await })
    }

    /// One round of maintenance, for hosts that drive it themselves.
    ///
    /// Sessions are swept, and their snapshot is written, on the thread that first polls it, which
    /// waits for the disk meanwhile: an asynchronous host calls it where blocking is allowed.
    pub fn maintain(&self) -> Pending<Result<MaintenanceReport, Error>> {
        self.0
            .inner
            .run(|inner| async move { inner.maintain().await })
    }

    /// Records in the audit log something that an operator did around the engine.
    pub fn note(&self, kind: EventKind) -> Pending<Result<(), Error>> {
        self.0.inner.run(|inner| async move {
            let mut batch = Batch::grow();
            batch.record_event(inner.new_event(kind)?);
            Ok(inner.commit(batch).await?)
        })
    }

    /// Writes what is waiting and closes the store, for all handles. Later calls answer `Closed`.
    ///
    /// Operations that were started are carried through first.
    pub fn close(&self) -> Pending<Result<(), Error>> {
        let (answer, pending) = Pending::waiting(|| Err(Error::Closed));
        let handle = Arc::clone(&self.0);
        // A thread of its own, since it joins the others and must not hold up an async caller.
        let closing = thread::Builder::new().name("countersign-close".to_owned());
        match closing.spawn(move || answer.send(handle.shut())) {
            Ok(_) => pending,
            Err(_) => Pending::ready(self.0.shut()),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0.inner
    }
}

/// An engine's parts, before it is handed out.
pub(crate) struct Handles {
    inner: Arc<Inner>,
    worker: Option<Worker>,
}

impl From<Handles> for Engine {
    fn from(parts: Handles) -> Self {
        Self(Arc::new(Handle {
            inner: parts.inner,
            worker: parts.worker,
            closing: Mutex::new(()),
        }))
    }
}

impl Handle {
    fn shut(&self) -> Result<(), Error> {
        let _closing = self.closing.lock();
        let inner = &self.inner;
        if inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        if let Some(worker) = &self.worker {
            worker.stop();
        }
        inner.driver.stop();
        futures_executor::block_on(async {
            // Both are tried: a store that cannot be written to must still be let go of.
            inner.retry_denials_at_close().await;
            let flushed = match inner.store.capabilities().writable {
                true => inner.flush().await.map(drop),
                false => Ok(()),
            };
            let carried = inner.snapshot_at_close();
            let closed = inner.store.close().await.map_err(Error::from);
            flushed.and(carried).and(closed)
        })
        .or_else(|error| match error {
            Error::Store(StoreError::Closed) => Ok(()),
            error => Err(error),
        })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to be told; `close` is there for who wants to know.
        let ours = self.worker.as_ref().is_some_and(Worker::is_current);
        if !ours && !self.inner.driver.is_current() {
            let _ = self.shut();
            return;
        }
        // Dropped by an observer, on a thread that shutting joins: another one does it.
        let (inner, worker) = (Arc::clone(&self.inner), self.worker.take());
        let name = thread::Builder::new().name("countersign-close".to_owned());
        let _ = name.spawn(move || {
            drop(Handle {
                inner,
                worker,
                closing: Mutex::new(()),
            });
        });
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn new_event(&self, kind: EventKind) -> Result<Event, Error> {
        let mut fresh: Fresh = self.fresh()?;
        let random = fresh
            .take()
            .ok_or(Error::Setup("not enough random bytes"))?;
        let now = self.now();
        Ok(Event::new(
            Selector::mint(now, ShardTag::NONE, random),
            now,
            kind,
        ))
    }

    async fn set_policy(&self, policy: Policy) -> Result<(), Error> {
        let mut batch = Batch::grow();
        batch.put(Key::POLICY, Expect::Any, Record::Policy(policy.to_toml()));
        batch.record_event(self.new_event(EventKind::PolicySet)?);
        self.commit(batch).await?;
        // From the store, so that of two set at once the stored one is in force.
        self.pinned.store(false, Ordering::Release);
        self.policy_now().await?;
        Ok(())
    }

    /// One last attempt at all of them: what it cannot write is lost with the process, as its
    /// callers were told.
    async fn retry_denials_at_close(&self) {
        self.retry_denials().await;
    }
}
