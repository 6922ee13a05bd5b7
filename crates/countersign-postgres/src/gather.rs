//! Reads that wait while enough are under way, and then go together as one statement.
//!
//! Who asks alone is never held up by this. Where many ask at once, most of what the database does
//! for each is the statement itself, and not the record.

use core::fmt;
use countersign_core::Key;
use countersign_store::{Loaded, StoreError};
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::oneshot;

/// The most records that are asked for together.
const KEYS_MAX: usize = 1024;

/// A read that waits.
pub(crate) struct Waiting {
    pub(crate) keys: Vec<Key>,
    pub(crate) answer: oneshot::Sender<Result<Loaded, StoreError>>,
}

/// When a read is sent.
pub(crate) enum Turn {
    /// By whoever asked, who says afterwards that it is through.
    Now,
    /// With others, by whoever is through next.
    Later(oneshot::Receiver<Result<Loaded, StoreError>>),
}

/// What is under way, and what waits.
pub(crate) struct Gathered {
    state: Mutex<State>,
    /// How many statements may be under way.
    most: usize,
}

#[derive(Default)]
struct State {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

impl Gathered {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            most,
        }
    }

    /// Takes a read in, or says that it is to be sent at once.
    pub(crate) fn ask(&self, keys: &[Key]) -> Turn {
        let mut state = self.state.lock();
        if state.under_way < self.most {
            state.under_way = state.under_way.saturating_add(1);
            return Turn::Now;
        }
        let (answer, told) = oneshot::channel();
        let keys = keys.to_vec();
        state.waiting.push_back(Waiting { keys, answer });
        Turn::Later(told)
    }

    /// Says that a statement is through; what is answered goes next, in its place. Nothing where
    /// nothing waits.
    pub(crate) fn through(&self) -> Vec<Waiting> {
        let mut state = self.state.lock();
        let mut keys = 0usize;
        let mut next = Vec::new();
        while let Some(first) = state.waiting.front() {
            keys = keys.saturating_add(first.keys.len());
            if keys > KEYS_MAX && !next.is_empty() {
                break;
            }
            next.extend(state.waiting.pop_front());
        }
        if next.is_empty() {
            state.under_way = state.under_way.saturating_sub(1);
        }
        next
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered")
            .field("under_way", &self.state.lock().under_way)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testkit::samples;

    fn keys(count: u64) -> Vec<Key> {
        (0..count)
            .map(|number| Key::usage(samples::selector(number)))
            .collect()
    }

    fn is_now(gathered: &Gathered, count: u64) -> bool {
        matches!(gathered.ask(&keys(count)), Turn::Now)
    }

    #[test]
    fn what_waits_goes_together_and_leaves_nobody_behind() {
        let gathered = Gathered::new(2);
        assert!(is_now(&gathered, 1) && is_now(&gathered, 1));
        assert!(!is_now(&gathered, 2) && !is_now(&gathered, 3));
        let counts: Vec<usize> = gathered
            .through()
            .iter()
            .map(|one| one.keys.len())
            .collect();
        assert_eq!(counts, [2, 3], "in the order in which they were asked");
        // They are under way in the place of the first.
        assert!(!is_now(&gathered, 1));
        assert_eq!(gathered.through().len(), 1);
        assert!(gathered.through().is_empty() && gathered.through().is_empty());
        assert!(is_now(&gathered, 1) && is_now(&gathered, 1));
        assert!(!is_now(&gathered, 1));
    }

    #[test]
    fn one_statement_asks_for_so_many_records_and_one_read_is_never_split() {
        let gathered = Gathered::new(0);
        let most = KEYS_MAX as u64;
        for count in [most + 1, most - 1, 1, 1] {
            assert!(!is_now(&gathered, count));
        }
        let all: Vec<usize> = (0..4).map(|_| gathered.through().len()).collect();
        assert_eq!(all, [1, 2, 1, 0]);
    }
}
