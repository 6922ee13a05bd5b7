//! Those who watch a store: all are told, none is kept alive, and none can do harm.
//!
//! It is not the place for what a watcher does with what it hears.

use crate::store::Watcher;
use crate::sync::Mutex;
use core::fmt;
use countersign_core::Key;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

/// The watchers of one store: as many as are alive, and a few that no longer are.
#[derive(Default)]
pub struct Watchers(Mutex<Vec<Weak<dyn Watcher>>>);

impl Watchers {
    /// Adds one, for as long as somebody else keeps it alive.
    pub fn add(&self, watcher: &Arc<dyn Watcher>) {
        let mut all = self.0.lock();
        all.retain(|watcher| watcher.strong_count() > 0);
        all.push(Arc::downgrade(watcher));
    }

    /// Tells all that these records have changed.
    ///
    /// To be called once the change can be loaded: who is added later loads nothing older.
    pub fn changed(&self, keys: impl IntoIterator<Item = Key>) {
        let all = self.alive();
        if all.is_empty() {
            return;
        }
        let keys: Vec<Key> = keys.into_iter().collect();
        for watcher in all {
            // It may have dropped only some of them.
            if !contained(|| watcher.changed(&keys)) {
                contained(|| watcher.reset());
            }
            contained(|| drop(watcher));
        }
    }

    /// Tells all that anything may have changed.
    pub fn reset(&self) {
        for watcher in self.alive() {
            contained(|| watcher.reset());
            contained(|| drop(watcher));
        }
    }

    /// Tells all that anything may have changed, and lets go of them: they will hear no more.
    pub fn let_go(&self) {
        self.reset();
        self.0.lock().clear();
    }

    /// Those that are there, taken out of the lock: one that adds another must not wait for itself.
    fn alive(&self) -> Vec<Arc<dyn Watcher>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// Runs code that is not ours and may panic; says whether it came to its end.
fn contained(work: impl FnOnce()) -> bool {
    // The panic has been printed by its hook; there is nobody to hand it on to.
    catch_unwind(AssertUnwindSafe(work)).is_ok()
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.lock().len();
        f.debug_tuple("Watchers").field(&count).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Watcher for Deaf {
        fn changed(&self, _: &[Key]) {}

        fn reset(&self) {}
    }

    #[test]
    fn those_that_are_gone_take_up_no_room_once_another_comes() {
        let watchers = Watchers::default();
        let [stays, goes, comes]: [Arc<dyn Watcher>; 3] = [(); 3].map(|()| Arc::new(Deaf) as _);
        watchers.add(&stays);
        watchers.add(&goes);
        drop(goes);
        assert_eq!(format!("{watchers:?}"), "Watchers(2)");
        watchers.add(&comes);
        assert_eq!(format!("{watchers:?}"), "Watchers(2)");
        watchers.let_go();
        assert_eq!(format!("{watchers:?}"), "Watchers(0)");
    }
}
