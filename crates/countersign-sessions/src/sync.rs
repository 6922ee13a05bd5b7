//! The locks and atomics of the table, in one place so that a model checker can stand in.
//!
//! In unit tests of this crate they are shuttle's, which explores the orders in which threads can
//! meet; everything else, integration tests included, gets the real ones.

#[cfg(not(test))]
pub(crate) use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(test)]
pub(crate) use model::{Mutex, RwLock, alone};
#[cfg(test)]
pub(crate) use shuttle::sync::RwLockWriteGuard;
#[cfg(test)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering};

#[cfg(test)]
mod model {
    //! shuttle's locks with the interface of the real ones.

    use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// Runs a test of one thread, which takes locks and atomics that only a model can.
    pub(crate) fn alone(test: impl Fn() + Send + Sync + 'static) {
        shuttle::check_random(test, 1);
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
