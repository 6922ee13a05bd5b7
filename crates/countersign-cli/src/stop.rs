//! Ctrl-C: what was begun is finished, nothing new is begun.
//!
//! All commands are held to it, so that none is torn out of a commit. Long work asks [`check`]
//! between its batches. While a call waits for standard input nothing is under way and nothing
//! is left to flush, so it is let go at once, after putting in order what it holds.

use crate::failure::{Exit, Failure};
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ASKED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);
/// What is still to be done when the call is let go while it waits.
static PARTING: Mutex<Option<Parting>> = Mutex::new(None);

type Parting = Box<dyn FnOnce() + Send>;

/// From here on Ctrl-C asks for an end instead of making one.
pub(crate) fn watch() -> Result<(), Failure> {
    ctrlc::set_handler(asked_to_stop)
        .map_err(|error| Failure::new(Exit::Failed, "io", format_args!("Ctrl-C: {error}")))
}

/// Whether an end was asked for.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Acquire)
}

/// Goes on, unless an end was asked for.
pub(crate) fn check() -> Result<(), Failure> {
    match asked() {
        true => Err(Failure::stopped()),
        false => Ok(()),
    }
}

fn asked_to_stop() {
    let again = ASKED.swap(true, Ordering::AcqRel);
    if WAITING.load(Ordering::Acquire) {
        if let Some(parting) = parting().take() {
            parting();
        }
    } else if !again {
        if io::stderr().is_terminal() {
            // Whether anybody reads remarks is no matter.
            let _ = writeln!(
                io::stderr(),
                "stopping once what was begun is done; again: at once"
            );
        }
        return;
    }
    std::process::exit(Exit::Stopped as i32);
}

fn parting() -> MutexGuard<'static, Option<Parting>> {
    PARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What else is done if the call is let go while it waits for what it reads.
pub(crate) fn at_parting(then: impl FnOnce() + Send + 'static) {
    *parting() = Some(Box::new(then));
}

/// A source that may keep a call waiting for as long as somebody types.
pub(crate) struct Patient<R> {
    from: R,
}

impl<R: Read> Patient<R> {
    /// `at_parting` is done if the call is let go while it waits.
    pub(crate) fn new(from: R, at_parting: impl FnOnce() + Send + 'static) -> Self {
        self::at_parting(at_parting);
        Self { from }
    }
}

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if asked() {
            return Ok(0);
        }
        WAITING.store(true, Ordering::Release);
        let read = self.from.read(buffer);
        WAITING.store(false, Ordering::Release);
        read
    }
}

impl<R> Drop for Patient<R> {
    fn drop(&mut self) {
        *parting() = None;
    }
}
