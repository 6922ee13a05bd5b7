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

    /// The present instant as of a tick or so ago, for what happens on every request and is not
    /// told from others by when it happened: never ahead of [`Clock::now`], and as good as that
    /// where there is no cheaper way.
    fn lately(&self) -> Timestamp {
        self.now()
    }
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_system_time(SystemTime::now())
    }

    /// As of the kernel's last tick, 1 to 10 ms ago: read in a few nanoseconds.
    #[cfg(target_os = "linux")]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the clock"
    )]
    fn lately(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        // Before 1970 it is as if the clock stood there.
        let Ok(seconds) = u64::try_from(now.tv_sec) else {
            return Timestamp::ZERO;
        };
        let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(millis))
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

    #[test]
    fn lately_is_a_tick_ago_at_most() {
        let before = SystemClock.now();
        let lately = SystemClock.lately();
        let after = SystemClock.now();
        let second = std::time::Duration::from_secs(1);
        assert!(lately <= after, "{lately} is ahead of {after}");
        assert!(before <= lately.after(second), "{lately} is far behind");
    }

    #[test]
    fn a_clock_that_stands_stands_where_it_was_put() {
        let at = Timestamp::from_millis(1_795_341_296_789);
        let clock = FixedClock(at);
        assert_eq!((clock.now(), clock.lately(), clock.now()), (at, at, at));
    }
}
