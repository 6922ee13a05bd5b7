//! A part of the table under one lock: its sessions, their deadlines and owners, and the graves.
//!
//! # Why they cannot disagree
//!
//! All sessions of a principal lie in one shard (see `tail.rs`), and everything that is known of a
//! session lies in its shard: the slot, its deadline, its owner's mark, and, once it has ended, its
//! grave. The methods here are the only code that writes them, each with the shard's lock held for
//! writing, and each leaves them in agreement:
//! - `slots`, `deadlines`, `marks` and `notes` are columns of one table: row `i` of each is one
//!   session, or is free: no slot, no deadline, no note, the mark [`FREE`], and its number in
//!   `free`.
//! - a session lies in the row that its tail names; where that was taken, it lies in another and
//!   the index has an entry for it. For each grave the index has an entry.
//! - `anonymous` is the number of rows whose mark is [`ANONYMOUS`].
//!
//! So "end all of this principal" and "list mine" are one look at one shard under one lock, and
//! nothing can slip in between two of them: there are no two.
//!
//! # Why columns
//!
//! The sweep looks at nothing but deadlines, eight bytes a session side by side; the sessions of a
//! principal are found by four bytes each. Both are read faster than a tree or a wheel would be
//! kept, and cost a request nothing: a use moves the true deadline, and the column keeps a bound
//! below it until the sweep comes by.

use crate::attributes::Attributes;
use crate::ended::{Ended, EndedBy};
use crate::grave::{Grave, Graves};
use crate::moment::Moment;
use crate::owner::Owner;
use crate::place::{In, Place};
use crate::present::Note;
use crate::slot::Slot;
use crate::sync::{AtomicU64, Ordering};
use crate::tail::{Tail, Veil};
use countersign_core::{Selector, Timestamp};
use hashbrown::HashTable;
use prefetch_index::prefetch_index;

/// Marks a session's owner, without room for collisions to matter: names are compared as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(pub(crate) u32);

/// The mark of sessions without an owner; those of principals are odd.
pub(crate) const ANONYMOUS: Mark = Mark(0);
/// The mark of rows without a session.
const FREE: Mark = Mark(2);
/// The deadline of rows without a session.
const NEVER: u64 = u64::MAX;

/// What a selector's tail leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// A session, and its row.
    Living(usize, &'a Slot),
    /// A session that has ended.
    Dead(&'a Grave),
}

/// What was noted of a row, and the first two bytes of its mark: in one line, since a request reads
/// both.
#[derive(Debug)]
#[repr(align(16))]
struct Noted {
    value: AtomicU64,
    bucket: u16,
}

impl Noted {
    const fn nothing(mark: Mark) -> Self {
        let [high, low, ..] = mark.0.to_be_bytes();
        Self {
            value: AtomicU64::new(0),
            bucket: u16::from_be_bytes([high, low]),
        }
    }
}

/// About the golden section of 2^32: steps of it spread evenly.
const STRIDE: usize = 0x9e37_79b1;
/// How many rows are added at once, at least.
const GROWTH_MIN: usize = 16;

/// In this order the lock and what a request reads lie in one line.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shard {
    slots: Vec<Option<Slot>>,
    veil: Veil,
    index: HashTable<Place>,
    /// For each row an instant before which it cannot be due, in milliseconds.
    deadlines: Vec<u64>,
    marks: Vec<u32>,
    /// For each row what its caller has noted of its owner's record; zero for nothing.
    notes: Vec<Noted>,
    /// Rows without a session; the last one is filled next.
    free: Vec<u32>,
    owned_graves: Graves,
    anonymous_graves: Graves,
    anonymous: usize,
    /// Rows are not made up to here for a session that names one, such as a restored one.
    rows_max: usize,
}

#[cfg(all(not(test), target_pointer_width = "64"))]
const _: () = assert!(size_of::<Option<Slot>>() == 128, "a row is two lines");

impl Shard {
    /// An empty one for about `rows` sessions, which remembers `graves` ended sessions of
    /// principals and as many others.
    pub(crate) const fn new(veil: Veil, rows: usize, graves: usize) -> Self {
        Self {
            slots: Vec::new(),
            veil,
            index: HashTable::new(),
            deadlines: Vec::new(),
            marks: Vec::new(),
            notes: Vec::new(),
            free: Vec::new(),
            owned_graves: Graves::new(graves),
            anonymous_graves: Graves::new(graves),
            anonymous: 0,
            rows_max: rows,
        }
    }

    /// How many rows there are, free ones included.
    pub(crate) const fn rows(&self) -> usize {
        self.slots.len()
    }

    pub(crate) const fn anonymous(&self) -> usize {
        self.anonymous
    }

    /// How many ended sessions it remembers.
    pub(crate) const fn graves(&self) -> usize {
        let owned = self.owned_graves.len();
        owned.saturating_add(self.anonymous_graves.len())
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
    }

    /// Starts loading what a request is going to look at first, and waits for none of it: the line
    /// that is compared, beside which processors load the other one, and the note.
    #[inline]
    pub(crate) fn start_loading(&self, selector: Selector) {
        let row = Tail::of(selector).row(self.veil);
        prefetch_index(&self.slots, row);
        prefetch_index(&self.notes, row);
    }

    pub(crate) fn slot(&self, row: usize) -> Option<&Slot> {
        self.slots.get(row)?.as_ref()
    }

    pub(crate) fn slot_mut(&mut self, row: usize) -> Option<&mut Slot> {
        self.slots.get_mut(row)?.as_mut()
    }

    /// The row that the next session will lie in.
    pub(crate) fn next_row(&self) -> usize {
        self.free
            .last()
            .map_or(self.slots.len(), |row| *row as usize)
    }

    /// What was noted of a row.
    #[inline]
    pub(crate) fn note(&self, row: usize) -> Note {
        let Some(noted) = self.notes.get(row) else {
            return Note::default();
        };
        Note {
            value: noted.value.load(Ordering::Acquire),
            bucket: noted.bucket,
        }
    }

    /// Notes something of a row.
    pub(crate) fn set_note(&self, row: usize, note: u64) {
        if let Some(place) = self.notes.get(row) {
            place.value.store(note, Ordering::Release);
        }
    }

    /// What has, or had, this tail.
    #[inline]
    pub(crate) fn find_tail(&self, tail: Tail) -> Option<Found<'_>> {
        let row = tail.row(self.veil);
        match self.slot(row) {
            Some(slot) if Tail::of(slot.selector) == tail => Some(Found::Living(row, slot)),
            _ => self.find_indexed(tail),
        }
    }

    fn find_indexed(&self, tail: Tail) -> Option<Found<'_>> {
        let is_it = |place: &Place| self.tail_at(*place) == Some(tail);
        match self.index.find(tail.hash(), is_it)?.read() {
            In::Rows(row) => Some(Found::Living(row, self.slot(row)?)),
            In::OwnedGraves(at) => self.owned_graves.at(at).map(Found::Dead),
            In::AnonymousGraves(at) => self.anonymous_graves.at(at).map(Found::Dead),
        }
    }

    /// What has, or had, this selector: all of it, not the tail alone.
    #[inline]
    pub(crate) fn find(&self, selector: Selector) -> Option<Found<'_>> {
        let found = self.find_tail(Tail::of(selector))?;
        let named = match &found {
            Found::Living(_, slot) => slot.selector,
            Found::Dead(grave) => grave.selector,
        };
        (named == selector).then_some(found)
    }

    /// The rows of a principal, ascending, with their sessions.
    pub(crate) fn owned_by<'a>(
        &'a self,
        mark: Mark,
        owner: &'a Owner,
    ) -> impl Iterator<Item = (usize, &'a Slot)> {
        let rows = self.marks.iter().enumerate();
        rows.filter(move |(_, marked)| **marked == mark.0)
            .filter_map(|(row, _)| Some((row, self.slot(row)?)))
            .filter(move |(_, slot)| slot.owner.as_ref() == Some(owner))
    }

    /// Up to `most` anonymous rows, spread over the shard: neighbours are of one age.
    pub(crate) fn anonymous_rows(
        &self,
        start: usize,
        most: usize,
    ) -> impl Iterator<Item = (usize, &Slot)> {
        // An odd stride visits every number below a power of two once.
        let around = self.rows().next_power_of_two();
        let visited = (0..around).map(move |step| {
            let number = start.wrapping_add(step.wrapping_mul(STRIDE));
            number & around.saturating_sub(1)
        });
        visited
            .filter(|row| self.marks.get(*row) == Some(&ANONYMOUS.0))
            .filter_map(|row| Some((row, self.slot(row)?)))
            .take(most)
    }

    /// Takes a session in. Answers whether it did: not if another has, or is remembered to have
    /// had, its tail.
    #[must_use]
    pub(crate) fn insert(&mut self, mark: Mark, deadline: Timestamp, slot: Slot) -> bool {
        let tail = Tail::of(slot.selector);
        if self.find_tail(tail).is_some() {
            return false;
        }
        let named = tail.row(self.veil);
        let row = if slot.is_bare() {
            // A row would be named by chance: none is made, and none is looked for.
            self.free.pop().map_or(self.slots.len(), |row| row as usize)
        } else {
            self.grow_to(named);
            self.take_row(named)
        };
        let Some(place) = Place::new(In::Rows(row)) else {
            return false;
        };
        if row == self.slots.len() {
            self.reserve();
            self.slots.push(Some(slot));
            self.deadlines.push(deadline.as_millis());
            self.marks.push(mark.0);
            self.notes.push(Noted::nothing(mark));
        } else {
            self.set_row(row, Some(slot), deadline.as_millis(), mark);
        }
        if mark == ANONYMOUS {
            self.anonymous = self.anonymous.saturating_add(1);
        }
        if row != named {
            self.enter(tail, place);
        }
        true
    }

    /// Ends the session of a row.
    pub(crate) fn end(&mut self, row: usize, by: EndedBy, at: Timestamp) -> Option<Ended> {
        self.end_for(row, by, at, None)
    }

    /// Ends the session in `row` because of a log-in, which opened `successor` in its place.
    pub(crate) fn replace(
        &mut self,
        row: usize,
        at: Timestamp,
        successor: Selector,
    ) -> Option<Ended> {
        self.end_for(row, EndedBy::LogIn, at, Some(successor))
    }

    fn end_for(
        &mut self,
        row: usize,
        by: EndedBy,
        at: Timestamp,
        successor: Option<Selector>,
    ) -> Option<Ended> {
        let number = u32::try_from(row).ok()?;
        let slot = self.slots.get_mut(row)?.take()?;
        self.set_row(row, None, NEVER, FREE);
        self.free.push(number);
        if slot.is_anonymous() {
            self.anonymous = self.anonymous.saturating_sub(1);
        }
        let ended = Ended {
            selector: slot.selector,
            owner: slot.owner.clone(),
            by,
            at,
            series: slot.series(),
        };
        self.bury(row, slot, ended.by, at, successor);
        Some(ended)
    }

    /// The slot that was in `row` becomes a grave, with an entry in the index.
    fn bury(
        &mut self,
        row: usize,
        slot: Slot,
        by: EndedBy,
        at: Timestamp,
        successor: Option<Selector>,
    ) {
        let tail = Tail::of(slot.selector);
        if tail.row(self.veil) != row
            && let Some(place) = Place::new(In::Rows(row))
        {
            self.strike(tail, place);
        }
        let anonymous = slot.is_anonymous();
        let grave = Grave {
            selector: slot.selector,
            digest: slot.digest,
            owner: slot.owner,
            at,
            successor,
            generation: slot.generation,
            key_id: slot.key_id,
            by,
        };
        let graves = if anonymous {
            &mut self.anonymous_graves
        } else {
            &mut self.owned_graves
        };
        let Some((at, forgotten)) = graves.bury(grave) else {
            return;
        };
        let place = if anonymous {
            In::AnonymousGraves(at)
        } else {
            In::OwnedGraves(at)
        };
        if let Some(place) = Place::new(place) {
            // The forgotten one's entry leads to the place that the new one has taken.
            if let Some(forgotten) = forgotten {
                self.strike(forgotten, place);
            }
            self.enter(tail, place);
        }
    }

    /// Whether any session could be due.
    pub(crate) fn any_due(&self, now: Timestamp) -> bool {
        let now = now.as_millis();
        // Without a branch in the loop, so that several are compared at once.
        let due = |any: bool, deadline: &u64| any | (*deadline <= now);
        self.deadlines.iter().fold(false, due)
    }

    /// The last row below `below` that could be due.
    pub(crate) fn last_due(&self, below: usize, now: Timestamp) -> Option<usize> {
        let rows = self.deadlines.get(..below.min(self.deadlines.len()))?;
        rows.iter()
            .rposition(|deadline| *deadline <= now.as_millis())
    }

    /// Sets the bound below a row's deadline anew.
    pub(crate) fn restate_deadline(&mut self, row: usize, moment: &Moment<'_>) {
        let deadline = self.slot(row).map(|slot| slot.expires_at(moment));
        if let (Some(deadline), Some(bound)) = (deadline, self.deadlines.get_mut(row)) {
            *bound = deadline.as_millis();
        }
    }

    /// Replaces a session's attributes.
    pub(crate) fn set_attributes(&mut self, row: usize, attributes: Attributes) {
        if let Some(slot) = self.slot_mut(row) {
            let series = slot.series();
            slot.set_bag(series, attributes);
        }
    }

    fn set_row(&mut self, row: usize, slot: Option<Slot>, deadline: u64, mark: Mark) {
        if let Some(place) = self.slots.get_mut(row) {
            *place = slot;
        }
        if let Some(place) = self.deadlines.get_mut(row) {
            *place = deadline;
        }
        if let Some(place) = self.marks.get_mut(row) {
            *place = mark.0;
        }
        if let Some(place) = self.notes.get_mut(row) {
            *place = Noted::nothing(mark);
        }
    }

    /// A row without a session: the named one if it has none, else any, which may be a new one.
    fn take_row(&mut self, named: usize) -> usize {
        let place = self.free.iter().rposition(|row| *row as usize == named);
        match place {
            Some(place) => self.free.swap_remove(place) as usize,
            None if named == self.slots.len() => named,
            None => self.free.pop().map_or(self.slots.len(), |row| row as usize),
        }
    }

    /// Makes free rows up to the named one, as far as rows go anyway.
    fn grow_to(&mut self, named: usize) {
        while self.slots.len() < named.min(self.rows_max) {
            let Ok(row) = u32::try_from(self.slots.len()) else {
                return;
            };
            self.reserve();
            self.slots.push(None);
            self.deadlines.push(NEVER);
            self.marks.push(FREE.0);
            self.notes.push(Noted::nothing(FREE));
            self.free.push(row);
        }
    }

    fn tail_at(&self, place: Place) -> Option<Tail> {
        tail_at(
            &self.slots,
            &self.owned_graves,
            &self.anonymous_graves,
            place,
        )
    }

    fn enter(&mut self, tail: Tail, place: Place) {
        let (slots, owned) = (&self.slots, &self.owned_graves);
        let anonymous = &self.anonymous_graves;
        let rehash = |place: &Place| {
            let tail = tail_at(slots, owned, anonymous, *place);
            tail.map_or(0, Tail::hash)
        };
        self.index.insert_unique(tail.hash(), place, rehash);
    }

    /// Takes the entry of `tail` that leads to `place` out of the index.
    fn strike(&mut self, tail: Tail, place: Place) {
        if let Ok(entry) = self.index.find_entry(tail.hash(), |p| *p == place) {
            entry.remove();
        }
    }

    /// Room for one more row: by an eighth and not by doubling, or half of it would lie idle.
    fn reserve(&mut self) {
        if self.slots.len() == self.slots.capacity() {
            let more = GROWTH_MIN.max(self.slots.len() >> 3);
            self.slots.reserve_exact(more);
            self.deadlines.reserve_exact(more);
            self.marks.reserve_exact(more);
            self.notes.reserve_exact(more);
        }
    }
}

fn tail_at(
    slots: &[Option<Slot>],
    owned: &Graves,
    anonymous: &Graves,
    place: Place,
) -> Option<Tail> {
    let selector = match place.read() {
        In::Rows(row) => slots.get(row)?.as_ref()?.selector,
        In::OwnedGraves(at) => owned.at(at)?.selector,
        In::AnonymousGraves(at) => anonymous.at(at)?.selector,
    };
    Some(Tail::of(selector))
}

#[cfg(test)]
mod tests;
