//! Sessions under a bare id: for libraries whose cookie carries one random number and nothing
//! else.
//!
//! Such a session lies in its shard like any other and is presented by the same path, as a token
//! whose parts are keyed hashes of the id (`Keyring::unveil`). Only two things are its own. Its
//! tail is given and not chosen, so it names no row: it is found by the shard's index, and no rows
//! are made for it. And its holder says when it ends, again with every change; the policy's
//! timeouts hold beside that, whichever comes first.

use super::Newborn;
use crate::attribute::AttributeChange;
use crate::attributes::Attributes;
use crate::authentication::Method;
use crate::ended::{Done, Ended};
use crate::live::Live;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::refusal::Denied;
use crate::shard::{ANONYMOUS, Found};
use crate::slot::{BARE, Millis48, Slot, Timeouts};
use crate::sync::{AtomicU32, AtomicU64};
use crate::table::{SessionTable, mark_of};
use crate::tail;
use core::time::Duration;
use countersign_core::{
    BareId, CredentialKind, EpochStamp, Fresh, Keyring, Principal, Selector, SplitToken, Timestamp,
    Unveiled,
};

/// What a session under a bare id is opened with.
#[derive(Clone, Debug)]
pub struct NewBare<'a> {
    /// Whose it is; `None` for an anonymous one.
    pub principal: Option<&'a Principal>,
    /// The epochs as they stand; a caller looks at the records again after it is open, as for
    /// [`LogIn`](crate::LogIn).
    pub stamp: EpochStamp,
    /// The attributes that it begins with, as changes to none.
    pub attributes: &'a [AttributeChange],
    /// When its holder wants it to end.
    pub ends_at: Timestamp,
}

/// A session that was opened under a bare id.
#[derive(Debug)]
pub struct OpenedBare {
    /// The id, to be sent once.
    pub id: BareId,
    /// The session.
    pub session: Live,
}

impl SessionTable {
    /// Opens a session under a new bare id.
    pub fn open_bare(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        new: &NewBare<'_>,
    ) -> Done<Result<OpenedBare, Denied>> {
        Done::of(|ended| {
            let attributes = Attributes::EMPTY.changed(new.attributes, moment.policy)?;
            let id = new_id(moment.keyring, fresh, new.principal)?;
            let mut newborn = bare_newborn(moment, &id, new);
            newborn.slot.set_bag(None, attributes);
            let session = self.admit_bare(moment, newborn, ended)?;
            Ok(OpenedBare { id, session })
        })
    }

    fn admit_bare(
        &self,
        moment: &Moment<'_>,
        newborn: Newborn,
        ended: &mut Vec<Ended>,
    ) -> Result<Live, Denied> {
        let anonymous = newborn.slot.is_anonymous();
        self.reserve(moment, anonymous, newborn.tail().seed(), ended)?;
        let mut shard = self.shard_of(newborn.tail()).write();
        let room = self.make_room_for(moment, &mut shard, &newborn, None, ended);
        let opened = room.and_then(|()| newborn.enter(moment, &mut shard));
        if opened.is_err() {
            self.counts.leave(anonymous);
        }
        Ok(opened?.session)
    }

    /// The token that a presented bare id stands for, to be presented like any other.
    ///
    /// It proves nothing: where no session lies in the id's place, its selector is one of the year
    /// 1970, which is no session's, and presenting it costs what any miss does.
    #[must_use]
    pub fn token_of(&self, keyring: &Keyring, id: &BareId) -> SplitToken {
        let Unveiled {
            tag,
            place,
            verifier,
        } = keyring.unveil(id);
        let nobodys = tail::given(Timestamp::ZERO, tag, place);
        let tail = tail::Tail::of(nobodys);
        let selector = match self.shard_of(tail).read().find_tail(tail) {
            Some(Found::Living(_, slot)) => slot.selector,
            Some(Found::Dead(grave)) => grave.selector,
            None => nobodys,
        };
        SplitToken::new(CredentialKind::Session, selector, verifier)
    }

    /// Makes all of `changes` to the session's attributes, or none, and moves its end to
    /// `ends_at`, both at once.
    pub fn save_bare(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        changes: &[AttributeChange],
        ends_at: Timestamp,
    ) -> Done<Result<Live, Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                let slot = shard.slot(row).ok_or(Denied::Unknown)?;
                let changed = slot.attributes().changed(changes, moment.policy)?;
                shard.set_attributes(row, changed);
                let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
                slot.ends_at = ends_at.as_millis();
                let live = Live::of(slot, moment);
                shard.restate_deadline(row, moment);
                Ok(live)
            })
        })
    }
}

/// A new id, in the shard of its principal.
fn new_id(
    keyring: &Keyring,
    fresh: &mut Fresh,
    principal: Option<&Principal>,
) -> Result<BareId, Denied> {
    let random = fresh.take().ok_or(Denied::NotEnoughRandomness)?;
    Ok(match principal {
        // Its last bits are random, and the shard with them.
        None => BareId::from_bytes(random),
        Some(principal) => keyring.mint_bare(keyring.shard_tag(principal), random),
    })
}

fn bare_newborn(moment: &Moment<'_>, id: &BareId, new: &NewBare<'_>) -> Newborn {
    let keyring = moment.keyring;
    let Unveiled {
        tag,
        place,
        verifier,
    } = keyring.unveil(id);
    let selector = tail::given(moment.now, tag, place);
    let kind = CredentialKind::Session;
    let key_id = keyring.current();
    let digest = keyring.digest(Some(key_id), kind, selector, &verifier);
    let mut slot = Slot {
        selector,
        digest,
        last_seen: AtomicU64::new(moment.now.as_millis()),
        ends_at: 0,
        owner: new.principal.map(Owner::new),
        bag: None,
        stamp: new.stamp,
        generation: 0,
        fresh_ms: AtomicU32::new(0),
        idle_ms: Millis48::new(0),
        authenticated_at: Millis48::new(0),
        key_id,
        method: None,
        flags: BARE,
    };
    slot.set_timeouts(moment, Timeouts::default());
    slot.ends_at = new.ends_at.as_millis();
    if new.principal.is_some() {
        // How, the host knows; nothing was proven here, so nothing is fresh.
        slot.authenticate(moment.now, Method::Other, Duration::ZERO);
    }
    let mark = new
        .principal
        .map_or(ANONYMOUS, |principal| mark_of(keyring, principal));
    Newborn {
        token: Box::new(SplitToken::new(kind, selector, verifier)),
        slot,
        mark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ended::EndedBy;
    use crate::restore::Epochs;
    use crate::snapshot::SnapshotName;
    use crate::sync::alone;
    use countersign_core::policy::{Draft, Policy};
    use countersign_core::{Epoch, KeyMaterial};

    const START: Timestamp = Timestamp::from_millis(1_795_341_296_789);
    const HOUR: Duration = Duration::from_secs(3600);

    struct World {
        keyring: Keyring,
        policy: Policy,
        table: SessionTable,
    }

    impl World {
        fn new(keys: &KeyMaterial, change: impl FnOnce(&mut Draft)) -> Self {
            let mut draft = Draft::default();
            change(&mut draft);
            let (keyring, policy) = (Keyring::new(keys), draft.build().unwrap());
            let table = SessionTable::new(policy.sessions(), &keyring);
            Self {
                keyring,
                policy,
                table,
            }
        }

        fn at(&self, now: Timestamp) -> Moment<'_> {
            Moment {
                now,
                keyring: &self.keyring,
                policy: self.policy.sessions(),
            }
        }

        fn open(&self, random: u8, name: Option<&str>) -> Result<OpenedBare, Denied> {
            let principal = name.map(|name| Principal::new(name).unwrap());
            let new = NewBare {
                principal: principal.as_ref(),
                stamp: EpochStamp::default(),
                attributes: &[],
                ends_at: START.after(HOUR.saturating_mul(2)),
            };
            let mut fresh = Fresh::new([random; Fresh::LEN]);
            let opened = self.table.open_bare(&self.at(START), &mut fresh, &new);
            opened.outcome
        }

        fn is_in(&self, id: &BareId, now: Timestamp) -> bool {
            let token = self.table.token_of(&self.keyring, id);
            let touched = self.table.touch(&self.at(now), &token);
            touched.outcome.is_ok()
        }

        fn rows(&self) -> usize {
            let shards = (0..self.table.shards()).map(|n| self.table.shard_at(n).read().rows());
            shards.sum()
        }
    }

    fn keys() -> KeyMaterial {
        KeyMaterial::generate(START, [1; 32], [2; 32])
    }

    #[test]
    fn an_id_leads_to_its_session_and_no_other_does() {
        alone(|| {
            let world = World::new(&keys(), |_| {});
            for name in [None, Some("ann"), Some("bob")] {
                let random = u8::try_from(name.map_or(0, str::len)).unwrap();
                let opened = world.open(random + name.map_or(0, |n| n.as_bytes()[0]), name);
                let opened = opened.unwrap();
                assert!(world.is_in(&opened.id, START));
                for bit in 0..128_usize {
                    let mut other = *opened.id.expose();
                    other[bit / 8] ^= 1 << (bit % 8);
                    assert!(!world.is_in(&BareId::from_bytes(other), START), "{bit}");
                }
            }
            assert!(!world.is_in(&BareId::from_bytes([99; 16]), START));
        });
    }

    #[test]
    fn an_id_that_is_or_was_a_sessions_opens_no_other() {
        alone(|| {
            let world = World::new(&keys(), |_| {});
            let first = world.open(7, None).unwrap();
            assert_eq!(world.open(7, None).unwrap_err(), Denied::Collision);
            assert!(world.is_in(&first.id, START));
            let selector = first.session.selector();
            let done = world
                .table
                .end(&world.at(START), selector, EndedBy::Principal);
            done.outcome.unwrap();
            assert_eq!(world.open(7, None).unwrap_err(), Denied::Collision);
            assert!(!world.is_in(&first.id, START));
            assert_eq!(world.table.len(), (0, 0));
        });
    }

    #[test]
    fn no_rows_are_made_for_the_one_that_a_tail_names_by_chance() {
        alone(|| {
            let world = World::new(&keys(), |_| {});
            for random in 0..=255 {
                world.open(random, None).unwrap();
            }
            assert_eq!((world.rows(), world.table.len()), (256, (256, 256)));
        });
    }

    #[test]
    fn its_own_end_holds_and_so_do_the_policys() {
        alone(|| {
            let short = |draft: &mut Draft| {
                (draft.sessions.idle_timeout, draft.sessions.absolute_timeout) = (HOUR, 3 * HOUR);
            };
            let world = World::new(&keys(), short);
            let opened = world.open(1, None).unwrap();
            assert_eq!(opened.session.ends_at(), START.after(2 * HOUR));
            assert_eq!(opened.session.expires_at(), START.after(HOUR));
            let save = |now, ends_at| {
                let (moment, selector) = (world.at(now), opened.session.selector());
                let saved = world.table.save_bare(&moment, selector, &[], ends_at);
                saved.outcome
            };
            assert!(world.is_in(&opened.id, START.after(HOUR / 2)));
            let saved = save(START.after(HOUR), START.after(9 * HOUR)).unwrap();
            assert_eq!(saved.ends_at(), START.after(3 * HOUR));
            let saved = save(START.after(HOUR), START.after(HOUR)).unwrap();
            assert_eq!(saved.ends_at(), START.after(HOUR));
            let late = save(START.after(HOUR), START.after(9 * HOUR));
            assert!(matches!(late, Err(Denied::Gone(_))), "{late:?}");
        });
    }

    #[test]
    fn timeouts_of_its_own_do_not_make_it_another_kind() {
        alone(|| {
            let world = World::new(&keys(), |_| {});
            let opened = world.open(1, None).unwrap();
            let (moment, selector) = (world.at(START), opened.session.selector());
            let own = Timeouts {
                idle: Some(9 * HOUR),
                absolute: None,
            };
            let set = world.table.set_timeouts(&moment, selector, own);
            set.outcome.unwrap();
            let tail = tail::Tail::of(selector);
            let shard = world.table.shard_of(tail).read();
            let Some(Found::Living(_, slot)) = shard.find(selector) else {
                panic!("it is gone");
            };
            assert!(slot.is_bare());
        });
    }

    #[test]
    fn ids_hold_over_a_restart_with_a_new_pepper() {
        alone(|| {
            let world = World::new(&keys(), |_| {});
            let ids: Vec<BareId> = (100..150)
                .map(|n| world.open(n, (n % 2 == 0).then_some("ann")).unwrap().id)
                .collect();
            let name = SnapshotName {
                binding: [3; 16],
                id: [4; 16],
            };
            let bytes = world.table.snapshot(&world.at(START), &name);
            for id in &ids {
                let held = bytes.windows(8).any(|part| id.expose().starts_with(part));
                assert!(!held, "half an id is in the snapshot");
            }
            let rotated = keys().rotated(START, [9; 32]).unwrap();
            let again = World::new(&rotated, |_| {});
            let epoch = Epoch::from_parts(0, START);
            let epochs = Epochs {
                sessions: epoch,
                of_principal: &|_| Some(epoch),
            };
            let restored = again
                .table
                .restore(&again.at(START), name.binding, &bytes, &epochs);
            assert_eq!(restored.unwrap().living, 50);
            assert_eq!(again.rows(), 50);
            for id in &ids {
                assert!(again.is_in(id, START) && again.is_in(id, START));
            }
        });
    }
}
