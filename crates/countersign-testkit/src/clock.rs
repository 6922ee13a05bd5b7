//! A clock that stands still until it is moved, also backwards.

use countersign::{Clock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Clones share one hand.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `at`.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self(Arc::new(AtomicU64::new(at.as_millis())))
    }

    /// Moves it ahead.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().after(by));
    }

    /// Moves it back.
    pub fn step_back(&self, by: Duration) {
        self.set(self.now().before(by));
    }

    /// Puts it at an instant.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// 2026-11-22T10:00:00Z.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_795_341_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
