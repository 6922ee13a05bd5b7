//! The one file that reads time (invariant I1).

use countersign_core::Timestamp;
use std::fmt;

/// Where the engine takes the time from.
///
/// A clock that steps back makes credentials live longer than they should; one that jumps ahead
/// ends them early. Nothing that was revoked comes back either way: epochs are numbers.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
///
/// On Linux it is the coarse one, which stands still between two ticks of the kernel, 1 to 10 ms:
/// it is read in a few nanoseconds, and nothing here is decided by less.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(target_os = "linux")]
    #[inline]
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        // Before 1970 it is as if the clock stood there.
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(millis))
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(std::time::SystemTime::now())
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
