//! What is remembered of ended sessions, so that late requests and stale forms are told the truth.
//!
//! A bounded ring: the oldest makes way. It keeps digests and what a csrf secret is derived from,
//! no secret. Anonymous sessions and those of principals have a ring each, or a flood of the
//! former would make the latter forgotten.

use crate::ended::{EndedBy, Gone};
use crate::owner::Owner;
use crate::tail::Tail;
use countersign_core::{Digest, KeyId, Selector, Timestamp};

/// A session that is no more.
#[derive(Debug)]
pub(crate) struct Grave {
    pub(crate) selector: Selector,
    pub(crate) digest: Digest,
    pub(crate) owner: Option<Owner>,
    pub(crate) at: Timestamp,
    /// The session that a log-in opened in its place.
    pub(crate) successor: Option<Selector>,
    pub(crate) generation: u32,
    pub(crate) key_id: KeyId,
    pub(crate) by: EndedBy,
}

/// A ring of them.
#[derive(Debug)]
pub(crate) struct Graves {
    ring: Vec<Grave>,
    /// Where the next one goes once the ring is full.
    next: usize,
    max: usize,
}

impl Graves {
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            ring: Vec::new(),
            next: 0,
            max,
        }
    }

    pub(crate) fn at(&self, place: usize) -> Option<&Grave> {
        self.ring.get(place)
    }

    pub(crate) const fn len(&self) -> usize {
        self.ring.len()
    }

    /// Takes one in: answers where, and which had to go for it. `None` when none are kept.
    pub(crate) fn bury(&mut self, grave: Grave) -> Option<(usize, Option<Tail>)> {
        if self.ring.len() < self.max {
            self.ring.push(grave);
            return Some((self.ring.len().checked_sub(1)?, None));
        }
        let place = self.next;
        let old = self.ring.get_mut(place)?;
        let forgotten = Tail::of(old.selector);
        *old = grave;
        let next = place.checked_add(1).filter(|next| *next < self.max);
        self.next = next.unwrap_or(0);
        Some((place, Some(forgotten)))
    }
}

impl Grave {
    pub(crate) const fn gone(&self) -> Gone {
        Gone {
            by: self.by,
            at: self.at,
        }
    }
}
