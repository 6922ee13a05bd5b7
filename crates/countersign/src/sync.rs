//! The locks and atomics of the cache, and the threads of the engine, in one place so that a model
//! checker can stand in.
//!
//! In unit tests of this crate they are shuttle's, which explores the orders in which threads can
//! meet; everything else, integration tests included, gets the real ones.

#[cfg(not(test))]
pub(crate) use parking_lot::{Condvar, Mutex, RwLock};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(test))]
pub(crate) use std::{sync::mpsc, thread, thread_local};

#[cfg(test)]
pub(crate) use model::{Mutex, RwLock, check, wait_for};
#[cfg(test)]
pub(crate) use shuttle::sync::Condvar;
#[cfg(test)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(test)]
pub(crate) use shuttle::{sync::mpsc, thread, thread_local};

/// Waits until told, at most for so long.
#[cfg(not(test))]
pub(crate) fn wait_for<'a, T>(
    told: &Condvar,
    mut guard: parking_lot::MutexGuard<'a, T>,
    time: std::time::Duration,
) -> parking_lot::MutexGuard<'a, T> {
    let _ = told.wait_for(&mut guard, time);
    guard
}

#[cfg(test)]
mod model {
    //! shuttle's locks with the interface of the real ones.

    use shuttle::sync::{Condvar, MutexGuard, RwLockReadGuard, RwLockWriteGuard};
    use std::time::Duration;

    /// How many orders each model runs in, at random and as many bent.
    const ORDERS: usize = 1000;

    pub(crate) fn check(model: impl Fn() + Send + Sync + Copy + 'static) {
        shuttle::check_random(model, ORDERS);
        shuttle::check_pct(model, ORDERS, 3);
    }

    /// A model has no clock: what is not for ever may be over at any moment, so that nothing may
    /// depend on being told; what is for ever ends by being told alone.
    pub(crate) fn wait_for<'a, T>(
        told: &Condvar,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> MutexGuard<'a, T> {
        if time == Duration::MAX {
            return told.wait(guard).unwrap();
        }
        shuttle::thread::yield_now();
        guard
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }

        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap()
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap()
        }
    }
}
