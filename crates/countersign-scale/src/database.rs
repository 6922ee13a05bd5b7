//! The database that the nodes share, as far as a day goes: its records, its log, and what is left
//! of it while a failover is under way.
//!
//! A commit is there at once and acknowledged later, so others may hear of it sooner, as they may
//! of a real one. While the primary is away, nodes that are cut off with it read what it held.

use crate::hand::{self, HOUR, Nanos};
use crate::load::{ENTRY_BYTES, HEAD_BYTES, Load};
use crate::people::People;
use countersign::core::{Batch, Change, Key, Purpose, Table, Versioned};
use countersign_core::{Durability, Version};
use countersign_postgres::follow::{CATCH_UP_MAX, Cursor, Entry, Moved, SHARDS, packed};
use countersign_postgres::history::Node;
use countersign_store::{CommitError, batch};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Where every counter is.
pub(crate) type Heads = Vec<(usize, Cursor)>;

/// From which server a node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The one that acknowledges.
    Primary,
    /// An old one that lives on.
    Old,
}

#[derive(Debug)]
pub(crate) struct Database {
    people: Arc<People>,
    /// What is not as it was when the day began.
    changed: HashMap<Key, Option<Versioned>>,
    heads: Vec<Cursor>,
    log: Vec<Shard>,
    old: Option<Old>,
    /// Whether there is a primary that acknowledges.
    pub(crate) is_up: bool,
    /// How often that has changed.
    pub(crate) turns: u64,
    /// How long after it a commit is acknowledged.
    pub(crate) acknowledged_after: Nanos,
    /// Batches share a transaction that is counted already.
    pub(crate) is_grouped: bool,
    pub(crate) load: Load,
}

/// One counter's part of the log.
#[derive(Debug, Default)]
struct Shard {
    /// How many entries were forgotten.
    forgotten: i64,
    entries: VecDeque<Logged>,
}

#[derive(Clone, Debug)]
pub(crate) struct Logged {
    pub(crate) entry: Entry,
    pub(crate) acknowledged_at: Nanos,
    /// Whether it shuts somebody out.
    pub(crate) denies: bool,
}

/// An old primary: where it stood, and what has changed since as it was.
#[derive(Debug)]
struct Old {
    heads: Vec<Cursor>,
    before: HashMap<Key, Option<Versioned>>,
}

/// A batch that was committed.
pub(crate) struct Done {
    pub(crate) version: u64,
    pub(crate) keys: Vec<Key>,
}

impl Database {
    pub(crate) fn new(people: Arc<People>) -> Self {
        Self {
            people,
            changed: HashMap::new(),
            heads: vec![Cursor::default(); SHARDS],
            log: std::iter::repeat_with(Shard::default)
                .take(SHARDS)
                .collect(),
            old: None,
            is_up: true,
            turns: 0,
            acknowledged_after: 0,
            is_grouped: false,
            load: Load::default(),
        }
    }

    /// The primary is away from here on; some nodes go on reading it.
    pub(crate) fn fail(&mut self) {
        self.is_up = false;
        self.turns += 1;
        self.old = Some(Old {
            heads: self.heads.clone(),
            before: HashMap::new(),
        });
    }

    /// A standby takes its place, with everything that was acknowledged.
    pub(crate) fn promote(&mut self) {
        self.is_up = true;
        self.turns += 1;
    }

    /// Nobody reads the old one any more.
    pub(crate) fn heal(&mut self) {
        self.old = None;
    }

    pub(crate) fn read(&mut self, server: Server, keys: &[Key]) -> Vec<Option<Versioned>> {
        self.load.reads += 1;
        self.load.records_read += keys.len() as u64;
        keys.iter().map(|key| self.record(server, *key)).collect()
    }

    fn record(&self, server: Server, key: Key) -> Option<Versioned> {
        if let (Server::Old, Some(old)) = (server, &self.old)
            && let Some(before) = old.before.get(&key)
        {
            return before.clone();
        }
        match self.changed.get(&key) {
            Some(record) => record.clone(),
            None => self.people.record(key),
        }
    }

    pub(crate) fn heads(&mut self, server: Server) -> Heads {
        self.load.looks += 1;
        self.load.feed_bytes += HEAD_BYTES * SHARDS as u64;
        let heads = match (server, &self.old) {
            (Server::Old, Some(old)) => &old.heads,
            _ => &self.heads,
        };
        heads.iter().copied().enumerate().collect()
    }

    /// What the log has of the counters that have moved, in order.
    pub(crate) fn entries(&mut self, moved: &Moved) -> Vec<Logged> {
        let mut found = Vec::new();
        for (shard, since, upto) in moved.ranges() {
            let part = &self.log[shard];
            let skipped = (since - 1 - part.forgotten).max(0);
            let there = part.entries.iter().skip(skipped as usize);
            found.extend(there.take_while(|logged| logged.entry.rev <= upto).cloned());
            if found.len() > CATCH_UP_MAX as usize {
                break;
            }
        }
        found.truncate(CATCH_UP_MAX as usize);
        let bytes = |logged: &Logged| ENTRY_BYTES + logged.entry.keys.len() as u64;
        self.load.log_reads += 1;
        self.load.delivered += found.len() as u64;
        self.load.feed_bytes += found.iter().map(bytes).sum::<u64>();
        found
    }

    /// Commits a batch, if all that it expects is so.
    pub(crate) fn commit(
        &mut self,
        node: Node,
        batch: Batch,
        version: impl FnOnce() -> u64,
    ) -> Result<Option<Done>, CommitError> {
        for write in &batch.writes {
            let found = self.record(Server::Primary, write.key);
            if !write.expect.holds(found.map(|found| found.version)) {
                return Err(CommitError::Conflict(write.key));
            }
        }
        let keys = batch::changed_keys(&batch.writes);
        if keys.is_empty() {
            return Ok(None);
        }
        let version = version();
        let denies = batch.purpose == Purpose::Deny;
        if !self.is_grouped {
            self.load.commits += 1;
            self.load.deferred += u64::from(batch.durability == Durability::Deferred);
        }
        for write in batch.writes {
            let record = match write.change {
                Change::Keep => continue,
                Change::Delete => None,
                Change::Put(record) => Some(Versioned {
                    version: Version::new(version),
                    record,
                }),
            };
            self.file(write.key, record);
        }
        self.enter(node, version, &keys, denies);
        Ok(Some(Done { version, keys }))
    }

    fn file(&mut self, key: Key, record: Option<Versioned>) {
        self.load.rows += 1;
        self.load.usages += u64::from(key.table == Table::Usage);
        // Nobody reads the audit log here, and it would fill the memory.
        if key.table == Table::Events {
            return;
        }
        if let Some(old) = &self.old
            && !old.before.contains_key(&key)
        {
            let before = self.record(Server::Primary, key);
            if let Some(old) = &mut self.old {
                old.before.insert(key, before);
            }
        }
        self.changed.insert(key, record);
    }

    /// Forgets what was changed and told, so that it takes no memory.
    pub(crate) fn forget(&mut self) {
        self.changed = HashMap::new();
        for part in &mut self.log {
            part.forgotten += part.entries.len() as i64;
            part.entries = VecDeque::new();
        }
    }

    fn enter(&mut self, node: Node, version: u64, keys: &[Key], denies: bool) {
        let shard = node.shard as usize;
        let cursor = &mut self.heads[shard];
        cursor.rev += 1;
        cursor.version = version as i64;
        let entry = Entry {
            shard,
            rev: cursor.rev,
            version: cursor.version,
            node: node.id,
            keys: packed(keys),
        };
        self.load.entries += 1;
        self.load.key_bytes += entry.keys.len() as u64;
        let part = &mut self.log[shard];
        let now = hand::now();
        part.entries.push_back(Logged {
            entry,
            acknowledged_at: now + self.acknowledged_after,
            denies,
        });
        // The shortest time that a log may be kept for; the last entry stays.
        while part.entries.len() > 1 && part.entries[0].acknowledged_at + HOUR < now {
            part.entries.pop_front();
            part.forgotten += 1;
        }
    }
}
