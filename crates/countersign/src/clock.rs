//! The one file that reads time (invariant I1).

use countersign_core::Timestamp;
use std::fmt;
use std::time::SystemTime;

/// Where the engine takes the time from.
///
/// A clock that steps back makes credentials live longer than they should; one that jumps ahead
/// ends them early. Nothing that was revoked comes back either way: epochs are numbers.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }
}

/// A clock that stands at one instant, for judging as of then.
#[derive(Clone, Copy, Debug)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
