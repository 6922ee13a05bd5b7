//! A value that is there already, or will be: one return type for blocking and async callers.
//!
//! `.wait()` blocks the calling thread, `.await` suspends the calling task; neither needs a
//! runtime. What was started is carried through whether or not anybody waits for it: dropping a
//! `Pending` abandons the answer, not the work.

use crate::sync::{Condvar, Mutex};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use futures_channel::oneshot;
use std::sync::Arc;
use std::task::Wake;

/// An answer that is ready, or on its way.
#[must_use = "the work goes on by itself, but its outcome is only told to who waits for it"]
pub struct Pending<T>(State<T>);

enum State<T> {
    Ready(Option<T>),
    Waiting(oneshot::Receiver<T>, fn() -> T),
    Carried(Arc<dyn Work<T>>),
}

/// Work that somebody carries through, and that a thread which waits for it may do meanwhile.
pub trait Work<T>: Send + Sync {
    /// The answer, once; until then `context` is told when it is worth asking again.
    ///
    /// With `here`, what can be done is done by this call, and what comes later is left to the
    /// caller, who must ask until there is an answer. Without it, nothing is done.
    fn poll(self: Arc<Self>, context: &mut Context<'_>, here: bool) -> Poll<T>;
}

/// The other end of a [`Pending`]: whoever does the work answers here.
pub struct Answer<T>(oneshot::Sender<T>);

impl<T> Pending<T> {
    /// An answer that is there already.
    pub const fn ready(value: T) -> Self {
        Self(State::Ready(Some(value)))
    }

    /// An answer that is to come; `lost` makes one if the worker goes away without answering.
    pub fn waiting(lost: fn() -> T) -> (Answer<T>, Self) {
        let (sender, receiver) = oneshot::channel();
        (Answer(sender), Self(State::Waiting(receiver, lost)))
    }

    /// The answer of work that is under way.
    pub fn carried(work: Arc<dyn Work<T>>) -> Self {
        Self(State::Carried(work))
    }

    fn poll_by(&mut self, context: &mut Context<'_>, here: bool) -> Poll<T> {
        let answer = match &mut self.0 {
            // Polled again after it was ready: a future may then wait for ever, and must not panic.
            State::Ready(value) => return value.take().map_or(Poll::Pending, Poll::Ready),
            State::Waiting(receiver, lost) => {
                let lost = *lost;
                let answer = Pin::new(receiver).poll(context);
                answer.map(|value| value.unwrap_or_else(|_| lost()))
            }
            State::Carried(work) => Arc::clone(work).poll(context, here),
        };
        if answer.is_ready() {
            self.0 = State::Ready(None);
        }
        answer
    }

    /// Blocks the calling thread until the answer is there, and does the work meanwhile that is
    /// left to be done.
    ///
    /// In async code use `.await`, which does not hold up the runtime's thread. Inside an executor
    /// this holds up whatever else runs on its thread, and is otherwise as good as anywhere.
    #[inline]
    pub fn wait(self) -> T {
        match self.0 {
            State::Ready(Some(value)) => value,
            waiting => block_on(Self(waiting)),
        }
    }

    /// Whether the answer is there without waiting.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.0, State::Ready(_))
    }

    /// The answer if it is there already, or this `Pending` again.
    ///
    /// # Errors
    /// `Err` holds the unchanged `Pending`.
    pub fn try_ready(self) -> Result<T, Self> {
        match self.0 {
            State::Ready(Some(value)) => Ok(value),
            waiting => Err(Self(waiting)),
        }
    }
}

impl<T> Answer<T> {
    /// Answers; nothing happens if nobody waits any more.
    pub fn send(self, value: T) {
        let _ = self.0.send(value);
    }
}

// The value is moved out when it is ready and never pinned in place.
impl<T> Unpin for Pending<T> {}

impl<T> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.poll_by(context, false)
    }
}

/// Blocks the calling thread until `pending` is ready.
fn block_on<T>(mut pending: Pending<T>) -> T {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        match pending.poll_by(&mut context, true) {
            Poll::Ready(value) => return value,
            Poll::Pending => bell.wait(),
        }
    }
}

/// Wakes a thread that waits. It has a memory of its own, so that a thread that belongs to an
/// executor can wait here without taking the wake-up that was meant for its tasks.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    told: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = self.rung.lock();
        self.told.wait_while(&mut rung, |rung| !*rung);
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.rung.lock() = true;
        self.told.notify_one();
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_ready() {
            "Pending(ready)"
        } else {
            "Pending(waiting)"
        })
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_worlds_get_the_same_answer() {
        assert_eq!(Pending::ready(1).wait(), 1);
        assert_eq!(futures_executor::block_on(Pending::ready(1)), 1);
        let (answer, pending) = Pending::waiting(|| 0);
        assert!(!pending.is_ready());
        let worker = std::thread::spawn(move || answer.send(2));
        assert_eq!(pending.wait(), 2);
        assert!(worker.join().is_ok());
    }

    #[test]
    fn what_is_ready_can_be_taken_at_once_and_what_is_not_stays_to_be_waited_for() {
        let there = Pending::ready(1);
        assert!(there.is_ready());
        assert_eq!(format!("{there:?}"), "Pending(ready)");
        assert_eq!(there.try_ready().ok(), Some(1));
        let (answer, pending) = Pending::waiting(|| 0);
        assert_eq!(format!("{pending:?} {answer:?}"), "Pending(waiting) Answer");
        let pending = pending.try_ready().unwrap_err();
        answer.send(2);
        assert_eq!(pending.wait(), 2);
    }

    #[test]
    fn it_can_be_waited_for_inside_an_executor() {
        let outer = futures_executor::block_on(async {
            let (answer, pending) = Pending::waiting(|| 0);
            let worker = std::thread::spawn(move || {
                std::thread::sleep(core::time::Duration::from_millis(20));
                answer.send(3);
            });
            let inner = pending.wait();
            assert!(worker.join().is_ok());
            inner
        });
        assert_eq!(outer, 3);
    }

    #[test]
    fn waiting_takes_no_wake_up_that_is_meant_for_somebody_else() {
        let (answer, pending) = Pending::waiting(|| 0);
        let outer = std::thread::current();
        let worker = std::thread::spawn(move || {
            outer.unpark();
            std::thread::sleep(core::time::Duration::from_millis(20));
            answer.send(4);
        });
        assert_eq!(pending.wait(), 4);
        assert!(worker.join().is_ok());
        // Returns at once, since the wake-up is still there.
        let (done, told) = std::sync::mpsc::channel();
        let outer = std::thread::current();
        let rescue = std::thread::spawn(move || {
            let late = told
                .recv_timeout(core::time::Duration::from_secs(5))
                .is_err();
            outer.unpark();
            late
        });
        std::thread::park();
        let _ = done.send(());
        assert!(!rescue.join().unwrap(), "the wake-up was taken");
    }

    /// The answer races with the wait, in every order that shuttle finds.
    #[test]
    fn no_answer_is_slept_through() {
        crate::sync::model::check(2_000, || {
            let (answer, pending) = Pending::waiting(|| 0);
            let (gone, lost) = Pending::waiting(|| -1);
            let worker = shuttle::thread::spawn(move || {
                answer.send(5);
                shuttle::thread::yield_now();
                drop(gone);
            });
            assert_eq!((pending.wait(), lost.wait()), (5, -1));
            worker.join().unwrap();
        });
    }

    #[test]
    fn a_worker_that_goes_away_leaves_an_answer_not_a_hang() {
        let (answer, pending) = Pending::waiting(|| -1);
        drop(answer);
        assert_eq!(pending.wait(), -1);
    }
}
