//! A sequence lock in safe code: words that are copied between two looks at a number.
//!
//! The number is odd while the words are being written, and another one afterwards. Who copies
//! them and finds the same even number before and after has read what one writer wrote; who does
//! not has read nothing, and asks the shard. All words are atomics, so a copy that is torn is
//! thrown away and nothing else.
//!
//! The memory model asks for two fences (Boehm, "Can seqlocks get along with programming language
//! memory models?", 2012): no word that is written may be seen before the odd number, and no word
//! may be read after the second look.

use crate::sync::{AtomicU64, Ordering, fence};

/// Words under a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeqLock<'a, const N: usize> {
    /// How often they were written, twice.
    pub(super) number: &'a AtomicU64,
    pub(super) words: &'a [AtomicU64; N],
}

impl<const N: usize> SeqLock<'_, N> {
    /// The words, and the number under which they stood there together.
    #[inline]
    pub(super) fn read(self) -> Option<(u64, [u64; N])> {
        let before = self.number.load(Ordering::Acquire);
        let words = self
            .words
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let after = self.number.load(Ordering::Relaxed);
        (before == after && before & 1 == 0).then_some((before, words))
    }

    /// Writes the words; `settle` is called with their number before anybody can read them.
    ///
    /// Never by two at once: the caller holds the lock that goes with them.
    pub(super) fn write(self, words: &[u64; N], settle: impl FnOnce(u64)) {
        let number = self.number.load(Ordering::Relaxed);
        self.number.store(number.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (place, word) in self.words.iter().zip(words) {
            place.store(*word, Ordering::Relaxed);
        }
        let number = number.wrapping_add(2);
        settle(number);
        self.number.store(number, Ordering::Release);
    }
}
