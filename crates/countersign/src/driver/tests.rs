//! Hazard: an operation that had to wait is done twice at once, or by nobody, or its answer is
//! slept through, or stopping waits for itself. Modelled with shuttle on the driver itself:
//! thousands of orders in which its thread, those who wait and those who answer can meet.

use super::*;
use crate::sync::check;
use shuttle::sync::Condvar;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::future::poll_fn;

/// How somebody waits for an operation.
#[derive(Clone, Copy)]
enum Wait {
    /// As `.wait()` does: the waiting thread does the work.
    Here,
    /// As `.await` does: the driver's thread does it.
    There,
    /// First as `.await`, then as `.wait()`.
    ThereThenHere,
    /// Nobody does.
    Gone,
}

impl Wait {
    const ANSWERED: [Self; 3] = [Self::Here, Self::There, Self::ThereThenHere];

    /// The answer, if this is a way to get one.
    fn wait<T: Send + 'static>(self, begun: Result<T, Arc<Task<T>>>) -> Option<T> {
        let task = match begun {
            Ok(value) => return Some(value),
            Err(task) => task,
        };
        let poll = |context: &mut Context<'_>, here| Arc::clone(&task).poll(context, here);
        match self {
            Self::Gone => return None,
            Self::Here => {}
            Self::There => {
                let there = poll_fn(|context| poll(context, false));
                return Some(shuttle::future::block_on(there));
            }
            Self::ThereThenHere => {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(value) = poll(&mut context, false) {
                    return Some(value);
                }
            }
        }
        // As in `Pending::wait`, which has a model of its own in its crate.
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let mut context = Context::from_waker(&waker);
        loop {
            match poll(&mut context, true) {
                Poll::Ready(value) => return Some(value),
                Poll::Pending => bell.wait(),
            }
        }
    }
}

#[derive(Default)]
struct Bell {
    rung: shuttle::sync::Mutex<bool>,
    told: Condvar,
}

impl Bell {
    fn wait(&self) {
        let rung = self.rung.lock().unwrap();
        *self.told.wait_while(rung, |rung| !*rung).unwrap() = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.told.notify_one();
    }
}

/// What is seen of operations from without.
#[derive(Default)]
struct Seen {
    at_work: AtomicBool,
    parts: AtomicUsize,
}

impl Seen {
    /// A part of an operation, long enough for another thread to come upon it.
    fn part(&self) {
        assert!(!self.at_work.swap(true, Ordering::SeqCst), "done twice");
        thread::yield_now();
        self.parts.fetch_add(1, Ordering::SeqCst);
        self.at_work.store(false, Ordering::SeqCst);
    }

    fn parts(&self) -> usize {
        self.parts.load(Ordering::SeqCst)
    }
}

/// Something to wait for, and who answers it in time.
fn later() -> (Pending<bool>, JoinHandle<()>) {
    let (answer, gate) = Pending::waiting(|| false);
    (gate, thread::spawn(move || answer.send(true)))
}

#[test]
fn what_is_ready_at_once_never_leaves_the_calling_thread() {
    check(|| {
        let driver = Driver::start().unwrap();
        let here = thread::current().id();
        let pending = driver.run(|| None, async move { Some(thread::current().id()) });
        assert!(pending.is_ready());
        assert_eq!(pending.try_ready().ok(), Some(Some(here)));
    });
}

#[test]
fn off_thread_nothing_is_begun_on_the_calling_thread_until_the_call_is_over() {
    check(|| {
        let driver = Driver::start().unwrap();
        let here = thread::current().id();
        let ran_on = || driver.begin(|| None, async move { Some(thread::current().id()) });
        for wait in Wait::ANSWERED {
            let begun = off_thread(|| off_thread(ran_on));
            let there = wait.wait(begun).flatten();
            assert!(there.is_some_and(|there| there != here));
        }
        assert_eq!(ran_on().ok().flatten(), Some(here));
    });
}

#[test]
fn off_thread_ends_with_a_call_that_panics() {
    shuttle::check_random(
        || {
            let caught = catch_unwind(AssertUnwindSafe(|| off_thread(|| panic!("planted"))));
            assert!(caught.is_err());
            assert!(!OFF_THREAD.with(Cell::get));
        },
        1,
    );
}

#[test]
fn each_part_is_done_once_by_who_waits_or_by_the_drivers_thread() {
    for wait in [Wait::Here, Wait::There, Wait::ThereThenHere, Wait::Gone] {
        check(move || {
            let driver = Arc::new(Driver::start().unwrap());
            let seen = Arc::new(Seen::default());
            let [(one, first), (two, second)] = [later(), later()];
            let part = Arc::clone(&seen);
            let begun = driver.begin(|| false, async move {
                part.part();
                let answers = one.await;
                part.part();
                let answers = two.await && answers;
                part.part();
                answers
            });
            let kept = begun.as_ref().err().map(Arc::clone);
            if let Some(answer) = wait.wait(begun) {
                assert_eq!((answer, seen.parts()), (true, 3));
            }
            // What nobody waits for is carried through before the driver ends, which a task that is
            // done does not keep it from.
            driver.stop();
            assert_eq!(seen.parts(), 3);
            drop(kept);
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

/// Panics as soon as it can go on, and again when it is dropped.
struct Doomed {
    gate: Pending<bool>,
    polled: bool,
}

impl Future for Doomed {
    type Output = &'static str;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // Before it is carried, a panic is the caller's own.
        if !core::mem::replace(&mut self.polled, true) {
            return Poll::Pending;
        }
        match Pin::new(&mut self.gate).poll(context) {
            Poll::Ready(_) => panic!("planted"),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        panic!("planted as well");
    }
}

#[test]
fn an_operation_that_panics_is_answered_and_takes_no_other_with_it() {
    for wait in Wait::ANSWERED {
        check(move || {
            let driver = Driver::start().unwrap();
            let [(one, first), (two, second)] = [later(), later()];
            let doomed = Doomed {
                gate: one,
                polled: false,
            };
            let doomed = driver.begin(|| "lost", doomed);
            let next = driver.begin(|| false, two);
            assert_eq!(wait.wait(doomed), Some("lost"));
            assert_eq!(wait.wait(next), Some(true));
            driver.stop();
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}

#[test]
fn stopping_sees_through_what_was_started_and_answers_what_came_too_late() {
    for wait in Wait::ANSWERED {
        check(move || {
            let driver = Arc::new(Driver::start().unwrap());
            let seen = Arc::new(Seen::default());
            let (gate, answering) = later();
            let (own, part) = (Arc::clone(&driver), Arc::clone(&seen));
            let calling = thread::spawn(move || {
                let begun = own.begin(|| false, async move {
                    let answer = gate.await;
                    part.part();
                    answer
                });
                wait.wait(begun).unwrap()
            });
            driver.stop();
            let answer = calling.join().unwrap();
            assert_eq!(seen.parts(), usize::from(answer), "the answer is the truth");
            answering.join().unwrap();
            // It has to wait for ever, and is answered.
            let (_kept, gate) = Pending::waiting(|| true);
            assert_eq!(wait.wait(driver.begin(|| false, gate)), Some(false));
        });
    }
}

/// Stops the driver when it is dropped, as the engine's last handle does.
struct Last {
    driver: Arc<Driver>,
    stopped: Arc<AtomicBool>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let (driver, stopped) = (Arc::clone(&self.driver), Arc::clone(&self.stopped));
        let stop = move || {
            driver.stop();
            stopped.store(true, Ordering::SeqCst);
        };
        if self.driver.is_current() {
            drop(thread::spawn(stop));
        } else {
            stop();
        }
    }
}

#[test]
fn the_last_handle_may_go_within_an_operation_or_with_it() {
    for wait in [Wait::Here, Wait::There, Wait::ThereThenHere, Wait::Gone] {
        for early in [true, false] {
            check(move || {
                let driver = Arc::new(Driver::start().unwrap());
                let stopped = Arc::new(AtomicBool::new(false));
                let last = Last {
                    driver: Arc::clone(&driver),
                    stopped: Arc::clone(&stopped),
                };
                let (gate, answering) = later();
                let begun = driver.begin(
                    || false,
                    Holding {
                        gate,
                        last: Some(last),
                        early,
                    },
                );
                assert_ne!(wait.wait(begun), Some(false));
                answering.join().unwrap();
                while !stopped.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
            });
        }
    }
}

/// Lets go of the last handle once it can go on, or when it is dropped itself.
struct Holding {
    gate: Pending<bool>,
    last: Option<Last>,
    early: bool,
}

impl Future for Holding {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        let answer = Pin::new(&mut self.gate).poll(context);
        if answer.is_ready() && self.early {
            drop(self.last.take());
        }
        answer
    }
}
