//! One session in memory: two lines of it, of which a request reads both at once.
//!
//! What a request writes is atomic, so that it needs no more than the shard's lock for readers:
//! when the session was last seen, and that its freshness is over. All else changes under the
//! lock for writers.

use crate::attributes::{Attributes, Bag};
use crate::authentication::{Authentication, Method};
use crate::ended::EndedBy;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;
use countersign_core::{Digest, EpochStamp, KeyId, Selector, ShardTag, Timestamp, millis};
use std::sync::Arc;

/// Milliseconds in six bytes: enough for any instant of a selector and any span of a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis48([u8; 6]);

impl Millis48 {
    pub(crate) fn new(ms: u64) -> Self {
        let [_, _, a, b, c, d, e, f] = ms.min(0xffff_ffff_ffff).to_be_bytes();
        Self([a, b, c, d, e, f])
    }

    pub(crate) const fn value(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

/// Timeouts of a session's own; what is not given here is the policy's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// How long it may stand idle.
    pub idle: Option<Duration>,
    /// How long it may live at all.
    pub absolute: Option<Duration>,
}

/// The idle timeout is the session's own, not the policy's of the day.
const OWN_IDLE: u8 = 1;
/// The absolute timeout is the session's own.
const OWN_ABSOLUTE: u8 = 2;
/// It is presented by a bare id, and its tail names no row.
pub(crate) const BARE: u8 = 4;
/// Every flag there is.
pub(crate) const FLAGS: u8 = OWN_IDLE | OWN_ABSOLUTE | BARE;

/// A clock that steps back by less than this is several threads reading it, not a step.
pub(crate) const STEP: Duration = Duration::from_secs(2);

/// The instants at which a session ends, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) idle: u64,
    pub(crate) absolute: u64,
}

impl Ends {
    #[inline]
    pub(crate) fn first(self) -> Timestamp {
        Timestamp::from_millis(self.idle.min(self.absolute))
    }

    #[inline]
    pub(crate) fn due(self, now: Timestamp) -> Option<EndedBy> {
        let now = now.as_millis();
        if now >= self.absolute {
            return Some(EndedBy::Absolute);
        }
        (now >= self.idle).then_some(EndedBy::Idle)
    }
}

/// The whole milliseconds of a policy's span, by 64-bit arithmetic: requests ask for them.
#[inline]
const fn whole_ms(span: Duration) -> u64 {
    let ms = span.as_secs().saturating_mul(1000);
    ms.saturating_add(span.subsec_millis() as u64)
}

/// One session. In this order it fills two lines, and what is compared first comes first.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(crate) selector: Selector,
    pub(crate) digest: Digest,
    /// When it was last used; written by requests.
    pub(crate) last_seen: AtomicU64,
    /// The end that no use puts off.
    pub(crate) ends_at: u64,
    /// `None`: anonymous.
    pub(crate) owner: Option<Owner>,
    pub(crate) bag: Option<Arc<Bag>>,
    pub(crate) stamp: EpochStamp,
    /// How often its privilege has changed: its csrf secret is derived from that.
    pub(crate) generation: u32,
    /// For how long after it the authentication is fresh; zero once that is over.
    pub(crate) fresh_ms: AtomicU32,
    pub(crate) idle_ms: Millis48,
    pub(crate) authenticated_at: Millis48,
    pub(crate) key_id: KeyId,
    /// `None`: nobody was authenticated.
    pub(crate) method: Option<Method>,
    pub(crate) flags: u8,
}

impl Slot {
    /// A session that nothing hashes to: it stands in where there is none, so that a miss is
    /// looked at with the work of a hit.
    pub(crate) fn decoy() -> Self {
        Self {
            selector: Selector::mint(Timestamp::ZERO, ShardTag::NONE, [0; 8]),
            digest: Digest::from_bytes([0; 32]),
            last_seen: AtomicU64::new(0),
            ends_at: u64::MAX,
            owner: None,
            bag: None,
            stamp: EpochStamp::default(),
            generation: 0,
            fresh_ms: AtomicU32::new(0),
            idle_ms: Millis48::new(u64::MAX),
            authenticated_at: Millis48::new(0),
            key_id: KeyId::FIRST,
            method: None,
            flags: OWN_IDLE | OWN_ABSOLUTE,
        }
    }

    /// Takes the timeouts as they stand in the policy, or those of its own.
    ///
    /// What a remembered device has opened may end sooner by them, and not later: its end may be
    /// the device's.
    pub(crate) fn set_timeouts(&mut self, moment: &Moment<'_>, timeouts: Timeouts) {
        let latest = match self.method {
            Some(Method::RememberMe) => self.ends_at,
            _ => u64::MAX,
        };
        let idle = timeouts.idle.unwrap_or(moment.policy.idle_timeout);
        let absolute = timeouts.absolute.unwrap_or(moment.policy.absolute_timeout);
        self.idle_ms = Millis48::new(millis(idle));
        self.ends_at = self.created_at().after(absolute).as_millis().min(latest);
        self.flags &= BARE;
        if timeouts.idle.is_some() {
            self.flags |= OWN_IDLE;
        }
        if timeouts.absolute.is_some() {
            self.flags |= OWN_ABSOLUTE;
        }
    }

    /// Ends then at the latest.
    pub(crate) fn end_by(&mut self, latest: Option<Timestamp>) {
        let latest = latest.map_or(u64::MAX, Timestamp::as_millis);
        self.ends_at = self.ends_at.min(latest);
    }

    pub(crate) fn created_at(&self) -> Timestamp {
        self.selector.minted_at()
    }

    pub(crate) fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.owner.is_none()
    }

    pub(crate) const fn is_bare(&self) -> bool {
        self.flags & BARE != 0
    }

    /// How long it may stand idle, in milliseconds: a policy that was tightened applies at once,
    /// one that was loosened does not reach back.
    #[inline]
    pub(crate) fn idle_ms(&self, moment: &Moment<'_>) -> u64 {
        let own = self.idle_ms.value();
        if self.flags & OWN_IDLE == 0 {
            own.min(whole_ms(moment.policy.idle_timeout))
        } else {
            own
        }
    }

    /// When it ends, by the same rule for what no use puts off.
    #[inline]
    pub(crate) fn ends(&self, moment: &Moment<'_>) -> Ends {
        let mut absolute = self.ends_at;
        if self.flags & OWN_ABSOLUTE == 0 {
            let longest = whole_ms(moment.policy.absolute_timeout);
            let created = self.created_at().as_millis();
            absolute = absolute.min(created.saturating_add(longest));
        }
        let last = self.last_seen.load(Ordering::Relaxed);
        let idle = last.saturating_add(self.idle_ms(moment));
        Ends { idle, absolute }
    }

    /// When it dies if nobody uses it.
    pub(crate) fn expires_at(&self, moment: &Moment<'_>) -> Timestamp {
        self.ends(moment).first()
    }

    /// Which time has run out, if one has.
    pub(crate) fn due(&self, moment: &Moment<'_>) -> Option<EndedBy> {
        self.ends(moment).due(moment.now)
    }

    /// Notes a use. Within the second of the last one nothing is written.
    ///
    /// Answers whether the clock has stepped back, which [`Slot::pull_in`] has to settle.
    #[inline]
    pub(crate) fn see(&self, now: Timestamp) -> bool {
        let last = self.last_seen();
        if now.as_secs() > last.as_secs() {
            // Where two do so at once the earlier may stay: by the moment between them.
            self.last_seen.store(now.as_millis(), Ordering::Relaxed);
        }
        last.as_millis() > now.as_millis().saturating_add(whole_ms(STEP))
    }

    /// After the clock stepped back: no end lies further ahead than its timeout, or a session of
    /// a clock that was a year ahead would live for that year. Only ever shortens.
    pub(crate) fn pull_in(&mut self, moment: &Moment<'_>) {
        let own = Timestamp::from_millis(self.ends_at).since(self.created_at());
        // Nothing is left of it where the end has been pulled in before.
        let own = if own.is_zero() {
            moment.policy.absolute_timeout
        } else {
            own
        };
        self.ends_at = self.ends_at.min(moment.now.after(own).as_millis());
        let last = self.last_seen().min(moment.now);
        self.last_seen.store(last.as_millis(), Ordering::Relaxed);
    }

    /// Notes an authentication; one that is no presence is never fresh.
    pub(crate) fn authenticate(&mut self, now: Timestamp, method: Method, fresh_for: Duration) {
        self.method = Some(method);
        self.authenticated_at = Millis48::new(now.as_millis());
        // At most 49 days: what is longer is not fresh by any measure.
        let fresh_ms = u32::try_from(millis(fresh_for)).unwrap_or(u32::MAX);
        let fresh_ms = if method.is_presence() { fresh_ms } else { 0 };
        self.fresh_ms.store(fresh_ms, Ordering::Relaxed);
    }

    /// The last authentication, and whether it is fresh at `now`. Once found stale it stays so,
    /// whatever the clock does.
    #[inline]
    pub(crate) fn authentication(&self, now: Timestamp) -> Option<Authentication> {
        let method = self.method?;
        let at = Timestamp::from_millis(self.authenticated_at.value());
        let fresh_ms = self.fresh_ms.load(Ordering::Relaxed);
        let until = at.as_millis().saturating_add(u64::from(fresh_ms));
        let until = Timestamp::from_millis(until);
        let fresh = at <= now && now < until;
        if fresh_ms != 0 && !fresh {
            self.fresh_ms.store(0, Ordering::Relaxed);
        }
        Some(Authentication {
            method,
            at,
            fresh_until: fresh.then_some(until),
        })
    }

    pub(crate) fn attributes(&self) -> &Attributes {
        static NONE: Attributes = Attributes::EMPTY;
        self.bag.as_ref().map_or(&NONE, |bag| &bag.attributes)
    }

    pub(crate) fn series(&self) -> Option<Selector> {
        self.bag.as_ref().and_then(|bag| bag.series)
    }

    /// Whether it was not used since the second in which it was opened.
    pub(crate) fn is_unused(&self) -> bool {
        self.last_seen().as_secs() <= self.created_at().as_secs()
    }

    /// Whether a remembered device has opened it, and this one.
    pub(crate) fn is_of_device(&self, series: Option<Selector>) -> bool {
        self.method == Some(Method::RememberMe) && series.is_some() && self.series() == series
    }

    /// Replaces what only some sessions have; nothing is kept for nothing.
    pub(crate) fn set_bag(&mut self, series: Option<Selector>, attributes: Attributes) {
        let worth_it = series.is_some() || !attributes.is_empty();
        self.bag = worth_it.then(|| Arc::new(Bag { series, attributes }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::alone;
    use countersign_core::policy::Draft;
    use countersign_core::{KeyMaterial, Keyring};

    #[test]
    fn the_stand_in_is_looked_at_to_the_end_whatever_the_policy() {
        alone(|| {
            let mut draft = Draft::default();
            let second = Duration::from_secs(1);
            (draft.sessions.idle_timeout, draft.sessions.absolute_timeout) = (second, second);
            let policy = draft.build().unwrap();
            let keyring = Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]));
            for now in [0, 1_795_341_296_789, 0xffff_ffff_fffe] {
                let moment = Moment {
                    now: Timestamp::from_millis(now),
                    keyring: &keyring,
                    policy: policy.sessions(),
                };
                assert_eq!(Slot::decoy().due(&moment), None, "{now}");
            }
        });
    }
}
