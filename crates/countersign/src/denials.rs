//! Denials that are in force before the disk has them.
//!
//! A revocation takes effect in memory first and stays in force whatever the disk does: it is
//! entered here before anything else is tried, and leaves only once it is durable, or turned out
//! to be about nothing. What is here is retried by maintenance until then.

use countersign_core::principals::PrincipalAction;
use countersign_core::switches::SwitchAction;
use countersign_core::{Principal, PrincipalKey, Reason, Rejection, Selector, Subsystem};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The most denials that wait at once; each is a handful of words.
pub(crate) const DENIALS_MAX: usize = 1_000_000;

/// What is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Token(Selector),
    Principal(PrincipalKey),
    Subsystem(Subsystem),
}

/// What is to be written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Revoke(Option<Reason>),
    Principal(Principal, PrincipalAction, Option<Reason>),
    Switch(SwitchAction, Option<Reason>),
}

/// A denial that is waiting: in force since it was entered.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// Which entry this is; a later one of the same target has a higher number.
    pub(crate) number: u64,
    pub(crate) target: Target,
    pub(crate) intent: Intent,
    /// Left by a caller whose commit failed: maintenance takes it on.
    pub(crate) orphaned: bool,
}

/// The denials in force.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    /// How many there are, so that the usual case costs one load.
    count: AtomicUsize,
    waiting: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By target, the latest last. More than one waits only while callers race.
    entries: HashMap<Target, Vec<Waiting>>,
    /// Those that their callers have given up, by number.
    orphans: BTreeMap<u64, Target>,
}

impl Denials {
    /// Puts a denial in force from now on; `Err` holds how many wait where no more fit.
    pub(crate) fn enter(&self, target: Target, intent: Intent) -> Result<u64, usize> {
        let mut table = self.waiting.lock();
        let waiting = self.count.load(Ordering::Relaxed);
        if waiting >= DENIALS_MAX {
            return Err(waiting);
        }
        let number = table.next;
        table.next = table.next.wrapping_add(1);
        let entry = Waiting {
            number,
            target,
            intent,
            orphaned: false,
        };
        table.entries.entry(target).or_default().push(entry);
        self.count.fetch_add(1, Ordering::Release);
        Ok(number)
    }

    /// Takes a denial off, once it is durable or about nothing.
    pub(crate) fn leave(&self, target: Target, number: u64) {
        let table = &mut *self.waiting.lock();
        let Some(entries) = table.entries.get_mut(&target) else {
            return;
        };
        let before = entries.len();
        entries.retain(|entry| entry.number != number);
        let gone = before.saturating_sub(entries.len());
        table.orphans.remove(&number);
        if entries.is_empty() {
            table.entries.remove(&target);
        }
        self.count.fetch_sub(gone, Ordering::Release);
    }

    /// Leaves a denial in force for maintenance to write.
    pub(crate) fn orphan(&self, target: Target, number: u64) {
        let table = &mut *self.waiting.lock();
        let entries = table.entries.get_mut(&target).into_iter().flatten();
        for entry in entries.filter(|entry| entry.number == number) {
            entry.orphaned = true;
            table.orphans.insert(number, target);
        }
    }

    /// Up to `max` denials whose callers have gone, oldest first, from number `from` on.
    pub(crate) fn orphans(&self, from: u64, max: usize) -> Vec<Waiting> {
        if self.count() == 0 {
            return Vec::new();
        }
        let table = self.waiting.lock();
        let orphan = |(number, target): (&u64, &Target)| {
            let entries = table.entries.get(target)?;
            entries
                .iter()
                .find(|entry| entry.number == *number)
                .cloned()
        };
        table
            .orphans
            .range(from..)
            .take(max)
            .filter_map(orphan)
            .collect()
    }

    /// Whether a denial of just this waits that its caller has given up.
    pub(crate) fn is_orphaned(&self, target: Target) -> bool {
        let table = self.waiting.lock();
        let entries = table.entries.get(&target);
        entries.is_some_and(|entries| entries.iter().any(|entry| entry.orphaned))
    }

    /// Whether everything of a principal is denied, or of everybody.
    pub(crate) fn deny_all_of(&self, principal: PrincipalKey) -> Option<Rejection> {
        if self.count() == 0 {
            return None;
        }
        self.look(None, Some(principal))
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether something of the kind is denied: the token itself, its principal, or all of them.
    #[inline]
    pub(crate) fn deny(
        &self,
        token: Selector,
        principal: Option<PrincipalKey>,
    ) -> Option<Rejection> {
        if self.count() == 0 {
            return None;
        }
        self.look(Some(token), principal)
    }

    #[cold]
    fn look(&self, token: Option<Selector>, principal: Option<PrincipalKey>) -> Option<Rejection> {
        let table = self.waiting.lock();
        let latest = |target: Target| {
            table
                .entries
                .get(&target)
                .and_then(|entries| entries.last())
        };
        let subsystem = latest(Target::Subsystem(Subsystem::AccessTokens));
        if let Some(Intent::Switch(SwitchAction::Off, _)) = subsystem.map(|entry| &entry.intent) {
            return Some(Rejection::SwitchedOff);
        }
        let person = principal.and_then(|key| latest(Target::Principal(key)));
        let disabling = person.map(|entry| &entry.intent);
        if let Some(Intent::Principal(_, PrincipalAction::Disable, _)) = disabling {
            return Some(Rejection::Disabled);
        }
        let own = || token.and_then(|token| latest(Target::Token(token)));
        let any = subsystem.or(person).or_else(own);
        any.map(|_| Rejection::Revoked)
    }
}

/// Keeps a denial in force until it is told how the commit went; dropped untold, it stays.
pub(crate) struct InForce<'a> {
    denials: &'a Denials,
    target: Target,
    number: Option<u64>,
}

impl<'a> InForce<'a> {
    pub(crate) const fn new(denials: &'a Denials, target: Target, number: u64) -> Self {
        Self {
            denials,
            target,
            number: Some(number),
        }
    }

    /// It is durable, or was about nothing.
    pub(crate) fn settled(mut self) {
        if let Some(number) = self.number.take() {
            self.denials.leave(self.target, number);
        }
    }
}

impl Drop for InForce<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.denials.orphan(self.target, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::{ShardTag, Timestamp};

    fn token(n: u8) -> Selector {
        Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8])
    }

    #[test]
    fn a_denial_is_in_force_from_entering_until_it_is_settled() {
        let denials = Denials::default();
        let target = Target::Token(token(1));
        assert_eq!(denials.deny(token(1), None), None);
        let number = denials.enter(target, Intent::Revoke(None)).unwrap();
        assert_eq!(denials.deny(token(1), None), Some(Rejection::Revoked));
        assert_eq!(denials.deny(token(2), None), None);
        InForce::new(&denials, target, number).settled();
        assert_eq!(denials.deny(token(1), None), None);
        assert_eq!(denials.count(), 0);
    }

    #[test]
    fn one_that_is_dropped_untold_stays_in_force_and_is_handed_on() {
        let denials = Denials::default();
        let target = Target::Token(token(1));
        let number = denials.enter(target, Intent::Revoke(None)).unwrap();
        assert!(
            denials.orphans(0, 9).is_empty(),
            "its caller is still at it"
        );
        drop(InForce::new(&denials, target, number));
        assert_eq!(denials.orphans(0, 9).len(), 1);
        assert_eq!(denials.deny(token(1), None), Some(Rejection::Revoked));
    }

    #[test]
    fn the_reason_is_that_of_the_widest_denial() {
        let denials = Denials::default();
        let key = PrincipalKey::from_bytes([1; 16]);
        let name = Principal::new("ann").unwrap();
        let disable = Intent::Principal(name, PrincipalAction::Disable, None);
        denials.enter(Target::Principal(key), disable).unwrap();
        assert_eq!(denials.deny(token(1), Some(key)), Some(Rejection::Disabled));
        assert_eq!(denials.deny(token(1), None), None);
        let all = Target::Subsystem(Subsystem::AccessTokens);
        denials
            .enter(all, Intent::Switch(SwitchAction::Off, None))
            .unwrap();
        assert_eq!(
            denials.deny(token(1), Some(key)),
            Some(Rejection::SwitchedOff)
        );
    }
}
