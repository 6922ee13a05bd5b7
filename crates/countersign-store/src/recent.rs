//! The latest changes by revision, bounded: what `changes` answers from.

use crate::store::{Changes, Revision};
use countersign_core::Key;
use std::collections::{BTreeSet, VecDeque};

/// The most keys that are remembered, over all commits.
const KEYS_MAX: usize = 64 * 1024;

/// A ring of keys, each with the revision of the commit that changed it.
#[derive(Debug)]
pub struct Recent {
    /// Everything after this revision is in `changes`.
    floor: Revision,
    newest: Revision,
    /// Ascending by revision.
    changes: VecDeque<(Revision, Key)>,
}

impl Recent {
    /// Remembers nothing of what came up to `revision`.
    #[must_use]
    pub const fn starting_at(revision: Revision) -> Self {
        Self {
            floor: revision,
            newest: revision,
            changes: VecDeque::new(),
        }
    }

    /// Notes one change; the oldest ones are forgotten for room.
    pub fn note(&mut self, revision: Revision, key: Key) {
        self.newest = revision;
        self.changes.push_back((revision, key));
        if self.changes.len() > KEYS_MAX
            && let Some((forgotten, _)) = self.changes.pop_front()
        {
            self.floor = forgotten;
        }
    }

    /// What changed after `since`, each key once.
    #[must_use]
    pub fn since(&self, since: Revision) -> Changes {
        // A revision from before the ring, or one that this store never gave out.
        if since < self.floor || since > self.newest {
            return Changes::Reset(self.newest);
        }
        let first = self
            .changes
            .partition_point(|(revision, _)| *revision <= since);
        let keys: BTreeSet<Key> = self.changes.range(first..).map(|(_, key)| *key).collect();
        Changes::Keys(keys.into_iter().collect(), self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::Table;

    fn key(n: u8) -> Key {
        Key {
            table: Table::Grants,
            id: [n; 16],
        }
    }

    #[test]
    fn what_changed_after_a_revision_and_nothing_before_it() {
        let mut recent = Recent::starting_at(Revision(10));
        for (revision, n) in [(11, 2), (11, 1), (13, 1), (13, 3)] {
            recent.note(Revision(revision), key(n));
        }
        let newest = Revision(13);
        for (since, expected) in [
            (10, Changes::Keys(vec![key(1), key(2), key(3)], newest)),
            (11, Changes::Keys(vec![key(1), key(3)], newest)),
            (12, Changes::Keys(vec![key(1), key(3)], newest)),
            (13, Changes::Keys(vec![], newest)),
            (9, Changes::Reset(newest)),
            (14, Changes::Reset(newest)),
        ] {
            assert_eq!(recent.since(Revision(since)), expected, "since {since}");
        }
    }

    #[test]
    fn what_is_forgotten_for_room_is_answered_by_a_reset() {
        let mut recent = Recent::starting_at(Revision(0));
        recent.note(Revision(1), key(1));
        recent.note(Revision(2), key(2));
        recent.note(Revision(2), key(3));
        for _ in 3..KEYS_MAX {
            recent.note(Revision(3), key(4));
        }
        let newest = Revision(3);
        let all = Changes::Keys((1..=4).map(key).collect(), newest);
        assert_eq!(recent.since(Revision(0)), all);
        recent.note(Revision(3), key(4));
        assert_eq!(recent.since(Revision(0)), Changes::Reset(newest));
        let rest = Changes::Keys((2..=4).map(key).collect(), newest);
        assert_eq!(recent.since(Revision(1)), rest);
        // Half of a commit is forgotten, so all of it is.
        recent.note(Revision(3), key(4));
        assert_eq!(recent.since(Revision(1)), Changes::Reset(newest));
        assert_eq!(
            recent.since(Revision(2)),
            Changes::Keys(vec![key(4)], newest)
        );
    }
}
