//! Sessions from which credentials are being changed: each outlives the epoch that this moves on.
//!
//! Between the commit that moves a principal's epoch on and the moment in which the session from
//! which it was asked for has the new number, that session would look like any other that the
//! epoch has ended. While it is kept, a mismatch of that one number is not held against it; all
//! other conditions are.

use parking_lot::Mutex;
use std::collections::HashMap;

use countersign_core::Selector;

/// The sessions that are being kept, and by how many calls.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<HashMap<Selector, u32>>);

/// Keeps a session for as long as it stands.
#[derive(Debug)]
#[must_use = "it keeps the session only as long as it stands"]
pub(crate) struct Keeping<'a> {
    kept: &'a Kept,
    selector: Selector,
}

impl Kept {
    /// Keeps a session until what is answered is dropped.
    pub(crate) fn keep(&self, selector: Selector) -> Keeping<'_> {
        let mut kept = self.0.lock();
        let calls = kept.entry(selector).or_default();
        *calls = calls.saturating_add(1);
        Keeping {
            kept: self,
            selector,
        }
    }

    /// Whether a session is being kept.
    pub(crate) fn holds(&self, selector: Selector) -> bool {
        self.0.lock().contains_key(&selector)
    }
}

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        let mut kept = self.kept.0.lock();
        if let Some(calls) = kept.get_mut(&self.selector) {
            *calls = calls.saturating_sub(1);
            if *calls == 0 {
                kept.remove(&self.selector);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::{ShardTag, Timestamp};

    #[test]
    fn a_session_is_kept_until_the_last_call_lets_it_go() {
        let kept = Kept::default();
        let session = Selector::mint(Timestamp::ZERO, ShardTag::NONE, [1; 8]);
        let (first, second) = (kept.keep(session), kept.keep(session));
        drop(first);
        assert!(kept.holds(session));
        drop(second);
        assert!(!kept.holds(session) && kept.0.lock().is_empty());
    }
}
