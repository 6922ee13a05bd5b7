//! How many refusals are told one by one: so many a second, the rest counted.

use crate::inner::{Inner, watched};
use crate::observer::Refused;
use countersign_core::policy::Policy;
use countersign_core::{Rejection, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

/// Lets so many through in each second. Races may let through a few more.
#[derive(Debug, Default)]
pub(crate) struct RefusalGate {
    /// The second in the upper 40 bits, how many were told in it in the lower 24.
    window: AtomicU64,
    suppressed: AtomicU64,
}

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

impl RefusalGate {
    /// Whether to tell of a refusal now, and how many were not told of before it.
    pub(crate) fn admit(&self, now: Timestamp, per_second: u32) -> Option<u64> {
        let second = now.as_secs() & (u64::MAX >> COUNT_BITS);
        let window = self.window.load(Ordering::Relaxed);
        let told = if window >> COUNT_BITS == second {
            window & COUNT_MASK
        } else {
            0
        };
        if told >= u64::from(per_second) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let next = (second << COUNT_BITS) | told.saturating_add(1).min(COUNT_MASK);
        self.window.store(next, Ordering::Relaxed);
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

impl Inner {
    /// Counts a refusal and tells of it, unless as many as policy allows were told of in this
    /// second; how many were not is filled in here. Nothing is written.
    pub(crate) fn refuse(&self, policy: &Policy, refused: Refused) -> Rejection {
        self.counters.count(Some(refused.rejection));
        let rate = policy.audit().refusals_per_second;
        if let Some(suppressed) = self.refusals.admit(refused.at, rate) {
            let refused = Refused {
                suppressed,
                ..refused
            };
            #[cfg(feature = "tracing")]
            crate::trace::refused(&refused);
            watched(|| self.observer.refused(&refused));
        }
        refused.rejection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_rate_refusals_are_counted_and_told_of_later() {
        let gate = RefusalGate::default();
        let (first, next) = (Timestamp::from_millis(5_000), Timestamp::from_millis(6_000));
        let told: Vec<_> = (0..5).map(|_| gate.admit(first, 2)).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        assert_eq!(gate.admit(next, 2), Some(3));
        assert_eq!(gate.admit(next, 0), None);
    }

    #[test]
    fn the_rate_holds_as_late_as_a_clock_can_stand() {
        let gate = RefusalGate::default();
        let late = Timestamp::from_millis(u64::MAX);
        let told: Vec<_> = (0..3).map(|_| gate.admit(late, 1)).collect();
        assert_eq!(told, [Some(0), None, None]);
    }
}
