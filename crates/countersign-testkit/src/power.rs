//! A disk whose power can be cut.
//!
//! A [`Disk`] notes every operation on a store's file. Afterwards a [`Replay`] walks through the
//! notes and makes, at any point, the images that a cut there could leave. What was synced is
//! there. Of what was written since, each sector of 512 bytes has any of the contents that it had
//! had in turn, or garbage; and the file has any of the lengths that it had had.
//!
//! A sync can be made to fail as one does that loses what it was to make durable: the file still
//! reads as it was written, a later sync goes well, and what the failed one lost is on no disk.
//!
//! One thing is taken as given, as redb does: a drive writes the first sector of the file, which
//! holds redb's header, whole or not at all, and leaves no garbage there.

use crate::backend::{Bytes, Locked};
use core::fmt;
use countersign_store::redb::BackendHook;
use parking_lot::Mutex;
use redb::backends::FileBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// What a drive writes in one piece.
pub const SECTOR: usize = 512;

/// The bytes of a file, held in memory, and all that was done to them. Clones share them.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    events: Vec<Event>,
    /// How many more syncs go well before one fails, if one is to, and what is rolled for it.
    failing: Option<(u64, u64)>,
}

/// Something that was done to a file, or said about the moment.
enum Event {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
    /// One that failed: of what it was to make durable, this number says what is lost for good.
    LostSync(u64),
    Mark,
}

/// What was done to a file, from the bytes that it had at first.
pub struct Notes {
    first: Vec<u8>,
    events: Vec<Event>,
}

/// A walk through the notes.
pub struct Replay<'a> {
    events: &'a [Event],
    at: usize,
    /// What survives whatever happens.
    durable: Vec<u8>,
    /// What may or may not.
    unsynced: Vec<&'a Event>,
    marks: usize,
}

/// How much of what was not synced a cut leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing.
    Nothing,
    /// All of it: the power failed after it was written and before that was told.
    All,
    /// The first writes, and a part of the one after them.
    Beginning,
    /// Some writes, whichever they are.
    SomeWrites,
    /// Some sectors, whichever they are, each with any of its contents.
    SomeSectors,
    /// The same, and garbage in others.
    Garbage,
}

impl Cut {
    /// Every way.
    pub const ALL: [Self; 6] = [
        Self::Nothing,
        Self::All,
        Self::Beginning,
        Self::SomeWrites,
        Self::SomeSectors,
        Self::Garbage,
    ];
}

impl Disk {
    /// A disk with these bytes on it.
    #[must_use]
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes,
            events: Vec::new(),
            failing: None,
        })))
    }

    /// The hook to open a store with: its bytes are the disk's, its locks are those of the file.
    #[must_use]
    pub fn hook(&self) -> BackendHook {
        let disk = self.clone();
        Arc::new(move |_, file| Locked::over(file, disk.clone()))
    }

    /// Fails a sync once `good` more have gone well. `seed` says what it loses.
    pub fn lose_a_sync(&self, good: u64, seed: u64) {
        self.0.lock().failing = Some((good, seed));
    }

    /// Fails no sync any more.
    pub fn lose_no_sync(&self) {
        self.0.lock().failing = None;
    }

    /// Notes that something else has happened; [`Replay::marks`] counts these.
    pub fn mark(&self) {
        self.0.lock().events.push(Event::Mark);
    }

    /// What was done so far, given that it held `first` at the beginning.
    #[must_use]
    pub fn notes(&self, first: Vec<u8>) -> Notes {
        let events = core::mem::take(&mut self.0.lock().events);
        Notes { first, events }
    }
}

impl Bytes for Disk {
    fn len(&self, _: &FileBackend) -> io::Result<u64> {
        u64::try_from(self.0.lock().bytes.len()).map_err(io::Error::other)
    }

    fn read(&self, _: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let state = self.0.lock();
        let found = state.bytes.get(offset..offset.saturating_add(out.len()));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, _: &FileBackend, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut state = self.0.lock();
        state.bytes.resize(len, 0);
        state.events.push(Event::SetLen(len));
        Ok(())
    }

    fn sync(&self, _: &FileBackend) -> io::Result<()> {
        let mut state = self.0.lock();
        match &mut state.failing {
            Some((0, seed)) => {
                let lost = Event::LostSync(*seed);
                state.failing = None;
                state.events.push(lost);
                return Err(io::Error::from_raw_os_error(5));
            }
            Some((good, _)) => *good = good.saturating_sub(1),
            None => {}
        }
        state.events.push(Event::Sync);
        Ok(())
    }

    fn write(&self, _: &FileBackend, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut state = self.0.lock();
        put(&mut state.bytes, offset, data);
        state.events.push(Event::Write(offset, data.to_vec()));
        Ok(())
    }
}

impl Notes {
    /// How many points there are to cut at.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing was done.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// A walk from the beginning.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay {
            events: &self.events,
            at: 0,
            durable: self.first.clone(),
            unsynced: Vec::new(),
            marks: 0,
        }
    }
}

impl Replay<'_> {
    /// How many marks were made before this point.
    #[must_use]
    pub const fn marks(&self) -> usize {
        self.marks
    }

    /// Goes one operation further; answers whether there was one.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.events.get(self.at) else {
            return false;
        };
        self.at = self.at.saturating_add(1);
        match event {
            Event::Sync => {
                for event in self.unsynced.drain(..) {
                    apply(&mut self.durable, event);
                }
            }
            Event::LostSync(seed) => {
                let mut seed = *seed;
                let mut below = |sides: u64| {
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    (seed >> 33).checked_rem(sides).unwrap_or(0)
                };
                self.durable = self.image(Cut::SomeSectors, &mut below);
                self.unsynced.clear();
            }
            Event::Mark => self.marks = self.marks.saturating_add(1),
            Event::Write(..) | Event::SetLen(_) => self.unsynced.push(event),
        }
        true
    }

    /// The file as a cut at this point may leave it.
    ///
    /// `below` rolls a number below the one that it is given.
    pub fn image(&self, cut: Cut, below: &mut dyn FnMut(u64) -> u64) -> Vec<u8> {
        let mut image = self.durable.clone();
        if cut == Cut::All {
            for event in &self.unsynced {
                apply(&mut image, event);
            }
            return image;
        }
        if cut == Cut::Nothing || self.unsynced.is_empty() {
            return image;
        }
        let mut dice = |sides: usize| {
            let rolled = below(u64::try_from(sides).unwrap_or(u64::MAX));
            usize::try_from(rolled).unwrap_or(usize::MAX)
        };
        // Where the beginning ends, and which writes are there.
        let end = dice(self.unsynced.len());
        let kept: Vec<bool> = self.unsynced.iter().map(|_| dice(2) == 0).collect();
        let lens = self.lens();
        let len = match cut {
            Cut::Beginning => lens.iter().rev().find(|(at, _)| *at <= end),
            _ => lens.get(dice(lens.len())),
        };
        let len = len.map_or(image.len(), |(_, len)| *len);
        for (sector, touching) in self.sectors() {
            let upto = match cut {
                Cut::Beginning => {
                    let whole = touching.iter().filter(|at| **at < end).count();
                    // The one that was under way is torn: each of its sectors is there or not.
                    let torn = touching.contains(&end) && dice(2) == 0;
                    whole.saturating_add(usize::from(torn))
                }
                Cut::SomeWrites => {
                    let is_kept = |at: &usize| kept.get(*at).copied().unwrap_or(false);
                    let last = touching.iter().rposition(is_kept);
                    last.map_or(0, |last| last.saturating_add(1))
                }
                _ => dice(touching.len().saturating_add(1)),
            };
            for at in touching.iter().take(upto) {
                if let Some(Event::Write(offset, data)) = self.unsynced.get(*at) {
                    put_within(&mut image, *offset, data, sector);
                }
            }
            if cut == Cut::Garbage && sector != 0 && dice(4) == 0 {
                let garbage: Vec<u8> = (0..SECTOR).map(|_| dice(256).to_le_bytes()[0]).collect();
                put_within(&mut image, sector.saturating_mul(SECTOR), &garbage, sector);
            }
        }
        image.resize(len, 0);
        image
    }

    /// The lengths that the file may have, each with the number of the operation it came by.
    fn lens(&self) -> Vec<(usize, usize)> {
        let mut len = self.durable.len();
        let mut lens = vec![(0, len)];
        for (at, event) in self.unsynced.iter().enumerate() {
            let now = match event {
                Event::SetLen(len) => *len,
                Event::Write(offset, data) => len.max(offset.saturating_add(data.len())),
                Event::Sync | Event::LostSync(_) | Event::Mark => len,
            };
            if now != len {
                len = now;
                lens.push((at, len));
            }
        }
        lens
    }

    /// Each sector that was written to, with the numbers of the writes, in their order.
    fn sectors(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut sectors = BTreeMap::<usize, Vec<usize>>::new();
        for (at, event) in self.unsynced.iter().enumerate() {
            if let Event::Write(offset, data) = event
                && !data.is_empty()
            {
                let last = offset.saturating_add(data.len()).saturating_sub(1);
                for sector in offset.div_euclid(SECTOR)..=last.div_euclid(SECTOR) {
                    sectors.entry(sector).or_default().push(at);
                }
            }
        }
        sectors
    }
}

fn apply(bytes: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(offset, data) => put(bytes, *offset, data),
        Event::SetLen(len) => bytes.resize(*len, 0),
        Event::Sync | Event::LostSync(_) | Event::Mark => {}
    }
}

/// Writes as a file is written to: beyond its end it grows.
fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset.saturating_add(data.len());
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(offset..end) {
        place.copy_from_slice(data);
    }
}

/// Writes what falls within one sector.
fn put_within(bytes: &mut Vec<u8>, offset: usize, data: &[u8], sector: usize) {
    let first = sector.saturating_mul(SECTOR).max(offset);
    let end = sector.saturating_add(1).saturating_mul(SECTOR);
    let end = end.min(offset.saturating_add(data.len()));
    if let Some(part) = data.get(first.saturating_sub(offset)..end.saturating_sub(offset)) {
        put(bytes, first, part);
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Disk")
            .field("bytes", &state.bytes.len())
            .field("operations", &state.events.len())
            .finish()
    }
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes")
            .field("operations", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("at", &self.at)
            .field("unsynced", &self.unsynced.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Two writes to the second sector and one to the third, none of them synced.
    fn notes() -> Notes {
        let write = |offset, byte| Event::Write(offset, vec![byte; 8]);
        Notes {
            first: vec![0; 4 * SECTOR],
            events: vec![
                write(0, 1),
                Event::Sync,
                Event::Mark,
                write(SECTOR, 2),
                write(SECTOR + 4, 3),
                write(2 * SECTOR, 4),
                Event::SetLen(5 * SECTOR),
            ],
        }
    }

    #[test]
    fn what_a_failed_sync_lost_is_there_by_no_later_one() {
        let write = |offset, byte| Event::Write(offset, vec![byte]);
        let left = |seed| {
            let notes = Notes {
                first: vec![0; 2 * SECTOR],
                events: vec![
                    write(SECTOR, 1),
                    Event::Sync,
                    write(SECTOR, 2),
                    Event::LostSync(seed),
                    write(SECTOR + 1, 3),
                    Event::Sync,
                ],
            };
            let mut replay = notes.replay();
            while replay.step() {}
            let image = replay.image(Cut::All, &mut |_| 0);
            [image[SECTOR], image[SECTOR + 1]]
        };
        let left: BTreeSet<_> = (0..40).map(left).collect();
        assert_eq!(left, BTreeSet::from([[1, 3], [2, 3]]));
    }

    fn images(cut: Cut) -> BTreeSet<([u8; 3], usize)> {
        let notes = notes();
        let mut replay = notes.replay();
        while replay.step() {}
        assert_eq!(replay.marks(), 1);
        let mut seed = 1u64;
        let mut below = |sides| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (seed >> 33).checked_rem(sides).unwrap_or(0)
        };
        let looked_at = |image: Vec<u8>| {
            assert_eq!(image[..8], [1; 8], "what was synced is there");
            let bytes = [SECTOR, SECTOR + 4, 2 * SECTOR].map(|at| image[at]);
            (bytes, image.len() / SECTOR)
        };
        let image = |_| looked_at(replay.image(cut, &mut below));
        (0..400).map(image).collect()
    }

    #[test]
    fn a_cut_leaves_any_contents_that_were_there_in_turn_and_no_others() {
        assert_eq!(images(Cut::Nothing), BTreeSet::from([([0, 0, 0], 4)]));
        assert_eq!(images(Cut::All), BTreeSet::from([([2, 3, 4], 5)]));
        let contents = |cut| -> BTreeSet<_> {
            let images = images(cut).into_iter();
            images.map(|(bytes, _)| bytes).collect()
        };
        let second = [[0, 0], [2, 2], [2, 3]];
        let any: BTreeSet<_> = second
            .iter()
            .flat_map(|[a, b]| [[*a, *b, 0], [*a, *b, 4]])
            .collect();
        assert_eq!(contents(Cut::SomeSectors), any);
        assert_eq!(contents(Cut::SomeWrites), any);
        let in_turn = BTreeSet::from([[0, 0, 0], [2, 2, 0], [2, 3, 0], [2, 3, 4]]);
        assert_eq!(contents(Cut::Beginning), in_turn);
        let lens: BTreeSet<_> = images(Cut::SomeSectors)
            .into_iter()
            .map(|(_, len)| len)
            .collect();
        assert_eq!(lens, BTreeSet::from([4, 5]));
        assert!(images(Cut::Garbage).len() > 2 * any.len(), "garbage is any");
    }
}
