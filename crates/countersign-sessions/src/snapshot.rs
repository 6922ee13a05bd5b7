//! The snapshot that carries sessions over a restart (E13): digests only, no secret (I3).
//!
//! `docs/FORMAT.md` has the byte map. A head names the snapshot, and each record has a tag of its
//! own over that name, its number and its bytes, so that no record can be altered, moved, or taken
//! from another snapshot; the head's tag covers the count, so that none can be left out at the end
//! unnoticed.
//! Secrets of tokens are not in the table to begin with, and csrf secrets are derived (`forms.rs`).
//!
//! It is consistent for each shard, and so for each principal. A session that ends while it is
//! written may still be in it.

use crate::moment::Moment;
use crate::table::SessionTable;
use crate::wire;
use core::ops::Range;
use countersign_core::{Keyring, Timestamp};

/// What every snapshot begins with; the last byte is the version of the format.
pub(crate) const MAGIC: [u8; 8] = *b"csn-ses\x01";
/// Magic, id, instant, count, tag.
pub(crate) const HEAD_BYTES: usize = 8 + 16 + 8 + 8 + TAG_BYTES;
/// Bytes of a tag.
pub(crate) const TAG_BYTES: usize = 16;

/// What a snapshot belongs to and is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// What it belongs to, such as the identity of a store: a snapshot of another is refused.
    pub binding: [u8; 16],
    /// Random bytes of its own, so that records of two snapshots cannot be mixed.
    pub id: [u8; 16],
}

impl SessionTable {
    /// Every living session as bytes, for [`SessionTable::restore`].
    #[must_use]
    pub fn snapshot(&self, moment: &Moment<'_>, name: &SnapshotName) -> Vec<u8> {
        let mut out = vec![0; HEAD_BYTES];
        let mut count = 0u64;
        let mut records = Vec::new();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for number in 0..self.shards() {
            records.clear();
            ranges.clear();
            // Under the lock bytes are copied; they are hashed after it.
            let shard = self.shard_at(number).read();
            for slot in shard.slots() {
                if slot.due(moment).is_none() {
                    let start = records.len();
                    wire::write(slot, &mut records);
                    ranges.push(start..records.len());
                }
            }
            drop(shard);
            for range in ranges.drain(..) {
                let record = records.get(range).unwrap_or_default();
                let tag = record_tag(moment.keyring, name, count, record);
                let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(record);
                out.extend_from_slice(&tag);
                count = count.saturating_add(1);
            }
        }
        let head = head(moment.keyring, name, moment.now, count);
        if let Some(place) = out.first_chunk_mut::<HEAD_BYTES>() {
            *place = head;
        }
        out
    }
}

/// The head of a snapshot of `count` records.
fn head(keyring: &Keyring, name: &SnapshotName, at: Timestamp, count: u64) -> [u8; HEAD_BYTES] {
    let parts: [&[u8]; 4] = [
        &MAGIC,
        &name.id,
        &at.as_millis().to_be_bytes(),
        &count.to_be_bytes(),
    ];
    let untagged = parts.concat();
    let tag = head_tag(keyring, &name.binding, &untagged);
    let mut head = [0; HEAD_BYTES];
    for (place, byte) in head.iter_mut().zip(untagged.iter().chain(&tag)) {
        *place = *byte;
    }
    head
}

/// The tag of a head, over what stands before it.
pub(crate) fn head_tag(keyring: &Keyring, binding: &[u8; 16], untagged: &[u8]) -> [u8; TAG_BYTES] {
    keyring.snapshot_tag(&[b"head", binding, untagged])
}

/// The tag of the record with this number.
pub(crate) fn record_tag(
    keyring: &Keyring,
    name: &SnapshotName,
    number: u64,
    record: &[u8],
) -> [u8; TAG_BYTES] {
    let number = number.to_be_bytes();
    keyring.snapshot_tag(&[b"record", &name.binding, &name.id, &number, record])
}
