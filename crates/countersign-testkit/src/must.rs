//! Values that a test cannot go on without, and waits that end.

use core::fmt::Debug;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::thread;

/// How long one look is from the next.
const LOOK: Duration = Duration::from_millis(2);
const LOOK_MS: u128 = LOOK.as_millis();

/// The value; an error ends the test.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "what a test cannot go on without ends the test"
)]
pub fn must<T, E: Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

/// The value; nothing ends the test, which says what is missing.
#[track_caller]
pub fn must_be<T>(value: Option<T>, what: &str) -> T {
    must(value.ok_or(what))
}

/// Looks until `holds`, for about as long as `most`; answers whether it came to hold.
///
/// No clock is read: a machine that is busy makes the wait longer, never shorter.
#[must_use]
pub fn wait_until(most: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let looks = most.as_millis().div_ceil(LOOK_MS);
    for _ in 0..looks {
        if holds() {
            return true;
        }
        thread::sleep(LOOK);
    }
    holds()
}

/// Raises a flag when it goes, also when a test fails: threads that wait for it then end too.
#[derive(Debug)]
pub struct Ending<'a>(pub &'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
