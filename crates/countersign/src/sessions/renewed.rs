//! Sessions that were given a new token a moment ago.
//!
//! A request that was sent before that presents the old token and is refused; while the new one may
//! be on its way to the browser, nothing else must be sent there in its place.

use countersign_core::{Selector, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;

/// For how long an answer may be on its way.
pub(crate) const ANSWERS_ON_THE_WAY: Duration = Duration::from_secs(60);

/// For how long one that is sent later may overtake it.
const OVERTAKEN_WITHIN: Duration = Duration::from_secs(5);

/// How many are remembered. Of more, in the same minute, the latest are not.
const RENEWED_MAX: usize = 1 << 14;

/// Which, and when.
#[derive(Debug, Default)]
pub(crate) struct Renewed(Mutex<HashMap<Selector, Timestamp>>);

impl Renewed {
    /// Notes that a session has a new token.
    pub(super) fn note(&self, selector: Selector, now: Timestamp) {
        let mut renewed = self.0.lock();
        if renewed.len() >= RENEWED_MAX {
            renewed.retain(|_, at| is_on_its_way(*at, now));
        }
        if renewed.len() < RENEWED_MAX {
            renewed.insert(selector, now);
        }
    }

    /// When a session got a new token that may be on its way.
    pub(crate) fn find(&self, selector: Selector, now: Timestamp) -> Option<Timestamp> {
        let at = self.0.lock().get(&selector).copied();
        at.filter(|at| is_on_its_way(*at, now))
    }
}

/// Whether an answer that is sent now may arrive before one that was sent at an instant.
///
/// Much shorter than the time in which a dead cookie is left alone: who has not got that answer
/// after all wants to sign in again.
pub(crate) fn may_overtake(at: Timestamp, now: Timestamp) -> bool {
    now.since(at).max(at.since(now)) < OVERTAKEN_WITHIN
}

/// Whether what was sent at an instant may not have arrived.
pub(crate) fn is_on_its_way(at: Timestamp, now: Timestamp) -> bool {
    now.since(at).max(at.since(now)) < ANSWERS_ON_THE_WAY
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::ShardTag;

    #[test]
    fn a_renewal_is_remembered_for_a_minute_and_so_many_at_most() {
        let renewed = Renewed::default();
        let at = |ms| Timestamp::from_millis(ms);
        let named = |n: u64| Selector::mint(at(n), ShardTag::NONE, n.to_be_bytes());
        renewed.note(named(0), at(1000));
        assert_eq!(renewed.find(named(0), at(60_999)), Some(at(1000)));
        assert!(renewed.find(named(0), at(61_000)).is_none());
        assert!(renewed.find(named(1), at(1000)).is_none());
        for n in 0..40_000 {
            renewed.note(named(n), at(1000));
        }
        assert_eq!(renewed.0.lock().len(), RENEWED_MAX);
        renewed.note(named(50_000), at(100_000));
        assert!(renewed.find(named(50_000), at(100_000)).is_some());
        assert_eq!(renewed.0.lock().len(), 1);
    }
    #[test]
    fn an_answer_is_overtaken_within_seconds_whichever_way_the_clock_went() {
        let at = Timestamp::from_millis;
        for (then, now, may) in [
            (10_000, 10_000, true),
            (10_000, 14_999, true),
            (10_000, 15_000, false),
            (14_999, 10_000, true),
            (15_000, 10_000, false),
        ] {
            assert_eq!(may_overtake(at(then), at(now)), may, "{then} {now}");
        }
    }
}
