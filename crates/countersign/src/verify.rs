//! Verifying a presented access token: the path that every request takes.
//!
//! With the records in memory it allocates nothing, holds no lock while it hashes, and writes no
//! line of memory that another thread writes. Whatever is wrong, the same hash and comparison are
//! done (E4); nothing is written to the store (E5); and nothing of the verdict is kept (E6).

use crate::cache::{CachedGrant, CachedPrincipal};
use crate::denials::Asked;
use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Refused;
use countersign_core::access::{Presented, check};
use countersign_core::policy::Policy;
use countersign_core::{
    CredentialKind, Expiry, Principal, Rejection, Scope, ScopeSet, Selector, SplitToken,
    SystemRecord, Timestamp, TokenName, Versioned,
};
use countersign_store::pending::Pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The outcome of checking a credential.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It lets its bearer in.
    In(Pass),
    /// It does not. The reason is for logs; a stranger is told only that it was refused.
    Refused(Rejection),
}

impl Verdict {
    /// The pass, if the credential lets its bearer in.
    #[must_use]
    pub fn pass(self) -> Option<Pass> {
        match self {
            Self::In(pass) => Some(pass),
            Self::Refused(_) => None,
        }
    }

    /// Why it was refused, if it was.
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Self::In(_) => None,
            Self::Refused(rejection) => Some(*rejection),
        }
    }

    /// Whether it lets its bearer in.
    #[must_use]
    pub const fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }
}

/// Who came in with an access token, and what they may do.
///
/// It is a fact about one request: keeping it and trusting it later would be a verdict cache.
#[derive(Clone, Debug)]
pub struct Pass(Arc<CachedGrant>);

impl Pass {
    /// Whose token it is, from the record and never from the request.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.0.grant.principal
    }

    /// Which token it is.
    #[must_use]
    pub fn selector(&self) -> Selector {
        self.0.selector
    }

    /// What its owner calls it.
    #[must_use]
    pub fn name(&self) -> &TokenName {
        &self.0.grant.name
    }

    /// What it may do.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        &self.0.grant.scopes
    }

    /// Whether it covers a scope.
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        self.0.grant.scopes.covers(scope)
    }

    /// When it was issued.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.0.grant.created_at
    }

    /// When it dies by itself, before policy is applied.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.0.grant.expiry
    }
}

/// What a request asks besides the token itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// The token must cover this scope.
    pub scope: Option<&'a Scope>,
    /// Where the request came from, to be noted with the token's use.
    pub address: Option<IpAddr>,
}

/// Records that were found for a token.
#[derive(Clone, Copy)]
struct Found<'a> {
    entry: Option<&'a Arc<CachedGrant>>,
    principal: Option<&'a CachedPrincipal>,
    system: Option<&'a SystemRecord>,
}

/// How often the records are read anew because a denial was settled meanwhile.
const ATTEMPTS: u32 = 64;

impl Inner {
    pub(crate) fn verify(
        self: &Arc<Self>,
        presented: &[u8],
        conditions: Conditions<'_>,
    ) -> Pending<Result<Verdict, Error>> {
        // A closed store tells of no more revocations, so what is in memory is worth nothing.
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        let policy = self.policy.load();
        let now = self.clock.now();
        let token = match self.parse(&policy, presented) {
            Ok(token) => token,
            Err(rejection) => {
                return Pending::ready(Ok(
                    self.turn_away(now, &policy, None, rejection, conditions)
                ));
            }
        };

        let selector = token.selector();
        let settled = self.cache.denials.settled();
        let in_force = self.pinned.load(Ordering::Relaxed) || self.cache.policy_is_current();
        if in_force
            && let Some(entry) = self.cache.grant(selector)
            && let Some(principal) = entry.principal()
            && let Some(system) = &*self.cache.system_guard()
        {
            let found = Found {
                entry: Some(&entry),
                principal: Some(principal),
                system: Some(&system.record),
            };
            if let Some(verdict) = self.judge(now, &policy, &token, found, conditions, settled) {
                return Pending::ready(Ok(verdict));
            }
        }
        drop(policy);
        self.verify_slowly(now, token, conditions)
    }

    /// With something to be read first. The embedded store reads at once; another may take time.
    #[cold]
    fn verify_slowly(
        self: &Arc<Self>,
        now: Timestamp,
        token: SplitToken,
        conditions: Conditions<'_>,
    ) -> Pending<Result<Verdict, Error>> {
        let (scope, address) = (conditions.scope.cloned(), conditions.address);
        self.run(|inner| async move {
            for _ in 0..ATTEMPTS {
                inner.open()?;
                let settled = inner.cache.denials.settled();
                let entry = inner.entry(token.selector()).await?;
                let system = inner.system_if_any().await?;
                let policy = inner.policy_now().await?;
                let conditions = Conditions {
                    scope: scope.as_ref(),
                    address,
                };
                let found = Found {
                    entry: entry.as_ref().map(|(entry, _)| entry),
                    principal: entry.as_ref().map(|(_, principal)| &**principal),
                    system: system.as_ref().map(|system| &system.record),
                };
                let verdict = inner.judge(now, &policy, &token, found, conditions, settled);
                if let Some(verdict) = verdict {
                    return Ok(verdict);
                }
            }
            Err(Error::Contended { attempts: ATTEMPTS })
        })
    }

    pub(crate) async fn system_if_any(
        &self,
    ) -> Result<Option<Arc<Versioned<SystemRecord>>>, Error> {
        match self.system().await {
            Ok(system) => Ok(Some(system)),
            Err(Error::NoSystemRecord) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(&self, policy: &Policy, presented: &[u8]) -> Result<SplitToken, Rejection> {
        // Before anything is decoded, whatever its length.
        if presented.len() > policy.input().max_credential_bytes as usize {
            return Err(Rejection::TooLong);
        }
        Ok(self.format.parse(CredentialKind::Access, presented)?)
    }

    /// The verdict, unless a denial was settled since `settled` was counted, before the records
    /// were read: it may be in neither.
    fn judge(
        &self,
        now: Timestamp,
        policy: &Policy,
        token: &SplitToken,
        found: Found<'_>,
        conditions: Conditions<'_>,
        settled: u64,
    ) -> Option<Verdict> {
        let presented = Presented {
            token,
            grant: found.entry.map(|entry| &entry.grant),
            principal: found.principal.map(|entry| &entry.record),
            system: found.system,
            scope: conditions.scope,
        };
        let checked = check(now, &self.keyring, policy, &self.decoy, presented);
        let key = found.principal.map(|entry| entry.key);
        let asked = Asked::credential(CredentialKind::Access, token.selector(), key);
        let denied = self.cache.denials.deny(asked);
        // What is wrong with the credential itself comes first: a denial must not tell a stranger
        // with a wrong secret that there is something to deny.
        let checked = checked.and_then(|()| denied.map_or(Ok(()), Err));
        // Compared in any case, so that a refusal costs what a yes does.
        if checked.is_ok() & (self.cache.denials.settled() != settled) {
            return None;
        }
        Some(match (checked, found.entry) {
            (Ok(()), Some(entry)) => self.admit(now, token, entry, conditions),
            (Ok(()), None) => self.turn_away(
                now,
                policy,
                Some(token.selector()),
                Rejection::Unknown,
                conditions,
            ),
            (Err(rejection), _) => {
                self.turn_away(now, policy, Some(token.selector()), rejection, conditions)
            }
        })
    }

    fn admit(
        &self,
        now: Timestamp,
        token: &SplitToken,
        entry: &Arc<CachedGrant>,
        conditions: Conditions<'_>,
    ) -> Verdict {
        self.counters.count(None);
        self.cache.note_use(entry, now, conditions.address);
        if entry.grant.key_id != self.keyring.current() {
            self.redigests.note(&self.keyring, token, entry);
        }
        Verdict::In(Pass(Arc::clone(entry)))
    }

    fn turn_away(
        &self,
        at: Timestamp,
        policy: &Policy,
        selector: Option<Selector>,
        rejection: Rejection,
        conditions: Conditions<'_>,
    ) -> Verdict {
        let refused = Refused {
            at,
            kind: CredentialKind::Access,
            selector,
            rejection,
            address: conditions.address,
            suppressed: 0,
        };
        Verdict::Refused(self.refuse(policy, refused))
    }
}
