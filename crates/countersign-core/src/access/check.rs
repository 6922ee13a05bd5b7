//! Checking a presented access token: the one path that every request takes.
//!
//! A miss looks like a hit (E4): whatever is wrong, one hash and one comparison are done, every
//! condition is evaluated, and only then is a reason picked. The reason is for the host and its
//! logs.

use super::life::fate;
use crate::digest::Digest;
use crate::epoch::EpochStamp;
use crate::grant::{Expiry, Grant};
use crate::keys::{KeyId, Keyring};
use crate::kind::CredentialKind;
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::scope::{Scope, ScopeSet};
use crate::system::{Deployment, Subsystem, SystemRecord};
use crate::text::{ServerId, TextError, TokenName};
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;

/// A presented token with the records that were found for it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a SplitToken,
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
    let grant = presented.grant.unwrap_or(&decoy.grant);
    let principal = presented.principal.unwrap_or(&decoy.principal);
    let system = presented.system.unwrap_or(&decoy.system);

    // Every condition is evaluated before one is looked at.
    let matches = digest_matches(keyring, presented.token, grant);
    let foreign = principal.principal != grant.principal;
    let switched_off = !system.is_on(Subsystem::AccessTokens);
    let disabled = principal.state == PrincipalState::Disabled;
    let fate = fate(now, policy, system, grant, principal);
    let failed = [
        !known | foreign,
        !matches,
        switched_off,
        disabled,
        fate.revoked,
        fate.expired,
    ];
    match (first_of(failed), presented.scope) {
        (Some(reason), _) => Err(reason),
        (None, Some(scope)) if !grant.scopes.covers(scope) => Err(Rejection::Scope),
        (None, _) => Ok(()),
    }
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
fn first_of(failed: [bool; PRECEDENCE.len()]) -> Option<Rejection> {
    let mut set = 0u8;
    for (place, fails) in failed.into_iter().enumerate() {
        set |= u8::from(fails) << place;
    }
    // With nothing failed this counts to eight, where no reason stands.
    PRECEDENCE.get(set.trailing_zeros() as usize).copied()
}

/// Hashes what was presented under the grant's pepper and compares the two digests.
fn digest_matches(keyring: &Keyring, token: &SplitToken, grant: &Grant) -> bool {
    let (selector, verifier) = (token.selector(), token.verifier());
    let id = Some(grant.key_id);
    let presented = keyring.digest(id, CredentialKind::Access, selector, verifier);
    // Where the pepper is gone, the current one stood in for it above, and must not match.
    (presented == grant.digest)
        & keyring.holds(grant.key_id)
        & (token.kind() == CredentialKind::Access)
}
