//! The time of a simulated day: it stands still until it is moved on.
//!
//! A day is simulated on one thread, and the time is that thread's: two that run at once, as tests
//! do, have nothing to do with one another.

use countersign::{Clock, Timestamp};
use countersign_store::Steady;
use std::cell::Cell;
use std::time::Duration;

/// Nanoseconds since the day began.
pub(crate) type Nanos = u64;

pub(crate) const MICRO: Nanos = 1_000;
pub(crate) const MILLI: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000_000_000;
pub(crate) const MINUTE: Nanos = 60 * SECOND;
pub(crate) const HOUR: Nanos = 60 * MINUTE;

/// When the day begins: midnight, 2026-11-23.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_392_000_000);

thread_local! {
    static HAND: Cell<Nanos> = const { Cell::new(0) };
}

/// The present instant.
pub(crate) fn now() -> Nanos {
    HAND.with(Cell::get)
}

/// Moves it on.
pub(crate) fn set(now: Nanos) {
    HAND.with(|hand| hand.set(now));
}

/// What leases are timed by.
pub(crate) fn steady() -> Steady {
    at(now())
}

/// An instant as leases have it.
pub(crate) fn at(instant: Nanos) -> Steady {
    Steady::default().after(Duration::from_nanos(instant))
}

/// A time in nanoseconds.
pub(crate) fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The wall clock of all nodes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        START.after(Duration::from_nanos(now()))
    }
}
