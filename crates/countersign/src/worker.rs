//! A thread that does the same again and again, until it is told to stop.

use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex, wait_for};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The thread, until it is stopped.
pub(crate) struct Worker {
    bell: Arc<Bell>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Bell {
    stopped: Mutex<bool>,
    rung: Condvar,
}

impl Worker {
    /// Starts a thread that waits for `pause`, calls `tick`, and so on.
    pub(crate) fn start(
        name: &str,
        pause: Duration,
        mut tick: impl FnMut() + Send + 'static,
    ) -> Result<Self, String> {
        let bell = Arc::new(Bell::default());
        let own = Arc::clone(&bell);
        let work = move || {
            while !own.wait(pause) {
                // A fault of ours in one round must not end the rounds after it.
                let _ = catch_unwind(AssertUnwindSafe(&mut tick));
            }
        };
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            bell,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whether this is called on the worker's own thread, which stopping would wait for.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.thread.lock();
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        thread.as_ref().is_some_and(own)
    }

    /// Ends the thread; the tick that it is at is done.
    pub(crate) fn stop(&self) {
        *self.bell.stopped.lock() = true;
        self.bell.rung.notify_all();
        // Not waited for under the lock: the tick that it is at may ask whether it is current.
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Bell {
    /// Waits for the next tick; answers whether to stop.
    fn wait(&self, pause: Duration) -> bool {
        let stopped = self.stopped.lock();
        *stopped || *wait_for(&self.rung, stopped, pause)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Worker")
    }
}

#[cfg(test)]
mod tests;
