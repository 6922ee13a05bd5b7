//! The latest changes by revision, bounded: what `changes` answers from.

use crate::store::{Changes, Revision};
use countersign_core::Key;
use std::collections::{BTreeSet, VecDeque};

/// The most keys that are remembered, over all commits.
const KEYS_MAX: usize = 64 * 1024;
/// The most commits that are remembered.
const COMMITS_MAX: usize = 16 * 1024;

/// A ring of commits and the keys that each changed.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Everything after this revision is in `commits`.
    floor: Revision,
    newest: Revision,
    commits: VecDeque<(Revision, Vec<Key>)>,
    keys: usize,
}

impl Recent {
    /// Remembers nothing of what came up to `revision`.
    pub(crate) const fn starting_at(revision: Revision) -> Self {
        Self {
            floor: revision,
            newest: revision,
            commits: VecDeque::new(),
            keys: 0,
        }
    }

    /// Notes a commit; the oldest ones are forgotten for room.
    pub(crate) fn note(&mut self, revision: Revision, keys: Vec<Key>) {
        self.newest = revision;
        self.keys = self.keys.saturating_add(keys.len());
        self.commits.push_back((revision, keys));
        while self.keys > KEYS_MAX || self.commits.len() > COMMITS_MAX {
            let Some((revision, keys)) = self.commits.pop_front() else {
                break;
            };
            self.floor = revision;
            self.keys = self.keys.saturating_sub(keys.len());
        }
    }

    /// What changed after `since`, each key once.
    pub(crate) fn since(&self, since: Revision) -> Changes {
        // A revision from before the ring, or one that this store never gave out.
        if since < self.floor || since > self.newest {
            return Changes::Reset(self.newest);
        }
        let first = self
            .commits
            .partition_point(|(revision, _)| *revision <= since);
        let later = self.commits.range(first..);
        let keys: BTreeSet<Key> = later.flat_map(|(_, keys)| keys.iter().copied()).collect();
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
        recent.note(Revision(11), vec![key(2), key(1)]);
        recent.note(Revision(13), vec![key(1), key(3)]);
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
        recent.note(Revision(1), vec![key(1)]);
        recent.note(Revision(2), vec![key(2); KEYS_MAX]);
        assert_eq!(recent.since(Revision(0)), Changes::Reset(Revision(2)));
        assert_eq!(
            recent.since(Revision(1)),
            Changes::Keys(vec![key(2)], Revision(2))
        );
        for revision in 3..=COMMITS_MAX as u64 + 3 {
            recent.note(Revision(revision), vec![]);
        }
        assert_eq!(recent.commits.len(), COMMITS_MAX);
        assert!(matches!(recent.since(Revision(2)), Changes::Reset(_)));
    }
}
