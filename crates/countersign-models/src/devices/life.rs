//! The rules of a device's life, as its owner, a thief and the clock on the wall would tell them.

use super::engine::Started;
use core::time::Duration;
use countersign::{Rejection, Selector, Timestamp};
use countersign_core::OLDER_MAX;

pub(super) const ROTATE_AFTER: Duration = Duration::from_secs(30);
pub(super) const GRACE: Duration = Duration::from_secs(10);
pub(super) const MAX_AGE: Duration = Duration::from_secs(400);
pub(super) const TIGHT: Duration = Duration::from_secs(120);

/// What presenting a secret has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Let in, and handed this secret, if any.
    In(Option<String>),
    No(Rejection),
}

/// A device that is or was remembered.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) whose: usize,
    pub(super) selector: Selector,
    /// Every secret that was ever handed out, the current one last.
    pub(super) secrets: Vec<String>,
    /// When its life is over by what it was promised.
    promised_until: Timestamp,
    born_at: Timestamp,
    /// What its life may be by now. It is one as a rule; of two secrets that were presented at once
    /// it may have to be left open which came first, until something tells.
    lives: Vec<Life>,
    /// Its record was removed.
    pub(super) removed: bool,
}

/// What of a device's life depends on the order in which its secrets came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    /// When the current secret was handed out.
    handed_at: Timestamp,
    /// When it was presented first.
    seen_at: Option<Timestamp>,
    /// Why it is over, once that is settled: nothing changes it any more.
    over: Option<Rejection>,
}

/// What holds for all devices.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) now: Timestamp,
    pub(super) disabled: [bool; 2],
    pub(super) on: bool,
    pub(super) tight: bool,
}

/// What a secret must come to, and what that changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    In,
    /// Let in with a new secret.
    Rotated,
    /// Let in with the secret that replaced its own.
    Again,
    No(Rejection),
    /// Refused for this reason, and the device is over for that one.
    End(Rejection, Rejection),
}

impl Device {
    pub(super) fn new(whose: usize, started: Started, rules: &Rules) -> Self {
        let promised_until = rules.now.after(rules.age_limit());
        assert_eq!(started.expires_at, promised_until, "promised otherwise");
        Self {
            whose,
            selector: started.selector,
            secrets: vec![started.text],
            promised_until,
            born_at: rules.now,
            lives: vec![Life {
                handed_at: rules.now,
                seen_at: None,
                over: None,
            }],
            removed: false,
        }
    }

    /// It is over, unless it was before.
    pub(super) fn end(&mut self, why: Rejection) {
        for life in &mut self.lives {
            life.over = life.over.or(Some(why));
        }
        self.lives.dedup();
    }

    /// It is over for this reason, whatever else was one before.
    pub(super) fn end_anew(&mut self, why: Rejection) {
        for life in &mut self.lives {
            life.over = Some(why);
        }
        self.lives.dedup();
    }

    /// What it is, given that it is the one or the other. Both were shown the same secrets.
    pub(super) fn or(mut self, other: Self) -> Self {
        assert_eq!(self.secrets, other.secrets);
        for life in other.lives {
            if !self.lives.contains(&life) {
                self.lives.push(life);
            }
        }
        self
    }

    fn back(&self, place: usize) -> usize {
        self.secrets.len() - 1 - place
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            now: Timestamp::ZERO,
            disabled: [false; 2],
            on: true,
            tight: false,
        }
    }
}

impl Rules {
    pub(super) fn age_limit(&self) -> Duration {
        if self.tight { TIGHT } else { MAX_AGE }
    }

    /// Whether it is remembered for certain.
    pub(super) fn lives(&self, device: &Device) -> bool {
        let is_over = device.lives.iter().any(|life| life.over.is_some());
        !is_over && !device.removed && !self.is_out_of_time(device)
    }

    fn is_out_of_time(&self, device: &Device) -> bool {
        let by_policy = device.born_at.after(self.age_limit());
        self.now >= device.promised_until.min(by_policy)
    }

    fn gap(&self, then: Timestamp) -> Duration {
        self.now.since(then).max(then.since(self.now))
    }

    /// What presenting the secret of `back` rotations ago must come to.
    fn must(&self, device: &Device, life: Life, back: usize) -> Must {
        if device.removed {
            return Must::No(Rejection::Unknown);
        }
        if back > OLDER_MAX {
            return Must::No(Rejection::Mismatch);
        }
        let barred = if !self.on {
            Some(Rejection::SwitchedOff)
        } else if self.disabled[device.whose] {
            Some(Rejection::Disabled)
        } else {
            None
        };
        if let Some(reason) = life.over {
            return Must::No(barred.unwrap_or(reason));
        }
        if self.is_out_of_time(device) {
            return Must::End(barred.unwrap_or(Rejection::Expired), Rejection::Expired);
        }
        let racing = life.seen_at.is_none_or(|seen| self.gap(seen) < GRACE);
        if back >= 2 || (back == 1 && !racing) {
            return Must::End(barred.unwrap_or(Rejection::Reused), Rejection::Reused);
        }
        match (barred, back) {
            (Some(reason), _) => Must::No(reason),
            (None, 1) => Must::Again,
            (None, _) if self.is_due(device, life) => Must::Rotated,
            (None, _) => Must::In,
        }
    }

    fn is_due(&self, device: &Device, life: Life) -> bool {
        let age = self.gap(life.handed_at);
        match life.seen_at {
            _ if device.secrets.len() == 1 => age >= ROTATE_AFTER,
            Some(seen) => age >= ROTATE_AFTER && self.gap(seen) >= GRACE,
            None => age >= ROTATE_AFTER.saturating_add(GRACE),
        }
    }

    /// What looking at a secret may come to, which hands nothing out.
    pub(super) fn checked(&self, device: &Device, place: usize) -> Vec<Seen> {
        let lives = device.lives.iter();
        let seen = lives.map(|life| match self.must(device, *life, device.back(place)) {
            Must::In | Must::Rotated | Must::Again => Seen::In(None),
            Must::No(reason) | Must::End(reason, _) => Seen::No(reason),
        });
        seen.collect()
    }

    /// The device after its secret at `place` was presented and came to this, if it had to.
    pub(super) fn follow(
        &self,
        device: &Device,
        place: usize,
        seen: &Seen,
    ) -> Result<Device, String> {
        let lives = device.lives.iter();
        let after = lives.map(|life| self.follow_one(device, *life, place, seen));
        either(after)
    }

    fn follow_one(
        &self,
        device: &Device,
        mut life: Life,
        place: usize,
        seen: &Seen,
    ) -> Result<Device, String> {
        let must = self.must(device, life, device.back(place));
        let mut after = device.clone();
        let current = device.secrets.last();
        match (must, seen) {
            (Must::In, Seen::In(None)) => {
                if device.secrets.len() > 1 && life.seen_at.is_none() {
                    life.seen_at = Some(self.now);
                }
            }
            (Must::Rotated, Seen::In(Some(text))) if !device.secrets.contains(text) => {
                after.secrets.push(text.clone());
                (life.handed_at, life.seen_at) = (self.now, None);
            }
            (Must::Again, Seen::In(Some(text))) if Some(text) == current => {
                if life.seen_at.is_none() && self.gap(life.handed_at) >= ROTATE_AFTER {
                    life.handed_at = self.now;
                }
            }
            (Must::No(reason), Seen::No(found)) if reason == *found => {}
            (Must::End(reason, why), Seen::No(found)) if reason == *found => {
                life.over = life.over.or(Some(why));
            }
            _ => return Err(format!("secret {place} had to be {must:?}: {seen:?}")),
        }
        after.lives = vec![life];
        Ok(after)
    }
}

/// The device as it may be after one of several courses of events; why none of them was possible.
pub(super) fn either(
    courses: impl IntoIterator<Item = Result<Device, String>>,
) -> Result<Device, String> {
    let (mut after, mut whys) = (None::<Device>, Vec::new());
    for course in courses {
        match course {
            Ok(one) => {
                after = Some(match after {
                    None => one,
                    Some(other) => other.or(one),
                });
            }
            Err(why) => whys.push(why),
        }
    }
    after.ok_or_else(|| whys.join("; or "))
}
