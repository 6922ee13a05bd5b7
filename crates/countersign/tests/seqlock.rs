//! Hazard: a copy that is whole where all threads see all writes in one order, as in a model, and
//! torn where a processor or a compiler gives less.
//!
//! Miri gives less: what it loads may be any older value that the orderings allow
//! (`cargo xtask miri`). The lock is the engine's own file, over the atomics that the engine has.

/// What the file asks its crate for.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
}

#[path = "../src/cache/seqlock.rs"]
mod seqlock;

use seqlock::SeqLock;
use std::sync::atomic::AtomicU64;
use std::thread;

const WORDS: usize = 3;
/// Few for who interprets them, under each of many seeds.
const ROUNDS: u64 = if cfg!(miri) { 12 } else { 100_000 };

#[test]
fn what_is_read_was_written_together() {
    let number = AtomicU64::new(0);
    let words = [const { AtomicU64::new(0) }; WORDS];
    let lock = SeqLock {
        number: &number,
        words: &words,
    };
    let read = || {
        let (number, words) = lock.read()?;
        assert_eq!(words, [number / 2; WORDS], "torn");
        Some(number)
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                for number in (0..ROUNDS).filter_map(|_| read()) {
                    assert!(last <= number, "{number} after {last}");
                    last = number;
                }
            });
        }
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                lock.write(&[round; WORDS], |settled| assert_eq!(settled, 2 * round));
            }
        });
    });
    assert_eq!(read(), Some(2 * ROUNDS));
}
