//! The suite that every store must pass: each promise of the `Store` trait as one case.
//!
//! A store is made empty, under the keys of [`crate::samples::keys`], and shows
//! each case under its name as a test of its own:
//!
//! ```
//! mod memory {
//!     use countersign_store::MemoryStore;
//!     use countersign_testkit::Specimen;
//!     use std::sync::Arc;
//!
//!     countersign_testkit::suite!(|| Specimen::new(Arc::new(MemoryStore::new([]))));
//! }
//! # fn main() {
//! #     assert!(countersign_testkit::conformance::CASES.len() > 20);
//! # }
//! ```

mod bounds;
mod closing;
mod commits;
mod concurrent;
mod feed;
mod reads;
mod records;
mod watch;

use crate::must::must;
use crate::samples;
use core::any::Any;
use core::fmt;
use core::ops::Deref;
use countersign_core::{Batch, Expect, Key, Record, Versioned};
use countersign_store::{CommitError, Revision, Store};
use std::sync::Arc;

/// A store under test, and what has to live as long as it does, such as its directory.
pub struct Specimen {
    store: Arc<dyn Store>,
    /// Dropped after the store.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Specimen {
    /// A store that needs nothing around it.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::keeping(store, ())
    }

    /// A store, and what must outlive it.
    #[must_use]
    pub fn keeping(store: Arc<dyn Store>, kept: impl Any + Send + Sync) -> Self {
        let kept = Box::new(kept);
        Self { store, _kept: kept }
    }
}

impl Deref for Specimen {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl fmt::Debug for Specimen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Specimen").finish_non_exhaustive()
    }
}

/// Makes empty stores.
pub type Make<'a> = dyn Fn() -> Specimen + 'a;

/// One promise, and how it is tried.
#[derive(Clone, Copy)]
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    /// Tries it on stores that it makes; panics where it does not hold.
    pub run: fn(&Make<'_>),
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Runs all cases, one after the other.
pub fn run(make: &Make<'_>) {
    for case in CASES {
        (case.run)(make);
    }
}

/// Lists the cases once: for `CASES`, and for the macro that makes a test of each.
macro_rules! cases {
    ($d:tt $($module:ident: [$($case:ident,)*])*) => {
        /// Every case.
        pub const CASES: &[Case] = &[
            $($(Case { name: stringify!($case), run: $module::$case },)*)*
        ];

        /// Makes a test of each case for the stores that the expression, a function, makes; with
        /// `if` and a function in front, only where that says that there is what they need.
        #[macro_export]
        macro_rules! suite {
            (if $d there:expr, $d make:expr) => {
                $($(
                    #[test]
                    fn $case() {
                        if !($d there)() {
                            return;
                        }
                        let name = stringify!($case);
                        let all = $crate::conformance::CASES;
                        let case = all.iter().find(|case| case.name == name);
                        (case.expect("it is in the list").run)(&$d make);
                    }
                )*)*
            };
            ($d make:expr) => {
                $d crate::suite!(if || true, $d make);
            };
        }
    };
}

cases! { $
    commits: [
        what_is_created_is_there_and_is_created_only_once,
        each_expectation_holds_for_just_what_it_says,
        a_conflict_names_its_record_and_leaves_nothing_of_the_batch,
        a_record_that_was_changed_or_made_anew_conflicts_with_its_old_version,
        two_changes_of_one_record_are_refused,
        expectations_are_held_to_what_was_there_before_the_batch,
        a_record_is_filed_only_where_it_belongs,
        versions_are_the_revisions_of_their_commits_and_only_grow,
        a_batch_that_only_keeps_changes_nothing,
        what_is_deferred_is_seen_at_once,
    ]
    reads: [
        records_are_loaded_in_the_order_of_their_keys,
        a_load_is_of_one_moment,
        a_load_after_the_acknowledgement_sees_what_was_written,
        a_scan_ascends_within_its_range_and_its_table,
        pages_hold_what_was_asked_for_and_the_rest_is_told,
        paging_under_change_shows_what_stayed_just_once,
    ]
    feed: [
        every_revision_can_be_resumed_from,
        what_was_not_applied_is_not_in_the_feed,
        what_is_too_long_ago_is_told_whole_or_as_a_reset,
        a_revision_that_was_never_given_out_is_a_reset,
    ]
    watch: [
        the_watcher_is_told_before_the_acknowledgement,
        the_watcher_is_told_only_of_what_can_be_seen,
        the_watcher_is_not_told_of_what_was_not_applied,
        every_watcher_is_told_for_as_long_as_it_is_kept,
        a_watcher_that_panics_is_told_to_start_over,
        a_store_that_closes_says_so_to_its_watchers,
    ]
    bounds: [
        a_batch_has_at_most_so_many_writes,
        a_record_has_at_most_so_many_bytes,
        attesting_answers_the_newest_revision,
    ]
    closing: [
        a_closed_store_says_so_and_does_nothing,
        closing_twice_is_no_error,
    ]
    concurrent: [
        of_racing_changes_each_is_counted_once,
        of_racing_creations_just_one_wins,
        racing_commits_take_revisions_of_their_own,
    ]
    records: [
        every_kind_of_record_comes_back_as_it_was,
    ]
}

/// A batch of one write.
fn put(key: Key, expect: Expect, record: Record) -> Batch {
    let mut batch = Batch::grow();
    batch.put(key, expect, record);
    batch
}

/// A batch of one removal.
fn delete(key: Key, expect: Expect) -> Batch {
    let mut batch = Batch::deny();
    batch.delete(key, expect);
    batch
}

/// Commits what has to go through.
#[track_caller]
fn commit(store: &Specimen, batch: Batch) -> Revision {
    must(store.commit(batch).wait())
}

/// Files a usage, whatever is there.
#[track_caller]
fn write(store: &Specimen, key: Key, number: u64) -> Revision {
    commit(store, put(key, Expect::Any, samples::usage(number)))
}

/// What is there.
#[track_caller]
fn load(store: &Specimen, key: Key) -> Option<Versioned> {
    let loaded = must(store.load(&[key]).wait());
    assert_eq!(loaded.len(), 1, "one key, one answer");
    loaded.into_iter().next().flatten()
}

/// The number of the usage that is there.
#[track_caller]
fn number(store: &Specimen, key: Key) -> Option<u64> {
    load(store, key).and_then(|found| samples::number_of(&found.record))
}

/// Commits what has to be refused as a conflict over `key`.
#[track_caller]
fn conflict(store: &Specimen, batch: Batch, key: Key) {
    let outcome = store.commit(batch).wait();
    assert_eq!(outcome, Err(CommitError::Conflict(key)));
}

/// The key of a usage.
const fn usage_key(number: u64) -> Key {
    let high = number.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = high;
    Key {
        table: countersign_core::Table::Usage,
        id: [a, b, c, d, e, f, 0x70, 0, 0x80, 0, 0, 0, 0, 0, g, h],
    }
}
