//! shuttle's locks and threads with the interface of the real ones, and the real ones outside a
//! model: most tests of this crate have threads of the system's.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use shuttle::rand::Rng;
use std::cell::Cell;
use std::io;

/// What one thread of a model may have on its stack: redb wants more than shuttle gives.
const STACK_BYTES: usize = 512 * 1024;

thread_local! {
    /// Whether what is made here is shuttle's. All threads of a model run on one of the system's.
    static MODELLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a model in as many orders, at random and bent at a few points.
pub(crate) fn check(orders: usize, model: impl Fn() + Send + Sync + Copy + 'static) {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            MODELLED.set(false);
        }
    }
    let _restore = Restore;
    MODELLED.set(true);
    let mut config = shuttle::Config::new();
    config.stack_size = STACK_BYTES;
    let random = shuttle::scheduler::RandomScheduler::new(orders);
    shuttle::Runner::new(random, config.clone()).run(model);
    let bent = shuttle::scheduler::PctScheduler::new(3, orders);
    shuttle::Runner::new(bent, config).run(model);
}

#[derive(Debug)]
pub(crate) enum Mutex<T> {
    Real(parking_lot::Mutex<T>),
    Model(Box<shuttle::sync::Mutex<T>>),
}

pub(crate) enum Guard<'a, T> {
    Real(parking_lot::MutexGuard<'a, T>),
    /// Gone while it is waited.
    Model(
        &'a shuttle::sync::Mutex<T>,
        Option<shuttle::sync::MutexGuard<'a, T>>,
    ),
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        if MODELLED.get() {
            Self::Model(Box::new(shuttle::sync::Mutex::new(value)))
        } else {
            Self::Real(parking_lot::Mutex::new(value))
        }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        match self {
            Self::Real(real) => Guard::Real(real.lock()),
            Self::Model(model) => Guard::Model(model, Some(model.lock().unwrap())),
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Real(guard) => guard,
            Self::Model(_, guard) => guard.as_ref().unwrap(),
        }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Self::Real(guard) => guard,
            Self::Model(_, guard) => guard.as_mut().unwrap(),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Condvar {
    Real(parking_lot::Condvar),
    Model(shuttle::sync::Condvar),
}

impl Condvar {
    pub(crate) fn new() -> Self {
        if MODELLED.get() {
            Self::Model(shuttle::sync::Condvar::new())
        } else {
            Self::Real(parking_lot::Condvar::new())
        }
    }

    pub(crate) fn notify_one(&self) {
        match self {
            Self::Real(real) => {
                real.notify_one();
            }
            Self::Model(model) => model.notify_one(),
        }
    }

    pub(crate) fn wait_while<T>(
        &self,
        guard: &mut Guard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        match (self, guard) {
            (Self::Real(real), Guard::Real(guard)) => real.wait_while(guard, condition),
            (Self::Model(model), Guard::Model(_, guard)) => {
                while condition(guard.as_mut().unwrap()) {
                    *guard = Some(model.wait(guard.take().unwrap()).unwrap());
                }
            }
            _ => panic!("a lock of a model with one that is not"),
        }
    }

    /// In a model time is up at any moment, so nothing may depend on being told.
    pub(crate) fn wait_while_for<T>(
        &self,
        guard: &mut Guard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) {
        match (self, guard) {
            (Self::Real(real), Guard::Real(guard)) => {
                real.wait_while_for(guard, condition, timeout);
            }
            (Self::Model(_), Guard::Model(mutex, guard)) => {
                while condition(guard.as_mut().unwrap()) && shuttle::rand::thread_rng().r#gen() {
                    drop(guard.take());
                    shuttle::thread::yield_now();
                    *guard = Some(mutex.lock().unwrap());
                }
            }
            _ => panic!("a lock of a model with one that is not"),
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) struct Builder(Option<String>);

impl Builder {
    pub(super) fn new() -> Self {
        Self(None)
    }

    pub(super) fn name(mut self, name: String) -> Self {
        self.0 = Some(name);
        self
    }

    pub(super) fn spawn(self, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
        let name = self.0.unwrap();
        if MODELLED.get() {
            let builder = shuttle::thread::Builder::new().name(name);
            let handle = builder.spawn(work)?;
            Ok(JoinHandle::Model(Box::new(handle)))
        } else {
            let builder = std::thread::Builder::new().name(name);
            builder.spawn(work).map(JoinHandle::Real)
        }
    }
}

pub(super) enum JoinHandle<T> {
    Real(std::thread::JoinHandle<T>),
    Model(Box<shuttle::thread::JoinHandle<T>>),
}

/// As much of a thread as is asked for.
pub(super) struct Thread(ThreadId);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ThreadId {
    Real(std::thread::ThreadId),
    Model(shuttle::thread::ThreadId),
}

impl Thread {
    pub(super) fn id(&self) -> ThreadId {
        self.0
    }
}

impl<T> JoinHandle<T> {
    pub(super) fn thread(&self) -> Thread {
        Thread(match self {
            Self::Real(real) => ThreadId::Real(real.thread().id()),
            Self::Model(model) => ThreadId::Model(model.thread().id()),
        })
    }

    pub(super) fn join(self) -> std::thread::Result<T> {
        match self {
            Self::Real(real) => real.join(),
            Self::Model(model) => model.join(),
        }
    }
}

pub(super) fn current() -> Thread {
    Thread(if MODELLED.get() {
        ThreadId::Model(shuttle::thread::current().id())
    } else {
        ThreadId::Real(std::thread::current().id())
    })
}
