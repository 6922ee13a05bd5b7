//! What the administrator's plot shows: verdicts and evictions, sampled every few seconds.

use countersign::session::EndWord;
use countersign::{Engine, Observer, SessionChange, SessionEvent};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often a sample is taken.
pub(crate) const EVERY: Duration = Duration::from_secs(5);
/// How many are kept: ten minutes of them.
pub(crate) const SAMPLES: usize = 120;

/// What happened between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) admitted: u64,
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
}

impl Sample {
    fn since(self, before: Self) -> Self {
        Self {
            admitted: self.admitted.saturating_sub(before.admitted),
            refused: self.refused.saturating_sub(before.refused),
            evicted: self.evicted.saturating_sub(before.evicted),
        }
    }
}

/// Samples, and what has been counted so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Sessions that ended by time or for room.
    evicted: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    samples: VecDeque<Sample>,
    /// All that there was when the last one was taken.
    before: Sample,
}

impl Counts {
    /// Takes a sample.
    pub(crate) fn take(&self, engine: &Engine) {
        let all = self.all(engine);
        let mut kept = self.kept.lock();
        let since = all.since(kept.before);
        kept.before = all;
        if kept.samples.len() >= SAMPLES {
            kept.samples.pop_front();
        }
        kept.samples.push_back(since);
    }

    /// Everything since the start.
    pub(crate) fn all(&self, engine: &Engine) -> Sample {
        let verdicts = engine.stats().verdicts;
        Sample {
            admitted: verdicts.admitted,
            refused: verdicts.refused_in_all(),
            evicted: self.evicted.load(Ordering::Relaxed),
        }
    }

    /// The samples, oldest first, and what has come since the last.
    pub(crate) fn samples(&self, engine: &Engine) -> Vec<Sample> {
        let all = self.all(engine);
        let kept = self.kept.lock();
        let now = all.since(kept.before);
        kept.samples.iter().copied().chain([now]).collect()
    }
}

/// Counts what the engine tells of.
#[derive(Debug)]
pub(crate) struct Watcher(pub(crate) Arc<Counts>);

impl Observer for Watcher {
    fn session(&self, event: &SessionEvent) {
        if let SessionChange::Ended(by) = event.change
            && matches!(by.word(), EndWord::Expire | EndWord::Evict)
        {
            let ended = event.suppressed.saturating_add(1);
            self.0.evicted.fetch_add(ended, Ordering::Relaxed);
        }
    }
}
