//! Counts what judging costs, for the tests of equal work: hashes made and digests compared.

use core::cell::Cell;

thread_local! {
    static DONE: Cell<Work> = const { Cell::new(Work { hashes: 0, comparisons: 0 }) };
}

/// What was done on this thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) hashes: u32,
    pub(crate) comparisons: u32,
}

pub(crate) fn hashed() {
    note(|work| work.hashes = work.hashes.wrapping_add(1));
}

pub(crate) fn compared() {
    note(|work| work.comparisons = work.comparisons.wrapping_add(1));
}

/// What `judge` costs.
pub(crate) fn of<T>(judge: impl FnOnce() -> T) -> (T, Work) {
    DONE.set(Work::default());
    let judged = judge();
    (judged, DONE.get())
}

fn note(change: impl FnOnce(&mut Work)) {
    let mut work = DONE.get();
    change(&mut work);
    DONE.set(work);
}
