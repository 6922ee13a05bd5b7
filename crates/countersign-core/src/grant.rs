//! The record behind an access token, and what became of its use.

use crate::digest::Digest;
use crate::epoch::EpochStamp;
use crate::keys::KeyId;
use crate::principal::Principal;
use crate::scope::ScopeSet;
use crate::selector::Selector;
use crate::text::{Reason, TokenName};
use crate::time::Timestamp;
use core::net::IpAddr;

/// The most addresses that are kept of a token's use.
pub const ADDRESSES_MAX: usize = 5;

/// When a token dies by itself. Never is said, not left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this instant: from then on the token is dead.
    At(Timestamp),
    /// Not by itself. Policy may forbid this.
    Never,
}

impl Expiry {
    /// The instant, with `MAX` for never.
    #[must_use]
    pub const fn instant(self) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Never => Timestamp::MAX,
        }
    }
}

/// What ended a token before its time, or let it go with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// By its owner or an operator.
    Revoked(Option<Reason>),
    /// Replaced by this one; the end may lie ahead, which is the overlap.
    Rotated(Selector),
    /// For room, when its principal had too many.
    Evicted,
    /// By time: noted by the sweep, for the audit log.
    Expired,
}

/// When and why a token ended or will end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantEnd {
    /// From this instant on the token is dead.
    pub at: Timestamp,
    /// Why.
    pub cause: EndCause,
}

/// What is stored for an access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Whose it is. The principal of a request comes from here and nowhere else.
    pub principal: Principal,
    /// What its owner calls it.
    pub name: TokenName,
    /// What it may do.
    pub scopes: ScopeSet,
    /// The pepper that its digest was made under.
    pub key_id: KeyId,
    /// The keyed hash of its secret.
    pub digest: Digest,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it dies by itself.
    pub expiry: Expiry,
    /// The epochs it was issued under.
    pub stamp: EpochStamp,
    /// The token that it replaced.
    pub predecessor: Option<Selector>,
    /// What ended it, once something has.
    pub end: Option<GrantEnd>,
}

impl Grant {
    /// The instant of the end that was noted, or `MAX` where none was.
    #[must_use]
    pub fn noted_end(&self) -> Timestamp {
        self.end.as_ref().map_or(Timestamp::MAX, |end| end.at)
    }
}

/// One address that a token was used from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The address, as the host gave it.
    pub address: IpAddr,
    /// When it was last seen.
    pub at: Timestamp,
}

/// When and from where a token was last used. Kept apart from the grant, which verification never
/// writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The last use.
    pub last_used_at: Timestamp,
    /// The latest addresses, newest first, each once, at most [`ADDRESSES_MAX`].
    pub addresses: Vec<Sighting>,
}

impl Usage {
    /// Adds what was seen since; the later instant and the newer sightings win.
    pub fn merge(&mut self, later: &Usage) {
        self.last_used_at = self.last_used_at.max(later.last_used_at);
        for sighting in later.addresses.iter().rev() {
            self.see(*sighting);
        }
    }

    /// Notes a use from an address.
    pub fn see(&mut self, sighting: Sighting) {
        let known = self
            .addresses
            .iter()
            .find(|old| old.address == sighting.address);
        let at = known.map_or(sighting.at, |old| old.at.max(sighting.at));
        self.addresses.retain(|old| old.address != sighting.address);
        let place = self.addresses.iter().position(|old| old.at <= at);
        let place = place.unwrap_or(self.addresses.len());
        self.addresses.insert(place, Sighting { at, ..sighting });
        self.addresses.truncate(ADDRESSES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(last: u8, at: u64) -> Sighting {
        Sighting {
            address: IpAddr::from([10, 0, 0, last]),
            at: Timestamp::from_millis(at),
        }
    }

    #[test]
    fn addresses_are_the_latest_five_each_once() {
        let mut usage = Usage::default();
        for i in 1..=7 {
            usage.see(seen(i, u64::from(i)));
        }
        usage.see(seen(4, 9));
        usage.see(seen(4, 2));
        let order: Vec<_> = usage
            .addresses
            .iter()
            .map(|s| (s.address, s.at.as_millis()))
            .collect();
        let expected = [seen(4, 9), seen(7, 7), seen(6, 6), seen(5, 5), seen(3, 3)];
        assert_eq!(order, expected.map(|s| (s.address, s.at.as_millis())));
    }

    #[test]
    fn merging_keeps_the_later_of_both() {
        let mut old = Usage {
            last_used_at: Timestamp::from_millis(9),
            addresses: vec![seen(1, 9)],
        };
        let new = Usage {
            last_used_at: Timestamp::from_millis(7),
            addresses: vec![seen(2, 7), seen(1, 3)],
        };
        old.merge(&new);
        assert_eq!(old.last_used_at, Timestamp::from_millis(9));
        assert_eq!(old.addresses, [seen(1, 9), seen(2, 7)]);
    }

    #[test]
    fn what_has_no_end_noted_ends_never() {
        let mut grant = Grant {
            principal: Principal::new("ann").unwrap(),
            name: TokenName::new("nightly build").unwrap(),
            scopes: ScopeSet::EMPTY,
            key_id: KeyId::FIRST,
            digest: Digest::from_bytes([0; 32]),
            created_at: Timestamp::ZERO,
            expiry: Expiry::At(Timestamp::from_millis(9)),
            stamp: EpochStamp::default(),
            predecessor: None,
            end: None,
        };
        assert_eq!(grant.noted_end(), Timestamp::MAX);
        let at = Timestamp::from_millis(7);
        let cause = EndCause::Evicted;
        grant.end = Some(GrantEnd { at, cause });
        assert_eq!(grant.noted_end(), at);
    }
}
