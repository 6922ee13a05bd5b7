//! What has to be done from time to time, on a thread of our own or by the host's call.

use crate::error::Error;
use crate::inner::Inner;
use crate::sweep::SweepReport;
use parking_lot::{Condvar, Mutex};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often the thread looks whether something is due.
const TICK: Duration = Duration::from_millis(250);
/// Records that one round of the sweep looks at; what it writes shares commits.
const SWEEP_BUDGET: usize = 1024;
/// Units of work that a round spends on sessions: a quarter of a million deadlines, or 4 096
/// sessions that are looked at closely.
const SESSION_BUDGET: usize = 4096;
/// Rounds between two sweeps: one a minute.
const SWEEP_EVERY: u32 = 240;
/// The chore of sweeping, of nodes that share a store.
const SWEEP: &str = "sweep";
/// For how long it stays with a node that does not ask again: a few sweeps.
const SWEEP_HELD: Duration = Duration::from_secs(180);

/// Who does the maintenance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Maintenance {
    /// A thread of the engine's.
    #[default]
    Background,
    /// The host, by calling [`Engine::maintain`](crate::Engine::maintain).
    HostDriven,
}

/// What a round of maintenance has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Denials that had waited for the disk and are durable now.
    pub denials_written: usize,
    /// Tokens whose last use was written.
    pub usages_written: usize,
    /// What the sweep did.
    pub swept: SweepReport,
    /// Sessions that were ended because their time was over, besides.
    pub sessions_ended: usize,
}

impl Inner {
    /// One full round: waiting denials, sessions, last uses, and a piece of the sweep.
    pub(crate) async fn maintain(&self) -> Result<MaintenanceReport, Error> {
        self.open()?;
        let sessions_ended = self.look_after_sessions().await;
        Ok(MaintenanceReport {
            sessions_ended,
            denials_written: self.retry_denials().await,
            usages_written: self.flush().await?,
            swept: self.sweep_in_turn().await?,
        })
    }

    /// A piece of the sweep, where that is this node's chore.
    async fn sweep_in_turn(&self) -> Result<SweepReport, Error> {
        match self.store.turn(SWEEP, SWEEP_HELD).await? {
            true => self.sweep(SWEEP_BUDGET).await,
            false => Ok(SweepReport {
                complete: true,
                ..SweepReport::default()
            }),
        }
    }

    /// Ends sessions whose time is over, a bounded piece of work at a time, and writes their
    /// snapshot when it is due; answers how many were ended.
    async fn look_after_sessions(&self) -> usize {
        // With the store away the policy that was last read goes on.
        let policy = self.policy_now().await;
        let policy = policy.unwrap_or_else(|_| self.policy.load_full());
        let ended = self.sweep_sessions(&policy, SESSION_BUDGET);
        self.snapshot_if_due(&policy);
        ended
    }

    /// What is due at this tick; answers whether the sweep has more to do. Failures are left for a
    /// later one: the store tells its own.
    async fn tick(&self, sweep: bool) -> bool {
        self.retry_denials().await;
        self.look_after_sessions().await;
        let interval = self.policy.load().access_tokens().last_used_interval;
        let last =
            countersign_core::Timestamp::from_millis(self.flushed_at.load(Ordering::Relaxed));
        let now = self.now();
        // A clock that stepped back would otherwise put the next flush off for as long.
        if now >= last.after(interval) || now < last {
            let _ = self.flush().await;
        }
        sweep
            && self
                .sweep_in_turn()
                .await
                .is_ok_and(|report| !report.complete)
    }
}

/// The thread that does it.
pub(crate) struct Worker {
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Bell {
    stopped: Mutex<bool>,
    rung: Condvar,
}

impl Worker {
    pub(crate) fn start(inner: Arc<Inner>) -> Result<Self, String> {
        let bell = Arc::new(Bell::default());
        let own = Arc::clone(&bell);
        let work = move || {
            let (mut round, mut sweeping) = (0u32, false);
            while !own.wait() {
                round = round.wrapping_add(1);
                // Once begun, a sweep goes on at every tick until it has come round.
                let sweep = sweeping || round.is_multiple_of(SWEEP_EVERY);
                // A fault of ours in one round must not end the rounds after it.
                let tick = || futures_executor::block_on(inner.tick(sweep));
                sweeping = catch_unwind(AssertUnwindSafe(tick)).unwrap_or(false);
            }
        };
        let thread = thread::Builder::new()
            .name("countersign-maintenance".to_owned())
            .spawn(work)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            bell,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whether this is called on the worker's own thread.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.thread.lock();
        thread
            .as_ref()
            .is_some_and(|own| own.thread().id() == thread::current().id())
    }

    pub(crate) fn stop(&self) {
        *self.bell.stopped.lock() = true;
        self.bell.rung.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

impl Bell {
    /// Waits for the next tick; answers whether to stop.
    fn wait(&self) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            let _ = self.rung.wait_for(&mut stopped, TICK);
        }
        *stopped
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}
