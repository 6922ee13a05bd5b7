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
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    #[inline]
    fn now(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        // Before 1970 it is as if the clock stood there.
        let Ok(seconds) = u64::try_from(now.tv_sec) else {
            return Timestamp::ZERO;
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock is held against the one that it stands for"
    )]
    fn the_coarse_clock_is_the_system_s_a_tick_behind_at_most() {
        let before = Timestamp::from_system_time(SystemTime::now());
        let now = SystemClock.now();
        let after = Timestamp::from_system_time(SystemTime::now());
        let second = std::time::Duration::from_secs(1);
        assert!(now <= after, "{now} is ahead of {after}");
        assert!(before <= now.after(second), "{now} is far behind {before}");
    }
}
