//! Instants as the core sees them: milliseconds since the Unix epoch, handed in by the caller.
//!
//! Nothing here reads a clock (invariant I1), and all arithmetic saturates, so that a clock that
//! jumps or a policy at its bound can make a credential die early or late but never panic.

use core::fmt;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
///
/// `Timestamp::MAX` stands for "never" where an end is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch itself.
    pub const ZERO: Self = Self(0);
    /// The end of time, which no clock reaches.
    pub const MAX: Self = Self(u64::MAX);
    /// The last instant that RFC 3339 can write: 9999-12-31T23:59:59.999Z.
    pub const LAST_PRINTABLE: Self = Self(253_402_300_799_999);

    /// The instant `ms` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant moved later by `span`, at most to [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This instant moved earlier by `span`, at most to [`Timestamp::ZERO`].
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The next representable instant.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How long after `earlier` this is; zero when it is not after it at all.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The instant as the standard library has it, or `None` past the end of its range.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        UNIX_EPOCH.checked_add(Duration::from_millis(self.0))
    }

    /// The instant of `time`; one before the Unix epoch becomes [`Timestamp::ZERO`].
    #[must_use]
    pub fn from_system_time(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, millis))
    }

    /// Reads an RFC 3339 instant in UTC, such as `2026-11-22T10:00:00Z`.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        humantime::parse_rfc3339(text)
            .ok()
            .map(Self::from_system_time)
    }
}

/// RFC 3339 in UTC with milliseconds; what lies past the year 9999 prints as `never`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_system_time() {
            Some(time) if *self <= Self::LAST_PRINTABLE => {
                write!(f, "{}", humantime::format_rfc3339_millis(time))
            }
            _ => f.write_str("never"),
        }
    }
}

/// The whole milliseconds of `span`, saturating.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MAX.after(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::ZERO.before(Duration::MAX), Timestamp::ZERO);
        assert_eq!(
            Timestamp::from_millis(5).since(Timestamp::from_millis(9)),
            Duration::ZERO
        );
    }

    #[test]
    fn text_round_trips_and_the_far_future_prints_as_never() {
        let t = Timestamp::from_millis(1_795_341_296_789);
        assert_eq!(Timestamp::from_rfc3339(&t.to_string()), Some(t));
        assert_eq!(Timestamp::MAX.to_string(), "never");
        assert_eq!(
            Timestamp::LAST_PRINTABLE.to_string(),
            "9999-12-31T23:59:59.999Z"
        );
    }
}
