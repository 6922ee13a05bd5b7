//! Checking a presented access token: the one path that every request takes.
//!
//! A miss looks like a hit (E4): whatever is wrong, one hash and one comparison are done, every
//! condition is evaluated, and only then is a reason picked. The reason is for the host and its
//! logs.

use super::life::{NotedEnd, fate_of};
use crate::digest::Digest;
use crate::epoch::EpochStamp;
use crate::grant::{Expiry, Grant};
use crate::keys::{KeyId, Keyring};
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::scope::{Granted, Scope, ScopeSet};
use crate::system::{Deployment, Subsystem, SystemRecord};
use crate::text::{ServerId, TextError, TokenName};
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;

/// A presented token, hashed before its record is looked for wherever that can be done: while the
/// record is on its way from memory, the hash is computed.
#[derive(Clone, Copy, Debug)]
pub struct HashedToken<'a> {
    token: &'a SplitToken,
    hash: EarlyHash,
}

/// What a token hashes to under the one pepper that there is, for judging it again where its
/// records were not at hand. With several peppers, the record has to tell which, and this is
/// nothing.
#[derive(Clone, Copy, Debug)]
pub struct EarlyHash(Option<Digest>);

impl<'a> HashedToken<'a> {
    /// Hashes a token, unless that has to wait for its record.
    #[must_use]
    #[inline]
    pub fn new(keyring: &Keyring, token: &'a SplitToken) -> Self {
        let digest = keyring.only().map(|id| {
            let (selector, verifier) = (token.selector(), token.verifier());
            keyring.digest(Some(id), CredentialKind::Access, selector, verifier)
        });
        let hash = EarlyHash(digest);
        Self { token, hash }
    }

    /// The same token again, with the hash that was made of it.
    #[must_use]
    #[inline]
    pub const fn again(token: &'a SplitToken, hash: EarlyHash) -> Self {
        Self { token, hash }
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> &'a SplitToken {
        self.token
    }

    /// The hash that was made of it.
    #[must_use]
    pub const fn hash(&self) -> EarlyHash {
        self.hash
    }

    /// Its digest under pepper `id`, or under the current one where that is gone.
    #[inline]
    fn digest(&self, keyring: &Keyring, id: KeyId) -> Digest {
        let (selector, verifier) = (self.token.selector(), self.token.verifier());
        let late = || keyring.digest(Some(id), CredentialKind::Access, selector, verifier);
        self.hash.0.unwrap_or_else(late)
    }
}

/// A presented token with the records that were found for it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The token.
    pub token: HashedToken<'a>,
    /// The grant under its selector, if there is one.
    pub grant: Option<&'a Grant>,
    /// The grant's principal, if that record is there.
    pub principal: Option<&'a PrincipalRecord>,
    /// The system record, if it is there.
    pub system: Option<&'a SystemRecord>,
    /// What the request needs the token to cover, if anything.
    pub scope: Option<&'a Scope>,
}

/// Records that match nothing: they stand in for those that are not there, so that a miss is
/// judged with the same work as a hit.
#[derive(Debug)]
pub struct Decoy {
    grant: Grant,
    principal: PrincipalRecord,
    system: SystemRecord,
}

impl Decoy {
    /// Makes the stand-ins, once for an engine.
    ///
    /// # Errors
    /// Never in practice: the names in it are fixed and within their bounds.
    pub fn new() -> Result<Self, TextError> {
        let principal = Principal::new("nobody")?;
        let grant = Grant {
            principal: principal.clone(),
            name: TokenName::new("decoy")?,
            scopes: ScopeSet::EMPTY,
            key_id: KeyId::FIRST,
            digest: Digest::from_bytes([0; 32]),
            created_at: Timestamp::ZERO,
            expiry: Expiry::Never,
            stamp: EpochStamp::default(),
            predecessor: None,
            end: None,
        };
        let server_id = ServerId::new("decoy")?;
        let deployment = Deployment {
            word: None,
            server_id,
            created_at: Timestamp::ZERO,
        };
        let system = SystemRecord::new(deployment);
        Ok(Self {
            grant,
            principal: PrincipalRecord::new(principal),
            system,
        })
    }
}

/// Whether the token lets its bearer in.
///
/// # Errors
/// The reason why it does not. Presence grants and absence denies: a grant whose principal or
/// system record is missing is refused.
pub fn check(
    now: Timestamp,
    keyring: &Keyring,
    policy: &Policy,
    decoy: &Decoy,
    presented: Presented<'_>,
) -> Result<(), Rejection> {
    let known =
        presented.grant.is_some() & presented.principal.is_some() & presented.system.is_some();
    let facts = Facts::of(
        policy,
        presented.grant.unwrap_or(&decoy.grant),
        presented.principal.unwrap_or(&decoy.principal),
        presented.system.unwrap_or(&decoy.system),
    );
    let facts = Facts { known, ..facts };
    judge(now, keyring, presented.token, presented.scope, facts)
}

/// What judging looks at: a few words of the records, taken from them or from where a cache has
/// copied them to.
///
/// It is no verdict. Whoever keeps a part of it has to know that the records have not changed.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Whether there is a record of the grant, of its principal and of the system.
    pub known: bool,
    /// The keyed hash of the grant's secret.
    pub digest: Digest,
    /// The pepper that it was made under.
    pub key_id: KeyId,
    /// When it dies by itself, under the policy.
    pub ends_at: Timestamp,
    /// The epochs that it was issued under.
    pub stamp: EpochStamp,
    /// The end that was noted.
    pub end: NotedEnd,
    /// What it may do.
    pub scopes: Granted<'a>,
    /// Whether the principal's record is another principal's.
    pub foreign: bool,
    /// Whether the principal is disabled.
    pub disabled: bool,
    /// Whether access tokens are switched off.
    pub switched_off: bool,
    /// The epochs in force.
    pub in_force: EpochStamp,
}

impl<'a> Facts<'a> {
    /// The facts that these records state.
    #[must_use]
    pub fn of(
        policy: &Policy,
        grant: &'a Grant,
        principal: &'a PrincipalRecord,
        system: &'a SystemRecord,
    ) -> Self {
        Self {
            known: true,
            digest: grant.digest,
            key_id: grant.key_id,
            ends_at: policy
                .access_tokens()
                .end_of(grant.created_at, grant.expiry),
            stamp: grant.stamp,
            end: NotedEnd::of(policy, grant),
            scopes: Granted::Set(&grant.scopes),
            foreign: principal.principal != grant.principal,
            disabled: principal.state == PrincipalState::Disabled,
            switched_off: !system.is_on(Subsystem::AccessTokens),
            in_force: EpochStamp {
                subsystem: system.switch(Subsystem::AccessTokens).epoch.number(),
                principal: principal.epoch.number(),
            },
        }
    }
}

/// Whether a token lets its bearer in by the facts: the one decision, wherever they were kept.
///
/// # Errors
/// The reason why it does not.
#[inline]
pub fn judge(
    now: Timestamp,
    keyring: &Keyring,
    token: HashedToken<'_>,
    scope: Option<&Scope>,
    facts: Facts<'_>,
) -> Result<(), Rejection> {
    let matches = digest_matches(keyring, token, &facts);
    match (first_of(failed(now, &facts, !matches)), scope) {
        (Some(reason), _) => Err(reason),
        (None, Some(scope)) if !facts.scopes.covers(scope) => Err(Rejection::Scope),
        (None, _) => Ok(()),
    }
}

/// Whether a token whose secret was proven before, by the request that is still under way, would
/// let its bearer in now.
///
/// # Errors
/// The reason why it would not.
pub fn stands(now: Timestamp, facts: Facts<'_>) -> Result<(), Rejection> {
    first_of(failed(now, &facts, false)).map_or(Ok(()), Err)
}

/// Which conditions failed, each of them evaluated before one is looked at.
#[inline]
fn failed(now: Timestamp, facts: &Facts<'_>, mismatch: bool) -> [bool; PRECEDENCE.len()] {
    let fate = fate_of(now, facts);
    [
        !facts.known | facts.foreign,
        mismatch,
        facts.switched_off,
        facts.disabled,
        fate.revoked,
        fate.expired,
    ]
}

/// The reasons, in the order in which they take precedence.
const PRECEDENCE: [Rejection; 6] = [
    Rejection::Unknown,
    Rejection::Mismatch,
    Rejection::SwitchedOff,
    Rejection::Disabled,
    Rejection::Revoked,
    Rejection::Expired,
];

/// The reason of the first condition that failed, found with the same steps whichever it is.
#[inline]
fn first_of(failed: [bool; PRECEDENCE.len()]) -> Option<Rejection> {
    let mut set = 0u8;
    for (place, fails) in failed.into_iter().enumerate() {
        set |= u8::from(fails) << place;
    }
    // With nothing failed this counts to eight, where no reason stands.
    PRECEDENCE.get(set.trailing_zeros() as usize).copied()
}

/// Compares the digest of what was presented, made under the grant's pepper, with the grant's.
#[inline]
fn digest_matches(keyring: &Keyring, token: HashedToken<'_>, facts: &Facts<'_>) -> bool {
    // Where the pepper is gone, the current one stood in for it here, and must not match.
    (token.digest(keyring, facts.key_id) == facts.digest)
        & keyring.holds(facts.key_id)
        & (token.token.kind() == CredentialKind::Access)
}
