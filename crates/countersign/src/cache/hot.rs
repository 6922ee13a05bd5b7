//! Copies of what verification wants of a token, where readers find them without a lock.
//!
//! Beside the shards of the cache of grants lies a table of slots, two lines of memory each. Who
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
mod laid;
pub(super) mod slot;

use super::shard::Place;
use crate::sync::{AtomicU64, Ordering};
use image::{Image, WORDS};
use laid::Laid;
use slot::Slot;
use std::fmt;
use std::sync::OnceLock;

/// Slots that are near one place. A token lies in one of them, or in none.
const NEAR: usize = 8;
/// The segments that a shard can grow to; each but the first doubles it.
const SEGMENTS: usize = 26;

/// Slots near one place.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
#[cfg_attr(
    not(test),
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout)
)]
#[repr(transparent)]
struct Window([Slot; NEAR]);

/// The slots of all shards.
///
/// A shard has windows of its own and grows by itself. Its first segment has one window, and each
/// that follows has as many as all before it, so nothing that a reader may be looking at is ever
/// moved or freed. A segment is laid out for all shards when the first of them grows into it, which
/// costs the system's word and no memory: a page of it is there once it is written.
pub(super) struct Hot {
    /// For each shard, the number of its windows less one.
    masks: Box<[AtomicU64]>,
    /// For each shard, its slots in use; changed under the lock of the cache's shard alone.
    used: Box<[AtomicU64]>,
    /// In each the windows of one shard, then those of the next.
    segments: [OnceLock<Laid>; SEGMENTS],
}

/// A token's words as they were in its slot, and the slot.
#[derive(Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) image: Image,
    pub(super) slot: &'a Slot,
    pub(super) number: u64,
}

impl Hot {
    pub(super) fn new(shards: usize) -> Self {
        let zeros = || (0..shards).map(|_| AtomicU64::new(0)).collect();
        let hot = Self {
            masks: zeros(),
            used: zeros(),
            segments: std::array::from_fn(|_| OnceLock::new()),
        };
        hot.lay(0);
        hot
    }

    /// Starts loading what [`Hot::find`] is going to look at.
    #[inline]
    pub(super) fn start_loading(&self, place: Place) {
        if let Some(window) = self.window(place) {
            let mut near = near(window, place.hash);
            if let (Some(own), Some(beside)) = (near.next(), near.next()) {
                own.start_loading();
                beside.start_loading();
            }
        }
    }

    /// The copy of a token, if it has one that is not being written just now.
    #[inline(always)]
    pub(super) fn find(&self, place: Place, key: [u64; 2]) -> Option<Found<'_>> {
        let slot = self.slot(place, key)?;
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
    pub(super) fn put(&self, place: Place, image: &Image, rehash: &Rehash<'_>) -> bool {
        if let Some(slot) = self.slot(place, image.key()) {
            slot.write(&image.0);
            return true;
        }
        if !self.has_room(place.shard) {
            self.grow(place.shard, rehash);
        }
        self.enter(place, image, 0)
    }

    /// Empties a token's slot; answers for the second of the last use that was noted in it.
    pub(super) fn clear(&self, place: Place, key: [u64; 2]) -> u64 {
        let Some(slot) = self.slot(place, key) else {
            return 0;
        };
        self.empty(place.shard, slot);
        slot.second()
    }

    /// A token's slot. Its own place and the one beside it are looked at together, for they are
    /// far away and nearly always one of them is it.
    #[inline]
    fn slot(&self, place: Place, key: [u64; 2]) -> Option<&Slot> {
        let mut near = near(self.window(place)?, place.hash);
        let (own, beside) = (near.next()?, near.next()?);
        let (is_own, is_beside) = (own.is_of(key), beside.is_of(key));
        if is_own {
            return Some(own);
        }
        if is_beside {
            return Some(beside);
        }
        Self::further(near, key)
    }

    #[cold]
    fn further<'a>(mut near: impl Iterator<Item = &'a Slot>, key: [u64; 2]) -> Option<&'a Slot> {
        near.find(|slot| slot.is_of(key))
    }

    /// The window of a place; `None` where the system had no memory for it.
    #[inline]
    fn window(&self, place: Place) -> Option<&Window> {
        let mask = self.masks.get(place.shard)?.load(Ordering::Acquire);
        let own = usize::try_from((place.hash >> NEAR.trailing_zeros()) & mask).ok()?;
        let (segment, first) = segment_of(own);
        let laid = self.segments.get(segment)?.get()?;
        let at = place.shard.wrapping_mul(first.max(1));
        laid.windows().get(at.wrapping_add(own.wrapping_sub(first)))
    }

    /// Lays out a segment for all shards, unless that was done, and answers whether it is there.
    fn lay(&self, segment: usize) -> bool {
        // The first has one window a shard, each other one as many as are before it.
        let each = 1usize << segment.saturating_sub(1);
        let all = each.saturating_mul(self.masks.len());
        let laid = self.segments.get(segment);
        laid.is_some_and(|laid| !laid.get_or_init(|| Laid::new(all)).windows().is_empty())
    }

    /// At most half of a shard's slots are used, so that a token nearly always lies near its own
    /// place.
    fn has_room(&self, shard: usize) -> bool {
        let (Some(mask), Some(used)) = (self.masks.get(shard), self.used.get(shard)) else {
            return false;
        };
        let windows = mask.load(Ordering::Relaxed).saturating_add(1);
        let half = windows.saturating_mul(NEAR as u64) / 2;
        used.load(Ordering::Relaxed) < half
    }

    /// Gives a shard twice as many windows and puts everything in its new place. Readers find
    /// nothing of it meanwhile.
    fn grow(&self, shard: usize, rehash: &Rehash<'_>) {
        let Some(mask) = self.masks.get(shard) else {
            return;
        };
        let last = mask.load(Ordering::Relaxed);
        let count = last.saturating_add(1);
        let (segment, _) = segment_of(usize::try_from(count).unwrap_or(usize::MAX));
        if !self.lay(segment) {
            return;
        }
        let mut kept = Vec::new();
        let taken = self.slots(shard, segment);
        for slot in taken.filter(|slot| !slot.is_of([0; 2])) {
            let words = slot.read().map(|(_, words)| Image(words));
            self.empty(shard, slot);
            kept.extend(words.map(|image| (image, slot.second())));
        }
        mask.store(last.saturating_add(count), Ordering::Release);
        for (image, second) in kept {
            let hash = rehash(image.key());
            self.enter(Place { shard, hash }, &image, second);
        }
    }

    fn enter(&self, place: Place, image: &Image, second: u64) -> bool {
        let Some(window) = self.window(place) else {
            return false;
        };
        let free = near(window, place.hash).find(|slot| slot.is_of([0; 2]));
        let (Some(free), Some(used)) = (free, self.used.get(place.shard)) else {
            return false;
        };
        free.begin(second);
        free.write(&image.0);
        used.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn empty(&self, shard: usize, slot: &Slot) {
        if let Some(used) = self.used.get(shard)
            && !slot.is_of([0; 2])
        {
            slot.write(&[0; WORDS]);
            used.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The slots of a shard in the segments before this one.
    fn slots(&self, shard: usize, before: usize) -> impl Iterator<Item = &Slot> {
        let laid = self.segments.iter().take(before).filter_map(OnceLock::get);
        let windows = laid.filter_map(move |laid| {
            let windows = laid.windows();
            let each = windows.len().checked_div(self.masks.len())?;
            windows.chunks(each.max(1)).nth(shard)
        });
        windows.flatten().flat_map(|window| &window.0)
    }
}

/// The segment that a shard's window is in, and the shard's first window in it: window 0 is in the
/// first, 1 in the second, 2 and 3 in the third, and so on.
#[inline]
fn segment_of(window: usize) -> (usize, usize) {
    match window.checked_ilog2() {
        None => (0, 0),
        Some(log) => ((log as usize).saturating_add(1), 1 << log),
    }
}

/// Where a key belongs.
pub(super) type Rehash<'a> = dyn Fn([u64; 2]) -> u64 + 'a;

/// The slots of a window, beginning with a token's own place.
#[inline]
fn near(window: &Window, hash: u64) -> impl Iterator<Item = &Slot> {
    let [own, ..] = hash.to_le_bytes();
    let own = usize::from(own) % NEAR;
    (0..NEAR).filter_map(move |step| window.0.get(own ^ step))
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.used.iter().map(|used| used.load(Ordering::Relaxed));
        f.debug_struct("Hot")
            .field("used", &used.fold(0u64, u64::saturating_add))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
