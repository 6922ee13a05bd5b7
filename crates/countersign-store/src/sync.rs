//! The locks and the thread of the store, in one place so that a model checker can stand in.
//!
//! In unit tests of this crate, what is made inside a model (`sync::model::check`) is shuttle's,
//! which explores the orders in which threads can meet; everything else gets the real ones.

#[cfg(not(test))]
pub(crate) use parking_lot::{Condvar, Mutex};
#[cfg(not(test))]
use std::thread::{Builder, JoinHandle, current};

#[cfg(test)]
use model::{Builder, JoinHandle, current};
#[cfg(test)]
pub(crate) use model::{Condvar, Mutex};

use std::io;

/// A thread of the store's own.
pub(crate) struct Worker(JoinHandle<()>);

impl Worker {
    pub(crate) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let builder = Builder::new().name(name.to_owned());
        builder.spawn(work).map(Self)
    }

    /// Waits until it has ended, unless it is the one that asks: it cannot wait for itself.
    pub(crate) fn join(self) {
        if self.0.thread().id() != current().id() {
            drop(self.0.join());
        }
    }
}

#[cfg(test)]
pub(crate) mod model;
