//! Counts of verdicts, kept so that two threads never write the same cache line.

use countersign_core::Rejection;
use crossbeam_utils::CachePadded;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Stripes that one thread each has for itself, in the order in which threads first count.
const ALONE: usize = 48;
/// Stripes that all threads after those share.
const SHARED: usize = 16;
const REASONS: usize = Rejection::ALL.len();

/// How often credentials were let in and refused, by reason, since the engine was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Let in.
    pub admitted: u64,
    /// Refused, by reason, in the order of [`Rejection::ALL`].
    pub refused: [u64; REASONS],
}

impl VerdictCounts {
    /// Refused, for whatever reason.
    #[must_use]
    pub fn refused_in_all(&self) -> u64 {
        self.refused
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Refused for one reason.
    #[must_use]
    pub fn refused_for(&self, reason: Rejection) -> u64 {
        let at = Rejection::ALL.iter().position(|known| *known == reason);
        at.and_then(|at| self.refused.get(at)).copied().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Stripe {
    admitted: AtomicU64,
    refused: [AtomicU64; REASONS],
}

#[derive(Debug)]
pub(crate) struct Counters {
    stripes: Box<[CachePadded<Stripe>]>,
}

impl Default for Counters {
    fn default() -> Self {
        let stripes = std::iter::repeat_with(CachePadded::default);
        Self {
            stripes: stripes.take(ALONE + SHARED).collect(),
        }
    }
}

impl Counters {
    #[inline]
    pub(crate) fn count(&self, verdict: Option<Rejection>) {
        let own = own_stripe();
        let Some(stripe) = self.stripes.get(own) else {
            return;
        };
        let counter = match verdict {
            None => Some(&stripe.admitted),
            Some(reason) => {
                let at = Rejection::ALL.iter().position(|known| *known == reason);
                at.and_then(|at| stripe.refused.get(at))
            }
        };
        let Some(counter) = counter else { return };
        if own < ALONE {
            // Nobody else writes here, so nothing has to be locked.
            let count = counter.load(Ordering::Relaxed);
            counter.store(count.wrapping_add(1), Ordering::Relaxed);
        } else {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self) -> VerdictCounts {
        let mut counts = VerdictCounts::default();
        for stripe in &self.stripes {
            let admitted = stripe.admitted.load(Ordering::Relaxed);
            counts.admitted = counts.admitted.saturating_add(admitted);
            for (sum, count) in counts.refused.iter_mut().zip(&stripe.refused) {
                *sum = sum.saturating_add(count.load(Ordering::Relaxed));
            }
        }
        counts
    }
}

fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    OWN.with(|own| {
        if own.get() == usize::MAX {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            own.set(match number {
                alone if alone < ALONE => alone,
                later => ALONE.saturating_add(later % SHARED),
            });
        }
        own.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn every_thread_s_counts_are_in_the_sum() {
        let counters = Counters::default();
        // More than have a stripe for themselves.
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counters.count(None);
                        counters.count(Some(Rejection::Reused));
                    }
                });
            }
        });
        let counts = counters.sum();
        assert_eq!(
            (counts.admitted, counts.refused_for(Rejection::Reused)),
            (100_000, 100_000)
        );
        assert_eq!(
            (
                counts.refused_in_all(),
                counts.refused_for(Rejection::Scope)
            ),
            (100_000, 0)
        );
    }

    /// The first and the second of those stripes that more than one thread writes to.
    #[test]
    fn no_count_is_lost_of_threads_that_share_a_stripe() {
        const EACH: u64 = 400_000;
        let counters = Counters::default();
        let counted = AtomicU64::new(0);
        // As many as have a stripe of their own, and some rounds of those that have none.
        let threads = ALONE + 4 * SHARED;
        let all_there = Barrier::new(threads);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let own = own_stripe();
                    all_there.wait();
                    if own == ALONE || own == ALONE + 1 {
                        for _ in 0..EACH {
                            counters.count(None);
                        }
                        counted.fetch_add(EACH, Ordering::Relaxed);
                    }
                });
            }
        });
        let counted = counted.into_inner();
        assert!(counted >= 4 * EACH, "nobody shared one");
        assert_eq!(counters.sum().admitted, counted);
    }
}
