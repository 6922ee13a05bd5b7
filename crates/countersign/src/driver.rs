//! Carries operations through, whether or not anybody waits for them.
//!
//! An operation first runs on the calling thread; most of those that only read are done then.
//! One that has to wait for a commit goes to a single thread that polls it to its end, so that a
//! caller who goes away, as an HTTP client does, leaves nothing half done. A caller whose thread
//! must not wait for the disk, as one of an async runtime, has all of it done there (`off_thread`).

use countersign_store::pending::Pending;
use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use parking_lot::Mutex;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

thread_local! {
    /// Whether this thread has its operations done by the driver from their beginning.
    static OFF_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Makes a call whose operations are not begun on this thread.
///
/// What a call says before it starts an operation is from memory alone; a flag of the thread
/// reaches all of them, those within others too, without a second form of every method.
pub(crate) fn off_thread<T>(call: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            OFF_THREAD.set(self.0);
        }
    }
    let _restore = Restore(OFF_THREAD.replace(true));
    call()
}

/// The thread and the way to it.
pub(crate) struct Driver {
    /// Gone once the driver is stopped. It has no bound of its own: what is in it was asked for by
    /// somebody who waits, and how many those are at once is the host's to limit.
    tasks: Mutex<Option<UnboundedSender<BoxFuture<'static, ()>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Driver {
    pub(crate) fn start() -> Result<Self, String> {
        let (tasks, mut inbox) = mpsc::unbounded::<BoxFuture<'static, ()>>();
        let work = async move {
            let mut running = FuturesUnordered::new();
            loop {
                // With nothing running, only the inbox can make progress.
                if running.is_empty() {
                    match inbox.next().await {
                        Some(task) => running.push(task),
                        None => return,
                    }
                }
                match select(running.next(), inbox.next()).await {
                    Either::Left(_) => {}
                    Either::Right((Some(task), _)) => running.push(task),
                    Either::Right((None, _)) => break,
                }
            }
            // Stopped: what was started is still carried through.
            while running.next().await.is_some() {}
        };
        let thread = thread::Builder::new()
            .name("countersign-driver".to_owned())
            .spawn(move || futures_executor::block_on(work))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            tasks: Mutex::new(Some(tasks)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Starts an operation now and sees it through; `lost` is the answer should the driver be
    /// stopped before it gets there.
    pub(crate) fn run<T, F>(&self, lost: fn() -> T, operation: F) -> Pending<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let mut operation: BoxFuture<'static, T> = Box::pin(operation);
        let mut context = Context::from_waker(Waker::noop());
        if !OFF_THREAD.get()
            && let Poll::Ready(value) = Pin::new(&mut operation).poll(&mut context)
        {
            return Pending::ready(value);
        }
        let (answer, pending) = Pending::waiting(lost);
        // A fault of ours in one operation must not take the others with it: its answer is `lost`.
        let task = AssertUnwindSafe(operation).catch_unwind();
        let task = task
            .map(|value| value.map_or((), |value| answer.send(value)))
            .boxed();
        if let Some(tasks) = &*self.tasks.lock() {
            // Fails only once the driver has stopped, and then the answer is `lost`.
            let _ = tasks.unbounded_send(task);
        }
        pending
    }

    /// Whether this is called on the driver's own thread.
    pub(crate) fn is_current(&self) -> bool {
        let thread = self.thread.lock();
        thread
            .as_ref()
            .is_some_and(|own| own.thread().id() == thread::current().id())
    }

    /// Takes no more, sees everything through that was started, and ends the thread.
    pub(crate) fn stop(&self) {
        drop(self.tasks.lock().take());
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn what_is_ready_at_once_never_leaves_the_calling_thread() {
        let driver = Driver::start().unwrap();
        let here = thread::current().id();
        let pending = driver.run(|| None, async move { Some(thread::current().id()) });
        assert!(pending.is_ready());
        assert_eq!(pending.wait(), Some(here));
    }

    #[test]
    fn off_thread_nothing_is_begun_on_the_calling_thread_until_the_call_is_over() {
        let driver = Driver::start().unwrap();
        let here = thread::current().id();
        let ran_on = || driver.run(|| None, async move { Some(thread::current().id()) });
        let pending = off_thread(|| off_thread(ran_on));
        assert_ne!(pending.wait(), Some(here));
        let caught =
            std::panic::catch_unwind(AssertUnwindSafe(|| off_thread(|| panic!("planted"))));
        assert!(caught.is_err());
        let after = ran_on();
        assert!(after.is_ready());
        assert_eq!(after.wait(), Some(here));
    }

    #[test]
    fn dropping_the_pending_does_not_drop_the_work() {
        let driver = Driver::start().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let (answer, gate) = Pending::waiting(|| ());
        let flag = Arc::clone(&done);
        let pending = driver.run(|| (), async move {
            gate.await;
            flag.store(true, Ordering::SeqCst);
        });
        drop(pending);
        answer.send(());
        driver.stop();
        assert!(done.load(Ordering::SeqCst));
    }

    #[test]
    fn an_operation_that_panics_is_lost_and_takes_no_other_with_it() {
        let driver = Driver::start().unwrap();
        let (answer, gate) = Pending::waiting(|| ());
        let doomed = driver.run(|| "lost", async move {
            gate.await;
            panic!("planted")
        });
        answer.send(());
        assert_eq!(doomed.wait(), "lost");
        let (answer, gate) = Pending::waiting(|| "lost");
        let next = driver.run(|| "lost", gate);
        answer.send("done");
        assert_eq!(next.wait(), "done");
    }

    #[test]
    fn after_it_is_stopped_an_operation_that_must_wait_is_lost_not_hung() {
        let driver = Driver::start().unwrap();
        driver.stop();
        let (_answer, gate) = Pending::waiting(|| 0);
        assert_eq!(driver.run(|| -1, gate).wait(), -1);
    }
}
