//! Changes to a living session: attributes, a new token, a fresh authentication, timeouts.
//!
//! None of them can bring a session back (E10): they find it living under its shard's lock, or
//! answer that it is gone.

use crate::attribute::AttributeChange;
use crate::attributes::Attributes;
use crate::authentication::Method;
use crate::ended::{Done, Ended};
use crate::live::{Live, Opened};
use crate::moment::Moment;
use crate::open::new_token;
use crate::refusal::Denied;
use crate::slot::{Slot, Timeouts};
use crate::table::SessionTable;
use core::time::Duration;
use countersign_core::{Fresh, Selector};

/// Whether a new token comes with another privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// The same as before: its form tokens stay good.
    Same,
    /// Another one: its form tokens do not.
    Changed,
}

impl SessionTable {
    /// Makes all of `changes` to the session's attributes, or none.
    ///
    /// Two requests that change different attributes both win, whichever comes first: a change
    /// is made to what is there, not to what its request had read.
    pub fn update(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        changes: &[AttributeChange],
    ) -> Done<Result<Attributes, Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                let slot = shard.slot(row).ok_or(Denied::Unknown)?;
                let changed = slot.attributes().changed(changes, moment.policy)?;
                shard.set_attributes(row, changed.clone());
                Ok(changed)
            })
        })
    }

    /// Gives the session a new token; the one before is worth nothing any more.
    ///
    /// Of several requests at once that do so with the same `live`, one wins and the others are
    /// told [`Denied::Renewed`]: the winner's answer carries the token.
    pub fn renew(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        live: &Live,
        privilege: Privilege,
    ) -> Done<Result<Opened, Denied>> {
        Done::of(|ended| self.give_token(moment, fresh, live, privilege, ended, |_| Ok(())))
    }

    /// Puts a session that stood under the number `from` of its principal's log-ins under `to`, and
    /// gives it a new token: it is the one that is kept while those under `from` end. It is linked
    /// to no series any more.
    pub fn renew_under(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        live: &Live,
        from: u32,
        to: u32,
    ) -> Done<Result<Opened, Denied>> {
        Done::of(|ended| {
            let privilege = Privilege::Same;
            self.give_token(moment, fresh, live, privilege, ended, |slot| {
                move_on(slot, from, to)
            })
        })
    }

    /// The same without a new token: for one that another request has given a token meanwhile, and
    /// whose bearer is not there to be given one.
    pub fn restamp(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        from: u32,
        to: u32,
    ) -> Done<Result<(), Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                move_on(shard.slot_mut(row).ok_or(Denied::Unknown)?, from, to)
            })
        })
    }

    /// Links the session to a remember-me series.
    pub fn link(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        series: Selector,
    ) -> Done<Result<Live, Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
                let attributes = slot.attributes().clone();
                slot.set_bag(Some(series), attributes);
                Ok(Live::of(slot, moment))
            })
        })
    }

    /// Notes that the session's principal has been authenticated again, fresh for `fresh_for`,
    /// and gives the session a new token and a new csrf secret (invariant I10).
    pub fn elevate(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        live: &Live,
        method: Method,
        fresh_for: Duration,
    ) -> Done<Result<Opened, Denied>> {
        Done::of(|ended| {
            if !method.is_presence() {
                return Err(Denied::NotPresent);
            }
            self.give_token(moment, fresh, live, Privilege::Changed, ended, |slot| {
                if slot.is_anonymous() {
                    return Err(Denied::Anonymous);
                }
                slot.authenticate(moment.now, method, fresh_for);
                Ok(())
            })
        })
    }

    /// Gives the session timeouts of its own, or those of the policy again. One that a remembered
    /// device opened may end sooner by them, and not later.
    pub fn set_timeouts(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        timeouts: Timeouts,
    ) -> Done<Result<(), Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, _| {
                let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
                slot.set_timeouts(moment, timeouts);
                shard.restate_deadline(row, moment);
                Ok(())
            })
        })
    }

    fn give_token(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        live: &Live,
        privilege: Privilege,
        ended: &mut Vec<Ended>,
        change: impl FnOnce(&mut Slot) -> Result<(), Denied>,
    ) -> Result<Opened, Denied> {
        // Hashed before the lock is taken.
        let (token, digest) = new_token(moment, fresh, live.selector())?;
        let session = self.with_living(moment, live.selector(), ended, |shard, row, _| {
            let slot = shard.slot_mut(row).ok_or(Denied::Unknown)?;
            if slot.digest != live.digest() {
                return Err(Denied::Renewed);
            }
            let generation = match privilege {
                Privilege::Same => Some(slot.generation),
                Privilege::Changed => slot.generation.checked_add(1),
            };
            let generation = generation.ok_or(Denied::Exhausted)?;
            change(slot)?;
            (slot.digest, slot.key_id) = (digest, moment.keyring.current());
            slot.generation = generation;
            slot.see(moment.now);
            Ok(Live::of(slot, moment))
        })?;
        Ok(Opened { token, session })
    }
}

/// A session that an epoch before had ended is not kept by the next one.
fn move_on(slot: &mut Slot, from: u32, to: u32) -> Result<(), Denied> {
    if slot.stamp.principal != from {
        return Err(Denied::Fallen);
    }
    slot.stamp.principal = to;
    let attributes = slot.attributes().clone();
    slot.set_bag(None, attributes);
    Ok(())
}
