//! Opening sessions: an anonymous one, or one of a principal who has just been authenticated.
//!
//! Logging in never promotes a session: it opens another, with a new selector, a new secret and so
//! a new csrf secret, and ends the one it came from (invariant I10). Whoever had planted that one
//! in the browser holds a dead token.

pub(crate) mod bare;

use crate::attribute::AttributeName;
use crate::attributes::Attributes;
use crate::authentication::Method;
use crate::ended::{Done, Ended, EndedBy};
use crate::live::{Live, Opened};
use crate::moment::Moment;
use crate::owner::Owner;
use crate::refusal::Denied;
use crate::shard::{ANONYMOUS, Found, Mark, Shard};
use crate::slot::{Millis48, Slot, Timeouts};
use crate::sync::{AtomicU32, AtomicU64};
use crate::table::{Pair, SessionTable, mark_of};
use crate::tail::{self, Berth, Tail};
use core::time::Duration;
use countersign_core::policy::AtLimit;
use countersign_core::{
    CredentialKind, Digest, EpochStamp, Fresh, Principal, Selector, SplitToken, Timestamp,
};

/// Who logs in, and how.
#[derive(Clone, Debug)]
pub struct LogIn<'a> {
    /// Who.
    pub principal: &'a Principal,
    /// How they were authenticated.
    pub method: Method,
    /// For how long that counts as fresh; nothing for a remember-me credential.
    pub fresh_for: Duration,
    /// The epochs of the sessions' switch and of the principal, as they stand.
    ///
    /// A caller that has them from a record looks at the record again after the session is open,
    /// and ends it if an epoch has moved on: then no mass revocation can miss it.
    pub stamp: EpochStamp,
    /// The session's own timeouts, where they are not the policy's.
    pub timeouts: Timeouts,
    /// When it ends at the latest, whatever its timeouts say: when the device that opened it does.
    pub ends_by: Option<Timestamp>,
    /// The remember-me series that opened the session, or was made with it.
    pub series: Option<Selector>,
    /// Which attributes are taken along from the session before; all others end with it.
    pub carry: &'a [AttributeName],
}

/// A session that is about to be put into the table.
struct Newborn {
    token: Box<SplitToken>,
    slot: Slot,
    mark: Mark,
}

impl SessionTable {
    /// Opens an anonymous session under the epoch number `switch` of the sessions' switch.
    pub fn start(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        switch: u32,
        timeouts: Timeouts,
    ) -> Done<Result<Opened, Denied>> {
        Done::of(|ended| {
            let mut newborn = self.newborn(moment, fresh, None)?;
            newborn.slot.stamp.subsystem = switch;
            newborn.slot.set_timeouts(moment, timeouts);
            self.reserve(moment, true, newborn.tail().seed(), ended)?;
            let mut shard = self.shard_of(newborn.tail()).write();
            let opened = newborn.enter(moment, &mut shard);
            if opened.is_err() {
                self.counts.leave(true);
            }
            opened
        })
    }

    /// Opens a session of a principal, and ends the one it came from.
    pub fn log_in(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        from: Option<&Live>,
        login: &LogIn<'_>,
    ) -> Done<Result<Opened, Denied>> {
        Done::of(|ended| {
            let mut newborn = self.newborn(moment, fresh, Some(login.principal))?;
            newborn.slot.stamp = login.stamp;
            newborn.slot.set_timeouts(moment, login.timeouts);
            newborn.slot.end_by(login.ends_by);
            newborn.slot.set_bag(login.series, Attributes::EMPTY);
            let slot = &mut newborn.slot;
            slot.authenticate(moment.now, login.method, login.fresh_for);
            if let Some(from) = from {
                let mut pair = self.lock_pair(Tail::of(from.selector()), newborn.tail());
                let living = self.living(moment, pair.source(), from.selector(), ended);
                if let Some(row) = living {
                    return self.replace(moment, &mut pair, row, newborn, login, ended);
                }
                // It has ended in the meantime, and nothing is left of it to take along.
            }
            self.reserve(moment, false, newborn.tail().seed(), ended)?;
            let mut shard = self.shard_of(newborn.tail()).write();
            let room = self.make_room_for(moment, &mut shard, &newborn, None, ended);
            let opened = room.and_then(|()| newborn.enter(moment, &mut shard));
            if opened.is_err() {
                self.counts.leave(false);
            }
            opened
        })
    }

    /// The row of a living session. One whose time is over is ended.
    fn living(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        selector: Selector,
        ended: &mut Vec<Ended>,
    ) -> Option<usize> {
        let Some(Found::Living(row, slot)) = shard.find(selector) else {
            return None;
        };
        let Some(by) = slot.due(moment) else {
            return Some(row);
        };
        self.end_row(moment, shard, row, by, ended);
        None
    }

    /// Puts a session in the place of the one in `row` of the pair's source.
    fn replace(
        &self,
        moment: &Moment<'_>,
        pair: &mut Pair<'_>,
        row: usize,
        mut newborn: Newborn,
        login: &LogIn<'_>,
        ended: &mut Vec<Ended>,
    ) -> Result<Opened, Denied> {
        let Some(old) = pair.source().slot(row) else {
            return Err(Denied::Unknown);
        };
        let selector = old.selector;
        let same = old.owner == newborn.slot.owner;
        if old.is_anonymous() || same {
            // What another principal left in their session is none of this one's business.
            let carried = old.attributes().only(login.carry);
            newborn.slot.set_bag(login.series, carried);
        }
        self.make_room_for(moment, pair.target(), &newborn, Some(selector), ended)?;
        if pair.target().find_tail(newborn.tail()).is_some() {
            return Err(Denied::Collision);
        }
        // Making room may have moved it.
        if let Some(Found::Living(row, _)) = pair.source().find(selector)
            && let Some(end) = pair
                .source()
                .replace(row, moment.now, newborn.slot.selector)
        {
            self.counts.pass_on(end.owner.is_none());
            ended.push(end);
        }
        newborn.enter(moment, pair.target())
    }

    /// Keeps the principal within their limit, `leaving` not counted.
    ///
    /// Where one has to go, those come first that the same device has opened before and nobody has
    /// used: what keeps no session cookie opens another one with each request, and would else have
    /// the sessions that are in use ended one by one.
    fn make_room_for(
        &self,
        moment: &Moment<'_>,
        shard: &mut Shard,
        newborn: &Newborn,
        leaving: Option<Selector>,
        ended: &mut Vec<Ended>,
    ) -> Result<(), Denied> {
        let Some(owner) = &newborn.slot.owner else {
            return Ok(());
        };
        let mut over = Vec::new();
        let mut live = Vec::new();
        for (row, slot) in shard.owned_by(newborn.mark, owner) {
            match slot.due(moment) {
                Some(by) => over.push((row, by)),
                None if Some(slot.selector) == leaving => {}
                None => {
                    let wasted = slot.is_unused() && slot.is_of_device(newborn.slot.series());
                    live.push((!wasted, slot.selector, row));
                }
            }
        }
        let max = moment.policy.max_per_principal as usize;
        let too_many = live.len().saturating_add(1).saturating_sub(max);
        let denied = too_many > 0 && moment.policy.at_limit == AtLimit::Deny;
        if !denied {
            // Of each sort the oldest first, as their selectors tell.
            live.sort_unstable();
            let first = live.iter().take(too_many);
            over.extend(first.map(|(_, _, row)| (*row, EndedBy::Limit)));
            over.sort_unstable();
        }
        self.end_rows(moment, shard, &over, ended);
        if denied {
            let live = live.len();
            return Err(Denied::LimitReached { live, max });
        }
        Ok(())
    }

    /// A session that is not in the table yet. It is to lie in the row that is next; if another
    /// is faster it will lie elsewhere, at the cost of an entry in the index.
    fn newborn(
        &self,
        moment: &Moment<'_>,
        fresh: &mut Fresh,
        principal: Option<&Principal>,
    ) -> Result<Newborn, Denied> {
        let random = fresh.take().ok_or(Denied::NotEnoughRandomness)?;
        let tag = principal.map_or(tail::any_tag(random), |principal| {
            moment.keyring.shard_tag(principal)
        });
        let row = self.next_row(tag);
        let selector = tail::mint(moment.now, Berth { tag, row }, self.veil(), random);
        let (token, digest) = new_token(moment, fresh, selector)?;
        let slot = Slot {
            selector,
            digest,
            last_seen: AtomicU64::new(moment.now.as_millis()),
            ends_at: 0,
            owner: principal.map(Owner::new),
            bag: None,
            stamp: EpochStamp::default(),
            generation: 0,
            fresh_ms: AtomicU32::new(0),
            idle_ms: Millis48::new(0),
            authenticated_at: Millis48::new(0),
            key_id: moment.keyring.current(),
            method: None,
            flags: 0,
        };
        let mark = principal.map_or(ANONYMOUS, |principal| mark_of(moment.keyring, principal));
        Ok(Newborn { token, slot, mark })
    }
}

impl Newborn {
    fn tail(&self) -> Tail {
        Tail::of(self.slot.selector)
    }

    fn enter(self, moment: &Moment<'_>, shard: &mut Shard) -> Result<Opened, Denied> {
        let session = Live::of(&self.slot, moment);
        let deadline = self.slot.expires_at(moment);
        if !shard.insert(self.mark, deadline, self.slot) {
            return Err(Denied::Collision);
        }
        Ok(Opened {
            token: self.token,
            session,
        })
    }
}

/// A new secret for a session, and its digest under the current pepper.
pub(crate) fn new_token(
    moment: &Moment<'_>,
    fresh: &mut Fresh,
    selector: Selector,
) -> Result<(Box<SplitToken>, Digest), Denied> {
    let kind = CredentialKind::Session;
    let token = SplitToken::mint(kind, selector, fresh).ok_or(Denied::NotEnoughRandomness)?;
    let digest = moment.keyring.digest_new(&token);
    Ok((token, digest))
}
