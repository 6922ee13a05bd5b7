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
    /// Not at all: too many wait already.
    Never,
}

/// What is under way, and what waits.
pub(crate) struct Gathered {
    state: Mutex<State>,
    /// How many statements may be under way.
    most: usize,
    /// How many reads may wait.
    queue: usize,
}

#[derive(Default)]
struct State {
    under_way: usize,
    waiting: VecDeque<Waiting>,
}

impl Gathered {
    pub(crate) fn new(most: usize, queue: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            most,
            queue,
        }
    }

    /// Takes a read in, or says that it is to be sent at once.
    pub(crate) fn ask(&self, keys: &[Key]) -> Turn {
        let mut state = self.state.lock();
        if state.under_way < self.most {
            state.under_way = state.under_way.saturating_add(1);
            return Turn::Now;
        }
        if state.waiting.len() >= self.queue {
            // Whoever was not waited for to the end makes room.
            state.waiting.retain(|one| !one.answer.is_closed());
            if state.waiting.len() >= self.queue {
                return Turn::Never;
            }
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
            if first.answer.is_closed() {
                // Nobody waits for it any more.
                state.waiting.pop_front();
                continue;
            }
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

    /// Asks for so many records; answers who waits, if it has to.
    fn ask(
        gathered: &Gathered,
        count: u64,
    ) -> Option<oneshot::Receiver<Result<Loaded, StoreError>>> {
        match gathered.ask(&keys(count)) {
            Turn::Later(waiting) => Some(waiting),
            Turn::Now => None,
            Turn::Never => panic!("turned away"),
        }
    }

    #[test]
    fn what_waits_goes_together_and_leaves_nobody_behind() {
        let gathered = Gathered::new(2, 9);
        let mut waiting = Vec::new();
        let mut is_now = |count| {
            let asked = ask(&gathered, count);
            let is_now = asked.is_none();
            waiting.extend(asked);
            is_now
        };
        assert!(is_now(1) && is_now(1));
        assert!(!is_now(2) && !is_now(3));
        let counts: Vec<usize> = gathered
            .through()
            .iter()
            .map(|one| one.keys.len())
            .collect();
        assert_eq!(counts, [2, 3], "in the order in which they were asked");
        // They are under way in the place of the first.
        assert!(!is_now(1));
        assert_eq!(gathered.through().len(), 1);
        assert!(gathered.through().is_empty() && gathered.through().is_empty());
        assert!(is_now(1) && is_now(1));
        assert!(!is_now(1));
    }

    #[test]
    fn one_statement_asks_for_so_many_records_and_one_read_is_never_split() {
        let gathered = Gathered::new(0, 9);
        let most = KEYS_MAX as u64;
        let asked = [most + 1, most - 1, 1, 1].map(|count| ask(&gathered, count));
        assert!(asked.iter().all(Option::is_some));
        let all: Vec<usize> = (0..4).map(|_| gathered.through().len()).collect();
        assert_eq!(all, [1, 2, 1, 0]);
    }

    #[test]
    fn so_many_wait_and_those_that_nobody_waits_for_are_not_asked_for() {
        let gathered = Gathered::new(0, 2);
        let (first, gone) = (ask(&gathered, 1), ask(&gathered, 2));
        assert!(matches!(gathered.ask(&keys(3)), Turn::Never));
        drop(gone);
        let last = ask(&gathered, 3);
        let counts: Vec<usize> = gathered
            .through()
            .iter()
            .map(|one| one.keys.len())
            .collect();
        assert_eq!(counts, [1, 3]);
        assert!(gathered.through().is_empty());
        let over = (ask(&gathered, 1), ask(&gathered, 2));
        drop((first, last, over));
        assert!(gathered.through().is_empty(), "nobody waits");
    }
}
