//! Uses that are noted in a token's copy, on their way to its entry and so to the store.

use super::hot::image::key_of;
use super::hot::slot::Noted;
use super::{Cache, CachedGrant, Copied};
use crate::sync::Ordering;
use countersign_core::{Timestamp, Usage};

impl Cache {
    /// Notes that a token was used whose copy was found. Costs one load when this second was noted.
    #[inline]
    pub(crate) fn note_use_of_copy(&self, found: Copied<'_>, now: Timestamp) {
        // Seconds are kept in 32 bits.
        let second = now.as_secs().min(u64::from(u32::MAX));
        if self.notes_uses
            && found.slot.note(found.number, second) == Noted::Unlisted
            && !self.dirty_is_full.load(Ordering::Relaxed)
        {
            self.list_copy(found, second);
        }
    }

    /// The first use of a token since uses were written.
    ///
    /// The slot says first that its token is listed: who writes uses takes the token off the list
    /// and then off the slot, so that what the slot says is never wrong for long.
    #[cold]
    fn list_copy(&self, found: Copied<'_>, second: u64) {
        found.slot.list(found.number, second, true);
        let Some(entry) = found
            .image
            .selector()
            .and_then(|selector| self.grant(selector))
        else {
            return;
        };
        entry.last_used_s.fetch_max(second, Ordering::Relaxed);
        if !self.enlist(&entry) {
            found.slot.list(found.number, 0, false);
        }
    }

    /// Adds what was noted in an entry's copy.
    pub(super) fn fold(&self, entry: &CachedGrant, taken: bool) {
        let key = key_of(entry.selector);
        let place = self.grants.place(&entry.selector.to_bytes());
        if let Some(found) = self.hot.find(place, key) {
            if taken {
                found.slot.list(found.number, 0, false);
            }
            let second = found.slot.second();
            entry.last_used_s.fetch_max(second, Ordering::Relaxed);
        }
    }

    /// What the use of an entry's token has gathered.
    pub(crate) fn usage(&self, entry: &CachedGrant) -> Usage {
        self.fold(entry, false);
        entry.usage()
    }
}
