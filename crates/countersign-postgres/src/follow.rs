//! What a look at the log of changes comes to, and when the next one is due: decisions alone.
//!
//! The feed asks the database and acts by what is decided here; a simulation of many nodes asks a
//! model of one and acts by the same. No connection, no clock and no task is in here.

use crate::history::History;
use crate::schema;
use core::time::Duration;
use countersign_core::{Key, Table, Version};
use countersign_store::Steady;
use uuid::Uuid;

/// How many counters of commits there are.
pub const SHARDS: usize = schema::SHARDS.unsigned_abs() as usize;
/// The most entries that are read to catch up; who is further behind begins with nothing.
pub const CATCH_UP_MAX: i64 = 20_000;
/// Wakes within this time are one.
pub const COALESCE: Duration = Duration::from_millis(2);
/// How often other nodes' changes are asked for when nothing wakes the feed.
pub const POLL: Duration = Duration::from_millis(50);
/// The shortest time between two renewals that nobody asked for.
const SHORTEST: Duration = Duration::from_millis(10);

/// A counter of commits: how many there were, and the version of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// How many entries there are.
    pub rev: i64,
    /// The version of the last of them.
    pub version: i64,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The counter that it is numbered by.
    pub shard: usize,
    /// Its number.
    pub rev: i64,
    /// What the batch was committed as.
    pub version: i64,
    /// Who committed it.
    pub node: Uuid,
    /// Which records it changed, as [`packed`] makes them.
    pub keys: Vec<u8>,
}

/// What a look at the log has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// These records were changed by others.
    Keys(Vec<Key>),
    /// History is another one, or too far ahead.
    Anything(&'static str),
}

/// When the lease is renewed, and when the feed looks by itself. One for each connection: the
/// first look on a new one renews.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    renewed_at: Option<Steady>,
}

impl Pace {
    /// Whether the look that begins now renews the lease: when a quarter of the bound is over since
    /// the last one did, or somebody waits for it.
    pub fn renews(&mut self, now: Steady, bound: Duration, is_asked: bool) -> bool {
        let due = self
            .renewed_at
            .is_none_or(|at| now.since(at) >= every(bound));
        if due || is_asked {
            self.renewed_at = Some(now);
        }
        due || is_asked
    }

    /// How long the feed rests before it looks again by itself.
    #[must_use]
    pub fn rest(poll: Duration, bound: Duration) -> Duration {
        match bound.is_zero() {
            true => poll,
            false => poll.min(every(bound)),
        }
    }
}

fn every(bound: Duration) -> Duration {
    bound.checked_div(4).unwrap_or(bound).max(SHORTEST)
}

/// Where a node is in the log: the last entry of each counter that it has heard of.
#[derive(Debug)]
pub struct Follower {
    cursors: Vec<Cursor>,
}

impl Default for Follower {
    fn default() -> Self {
        Self {
            cursors: vec![Cursor::default(); SHARDS],
        }
    }
}

impl Follower {
    /// Begins where the counters are: nothing is in memory yet that could be stale.
    pub fn begin(&mut self, heads: &[(usize, Cursor)], history: &History) {
        for (shard, cursor) in heads {
            self.come_to(*shard, *cursor, history);
        }
    }

    /// How far it has heard, by counter: what a beat tells of the node.
    #[must_use]
    pub fn applied(&self) -> Vec<i64> {
        self.cursors.iter().map(|cursor| cursor.rev).collect()
    }

    /// Which counters have moved since, so that their entries have to be read.
    #[must_use]
    pub fn moved(&self, heads: &[(usize, Cursor)]) -> Moved {
        let mut moved = Moved::default();
        for (shard, now) in heads {
            if let Some(last) = self.cursors.get(*shard)
                && last != now
            {
                moved.push(*shard, *last, *now);
            }
        }
        moved
    }

    /// Takes what was read of the counters that have moved, and tells of it.
    pub fn hear(&mut self, moved: Moved, entries: &[Entry], history: &History) -> Heard {
        let own = history.node.id;
        let mut is_told = |entry: &Entry| {
            entry.node == own && history.sent.remove(version_of(entry.version).number())
        };
        let heard = moved.hear(entries, &mut is_told);
        match &heard {
            Heard::Keys(keys) => {
                if !keys.is_empty() {
                    history.changed(keys);
                }
            }
            Heard::Anything(_) => {
                history.lease.end();
                history.sent.clear();
                history.reset();
            }
        }
        for (shard, now) in moved.to {
            self.come_to(shard, now, history);
        }
        heard
    }

    fn come_to(&mut self, shard: usize, now: Cursor, history: &History) {
        if let Some(place) = self.cursors.get_mut(shard) {
            *place = now;
            history.saw(version_of(now.version));
        }
    }
}

/// The counters that have moved: from where, and to where.
#[derive(Debug, Default)]
pub struct Moved {
    /// What is asked of the log: the counters, and for each the first and last entry.
    pub(crate) shards: Vec<i16>,
    pub(crate) since: Vec<i64>,
    pub(crate) upto: Vec<i64>,
    from: Vec<(usize, Cursor)>,
    to: Vec<(usize, Cursor)>,
}

impl Moved {
    fn push(&mut self, shard: usize, from: Cursor, to: Cursor) {
        self.shards.push(i16::try_from(shard).unwrap_or(i16::MAX));
        self.since.push(from.rev);
        self.upto.push(to.rev);
        self.from.push((shard, from));
        self.to.push((shard, to));
    }

    /// Whether none has.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// What is to be read: of each counter, the first and the last entry.
    pub fn ranges(&self) -> impl Iterator<Item = (usize, i64, i64)> {
        let ends = self.from.iter().zip(&self.to);
        ends.map(|((shard, from), (_, to))| (*shard, from.rev, to.rev))
    }

    /// What the entries between tell. `is_told` are those that this node tells of itself.
    fn hear(&self, entries: &[Entry], is_told: &mut dyn FnMut(&Entry) -> bool) -> Heard {
        let mut keys = Vec::new();
        let mut entries = entries.iter().peekable();
        for ((shard, from), (_, to)) in self.from.iter().zip(&self.to) {
            if to.rev <= from.rev {
                return Heard::Anything("a counter of commits went back or was overwritten");
            }
            // The last one that was heard of comes first, unless there was none.
            let mut next = from.rev;
            if from.rev == 0 {
                next = 1;
            }
            while let Some(entry) = entries.next_if(|entry| entry.shard == *shard) {
                if entry.rev != next {
                    return Heard::Anything("entries are missing in the log of changes");
                }
                if entry.rev == from.rev {
                    if entry.version != from.version {
                        return Heard::Anything("an entry of the log is another one than before");
                    }
                } else if !is_told(entry) {
                    match unpacked(&entry.keys) {
                        Some(changed) => keys.extend(changed),
                        None => return Heard::Anything("an entry names what is not known here"),
                    }
                }
                next = next.saturating_add(1);
            }
            if next.saturating_sub(1) != to.rev {
                return Heard::Anything("this node is too far behind the log of changes");
            }
        }
        Heard::Keys(keys)
    }
}

/// A version as the engine has it.
#[must_use]
pub fn version_of(number: i64) -> Version {
    Version::new(u64::try_from(number).unwrap_or(0))
}

/// The bytes of one key in the log: its table's code and its id.
const KEY_BYTES: usize = 17;

/// Keys as the log has them: the table's code and the id of each.
#[must_use]
pub fn packed(keys: &[Key]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(keys.len().saturating_mul(KEY_BYTES));
    for key in keys {
        bytes.push(key.table.code());
        bytes.extend_from_slice(&key.id);
    }
    bytes
}

/// Reads them back; nothing where they are no keys that this version knows.
#[must_use]
pub fn unpacked(bytes: &[u8]) -> Option<Vec<Key>> {
    let (keys, []) = bytes.as_chunks::<KEY_BYTES>() else {
        return None;
    };
    let key = |bytes: &[u8; KEY_BYTES]| {
        let (code, id) = bytes.split_first()?;
        Some(Key {
            table: Table::from_code(*code)?,
            id: id.try_into().ok()?,
        })
    };
    keys.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testkit::samples;

    fn entry(shard: usize, rev: i64, version: i64, number: u64) -> Entry {
        let key = Key::usage(samples::selector(number));
        let mut keys = vec![key.table.code()];
        keys.extend_from_slice(&key.id);
        Entry {
            shard,
            rev,
            version,
            node: Uuid::nil(),
            keys,
        }
    }

    fn cursor(rev: i64, version: i64) -> Cursor {
        Cursor { rev, version }
    }

    fn moved(steps: &[(usize, Cursor, Cursor)]) -> Moved {
        let mut moved = Moved::default();
        for (shard, from, to) in steps {
            moved.push(*shard, *from, *to);
        }
        moved
    }

    fn hear(moved: &Moved, entries: &[Entry]) -> Heard {
        moved.hear(entries, &mut |_| false)
    }

    fn keys(numbers: &[u64]) -> Heard {
        let key = |number: &u64| Key::usage(samples::selector(*number));
        Heard::Keys(numbers.iter().map(key).collect())
    }

    #[test]
    fn what_came_after_the_last_entry_is_told_and_nothing_before_it() {
        let two = moved(&[
            (3, cursor(0, 0), cursor(2, 12)),
            (5, cursor(7, 70), cursor(8, 80)),
        ]);
        let entries = [
            entry(3, 1, 11, 1),
            entry(3, 2, 12, 2),
            entry(5, 7, 70, 3),
            entry(5, 8, 80, 4),
        ];
        assert_eq!(hear(&two, &entries), keys(&[1, 2, 4]));
        let own = &mut |entry: &Entry| entry.version == 12;
        assert_eq!(two.hear(&entries, own), keys(&[1, 4]));
    }

    #[test]
    fn another_history_is_never_taken_for_the_old_one() {
        let one = moved(&[(5, cursor(7, 70), cursor(9, 90))]);
        let all = [entry(5, 7, 70, 1), entry(5, 8, 80, 2), entry(5, 9, 90, 3)];
        assert_eq!(hear(&one, &all), keys(&[2, 3]));
        // The last entry that was heard of is another one now.
        let mut other = all.clone();
        other[0].version = 71;
        // One is missing: the last that was heard of, one between, the newest.
        let missing = [0, 1, 2].map(|gone| {
            let mut rest = all.to_vec();
            rest.remove(gone);
            rest
        });
        for wrong in missing.iter().map(Vec::as_slice).chain([&other[..], &[]]) {
            assert!(matches!(hear(&one, wrong), Heard::Anything(_)), "{wrong:?}");
        }
        // The counter went back, or stands where it stood with another entry.
        for to in [cursor(6, 60), cursor(7, 71), cursor(0, 0)] {
            let back = moved(&[(5, cursor(7, 70), to)]);
            assert!(matches!(hear(&back, &all[..1]), Heard::Anything(_)));
        }
    }

    #[test]
    fn what_is_no_key_drops_everything() {
        let one = moved(&[(5, cursor(7, 70), cursor(8, 80))]);
        let mut entries = [entry(5, 7, 70, 1), entry(5, 8, 80, 2)];
        entries[1].keys.pop();
        assert!(matches!(hear(&one, &entries), Heard::Anything(_)));
    }

    #[test]
    fn a_lease_is_renewed_four_times_within_its_bound_and_whenever_somebody_asks() {
        let bound = Duration::from_secs(1);
        let at = |millis| Steady::default().after(Duration::from_millis(millis));
        let mut pace = Pace::default();
        let looks = [
            (0, false),
            (249, false),
            (250, false),
            (251, false),
            (252, true),
        ];
        let renews = looks.map(|(now, asked)| pace.renews(at(now), bound, asked));
        assert_eq!(renews, [true, false, true, false, true]);
        // What somebody asked for counts like any other.
        assert!(!pace.renews(at(501), bound, false) && pace.renews(at(502), bound, false));
        assert_eq!(Pace::rest(POLL, bound), POLL);
        assert_eq!(
            Pace::rest(POLL, Duration::from_millis(100)),
            Duration::from_millis(25)
        );
        assert_eq!(Pace::rest(POLL, Duration::ZERO), POLL);
    }

    #[test]
    fn the_keys_in_the_log_read_back_and_others_do_not() {
        let keys = vec![
            Key::usage(samples::selector(1)),
            Key::SYSTEM,
            Key::grant(samples::selector(2)),
        ];
        let bytes = packed(&keys);
        assert_eq!(unpacked(&bytes), Some(keys));
        assert_eq!(unpacked(&[]), Some(Vec::new()));
        assert_eq!(unpacked(&bytes[1..]), None);
        assert_eq!(unpacked(&[99; 17]), None);
    }
}
