//! Hazard: a tick after the thread was stopped, two at once, a stop that is slept through, or that
//! waits for itself. Modelled with shuttle on the worker itself.

use super::*;
use crate::sync::check;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// In a model it is over at any moment.
const PAUSE: Duration = Duration::from_secs(1);

/// What is seen of the ticks from without.
#[derive(Default)]
struct Seen {
    at_work: AtomicBool,
    ticks: AtomicUsize,
}

impl Seen {
    /// A tick, long enough for another thread to come upon it.
    fn tick(&self) {
        assert!(!self.at_work.swap(true, Ordering::SeqCst), "two at once");
        thread::yield_now();
        self.ticks.fetch_add(1, Ordering::SeqCst);
        self.at_work.store(false, Ordering::SeqCst);
    }

    fn ticks(&self) -> usize {
        assert!(!self.at_work.load(Ordering::SeqCst), "at work when stopped");
        self.ticks.load(Ordering::SeqCst)
    }
}

#[test]
fn stopping_is_heard_at_any_moment_and_no_tick_comes_after_it() {
    check(|| {
        let seen = Arc::new(Seen::default());
        let own = Arc::clone(&seen);
        let worker = Worker::start("worker", PAUSE, move || own.tick()).unwrap();
        thread::yield_now();
        worker.stop();
        let ticks = seen.ticks();
        thread::yield_now();
        assert_eq!(seen.ticks(), ticks);
        // There is nothing left to stop, or to be on.
        worker.stop();
        assert!(!worker.is_current());
    });
}

#[test]
fn stopping_does_not_wait_for_the_pause_to_end() {
    check(|| {
        let worker = Worker::start("worker", Duration::MAX, || panic!("it ended")).unwrap();
        worker.stop();
    });
}

#[test]
fn a_tick_that_panics_is_followed_by_the_next() {
    check(|| {
        let (ticks, told) = (AtomicUsize::new(0), Arc::new(Seen::default()));
        let own = Arc::clone(&told);
        let tick = move || match ticks.fetch_add(1, Ordering::SeqCst) {
            0 => panic!("planted"),
            _ => own.tick(),
        };
        let worker = Worker::start("worker", PAUSE, tick).unwrap();
        while told.ticks.load(Ordering::SeqCst) == 0 {
            thread::yield_now();
        }
        worker.stop();
        assert!(told.ticks() > 0);
    });
}

/// Stops the worker when it is dropped, as the engine's last handle does.
struct Last {
    worker: Arc<Worker>,
    stopped: Arc<AtomicBool>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let (worker, stopped) = (Arc::clone(&self.worker), Arc::clone(&self.stopped));
        let stop = move || {
            worker.stop();
            stopped.store(true, Ordering::SeqCst);
        };
        if self.worker.is_current() {
            drop(thread::spawn(stop));
        } else {
            stop();
        }
    }
}

#[test]
fn the_last_handle_may_go_within_a_tick_whoever_stops_meanwhile() {
    check(|| {
        let handle: Arc<Mutex<Option<Last>>> = Arc::default();
        let within = Arc::clone(&handle);
        let tick = move || drop(within.lock().take());
        let worker = Arc::new(Worker::start("worker", PAUSE, tick).unwrap());
        let stopped = Arc::new(AtomicBool::new(false));
        *handle.lock() = Some(Last {
            worker: Arc::clone(&worker),
            stopped: Arc::clone(&stopped),
        });
        // Whoever comes second has nothing to wait for, and must not wait for the first.
        worker.stop();
        drop(handle.lock().take());
        while !stopped.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    });
}
