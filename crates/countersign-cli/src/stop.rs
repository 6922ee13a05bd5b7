//! Ctrl-C: what was begun is finished, nothing new is begun.
//!
//! Long work asks [`check`] between its batches. While a call waits for standard input nothing is
//! under way and nothing is left to flush, so it is let go at once, after closing the store.

use crate::failure::{Exit, Failure};
use countersign::Engine;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ASKED: AtomicBool = AtomicBool::new(false);
static WAITING: AtomicBool = AtomicBool::new(false);
/// What to close when the call is let go while it waits.
static HELD: Mutex<Option<Engine>> = Mutex::new(None);

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
        if let Some(engine) = held().take() {
            // There is nobody to tell how it went.
            let _ = engine.close().wait();
        }
    } else if !again {
        // What was begun goes on; a second Ctrl-C does not wait for it.
        return;
    }
    std::process::exit(Exit::Stopped as i32);
}

fn held() -> MutexGuard<'static, Option<Engine>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source that may keep a call waiting for as long as somebody types.
pub(crate) struct Patient<R> {
    from: R,
}

impl<R: Read> Patient<R> {
    /// `engine` is closed if the call is let go while it waits.
    pub(crate) fn new(from: R, engine: &Engine) -> Self {
        *held() = Some(engine.clone());
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
        *held() = None;
    }
}
