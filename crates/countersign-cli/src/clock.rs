//! The clocks of this command, and the one file of it that reads time to measure with.

use countersign::{Clock, FixedClock, SystemClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a store is opened with: the system's clock, or `--now`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallClock {
    System,
    Fixed(FixedClock),
}

impl CallClock {
    pub(crate) fn new(now: Option<Timestamp>) -> Self {
        now.map_or(Self::System, |now| Self::Fixed(FixedClock(now)))
    }
}

impl Clock for CallClock {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => SystemClock.now(),
            Self::Fixed(clock) => clock.now(),
        }
    }
}

/// A clock that is put forward by hand, to see a credential's life without waiting for it.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn starting_at(now: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(now.as_millis())))
    }

    pub(crate) fn advance(&self, span: Duration) {
        self.0
            .store(self.now().after(span).as_millis(), Ordering::Release);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Acquire))
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement of this command's own, which no verdict depends on"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
