//! A session as a request gets to see it, once its token has been proven.

use crate::attributes::{Attributes, Bag};
use crate::authentication::Authentication;
use crate::moment::Moment;
use crate::owner::Owner;
use crate::slot::Slot;
use core::fmt;
use countersign_core::{
    Digest, EpochStamp, Keyring, Principal, SecretKey, Selector, SplitToken, Timestamp,
};
use std::sync::Arc;

/// A living session at the moment of a call.
///
/// It is a fact about one request: keeping it and trusting it later would be a verdict cache
/// (invariant I11). It can be made by presenting the session's token alone, or by a call that gave
/// the session a new one: so what asks for a `Live` asks for that proof.
#[derive(Clone)]
pub struct Live {
    selector: Selector,
    /// The token's that was presented: tells whether the session has been renewed since.
    digest: Digest,
    owner: Option<Owner>,
    stamp: EpochStamp,
    generation: u32,
    authentication: Option<Authentication>,
    last_seen_at: Timestamp,
    expires_at: Timestamp,
    ends_at: Timestamp,
    bag: Option<Arc<Bag>>,
}

impl Live {
    #[inline]
    pub(crate) fn of(slot: &Slot, moment: &Moment<'_>) -> Self {
        let ends = slot.ends(moment);
        Self {
            selector: slot.selector,
            digest: slot.digest,
            owner: slot.owner.clone(),
            stamp: slot.stamp,
            generation: slot.generation,
            authentication: slot.authentication(moment.now),
            last_seen_at: slot.last_seen(),
            expires_at: ends.first(),
            ends_at: Timestamp::from_millis(ends.absolute),
            bag: slot.bag.clone(),
        }
    }

    pub(crate) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Which session it is. It stays the same when the session gets a new token.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// Whose it is; `None` for an anonymous one.
    #[must_use]
    pub const fn owner(&self) -> Option<&Owner> {
        self.owner.as_ref()
    }

    /// Whose it is, as a principal; `None` for an anonymous one.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        self.owner.as_ref().and_then(Owner::principal)
    }

    /// The epochs that it was opened under.
    #[must_use]
    pub const fn stamp(&self) -> EpochStamp {
        self.stamp
    }

    /// How and when it was authenticated; `None` for an anonymous one.
    #[must_use]
    pub const fn authentication(&self) -> Option<Authentication> {
        self.authentication
    }

    /// Whether its authentication was fresh at the moment of the call.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let last = self.authentication;
        last.is_some_and(|last| last.fresh_until.is_some())
    }

    /// When it was opened.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.selector.minted_at()
    }

    /// When it was last used, this call included if that was a use, to the second.
    #[must_use]
    pub const fn last_seen_at(&self) -> Timestamp {
        self.last_seen_at
    }

    /// When it dies if nobody uses it.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// When its absolute timeout is over, which no use puts off.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// Its attributes, as they were at the moment of the call.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        static NONE: Attributes = Attributes::EMPTY;
        self.bag.as_ref().map_or(&NONE, |bag| &bag.attributes)
    }

    /// The remember-me series that it is linked to.
    #[must_use]
    pub fn series(&self) -> Option<Selector> {
        self.bag.as_ref().and_then(|bag| bag.series)
    }

    /// How often its privilege has changed.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// What its form tokens carry to be found by: the last eight bytes of its selector.
    #[must_use]
    pub const fn hint(&self) -> [u8; 8] {
        let [_, _, _, _, _, _, _, _, hint @ ..] = self.selector.to_bytes();
        hint
    }

    /// The secret that its form tokens are made under.
    #[must_use]
    pub fn csrf_secret(&self, keyring: &Keyring) -> SecretKey {
        keyring.csrf_secret(self.selector, self.generation)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("selector", &self.selector)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// A session that has been opened, or given a new token.
#[derive(Debug)]
pub struct Opened {
    /// The token, to be sent once. What was presented before it is worth nothing any more.
    pub token: Box<SplitToken>,
    /// The session.
    pub session: Live,
}
