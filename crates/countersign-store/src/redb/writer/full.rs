//! What the writer does when something is full: it keeps room for what shuts somebody out.

use super::super::contain::Full;
use super::super::group::{Failure, Outcome, Waiting};
use super::{Writer, answer_all, answer_each, not_applied};
use crate::error::{CommitError, OpenError, StoreError};
use crate::store::Health;
use countersign_core::Purpose;

impl Writer {
    /// Answers what may be turned away, if there is no room for it, and keeps the others.
    pub(super) fn turn_away_for_room(&mut self, group: Vec<Waiting>) -> Vec<Waiting> {
        let grows = |waiting: &&Waiting| waiting.prepared.purpose == Purpose::Grow;
        let mut growing = group.iter().filter(grows).peekable();
        if growing.peek().is_none() {
            return group;
        }
        let bytes = growing
            .map(|waiting| waiting.prepared.bytes)
            .fold(0, usize::saturating_add);
        let Err(detail) = self.room.admits(bytes) else {
            return group;
        };
        let (away, kept) = group.into_iter().partition(|waiting| grows(&waiting));
        self.shared.settle(Health::NoRoom, Some(detail.clone()));
        answer_all(away, |_| not_applied(StoreError::NoRoom(detail.clone())));
        kept
    }

    /// Goes on after a group failed for lack of room: gives up the ballast for the commits that
    /// shut somebody out, opens the file again, and writes those.
    ///
    /// `outcome` is what became of the group if it is on the medium after all, which is not known
    /// before the file is open again; its counter tells.
    pub(super) fn out_of_room(
        &mut self,
        group: Vec<Waiting>,
        full: Full,
        outcome: Option<Outcome>,
    ) {
        self.room.note_full(full);
        let during = outcome.is_some();
        if let Some(outcome) = &outcome {
            self.newest = self.newest.max(outcome.newest);
        }
        self.fail("there is no room");
        if group
            .iter()
            .any(|waiting| waiting.prepared.purpose == Purpose::Deny)
        {
            self.room.give_up_ballast();
        }
        if let Err(error) = self.reopen_without_room() {
            let detail = error.to_string();
            self.shared.withdraw(Health::Degraded, Some(detail.clone()));
            return answer_all(group, |_| match during {
                true => CommitError::Unknown(detail.clone()),
                false => not_applied(StoreError::NoRoom(detail.clone())),
            });
        }
        match outcome {
            // Its counter is there, so it is.
            Some(outcome) if self.meta.revision >= outcome.newest => {
                self.answer_reopened(group, outcome);
            }
            _ => self.retry_denials(group),
        }
    }

    /// Opens the file again; if there is no room even for that, with the room of the ballast.
    fn reopen_without_room(&mut self) -> Result<(), OpenError> {
        match self.reopen() {
            Err(OpenError::NoRoom { .. }) if self.room.give_up_ballast() => self.reopen(),
            other => other,
        }
    }

    /// Answers a group that turned out to be durable; its changes were shown with the reopening.
    fn answer_reopened(&self, group: Vec<Waiting>, outcome: Outcome) {
        self.show_health();
        answer_each(group, outcome.results);
    }

    /// Turns away what may be, and writes the rest once more.
    fn retry_denials(&mut self, group: Vec<Waiting>) {
        let detail = "there is no room".to_owned();
        let denies = |waiting: &Waiting| waiting.prepared.purpose == Purpose::Deny;
        let (mut kept, away): (Vec<_>, Vec<_>) = group.into_iter().partition(denies);
        answer_all(away, |_| not_applied(StoreError::NoRoom(detail.clone())));
        if kept.is_empty() {
            return;
        }
        match self.write(&mut kept) {
            Ok(outcome) => self.acknowledge(kept, outcome),
            Err(Failure::Before(fault)) => {
                let detail = fault.detail();
                self.fail(&detail);
                answer_all(kept, |_| not_applied(StoreError::NoRoom(detail.clone())));
            }
            Err(Failure::During(fault, outcome)) => {
                let detail = fault.detail();
                self.newest = self.newest.max(outcome.newest);
                self.fail(&detail);
                answer_all(kept, |_| CommitError::Unknown(detail.clone()));
            }
        }
    }
}
