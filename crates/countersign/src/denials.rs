//! Denials that are in force before the disk has them.
//!
//! A revocation takes effect in memory first and stays in force whatever the disk does: it is
//! entered here before anything else is tried, and leaves only once it is durable, or turned out
//! to be about nothing. What is here is retried by maintenance until then.
//!
//! Records and denials are two places to look, and a denial moves from here into the records. So
//! it is asked for before the records are read, or whether one was settled is asked afterwards.

use countersign_core::image::{AttachmentId, AttachmentKey};
use countersign_core::principals::PrincipalAction;
use countersign_core::switches::SwitchAction;
use countersign_core::{
    CredentialKind, Principal, PrincipalKey, Reason, Rejection, Selector, Subsystem,
};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The most denials that wait at once; each is a handful of words.
pub(crate) const DENIALS_MAX: usize = 1_000_000;

/// What is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// An access token.
    Token(Selector),
    /// A remembered device.
    Series(Selector),
    /// All remembered devices of a principal, perhaps but one.
    Devices(PrincipalKey),
    /// All image tokens of an attachment.
    Attachment(AttachmentKey),
    Principal(PrincipalKey),
    Subsystem(Subsystem),
}

/// What is to be written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Revoke(Option<Reason>),
    /// The series stays that is named.
    Forget(Principal, Option<Selector>, Option<Reason>),
    Attachment(AttachmentId, Option<Reason>),
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
    /// How many have been taken off again.
    settled: AtomicU64,
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
        // Before it is gone: whoever does not find it any more finds that one was settled.
        self.settled.fetch_add(1, Ordering::AcqRel);
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

    /// How many have been settled so far.
    ///
    /// Whoever reads records first and asks for denials then compares this over both: one that was
    /// settled in between is in neither, and the records have to be read anew.
    #[inline]
    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Whether what is presented or asked for is denied: itself, its principal, or all of its kind.
    #[inline]
    pub(crate) fn deny(&self, asked: Asked) -> Option<Rejection> {
        if self.count() == 0 {
            return None;
        }
        self.look(asked)
    }

    #[cold]
    fn look(&self, asked: Asked) -> Option<Rejection> {
        let table = self.waiting.lock();
        // All that wait for a target are in force, not the latest alone.
        let waiting = |target: Target| {
            let entries = table.entries.get(&target).into_iter().flatten();
            entries.map(|entry| &entry.intent)
        };
        let switches = asked.subsystems().iter().copied().map(Target::Subsystem);
        let mut switches = switches.flat_map(waiting).peekable();
        let revoked = switches.peek().is_some();
        if switches.any(|intent| matches!(intent, Intent::Switch(SwitchAction::Off, _))) {
            return Some(Rejection::SwitchedOff);
        }
        let person = || {
            asked
                .principal
                .into_iter()
                .flat_map(|key| waiting(Target::Principal(key)))
        };
        let disables =
            |intent: &Intent| matches!(intent, Intent::Principal(_, PrincipalAction::Disable, _));
        if person().any(disables) {
            return Some(Rejection::Disabled);
        }
        let devices = asked
            .principal
            .filter(|_| asked.kind == CredentialKind::Remember);
        let devices = devices
            .into_iter()
            .flat_map(|key| waiting(Target::Devices(key)));
        let own = asked.own.into_iter().flat_map(waiting);
        let mut all = person().chain(devices).chain(own);
        let ended = revoked || all.any(|intent| asked.is_ended_by(intent));
        ended.then_some(Rejection::Revoked)
    }
}

/// What somebody wants to use, or wants to be issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: CredentialKind,
    /// The credential itself, or the attachment that it opens, where it has a denial of its own.
    pub(crate) own: Option<Target>,
    pub(crate) principal: Option<PrincipalKey>,
    /// Whether somebody wants to log in, who has none of it yet.
    pub(crate) logs_in: bool,
}

impl Asked {
    /// One credential of a kind.
    pub(crate) fn credential(
        kind: CredentialKind,
        selector: Selector,
        principal: Option<PrincipalKey>,
    ) -> Self {
        let own = match kind {
            CredentialKind::Access => Some(Target::Token(selector)),
            CredentialKind::Remember => Some(Target::Series(selector)),
            // A session ends in memory, where there is nothing to wait for.
            _ => None,
        };
        Self {
            kind,
            own,
            principal,
            logs_in: false,
        }
    }

    /// Anything of a kind of a principal's.
    pub(crate) const fn any_of(kind: CredentialKind, principal: PrincipalKey) -> Self {
        Self {
            kind,
            own: None,
            principal: Some(principal),
            logs_in: false,
        }
    }

    /// Those whose switches it needs.
    const fn subsystems(&self) -> &'static [Subsystem] {
        match self.kind {
            CredentialKind::Access => &[Subsystem::AccessTokens],
            CredentialKind::Remember => &[Subsystem::RememberMe],
            CredentialKind::Image => &[Subsystem::ImageTokens, Subsystem::AccessTokens],
            // Sessions, and form tokens with them.
            _ => &[Subsystem::Sessions],
        }
    }

    fn is_ended_by(&self, intent: &Intent) -> bool {
        match intent {
            // The sessions have ended in memory, but for the one that is kept. One that is opened
            // over it would stand until it is written, and fall then.
            Intent::Principal(_, PrincipalAction::CredentialsChanged, _) => {
                self.kind == CredentialKind::Remember || self.logs_in
            }
            // What is only asked for is none that is kept.
            Intent::Forget(_, kept, _) => {
                self.own.is_none() || kept.map(Target::Series) != self.own
            }
            _ => true,
        }
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

    fn asked(n: u8, principal: Option<PrincipalKey>) -> Asked {
        Asked::credential(CredentialKind::Access, token(n), principal)
    }

    fn token(n: u8) -> Selector {
        Selector::mint(Timestamp::ZERO, ShardTag::NONE, [n; 8])
    }

    #[test]
    fn a_denial_is_in_force_from_entering_until_it_is_settled() {
        let denials = Denials::default();
        let target = Target::Token(token(1));
        assert_eq!(denials.deny(asked(1, None)), None);
        let number = denials.enter(target, Intent::Revoke(None)).unwrap();
        assert_eq!(denials.deny(asked(1, None)), Some(Rejection::Revoked));
        assert_eq!(denials.deny(asked(2, None)), None);
        InForce::new(&denials, target, number).settled();
        assert_eq!(denials.deny(asked(1, None)), None);
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
        assert_eq!(denials.deny(asked(1, None)), Some(Rejection::Revoked));
    }

    #[test]
    fn what_waits_for_one_kind_denies_no_other_and_hides_no_earlier_denial() {
        let denials = Denials::default();
        let key = PrincipalKey::from_bytes([1; 16]);
        let name = Principal::new("ann").unwrap();
        let of = |kind| denials.deny(Asked::credential(kind, token(1), Some(key)));
        let (access, device) = (CredentialKind::Access, CredentialKind::Remember);
        let enter = |target, intent| denials.enter(target, intent).unwrap();

        let kept = Intent::Forget(name.clone(), Some(token(1)), None);
        let number = enter(Target::Devices(key), kept);
        assert_eq!((of(access), of(device)), (None, None));
        denials.leave(Target::Devices(key), number);
        let all_but = Intent::Forget(name.clone(), Some(token(2)), None);
        let number = enter(Target::Devices(key), all_but);
        assert_eq!((of(access), of(device)), (None, Some(Rejection::Revoked)));
        let another = denials.deny(Asked::any_of(device, key));
        assert_eq!(another, Some(Rejection::Revoked));
        denials.leave(Target::Devices(key), number);
        let number = enter(
            Target::Devices(key),
            Intent::Forget(name.clone(), None, None),
        );
        assert_eq!((of(access), of(device)), (None, Some(Rejection::Revoked)));
        let another = denials.deny(Asked::any_of(device, key));
        assert_eq!(another, Some(Rejection::Revoked));
        denials.leave(Target::Devices(key), number);

        let act = |action| Intent::Principal(name.clone(), action, None);
        let revoke = enter(Target::Principal(key), act(PrincipalAction::Revoke));
        enter(
            Target::Principal(key),
            act(PrincipalAction::CredentialsChanged),
        );
        assert_eq!(
            of(access),
            Some(Rejection::Revoked),
            "the earlier one holds"
        );
        denials.leave(Target::Principal(key), revoke);
        assert_eq!((of(access), of(device)), (None, Some(Rejection::Revoked)));
    }

    #[test]
    fn image_tokens_need_the_switch_of_access_tokens_too() {
        for subsystem in Subsystem::ALL {
            let denials = Denials::default();
            let off = Intent::Switch(SwitchAction::Off, None);
            denials.enter(Target::Subsystem(subsystem), off).unwrap();
            let asked = Asked::any_of(CredentialKind::Image, PrincipalKey::from_bytes([1; 16]));
            let concerned = matches!(subsystem, Subsystem::ImageTokens | Subsystem::AccessTokens);
            let denied = concerned.then_some(Rejection::SwitchedOff);
            assert_eq!(denials.deny(asked), denied, "{subsystem}");
        }
    }

    #[test]
    fn the_reason_is_that_of_the_widest_denial() {
        let denials = Denials::default();
        let key = PrincipalKey::from_bytes([1; 16]);
        let name = Principal::new("ann").unwrap();
        let disable = Intent::Principal(name, PrincipalAction::Disable, None);
        denials.enter(Target::Principal(key), disable).unwrap();
        assert_eq!(denials.deny(asked(1, Some(key))), Some(Rejection::Disabled));
        assert_eq!(denials.deny(asked(1, None)), None);
        let all = Target::Subsystem(Subsystem::AccessTokens);
        denials
            .enter(all, Intent::Switch(SwitchAction::Off, None))
            .unwrap();
        assert_eq!(
            denials.deny(asked(1, Some(key))),
            Some(Rejection::SwitchedOff)
        );
    }
}
