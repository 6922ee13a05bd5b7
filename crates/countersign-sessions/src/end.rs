//! Ending sessions: one, all others of a principal, all of a principal or of a device, everything.
//!
//! What has been ended when a call returns does not come back, and no session that was open when
//! the call began is missed. One that is opened while the call runs may be: whoever ends all
//! because an epoch moved on relies on the opener to look at the epoch again (see
//! [`LogIn::stamp`](crate::LogIn::stamp)).

use crate::ended::{Done, Ended, EndedBy};
use crate::live::Live;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::refusal::Denied;
use crate::slot::Slot;
use crate::table::{SessionTable, mark_of};
use countersign_core::{Principal, Selector};

impl SessionTable {
    /// Ends one session. The outcome is its end; one that was over already is told as such.
    pub fn end(
        &self,
        moment: &Moment<'_>,
        selector: Selector,
        by: EndedBy,
    ) -> Done<Result<(), Denied>> {
        Done::of(|ended| {
            self.with_living(moment, selector, ended, |shard, row, ended| {
                let end = self.end_row(moment, shard, row, by, ended);
                end.map(|_| ()).ok_or(Denied::Unknown)
            })
        })
    }

    /// Ends a session that was found to be over by the epochs that it was opened under, unless it
    /// has been put under others since.
    pub fn end_under(
        &self,
        moment: &Moment<'_>,
        live: &Live,
        by: EndedBy,
    ) -> Done<Result<(), Denied>> {
        Done::of(|ended| {
            self.with_living(moment, live.selector(), ended, |shard, row, ended| {
                let slot = shard.slot(row).ok_or(Denied::Unknown)?;
                if slot.stamp != live.stamp() {
                    return Err(Denied::Renewed);
                }
                let end = self.end_row(moment, shard, row, by, ended);
                end.map(|_| ()).ok_or(Denied::Unknown)
            })
        })
    }

    /// Ends the principal's sessions except `keep`, and answers them.
    #[must_use = "what was ended is told here alone"]
    pub fn end_others(
        &self,
        moment: &Moment<'_>,
        principal: &Principal,
        keep: Selector,
        by: EndedBy,
    ) -> Vec<Ended> {
        self.end_owned(moment, principal, |slot| slot.selector != keep, by)
    }

    /// Ends those of the principal's sessions that are linked to a remember-me series, and answers
    /// them.
    #[must_use = "what was ended is told here alone"]
    pub fn end_of_series(
        &self,
        moment: &Moment<'_>,
        principal: &Principal,
        series: Selector,
        by: EndedBy,
    ) -> Vec<Ended> {
        self.end_owned(moment, principal, |slot| slot.series() == Some(series), by)
    }

    /// Ends the sessions that are linked to a remember-me series, whose principal the caller need
    /// not know, and answers them.
    #[must_use = "what was ended is told here alone"]
    pub fn end_of_device(&self, moment: &Moment<'_>, series: Selector, by: EndedBy) -> Vec<Ended> {
        // The selector of a series has the tag of its principal.
        let number = usize::from(series.shard_tag().bits());
        self.end_in_shard(moment, number, |slot| slot.series() == Some(series), by)
    }

    /// Ends those of the principal's sessions that are linked to any remember-me series but
    /// `keep`, and answers them.
    #[must_use = "what was ended is told here alone"]
    pub fn end_of_devices(
        &self,
        moment: &Moment<'_>,
        principal: &Principal,
        keep: Option<Selector>,
        by: EndedBy,
    ) -> Vec<Ended> {
        let concerned = |slot: &Slot| slot.series().is_some_and(|series| Some(series) != keep);
        self.end_owned(moment, principal, concerned, by)
    }

    /// Ends all of the principal's sessions, and answers them.
    #[must_use = "what was ended is told here alone"]
    pub fn end_all(&self, moment: &Moment<'_>, principal: &Principal, by: EndedBy) -> Vec<Ended> {
        self.end_owned(moment, principal, |_| true, by)
    }

    /// Ends every session there is, a shard at a time; `told` is called for each, with no lock
    /// held. Answers how many they were.
    pub fn end_everything(&self, moment: &Moment<'_>, by: EndedBy, told: impl FnMut(Ended)) -> u64 {
        self.end_anywhere(moment, |_| true, by, told)
    }

    /// Ends every session that is linked to a remember-me series, as
    /// [`SessionTable::end_everything`] does all.
    pub fn end_of_every_device(
        &self,
        moment: &Moment<'_>,
        by: EndedBy,
        told: impl FnMut(Ended),
    ) -> u64 {
        self.end_anywhere(moment, |slot| slot.series().is_some(), by, told)
    }

    fn end_anywhere(
        &self,
        moment: &Moment<'_>,
        concerned: impl Fn(&Slot) -> bool,
        by: EndedBy,
        mut told: impl FnMut(Ended),
    ) -> u64 {
        let mut count = 0u64;
        for number in 0..self.shards() {
            for end in self.end_in_shard(moment, number, &concerned, by) {
                count = count.saturating_add(1);
                told(end);
            }
        }
        count
    }

    fn end_in_shard(
        &self,
        moment: &Moment<'_>,
        number: usize,
        concerned: impl Fn(&Slot) -> bool,
        by: EndedBy,
    ) -> Vec<Ended> {
        let mut ended = Vec::new();
        let mut shard = self.shard_at(number).write();
        for row in 0..shard.rows() {
            let Some(slot) = shard.slot(row).filter(|slot| concerned(slot)) else {
                continue;
            };
            let by = slot.due(moment).unwrap_or(by);
            self.end_row(moment, &mut shard, row, by, &mut ended);
        }
        ended
    }

    fn end_owned(
        &self,
        moment: &Moment<'_>,
        principal: &Principal,
        concerned: impl Fn(&Slot) -> bool,
        by: EndedBy,
    ) -> Vec<Ended> {
        let (mark, owner) = (mark_of(moment.keyring, principal), Owner::new(principal));
        let mut ended = Vec::new();
        let mut shard = self.shard_of_principal(moment.keyring, principal).write();
        let rows = shard.owned_by(mark, &owner);
        let rows: Vec<(usize, EndedBy)> = rows
            .filter_map(|(row, slot)| match slot.due(moment) {
                Some(time) => Some((row, time)),
                None => concerned(slot).then_some((row, by)),
            })
            .collect();
        self.end_rows(moment, &mut shard, &rows, &mut ended);
        ended
    }
}
