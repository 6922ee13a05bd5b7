//! What has to be done from time to time, on a thread of our own or by the host's call.

use crate::error::Error;
use crate::inner::Inner;
use crate::sweep::SweepReport;
use crate::worker::Worker;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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

    /// What is due at this tick; answers what a sweep has done, if there was to be one. Failures
    /// are left for a later one: the store tells its own.
    async fn tick(&self, sweep: bool) -> Result<Option<SweepReport>, Error> {
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
        match sweep {
            true => self.sweep_in_turn().await.map(Some),
            false => Ok(None),
        }
    }
}

/// Which ticks sweep.
#[derive(Debug, Default)]
struct Rounds {
    ticks: u32,
    goes_on: bool,
}

impl Rounds {
    /// Whether this tick does. Once begun, a sweep goes on at every tick until it has come round;
    /// should this tick panic, until the next one is due.
    fn is_due(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        mem::take(&mut self.goes_on) || self.ticks.is_multiple_of(SWEEP_EVERY)
    }

    fn swept<E>(&mut self, report: &Result<Option<SweepReport>, E>) {
        self.goes_on = matches!(report, Ok(Some(report)) if !report.complete);
    }
}

/// Starts the thread that does it.
pub(crate) fn start(inner: Arc<Inner>) -> Result<Worker, String> {
    let mut rounds = Rounds::default();
    Worker::start("countersign-maintenance", TICK, move || {
        let sweep = rounds.is_due();
        rounds.swept(&futures_executor::block_on(inner.tick(sweep)));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(complete: bool) -> SweepReport {
        SweepReport {
            complete,
            ..SweepReport::default()
        }
    }

    #[test]
    fn a_sweep_begins_once_a_minute_and_goes_on_at_every_tick_until_it_has_come_round() {
        let mut rounds = Rounds::default();
        let until_due = |rounds: &mut Rounds| (1..).find(|_| rounds.is_due());
        assert_eq!(until_due(&mut rounds), Some(SWEEP_EVERY));
        let more: Result<_, Error> = Ok(Some(piece(false)));
        rounds.swept(&more);
        assert!(rounds.is_due(), "there is more");
        // One that panics tells nothing.
        assert!(!rounds.is_due());
        for over in [Ok(Some(piece(true))), Ok(None), Err(Error::Closed)] {
            rounds.swept(&more);
            assert!(rounds.is_due());
            rounds.swept(&over);
            assert!(!rounds.is_due());
        }
    }
}
