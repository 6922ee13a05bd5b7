//! Principals' records in memory.
//!
//! Without the list of their credentials: no verdict asks for it, it may be tens of kilobytes, and
//! every entry of a token holds the record as it was when that was read.

use crate::sync::{AtomicBool, Ordering};
use countersign_core::{PrincipalKey, PrincipalRecord};

/// A principal's record in memory.
#[derive(Debug)]
pub(crate) struct CachedPrincipal {
    pub(crate) key: PrincipalKey,
    pub(crate) record: PrincipalRecord,
    /// Raised once the record may have changed: whoever holds this must look again.
    stale: AtomicBool,
}

impl CachedPrincipal {
    pub(crate) fn new(key: PrincipalKey, record: PrincipalRecord) -> Self {
        Self {
            key,
            record: PrincipalRecord {
                credentials: Vec::new(),
                ..record
            },
            stale: AtomicBool::new(false),
        }
    }

    /// Where changes of its record are counted: the first two bytes of its key.
    pub(crate) const fn bucket(&self) -> u16 {
        self.key.bucket()
    }

    pub(super) fn raise(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub(super) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }
}
