//! The place of one token's words, and of what is noted of its use.

use super::super::seqlock::SeqLock;
use super::image::WORDS;
use crate::sync::{AtomicU64, Ordering};
use prefetch_index::prefetch_index;

/// The words of one token. Two lines, of which the first has all that is hashed for and compared.
///
/// Zeros are an empty one.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
#[cfg_attr(
    not(test),
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout)
)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    /// How often the words were written, twice.
    number: AtomicU64,
    words: [AtomicU64; WORDS],
    /// The last use: its second in the upper half, then 31 bits of the number under which it was
    /// noted, and whether the token is on the list of those whose use is to be written.
    used: AtomicU64,
}

/// What became of a use that was to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It is, or it was before.
    Yes,
    /// The token is on no list yet.
    Unlisted,
}

const LISTED: u64 = 1;
/// The bits of the second.
const SECOND: u64 = 0xffff_ffff_0000_0000;
/// The bits of the number in what is noted of a use.
const UNDER: u64 = 0xffff_fffe;

impl Slot {
    #[inline]
    const fn lock(&self) -> SeqLock<'_, WORDS> {
        SeqLock {
            number: &self.number,
            words: &self.words,
        }
    }

    /// Has both lines loaded, and waits for neither.
    #[inline]
    pub(super) fn start_loading(&self) {
        prefetch_index(&self.words, 0);
        prefetch_index(&self.words, WORDS.saturating_sub(1));
    }

    #[inline]
    pub(super) fn is_of(&self, key: [u64; 2]) -> bool {
        let [high, low, ..] = &self.words;
        // Without a branch between them: whoever looks at two slots waits for both together.
        (high.load(Ordering::Relaxed) ^ key[0]) | (low.load(Ordering::Relaxed) ^ key[1]) == 0
    }

    /// The words, and the number under which they stood there.
    #[inline]
    pub(super) fn read(&self) -> Option<(u64, [u64; WORDS])> {
        self.lock().read()
    }

    /// Writes the words. Never by two at once: the caller holds the lock of the cache's shard.
    pub(super) fn write(&self, words: &[u64; WORDS]) {
        self.lock().write(words, |number| {
            // Nothing is noted of a use under the new number yet; the second stays for who clears.
            let under = (number << 1) & UNDER;
            let again = |known: u64| Some((known & SECOND) | under);
            let _ = self
                .used
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, again);
        });
    }

    /// The second of the last use that was noted here.
    pub(in crate::cache) fn second(&self) -> u64 {
        self.used.load(Ordering::Relaxed) >> 32
    }

    /// Begins with the last use of another token. To be called while the slot is empty.
    pub(super) fn begin(&self, second: u64) {
        let again = |known: u64| Some((second << 32) | (known & !SECOND));
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, again);
    }

    /// Notes a use of the token that stood here under `number`. One load, if its second was noted.
    #[inline]
    pub(in crate::cache) fn note(&self, number: u64, second: u64) -> Noted {
        let known = self.used.load(Ordering::Relaxed);
        if known >> 32 >= second || known & UNDER != (number << 1) & UNDER {
            return Noted::Yes;
        }
        if known & LISTED == 0 {
            return Noted::Unlisted;
        }
        self.restate(number, |_, listed| (second, listed));
        Noted::Yes
    }

    /// Says that the token is on the list, or is none of those on it any more.
    pub(in crate::cache) fn list(&self, number: u64, second: u64, listed: bool) {
        self.restate(number, |known, _| (known.max(second), listed));
    }

    fn restate(&self, number: u64, next: impl Fn(u64, bool) -> (u64, bool)) {
        let under = (number << 1) & UNDER;
        // Fails where it is another token's by now, whose uses these are not.
        let _ = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |known| {
                let (second, listed) = next(known >> 32, known & LISTED != 0);
                (known & UNDER == under).then_some((second << 32) | under | u64::from(listed))
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_of_a_use_is_of_the_token_that_is_there() {
        let story = || {
            let slot = Slot::default();
            let put = |word| {
                slot.write(&[word; WORDS]);
                slot.read().unwrap().0
            };
            let first = put(1);
            assert_eq!(slot.note(first, 5), Noted::Unlisted);
            slot.list(first, 5, true);
            for second in [6, 7, 9] {
                assert_eq!(slot.note(first, second), Noted::Yes);
                assert_eq!(slot.second(), second);
            }
            slot.list(first, 8, false);
            assert_eq!(slot.second(), 9, "a use is not taken back");
            assert_eq!(slot.note(first, 10), Noted::Unlisted);
            // Of who is gone nothing is noted any more, and the next begins with its own.
            put(0);
            assert_eq!(slot.second(), 9, "for who clears");
            for (begins, word) in [(6, 2), (0, 3)] {
                slot.begin(begins);
                let number = put(word);
                assert_eq!(slot.second(), begins);
                assert_eq!(slot.note(first, 20), Noted::Yes);
                slot.list(first, 20, true);
                assert_eq!(slot.second(), begins);
                assert_eq!(slot.note(number, 7), Noted::Unlisted);
                slot.list(number, 7, true);
                assert_eq!(slot.second(), 7);
            }
        };
        shuttle::check_random(story, 1);
    }
}
