//! How late revocations are honoured: by tokens that are presented again and again.

use crate::hand::{MICRO, Nanos};
use serde::Serialize;

/// A token that is presented at a node until it is refused there.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) token: usize,
    pub(crate) slot: usize,
    pub(crate) acknowledged_at: Nanos,
    /// When it was let in last, after that.
    pub(crate) last_in: Option<Nanos>,
    pub(crate) kind: Kind,
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    One,
    Mass,
    Principal,
}

impl Probe {
    /// When it is presented next: soon at first, then less often, always within a fiftieth of how
    /// late it is by then.
    pub(crate) fn next(&self, now: Nanos) -> Nanos {
        let late = now.saturating_sub(self.acknowledged_at);
        now + (late / 50).max(200 * MICRO)
    }

    pub(crate) fn lateness(&self) -> Nanos {
        let late = |at: Nanos| at.saturating_sub(self.acknowledged_at);
        self.last_in.map_or(0, late)
    }
}

/// How late, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// Of how many.
    pub count: usize,
    /// Half of them were no later.
    pub p50: f64,
    /// 99 of a hundred were no later.
    pub p99: f64,
    /// The latest.
    pub worst: f64,
    /// How many were later than the bound.
    pub beyond: usize,
}

impl Lateness {
    pub(crate) fn of(mut late: Vec<Nanos>, bound: Nanos) -> Self {
        late.sort_unstable();
        let at = |share: f64| {
            let place = (late.len().saturating_sub(1) as f64 * share) as usize;
            late.get(place).map_or(0.0, |nanos| *nanos as f64 / 1e6)
        };
        Self {
            count: late.len(),
            p50: at(0.5),
            p99: at(0.99),
            worst: at(1.0),
            beyond: late.iter().filter(|nanos| **nanos > bound).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hand::MILLI;

    #[test]
    fn percentiles_are_of_what_was_seen_and_the_bound_itself_is_kept() {
        let late = (1..=100).map(|n| n * MILLI).collect();
        let told = Lateness::of(late, 98 * MILLI);
        assert_eq!((told.p50, told.p99, told.worst), (50.0, 99.0, 100.0));
        assert_eq!((told.count, told.beyond), (100, 2));
        assert_eq!(Lateness::of(Vec::new(), 0), Lateness::default());
    }
}
