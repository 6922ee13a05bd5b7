//! What was asked of the nodes and of the database, by the hour.

use serde::Serialize;

/// Bytes of one counter's row as the server sends it: its message's head, three columns of 2, 8
/// and 8 bytes, and the length before each.
pub(crate) const HEAD_BYTES: u64 = 7 + 3 * 4 + 2 + 8 + 8;
/// Bytes of one entry's row but for its keys, in the same way: 2, 8, 8, 16 and the keys.
pub(crate) const ENTRY_BYTES: u64 = 7 + 5 * 4 + 2 + 8 + 8 + 16;

/// Counts of one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Load {
    /// Access tokens that were verified.
    pub verified: u64,
    /// Of these, with nothing read.
    pub hits: u64,
    /// Let in.
    pub admitted: u64,
    /// Errors to whoever asked: no lease and no database.
    pub errors: u64,
    /// Operations that write: signing in, rotating, issuing, revoking.
    pub operations: u64,
    /// Of these, refused or failed.
    pub failed: u64,
    /// Statements that read records.
    pub reads: u64,
    /// Records that they asked for.
    pub records_read: u64,
    /// Transactions that were committed with records in them.
    pub commits: u64,
    /// Of these, commits of last uses, for which nobody waits.
    pub deferred: u64,
    /// Rows of the log: batches.
    pub entries: u64,
    /// Bytes of the keys in them.
    pub key_bytes: u64,
    /// Rows that were written: tokens and their like, and what is shown of them.
    pub rows: u64,
    /// Of these, last uses.
    pub usages: u64,
    /// Looks at the counters.
    pub looks: u64,
    /// Of these, with a write that renews the lease.
    pub beats: u64,
    /// Looks after which the log was read.
    pub log_reads: u64,
    /// Rows of the log that were sent to nodes.
    pub delivered: u64,
    /// Bytes of counters and entries that were sent to nodes.
    pub feed_bytes: u64,
    /// Notifications.
    pub notifications: u64,
    /// Tokens in the memory of all nodes, at the end of it.
    pub cached: u64,
    /// The most of them in one node.
    pub cached_most: u64,
    /// The lowest and highest share of hits of one node, in parts of ten thousand.
    pub hits_of_nodes: (u64, u64),
}

impl Load {
    /// The share of verifications with nothing read.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        match self.verified {
            0 => 0.0,
            verified => self.hits as f64 / verified as f64,
        }
    }
}
