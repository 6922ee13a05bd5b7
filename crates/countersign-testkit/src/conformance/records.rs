//! Records: each comes back as it was, field by field.

use super::{Make, commit, load, put};
use crate::samples;
use countersign_core::Expect;

pub(super) fn every_kind_of_record_comes_back_as_it_was(make: &Make<'_>) {
    let store = make();
    for (key, record) in samples::every_kind() {
        let revision = commit(&store, put(key, Expect::Any, record.clone()));
        let found = load(&store, key);
        let version = found.as_ref().map(|found| found.version.number());
        assert_eq!(version, Some(revision.0));
        assert_eq!(found.map(|found| found.record), Some(record));
    }
}
