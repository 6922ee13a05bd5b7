//! Waits that end: a server is another process, and does what it does when it gets to it.

use super::failure::{Failure, Outcome};
use core::time::Duration;
use std::thread;

/// How long one look is from the next.
const LOOK: Duration = Duration::from_millis(10);
/// How many looks are enough: a minute or so, for a look takes about as long as the pause.
const LOOKS: u32 = 3000;
/// The seconds after which a program that was asked for an answer is ended.
pub(super) const PROGRAM_S: &str = "60";

/// Looks until something holds; what is looked at may also fail for good.
///
/// No clock is read: a machine that is busy makes the wait longer, never shorter.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> Outcome<bool>) -> Outcome<()> {
    for _ in 0..LOOKS {
        if holds()? {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    Err(Failure::new(format!("waited in vain: {what}")))
}
