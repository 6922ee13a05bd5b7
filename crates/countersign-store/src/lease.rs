//! How long what was heard of a store may be trusted without asking it again.
//!
//! Where others write to the same store, a node hears of their changes a little late. Its lease
//! says until when that is no later than was allowed. It is renewed from an instant *before* the
//! store was asked, so what was slow on the way only makes it shorter.
//!
//! Time here is the machine's steady clock: nobody sets it, and it goes on while the machine
//! sleeps. It tells how old something is, never what time it is (invariant I1).

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

/// An instant of the steady clock, in nanoseconds since some moment of the machine's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Steady(u64);

impl Steady {
    /// The present instant.
    #[cfg(target_os = "linux")]
    #[must_use]
    #[inline]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the steady clock, which tells ages alone"
    )]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
    }

    /// The present instant.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the steady clock, which tells ages alone"
    )]
    pub fn now() -> Self {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        let start = START.get_or_init(std::time::Instant::now);
        // Never zero, which is before everything.
        Self::default()
            .after(start.elapsed())
            .after(Duration::from_nanos(1))
    }

    /// That much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long ago `earlier` was; nothing where it was later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Until when a node may trust what it has heard, and how late that may be.
#[derive(Debug)]
pub struct Lease {
    until: AtomicU64,
    bound: AtomicU64,
    /// How often what is asked has become another server.
    moves: AtomicU64,
    now: fn() -> Steady,
}

/// The end of a lease as it stood when it was asked for: before records were looked at.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    until: Steady,
    moves: u64,
    now: fn() -> Steady,
}

impl Lease {
    /// A lease that has not begun, to be renewed for `bound` at a time.
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        Self::timed_by(Steady::now, bound)
    }

    /// The same by another clock than the machine's, for a store whose time is not the machine's
    /// either: one that is simulated.
    #[must_use]
    pub fn timed_by(now: fn() -> Steady, bound: Duration) -> Self {
        let lease = Self {
            until: AtomicU64::new(0),
            bound: AtomicU64::new(0),
            moves: AtomicU64::new(0),
            now,
        };
        lease.set_bound(bound);
        lease
    }

    /// How late it may be to hear of a change. Zero: nothing is trusted, everything is asked for.
    #[must_use]
    pub fn bound(&self) -> Duration {
        Duration::from_nanos(self.bound.load(Ordering::Acquire))
    }

    /// Sets how late it may be; a lease under way that is longer ends now.
    pub fn set_bound(&self, bound: Duration) {
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        if self.bound.swap(nanos, Ordering::AcqRel) > nanos {
            self.end();
        }
    }

    /// Until when it is held: to be asked before records are looked at.
    #[inline]
    #[must_use]
    pub fn term(&self) -> Term {
        Term {
            moves: self.moves.load(Ordering::Acquire),
            until: Steady(self.until.load(Ordering::Acquire)),
            now: self.now,
        }
    }

    /// Says that everything which was acknowledged before `from` has been heard of.
    pub fn renew(&self, from: Steady) {
        self.renew_for(from, self.bound());
    }

    /// The same for no longer than `longest`, where others were told that it lasts so long.
    pub fn renew_for(&self, from: Steady, longest: Duration) {
        let bound = self.bound().min(longest);
        self.until.fetch_max(from.after(bound).0, Ordering::AcqRel);
        // It may have been shortened just then.
        if self.bound() < bound {
            self.end();
        }
    }

    /// What is asked from now on may be another server: what was read of the last one is not proved
    /// by what this one acknowledges.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether everything since the term was asked for concerns the same server.
    #[must_use]
    pub fn is_unmoved(&self, term: Term) -> bool {
        self.moves.load(Ordering::Acquire) == term.moves
    }

    /// Nothing that was heard is to be trusted any more.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

impl Term {
    /// Whether it is not over: to be asked after records were looked at. What is renewed meanwhile
    /// does not count, since the records may have been looked at before.
    #[inline]
    #[must_use]
    pub fn holds(self) -> bool {
        (self.now)() < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn it_holds_from_its_renewal_until_the_bound_is_over() {
        let lease = Lease::new(LONG);
        assert!(!lease.term().holds(), "it has not begun");
        let now = Steady::now();
        lease.renew(now);
        assert!(lease.term().holds());
        // Asked for before, and renewed since: what was read in between is of the older one.
        let ended = Lease::new(LONG);
        let before = ended.term();
        ended.renew(now);
        assert!(!before.holds());
        lease.end();
        assert!(!lease.term().holds());
    }

    #[test]
    fn a_slow_answer_shortens_it_and_an_older_one_changes_nothing() {
        let lease = Lease::new(Duration::from_nanos(1));
        lease.renew(Steady::now());
        assert!(!lease.term().holds(), "its bound was over on the way");
        let lease = Lease::new(LONG);
        lease.renew(Steady::now());
        let term = lease.term();
        lease.renew(Steady::default());
        assert_eq!(lease.term().until, term.until);
    }

    #[test]
    fn what_was_read_of_one_server_is_not_proved_by_another() {
        let lease = Lease::new(LONG);
        let term = lease.term();
        assert!(lease.is_unmoved(term));
        lease.moved();
        assert!(!lease.is_unmoved(term));
        assert!(lease.is_unmoved(lease.term()));
    }

    #[test]
    fn a_shorter_bound_ends_what_was_longer_and_zero_trusts_nothing() {
        let lease = Lease::new(LONG);
        lease.renew(Steady::now());
        lease.set_bound(LONG + LONG);
        assert!(lease.term().holds(), "a longer one takes nothing away");
        lease.set_bound(LONG + LONG);
        assert!(lease.term().holds(), "nor does the same once more");
        lease.set_bound(Duration::ZERO);
        assert!(!lease.term().holds());
        lease.renew(Steady::now());
        assert!(!lease.term().holds());
        assert_eq!(lease.bound(), Duration::ZERO);
    }

    #[test]
    fn another_clock_than_the_machine_s_is_asked_for_its_end() {
        static HAND: AtomicU64 = AtomicU64::new(5);
        let lease = Lease::timed_by(|| Steady(HAND.load(Ordering::Acquire)), LONG);
        lease.renew(Steady(5));
        let term = lease.term();
        assert!(term.holds());
        HAND.store(Steady(5).after(LONG).0, Ordering::Release);
        assert!(!term.holds());
    }

    #[test]
    fn it_lasts_no_longer_than_others_were_told() {
        static HAND: AtomicU64 = AtomicU64::new(5);
        let lease = Lease::timed_by(|| Steady(HAND.load(Ordering::Acquire)), LONG);
        let short = Duration::from_nanos(3);
        lease.renew_for(Steady(5), short);
        HAND.store(7, Ordering::Release);
        assert!(lease.term().holds(), "a shorter one is held all the same");
        HAND.store(8, Ordering::Release);
        assert!(!lease.term().holds(), "at its end it is over");
        lease.renew_for(Steady(8), LONG + LONG);
        HAND.store(Steady(8).after(LONG).0, Ordering::Release);
        assert!(!lease.term().holds(), "nor longer than its own bound");
    }

    #[test]
    fn the_steady_clock_goes_on() {
        let first = Steady::now();
        std::thread::sleep(Duration::from_millis(2));
        let second = Steady::now();
        assert!(second.since(first) >= Duration::from_millis(1));
        assert_eq!(first.since(second), Duration::ZERO);
    }
}
