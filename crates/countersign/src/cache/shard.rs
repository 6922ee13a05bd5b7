//! A bounded concurrent map of shared entries under 16-byte keys, with fill tickets.
//!
//! Keys are minted by the engine or made by a keyed hash, so their own bytes spread them; an
//! import keeps the selectors of another engine, hence the mixing with a seed of this process.

use super::hot::image::halves;
use crate::sync::RwLock;
use hashbrown::HashTable;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

/// Many enough that threads rarely meet, few enough that an empty map is small; and fewer where a
/// model explores races.
pub(super) const SHARDS: usize = if cfg!(test) { 4 } else { 256 };

/// How often a shard had been invalidated when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(super) u64);

/// Where a key belongs: what is kept beside the entries is found by the same bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(super) shard: usize,
    pub(super) hash: u64,
}

pub(super) struct Shards<T> {
    shards: Box<[RwLock<Shard<T>>]>,
    /// The most entries of one shard.
    max: usize,
    /// Two random words of this process.
    seed: (u64, u64),
}

struct Shard<T> {
    entries: HashTable<([u8; 16], Arc<T>)>,
    generation: u64,
}

impl<T> Shard<T> {
    fn take(&mut self, hash: u64, key: &[u8; 16]) -> Option<Arc<T>> {
        let found = self.entries.find_entry(hash, |(k, _)| k == key).ok()?;
        Some(found.remove().0.1)
    }
}

impl<T> Shards<T> {
    pub(super) fn new(max: u64) -> Self {
        let shard = || {
            let entries = HashTable::new();
            RwLock::new(Shard {
                entries,
                generation: 0,
            })
        };
        let state = RandomState::new();
        Self {
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            max: usize::try_from(max).unwrap_or(usize::MAX).div_ceil(SHARDS),
            seed: (state.hash_one(1), state.hash_one(2)),
        }
    }

    #[inline]
    pub(super) fn place(&self, key: &[u8; 16]) -> Place {
        let hash = self.hash(key);
        Place {
            shard: shard_of(hash),
            hash,
        }
    }

    #[inline]
    pub(super) fn find(&self, key: &[u8; 16]) -> Option<Arc<T>> {
        let hash = self.hash(key);
        let shard = self.shard(hash)?.read();
        shard
            .entries
            .find(hash, |(k, _)| k == key)
            .map(|(_, entry)| Arc::clone(entry))
    }

    pub(super) fn ticket(&self, key: &[u8; 16]) -> Ticket {
        Ticket(
            self.shard(self.hash(key))
                .map_or(0, |shard| shard.read().generation),
        )
    }

    /// Enters what was read under `ticket`, and answers whether it did: not where it may have
    /// changed since it was read, or where nothing is to be held at all.
    ///
    /// What has to go for it is handed to `displaced`, and where it was entered to `entered`,
    /// before anybody else gets at the shard: an invalidation that comes later would not find what
    /// was displaced any more.
    pub(super) fn fill(
        &self,
        ticket: Ticket,
        key: [u8; 16],
        entry: Arc<T>,
        displaced: impl Fn(Place, &T),
        entered: impl FnOnce(Place),
    ) -> bool {
        let hash = self.hash(&key);
        let Some(shard) = self.shard(hash) else {
            return false;
        };
        let mut shard = shard.write();
        if shard.generation != ticket.0 || self.max == 0 {
            return false;
        }
        if let Some(old) = shard.take(hash, &key) {
            displaced(self.place(&key), &old);
        }
        while shard.entries.len() >= self.max {
            let Some(victim) = shard.entries.iter().next().map(|(k, _)| *k) else {
                break;
            };
            let Some(old) = shard.take(self.hash(&victim), &victim) else {
                break;
            };
            displaced(self.place(&victim), &old);
        }
        shard
            .entries
            .insert_unique(hash, (key, entry), |(k, _)| self.hash(k));
        entered(self.place(&key));
        true
    }

    /// Writes beside an entry that was found under `ticket`, unless it may have changed since.
    pub(super) fn beside(&self, ticket: Ticket, key: &[u8; 16], write: impl FnOnce(Place)) {
        let place = self.place(key);
        let Some(shard) = self.shard(place.hash) else {
            return;
        };
        let shard = shard.write();
        let held = shard.entries.find(place.hash, |(k, _)| k == key).is_some();
        if shard.generation == ticket.0 && held {
            write(place);
        }
    }

    /// Drops an entry and every fill that began before now; `gone` is told of it before anybody
    /// else gets at the shard.
    pub(super) fn invalidate(
        &self,
        key: &[u8; 16],
        gone: impl FnOnce(Place, &T),
    ) -> Option<Arc<T>> {
        let place = self.place(key);
        let mut shard = self.shard(place.hash)?.write();
        shard.generation = shard.generation.wrapping_add(1);
        let old = shard.take(place.hash, key)?;
        gone(place, &old);
        Some(old)
    }

    /// Drops everything and every fill that began before now; as `invalidate`.
    pub(super) fn invalidate_all(&self, gone: impl Fn(Place, &T)) -> Vec<Arc<T>> {
        let mut dropped = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.write();
            shard.generation = shard.generation.wrapping_add(1);
            dropped.extend(shard.entries.drain().map(|(key, entry)| {
                gone(self.place(&key), &entry);
                entry
            }));
        }
        dropped
    }

    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.read().entries.len())
            .sum()
    }

    #[inline]
    fn shard(&self, hash: u64) -> Option<&RwLock<Shard<T>>> {
        self.shards.get(shard_of(hash))
    }

    #[inline]
    fn hash(&self, key: &[u8; 16]) -> u64 {
        self.hash_of(halves(key))
    }

    /// The hash of a key whose halves are at hand: their product under the seed, folded, and
    /// folded once more, so that keys in a row do not stay in a row.
    #[inline]
    pub(super) fn hash_of(&self, [a, b]: [u64; 2]) -> u64 {
        let folded = fold(a ^ self.seed.0, b ^ self.seed.1);
        fold(folded, 0x9e37_79b9_7f4a_7c15)
    }
}

/// Both halves of a product in one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of a 128-bit product"
)]
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b));
    (product as u64) ^ ((product >> 64) as u64)
}

#[inline]
fn shard_of(hash: u64) -> usize {
    // The table inside uses the low bits and the top seven: take others.
    let [_, _, at, ..] = hash.to_be_bytes();
    usize::from(at) % SHARDS
}

impl<T> fmt::Debug for Shards<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
