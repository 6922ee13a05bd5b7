//! Carrying the sessions of a snapshot over, those of them that still stand.
//!
//! A damaged head, another deployment's keys or store, or bytes that do not add up refuse the
//! snapshot as a whole, and nothing is restored. A record whose tag does not fit is dropped by
//! itself: one bad bit signs one person out, not all of them.

use crate::moment::Moment;
use crate::owner::Owner;
use crate::shard::ANONYMOUS;
use crate::slot::{Millis48, Slot};
use crate::snapshot::{HEAD_BYTES, MAGIC, SnapshotName, TAG_BYTES, head_tag, record_tag};
use crate::sync::{AtomicU32, AtomicU64};
use crate::table::{SessionTable, mark_of};
use crate::tail::Tail;
use crate::wire::{self, Malformed, Reader, Saved};
use core::fmt;
use countersign_core::{Epoch, Principal, Selector, Timestamp};
use std::collections::HashSet;

/// The epochs as they stand when a snapshot is restored.
pub struct Epochs<'a> {
    /// That of the sessions' switch.
    pub sessions: Epoch,
    /// That of a principal; `None` for one who has no record, or may have no session.
    pub of_principal: &'a dyn Fn(&Principal) -> Option<Epoch>,
}

impl fmt::Debug for Epochs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epochs")
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

/// Why a snapshot is refused as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// It does not begin like a snapshot of a version that this one reads.
    #[error("these bytes are no session snapshot of a known version")]
    NotASnapshot,
    /// Its head is damaged, or it belongs to another store or to other keys.
    #[error("the snapshot is damaged, or belongs to another store or to other keys")]
    Damaged,
    /// Its records do not add up to its bytes.
    #[error("the snapshot is cut short, or other bytes follow it")]
    Length,
}

/// What became of a snapshot's sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// When it was written.
    pub written_at: Timestamp,
    /// Carried over.
    pub living: u64,
    /// Their time was over.
    pub expired: u64,
    /// The epoch of their switch or principal had moved on, the principal has no record, or the
    /// remembered device that they belong to was revoked.
    pub revoked: u64,
    /// The table has, or remembers, a session of their selector.
    pub known: u64,
    /// There was no room for them in the policy's bounds.
    pub no_room: u64,
    /// Their records were damaged.
    pub damaged: u64,
}

/// The sessions of a snapshot, read and not yet taken in.
pub struct SavedSessions {
    saved: Vec<Saved>,
    restored: Restored,
}

impl SavedSessions {
    /// Reads all records of a snapshot.
    ///
    /// # Errors
    /// When the snapshot is none of this deployment's, or is damaged beyond single records.
    pub fn read(
        moment: &Moment<'_>,
        binding: [u8; 16],
        bytes: &[u8],
    ) -> Result<Self, SnapshotError> {
        let mut restored = Restored::default();
        let mut saved = decode(moment, binding, bytes, &mut restored)?;
        // The youngest first, and principals' before anonymous ones, where room is short.
        saved.sort_unstable_by_key(|saved| {
            let newest = u64::MAX.saturating_sub(saved.last_seen);
            (saved.principal.is_none(), newest)
        });
        Ok(Self { saved, restored })
    }

    /// Whose they are, each once, so that their epochs can be read together.
    #[must_use]
    pub fn principals(&self) -> Vec<Principal> {
        let all = self
            .saved
            .iter()
            .filter_map(|saved| saved.principal.as_ref());
        let each: HashSet<&Principal> = all.collect();
        each.into_iter().cloned().collect()
    }

    /// The remembered devices that have opened them, or that they were remembered with, each once.
    #[must_use]
    pub fn series(&self) -> Vec<Selector> {
        let each: HashSet<Selector> = self.saved.iter().filter_map(|saved| saved.series).collect();
        each.into_iter().collect()
    }

    /// Ends those of the devices that do not stand any more; they count as revoked.
    pub fn keep_those_of(&mut self, stands: impl Fn(Selector) -> bool) {
        let before = self.saved.len();
        self.saved.retain(|saved| saved.series.is_none_or(&stands));
        let ended = before.saturating_sub(self.saved.len());
        let ended = u64::try_from(ended).unwrap_or(u64::MAX);
        self.restored.revoked = self.restored.revoked.saturating_add(ended);
    }
}

impl fmt::Debug for SavedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedSessions")
            .field("count", &self.saved.len())
            .finish_non_exhaustive()
    }
}

impl SessionTable {
    /// Takes in the sessions of a snapshot that are still good.
    ///
    /// # Errors
    /// When the snapshot is none of this deployment's, or is damaged beyond single records;
    /// then nothing is taken in.
    pub fn restore(
        &self,
        moment: &Moment<'_>,
        binding: [u8; 16],
        bytes: &[u8],
        epochs: &Epochs<'_>,
    ) -> Result<Restored, SnapshotError> {
        let saved = SavedSessions::read(moment, binding, bytes)?;
        Ok(self.take_in(moment, saved, epochs))
    }

    /// Takes in those of them that are still good.
    pub fn take_in(
        &self,
        moment: &Moment<'_>,
        sessions: SavedSessions,
        epochs: &Epochs<'_>,
    ) -> Restored {
        let mut restored = sessions.restored;
        for saved in sessions.saved {
            let count = match self.take_back(moment, saved, epochs) {
                Fate::Living => &mut restored.living,
                Fate::Expired => &mut restored.expired,
                Fate::Revoked => &mut restored.revoked,
                Fate::Known => &mut restored.known,
                Fate::NoRoom => &mut restored.no_room,
                Fate::Damaged => &mut restored.damaged,
            };
            *count = count.saturating_add(1);
        }
        restored
    }

    fn take_back(&self, moment: &Moment<'_>, saved: Saved, epochs: &Epochs<'_>) -> Fate {
        let principal = saved.principal.clone();
        let tail = Tail::of(saved.selector);
        let mark = match &principal {
            None if saved.stamp.subsystem != epochs.sessions.number() => return Fate::Revoked,
            None => ANONYMOUS,
            Some(principal) => {
                // Asked with no lock held: the caller may have to read it from somewhere.
                let current = (epochs.of_principal)(principal);
                let stands = current.is_some_and(|own| saved.stamp.stands(epochs.sessions, own));
                if !stands {
                    return Fate::Revoked;
                }
                // Else its principal's other sessions would lie elsewhere.
                if tail.tag() != moment.keyring.shard_tag(principal) {
                    return Fate::Damaged;
                }
                mark_of(moment.keyring, principal)
            }
        };
        let anonymous = principal.is_none();
        let slot = slot_of(moment, saved);
        if slot.due(moment).is_some() {
            return Fate::Expired;
        }
        if !self.counts.enter(moment.policy, anonymous) {
            return Fate::NoRoom;
        }
        let mut shard = self.shard_of(tail).write();
        let theirs = slot.owner.as_ref();
        let count = theirs.map_or(0, |owner| shard.owned_by(mark, owner).count());
        let fate = if count >= moment.policy.max_per_principal as usize {
            Fate::NoRoom
        } else {
            let deadline = slot.expires_at(moment);
            if shard.insert(mark, deadline, slot) {
                Fate::Living
            } else {
                Fate::Known
            }
        };
        if !matches!(fate, Fate::Living) {
            self.counts.leave(anonymous);
        }
        fate
    }
}

enum Fate {
    Living,
    Expired,
    Revoked,
    Known,
    NoRoom,
    Damaged,
}

/// Reads all records before the first is taken in.
fn decode(
    moment: &Moment<'_>,
    binding: [u8; 16],
    bytes: &[u8],
    restored: &mut Restored,
) -> Result<Vec<Saved>, SnapshotError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(SnapshotError::NotASnapshot);
    }
    let (head, records) = bytes
        .split_at_checked(HEAD_BYTES)
        .ok_or(SnapshotError::Length)?;
    let (name, count) = open_head(moment, binding, head, restored)?;
    let mut rest = Reader(records);
    let mut saved = Vec::new();
    for number in 0..count {
        let (record, tag) = frame(&mut rest).map_err(|Malformed| SnapshotError::Length)?;
        let whole = record_tag(moment.keyring, &name, number, record) == tag;
        match whole.then(|| wire::read(record)) {
            Some(Ok(session)) => saved.push(session),
            _ => restored.damaged = restored.damaged.saturating_add(1),
        }
    }
    if rest.0.is_empty() {
        Ok(saved)
    } else {
        Err(SnapshotError::Length)
    }
}

/// The snapshot's name and how many records follow.
fn open_head(
    moment: &Moment<'_>,
    binding: [u8; 16],
    head: &[u8],
    restored: &mut Restored,
) -> Result<(SnapshotName, u64), SnapshotError> {
    let untagged = head.len().saturating_sub(TAG_BYTES);
    let (untagged, tag) = head
        .split_at_checked(untagged)
        .ok_or(SnapshotError::Length)?;
    if head_tag(moment.keyring, &binding, untagged) != *tag {
        return Err(SnapshotError::Damaged);
    }
    let mut rest = Reader(untagged);
    let mut read = || {
        rest.array::<{ MAGIC.len() }>()?;
        let id = rest.array()?;
        Ok((id, rest.u64()?, rest.u64()?))
    };
    let (id, at, count) = read().map_err(|Malformed| SnapshotError::Length)?;
    restored.written_at = Timestamp::from_millis(at);
    Ok((SnapshotName { binding, id }, count))
}

/// The bytes of one record, and its tag.
fn frame<'a>(rest: &mut Reader<'a>) -> Result<(&'a [u8], [u8; TAG_BYTES]), Malformed> {
    let len = usize::try_from(rest.u32()?).map_err(|_| Malformed)?;
    Ok((rest.slice(len)?, rest.array()?))
}

fn slot_of(moment: &Moment<'_>, saved: Saved) -> Slot {
    let mut slot = Slot {
        selector: saved.selector,
        digest: saved.digest,
        last_seen: AtomicU64::new(saved.last_seen),
        ends_at: saved.ends_at,
        owner: saved.principal.as_ref().map(Owner::new),
        bag: None,
        stamp: saved.stamp,
        generation: saved.generation,
        fresh_ms: AtomicU32::new(saved.fresh_ms),
        idle_ms: Millis48::new(saved.idle_ms),
        authenticated_at: Millis48::new(saved.authenticated_at.as_millis()),
        key_id: saved.key_id,
        method: saved.method,
        flags: saved.flags,
    };
    slot.set_bag(saved.series, saved.attributes);
    // The clock may have stepped back while nobody was looking.
    slot.pull_in(moment);
    slot
}
