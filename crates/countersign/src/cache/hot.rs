//! Copies of what verification wants of a token, where readers find them without a lock.
//!
//! Beside each shard of the cache of grants lies a table of slots, two lines of memory each. Who
//! reads takes no lock, counts no owner and writes no line that another thread reads: it copies
//! the words of a slot between two looks at the slot's number (see `seqlock.rs`). Who writes does
//! so under the shard's lock for writers, in the critical section in which the entry itself is
//! taken in or dropped; so a slot never holds what the shard does not, and what has been dropped
//! is gone from here before anybody is told that it was.
//!
//! It is not the cache: a token whose texts do not fit, or for which there is no room near its
//! place, has no slot and is judged by its entry, more slowly. Nor is it a verdict: what is copied
//! are records, and a principal's only as long as no record of its bucket has changed.

pub(crate) mod image;
pub(super) mod slot;

use crate::sync::{AtomicU64, Ordering};
use image::{Image, WORDS};
use slot::Slot;
use std::fmt;
use std::sync::OnceLock;

/// Slots that are near one place. A token lies in one of them, or in none.
const NEAR: usize = 8;
/// The segments that a shard can grow to; each doubles it.
const SEGMENTS: usize = 26;

/// Slots near one place.
#[derive(Debug, Default)]
struct Window([Slot; NEAR]);

/// One shard's slots.
///
/// The first segment has one window, and each that follows has as many as all before it: nothing
/// that a reader may be looking at is ever moved or freed.
#[derive(Default)]
struct Shard {
    /// The number of windows less one.
    mask: AtomicU64,
    /// Slots in use; written under the lock of the cache's shard.
    used: AtomicU64,
    segments: [OnceLock<Box<[Window]>>; SEGMENTS],
}

/// The tables of all shards.
pub(super) struct Hot(Box<[Shard]>);

/// A token's words as they were in its slot, and the slot.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) image: Image,
    pub(super) slot: &'a Slot,
    pub(super) number: u64,
}

impl Hot {
    pub(super) fn new(shards: usize) -> Self {
        Self(
            std::iter::repeat_with(Shard::default)
                .take(shards)
                .collect(),
        )
    }

    /// The copy of a token, if it has one that is not being written just now.
    #[inline]
    pub(super) fn find(&self, shard: usize, hash: u64, key: [u64; 2]) -> Option<Found<'_>> {
        let slot = self.0.get(shard)?.find(hash, key)?;
        let (number, words) = slot.read()?;
        let image = Image(words);
        // It may have been another's by the time it was read.
        (image.key() == key).then_some(Found {
            image,
            slot,
            number,
        })
    }

    /// Puts a token's words in their place, and answers whether there was one.
    ///
    /// To be called under the lock of the cache's shard, as all that follow.
    pub(super) fn put(&self, shard: usize, hash: u64, image: &Image, rehash: &Rehash<'_>) -> bool {
        let Some(shard) = self.0.get(shard) else {
            return false;
        };
        if let Some(slot) = shard.find(hash, image.key()) {
            slot.write(&image.0);
            return true;
        }
        if !shard.has_room() {
            shard.grow(rehash);
        }
        shard.put(hash, image, 0)
    }

    /// Empties a token's slot; answers for the second of the last use that was noted in it.
    pub(super) fn clear(&self, shard: usize, hash: u64, key: [u64; 2]) -> u64 {
        let Some(shard) = self.0.get(shard) else {
            return 0;
        };
        let Some(slot) = shard.find(hash, key) else {
            return 0;
        };
        shard.empty(slot);
        slot.second()
    }
}

/// Where a key belongs.
pub(super) type Rehash<'a> = dyn Fn([u64; 2]) -> u64 + 'a;

impl Shard {
    #[inline]
    fn find(&self, hash: u64, key: [u64; 2]) -> Option<&Slot> {
        near(self.window(hash)?, hash).find(|slot| slot.is_of(key))
    }

    /// The window of a place; `None` before anything was put.
    #[inline]
    fn window(&self, hash: u64) -> Option<&Window> {
        let at = (hash >> NEAR.trailing_zeros()) & self.mask.load(Ordering::Acquire);
        let at = usize::try_from(at).ok()?;
        // Window 0 is the first segment; 1 the second; 2 and 3 the third, and so on.
        let (segment, first) = match at.checked_ilog2() {
            None => (0, 0),
            Some(log) => (log.saturating_add(1), 1usize << log),
        };
        let segment = self.segments.get(usize::try_from(segment).ok()?)?.get()?;
        segment.get(at.wrapping_sub(first))
    }

    /// At most half of the slots are used, so that a token nearly always lies at its own place.
    fn has_room(&self) -> bool {
        let windows = self.mask.load(Ordering::Relaxed).saturating_add(1);
        let half = windows.saturating_mul(NEAR as u64) / 2;
        let begun = self
            .segments
            .first()
            .is_some_and(|first| first.get().is_some());
        begun && self.used.load(Ordering::Relaxed) < half
    }

    /// Adds a segment and puts everything in its new place. Readers find nothing meanwhile.
    fn grow(&self, rehash: &Rehash<'_>) {
        let windows = |count| {
            std::iter::repeat_with(Window::default)
                .take(count)
                .collect()
        };
        let [first, ..] = &self.segments;
        if first.get().is_none() {
            first.get_or_init(|| windows(1));
            return;
        }
        let mask = self.mask.load(Ordering::Relaxed);
        let count = mask.saturating_add(1);
        let next = count.trailing_zeros().saturating_add(1);
        let next = usize::try_from(next)
            .ok()
            .and_then(|at| self.segments.get(at));
        let (Some(next), Ok(more)) = (next, usize::try_from(count)) else {
            return;
        };
        next.get_or_init(|| windows(more));
        let mut kept = Vec::new();
        for slot in self.slots().filter(|slot| !slot.is_of([0; 2])) {
            let words = slot.read().map(|(_, words)| Image(words));
            self.empty(slot);
            kept.extend(words.map(|image| (image, slot.second())));
        }
        self.mask
            .store(mask.saturating_add(count), Ordering::Release);
        for (image, second) in kept {
            self.put(rehash(image.key()), &image, second);
        }
    }

    fn put(&self, hash: u64, image: &Image, second: u64) -> bool {
        let Some(window) = self.window(hash) else {
            return false;
        };
        let Some(free) = near(window, hash).find(|slot| slot.is_of([0; 2])) else {
            return false;
        };
        free.begin(second);
        free.write(&image.0);
        self.used.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn empty(&self, slot: &Slot) {
        if !slot.is_of([0; 2]) {
            slot.write(&[0; WORDS]);
            self.used.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        let windows = self.segments.iter().filter_map(OnceLock::get).flatten();
        windows.flat_map(|window| &window.0)
    }
}

/// The slots of a window, beginning with a token's own place.
#[inline]
fn near(window: &Window, hash: u64) -> impl Iterator<Item = &Slot> {
    let [own, ..] = hash.to_le_bytes();
    let own = usize::from(own) % NEAR;
    (0..NEAR).filter_map(move |step| window.0.get(own ^ step))
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self
            .0
            .iter()
            .map(|shard| shard.used.load(Ordering::Relaxed));
        f.debug_struct("Hot")
            .field("used", &used.fold(0u64, u64::saturating_add))
            .finish_non_exhaustive()
    }
}
