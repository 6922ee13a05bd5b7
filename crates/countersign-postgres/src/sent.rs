//! Which of this node's own commits it tells of itself, so that the feed need not.

use core::fmt;
use parking_lot::Mutex;
use std::collections::HashSet;

/// The most versions that are remembered; more are told of twice, which does no harm.
const MOST: usize = 1 << 16;

/// Versions that were sent, until the feed comes past them or they are told as unknown.
///
/// What is not in here is told by the feed like any other node's: that is the safe side.
#[derive(Default)]
pub(crate) struct SentVersions(Mutex<HashSet<u64>>);

impl SentVersions {
    /// To be called before it is sent: the feed may be sooner than the answer.
    pub(crate) fn add(&self, version: u64) {
        let mut sent = self.0.lock();
        if sent.len() < MOST {
            sent.insert(version);
        }
    }

    /// Says that the feed has to tell of it, if it comes by; whether it was in here.
    pub(crate) fn remove(&self, version: u64) -> bool {
        self.0.lock().remove(&version)
    }

    /// The feed has left entries out: whatever is under way is told by it.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

impl fmt::Debug for SentVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SentVersions")
            .field(&self.0.lock().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_by_the_feed() {
        let sent = SentVersions::default();
        for version in 0..=MOST as u64 {
            sent.add(version);
        }
        assert!(sent.remove(0) && !sent.remove(0));
        assert!(!sent.remove(MOST as u64));
        sent.clear();
        assert!(!sent.remove(1));
    }
}
