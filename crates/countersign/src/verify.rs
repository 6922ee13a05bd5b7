//! Verifying a presented access token: the path that every request takes.
//!
//! With the records in memory it allocates nothing, holds no lock while it hashes, and writes no
//! line of memory that another thread writes. Whatever is wrong, the same hash and comparison are
//! done (E4); nothing is written to the store (E5); and nothing of the verdict is kept (E6).

use crate::cache::{CachedGrant, CachedPrincipal, Place, Terms, Texts};
use crate::denials::Asked;
use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Refused;
use crate::trust::Trusted;
use countersign_core::access::{EarlyHash, Facts, HashedToken, Presented, check, judge, stands};
use countersign_core::policy::Policy;
use countersign_core::{
    CredentialKind, Expiry, Granted, Principal, Rejection, Scope, ScopeSet, Selector, SplitToken,
    SystemRecord, Timestamp, Versioned,
};
use countersign_store::pending::Pending;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

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
pub struct Pass {
    selector: Selector,
    expiry: Expiry,
    held: Held,
}

/// Where the texts of a pass are.
#[derive(Clone)]
enum Held {
    /// In the entry of the cache, shared with it.
    Shared(Arc<CachedGrant>),
    /// Its own, copied; made into what they stand for when that is asked for.
    Own {
        texts: Texts,
        principal: OnceLock<Principal>,
        // Boxed, so that a verdict is small enough to be moved without a call.
        scopes: OnceLock<Box<ScopeSet>>,
    },
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared(entry) => fmt::Debug::fmt(entry.grant.principal.as_str(), f),
            Self::Own { texts, .. } => fmt::Debug::fmt(texts.name(), f),
        }
    }
}

impl Pass {
    /// Whose token it is, from the record and never from the request.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        match &self.held {
            Held::Shared(entry) => &entry.grant.principal,
            Held::Own {
                texts, principal, ..
            } => principal.get_or_init(|| Principal::from_kept(texts.name())),
        }
    }

    /// Which token it is.
    #[must_use]
    pub const fn selector(&self) -> Selector {
        self.selector
    }

    /// What it may do.
    #[must_use]
    pub fn scopes(&self) -> &ScopeSet {
        match &self.held {
            Held::Shared(entry) => &entry.grant.scopes,
            Held::Own { texts, scopes, .. } => scopes.get_or_init(|| Box::new(texts.scope_set())),
        }
    }

    /// Whether it covers a scope.
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        match &self.held {
            Held::Shared(entry) => entry.grant.scopes.covers(scope),
            Held::Own { texts, .. } => Granted::Joined(texts.scopes()).covers(scope),
        }
    }

    /// When it was issued.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        match &self.held {
            Held::Shared(entry) => entry.grant.created_at,
            // What has a copy was issued when its selector was minted.
            Held::Own { .. } => self.selector.minted_at(),
        }
    }

    /// When it dies by itself, before policy is applied.
    #[must_use]
    pub const fn expiry(&self) -> Expiry {
        self.expiry
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
        let now = self.clock.lately();
        // Denials that were settled are counted before any record is looked at, and whether the
        // policy is in force before the policy is: one that is read anew says so last.
        let settled = self.cache.denials.settled();
        let trusted = self.trust.term();
        let in_force = self.policy_in_force();
        let terms = self.cache.terms().filter(|_| in_force);
        let longest = terms.map_or_else(
            || u64::from(self.policy.load().input().max_credential_bytes),
            |terms| terms.max_credential_bytes,
        );
        let token = match self.parse(longest, presented) {
            Ok(token) => token,
            Err(rejection) => {
                return Pending::ready(Ok(self.turn_away(now, None, rejection, conditions)));
            }
        };
        let place = self.cache.place(token.selector());
        let hashed = HashedToken::new(&self.keyring, &token);
        if let Some(terms) = &terms
            && let Some(verdict) =
                self.verify_copied(now, terms, (place, hashed), conditions, (settled, trusted))
        {
            return Pending::ready(Ok(verdict));
        }
        let hash = hashed.hash();
        let since = (settled, trusted);
        self.verify_by_entry(now, in_force, (token, hash), conditions, since)
    }

    /// By the entries in memory, or else with something to be read first.
    #[cold]
    fn verify_by_entry(
        self: &Arc<Self>,
        now: Timestamp,
        in_force: bool,
        (token, hash): (SplitToken, EarlyHash),
        conditions: Conditions<'_>,
        (settled, trusted): (u64, Trusted),
    ) -> Pending<Result<Verdict, Error>> {
        let verdict =
            self.judge_from_memory(in_force, token.selector(), trusted, |policy, found| {
                let hashed = HashedToken::again(&token, hash);
                self.judge(now, policy, hashed, found, conditions, settled)
            });
        if let Some(verdict) = verdict {
            return Pending::ready(Ok(verdict));
        }
        self.verify_slowly(now, token, hash, conditions)
    }

    /// What `judge` says of a token's entries, if they are in memory.
    fn judge_from_memory<T>(
        &self,
        in_force: bool,
        selector: Selector,
        trusted: Trusted,
        judge: impl FnOnce(&Policy, Found<'_>) -> Option<T>,
    ) -> Option<T> {
        let policy = self.policy.load();
        if !in_force {
            return None;
        }
        let (entry, principal) = self.entry_in_memory(selector)?;
        let system = self.cache.system_guard();
        let found = Found {
            entry: Some(&entry),
            principal: Some(&principal),
            system: Some(&system.as_ref()?.record),
        };
        trusted.holds().then(|| judge(&policy, found)).flatten()
    }

    /// The verdict by the copy of the token's records, if there is one that is good.
    ///
    /// Not where a denial waits: whom it concerns stands in the records themselves.
    #[inline]
    fn verify_copied(
        &self,
        now: Timestamp,
        terms: &Terms,
        (place, token): (Place, HashedToken<'_>),
        conditions: Conditions<'_>,
        (settled, trusted): (u64, Trusted),
    ) -> Option<Verdict> {
        // Nothing is judged twice while a denial waits, which may be long where the disk fails.
        if self.cache.denials.count() > 0 {
            return None;
        }
        let selector = token.token().selector();
        let found = self.cache.copied_at(place, selector)?;
        let texts = found.image.texts();
        let facts = found.image.facts(selector, &texts, terms)?;
        let checked = judge(now, &self.keyring, token, conditions.scope, facts);
        // As in `judge`, after the records were read: whether a denial waits, or was settled.
        if self.cache.denials.count() > 0 || self.cache.denials.settled() != settled {
            return None;
        }
        // Last of all: whatever was looked at was in memory before.
        if !trusted.holds() {
            return None;
        }
        Some(match checked {
            Err(rejection) => self.turn_away(now, Some(selector), rejection, conditions),
            Ok(()) => {
                self.counters.count(None);
                match conditions.address {
                    None => self.cache.note_use_of_copy(found, now),
                    // Addresses are gathered with the entry.
                    from => {
                        if let Some(entry) = self.cache.grant(selector) {
                            self.cache.note_use(&entry, now, from);
                        }
                    }
                }
                if facts.key_id != self.keyring.current() {
                    self.redigests.note(&self.keyring, token.token());
                }
                Verdict::In(Pass {
                    selector,
                    expiry: found.image.expiry(),
                    held: Held::Own {
                        texts,
                        principal: OnceLock::new(),
                        scopes: OnceLock::new(),
                    },
                })
            }
        })
    }

    /// The entries of a token and its principal, if both are in memory and good. Copies them for
    /// the calls that follow.
    fn entry_in_memory(
        &self,
        selector: Selector,
    ) -> Option<(Arc<CachedGrant>, Arc<CachedPrincipal>)> {
        let ticket = self.cache.grant_ticket(selector);
        let entry = self.cache.grant(selector)?;
        // Before it is asked whether the principal's entry is good: a change that comes between
        // is counted.
        let changes = self.cache.principal_changes(entry.linked_bucket());
        let principal = Arc::clone(entry.principal()?);
        // A good copy may be there already, and be passed over because a denial waits.
        if self.cache.copied(selector).is_none() {
            self.cache.copy(ticket, &entry, &principal, changes);
        }
        Some((entry, principal))
    }

    /// With something to be read first. The embedded store reads at once; another may take time.
    #[cold]
    fn verify_slowly(
        self: &Arc<Self>,
        now: Timestamp,
        token: SplitToken,
        hash: EarlyHash,
        conditions: Conditions<'_>,
    ) -> Pending<Result<Verdict, Error>> {
        let (scope, address) = (conditions.scope.cloned(), conditions.address);
        // What waits is moved about, and would leave copies of a secret that lay in it.
        let (selector, token) = (token.selector(), Box::new(token));
        self.token_by_records(selector, move |inner, policy, found, settled| {
            let conditions = Conditions {
                scope: scope.as_ref(),
                address,
            };
            let hashed = HashedToken::again(&token, hash);
            inner.judge(now, policy, hashed, found, conditions, settled)
        })
    }

    /// Judges once more a token that was let in before, by the request that is still under way: why
    /// it lets nobody in any more, if that is so. No secret is needed, and it is no use of it.
    pub(crate) fn pass_again(
        self: &Arc<Self>,
        pass: &Pass,
        address: Option<IpAddr>,
    ) -> Pending<Result<Option<Rejection>, Error>> {
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        let (settled, trusted) = (self.cache.denials.settled(), self.trust.term());
        let in_force = self.policy_in_force();
        let selector = pass.selector;
        let judged = self.judge_from_memory(in_force, selector, trusted, |policy, found| {
            self.judge_again(selector, policy, found, settled, address)
        });
        if let Some(refused) = judged {
            return Pending::ready(Ok(refused));
        }
        self.token_by_records(selector, move |inner, policy, found, settled| {
            inner.judge_again(selector, policy, found, settled, address)
        })
    }

    fn judge_again(
        &self,
        selector: Selector,
        policy: &Policy,
        found: Found<'_>,
        settled: u64,
        address: Option<IpAddr>,
    ) -> Option<Option<Rejection>> {
        let now = self.now();
        let checked = match (found.entry, found.principal, found.system) {
            (Some(entry), Some(principal), Some(system)) => {
                let facts = Facts::of(policy, &entry.grant, &principal.record, system);
                stands(now, facts)
            }
            _ => Err(Rejection::Unknown),
        };
        let checked = self.not_denied(checked, selector, found, settled)?;
        let scope = None;
        let conditions = Conditions { scope, address };
        Some(checked.err().inspect(|rejection| {
            self.turn_away(now, Some(selector), *rejection, conditions);
        }))
    }

    /// What `judge` says of a token's records, which are read until it says something.
    fn token_by_records<T: Send + 'static>(
        self: &Arc<Self>,
        selector: Selector,
        judge: impl Fn(&Self, &Policy, Found<'_>, u64) -> Option<T> + Send + Sync + 'static,
    ) -> Pending<Result<T, Error>> {
        self.run(move |inner| async move {
            for _ in 0..ATTEMPTS {
                inner.open()?;
                let settled = inner.cache.denials.settled();
                let trusted = inner.renewed().await?;
                let entry = inner.entry(selector).await?;
                let system = inner.system_if_any().await?;
                let policy = inner.policy_now().await?;
                if !inner.proven(trusted).await? {
                    continue;
                }
                let found = Found {
                    entry: entry.as_ref().map(|(entry, _)| entry),
                    principal: entry.as_ref().map(|(_, principal)| &**principal),
                    system: system.as_ref().map(|system| &system.record),
                };
                if let Some(verdict) = judge(&inner, &policy, found, settled) {
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

    #[inline]
    fn parse(&self, longest: u64, presented: &[u8]) -> Result<SplitToken, Rejection> {
        // Before anything is decoded, whatever its length.
        if presented.len() as u64 > longest {
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
        token: HashedToken<'_>,
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
        let selector = token.token().selector();
        let checked = self.not_denied(checked, selector, found, settled)?;
        Some(match (checked, found.entry) {
            (Ok(()), Some(entry)) => self.admit(now, token, entry, conditions),
            (Ok(()), None) => self.turn_away(now, Some(selector), Rejection::Unknown, conditions),
            (Err(rejection), _) => self.turn_away(now, Some(selector), rejection, conditions),
        })
    }

    /// What the records say of a token and a denial that waits for the disk; nothing where one was
    /// settled since `settled` was counted.
    #[inline]
    fn not_denied(
        &self,
        checked: Result<(), Rejection>,
        selector: Selector,
        found: Found<'_>,
        settled: u64,
    ) -> Option<Result<(), Rejection>> {
        let key = found.principal.map(|entry| entry.key);
        let asked = Asked::credential(CredentialKind::Access, selector, key);
        let denied = self.cache.denials.deny(asked);
        // What is wrong with the credential itself comes first: a denial must not tell a stranger
        // with a wrong secret that there is something to deny.
        let checked = checked.and_then(|()| denied.map_or(Ok(()), Err));
        // Compared in any case, so that a refusal costs what a yes does.
        let again = checked.is_ok() & (self.cache.denials.settled() != settled);
        (!again).then_some(checked)
    }

    fn admit(
        &self,
        now: Timestamp,
        token: HashedToken<'_>,
        entry: &Arc<CachedGrant>,
        conditions: Conditions<'_>,
    ) -> Verdict {
        self.counters.count(None);
        if entry.is_held() {
            self.cache.note_use(entry, now, conditions.address);
        } else {
            let selector = entry.selector;
            self.token_uses.note(selector, now, conditions.address);
        }
        if entry.grant.key_id != self.keyring.current() {
            self.redigests.note(&self.keyring, token.token());
        }
        Verdict::In(Pass {
            selector: entry.selector,
            expiry: entry.grant.expiry,
            held: Held::Shared(Arc::clone(entry)),
        })
    }

    fn turn_away(
        &self,
        at: Timestamp,
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
        Verdict::Refused(self.refuse(&self.policy.load(), refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewToken;
    use crate::engine::alone::with_engine;
    use countersign_core::{Key, PrincipalKey, TokenName};
    use countersign_store::store::Watcher as _;

    #[test]
    fn a_verdict_is_moved_without_a_call() {
        // Above 128 bytes moves become calls of `memcpy`, three for each verification.
        assert!(size_of::<Result<Verdict, Error>>() <= 128);
    }

    /// Whether a verdict that lets somebody in came of the copy.
    fn by_copy(verdict: Result<Verdict, Error>) -> bool {
        let pass = verdict.unwrap().pass().unwrap();
        matches!(pass.held, Held::Own { .. })
    }

    #[test]
    fn what_is_in_memory_is_judged_by_its_copy() {
        with_engine(|engine, inner| {
            let new = NewToken {
                principal: Principal::new("ann").unwrap(),
                name: TokenName::new("ci").unwrap(),
                scopes: ScopeSet::EMPTY,
                expiry: Expiry::Never,
            };
            let issued = engine.access().issue(new.clone()).wait().unwrap();
            let verify = || engine.access().verify(issued.token.expose()).wait();
            // The first use may have to look at the records, and leaves the copy.
            assert!(verify().unwrap().is_in());
            assert!(by_copy(verify()));
            // A change of somebody else's record that is counted with hers makes the copy old, and
            // the entry does not go with it.
            let mut beside = inner.keyring.principal_key(&new.principal).to_bytes();
            beside[15] = !beside[15];
            let beside = Key::principal(PrincipalKey::from_bytes(beside));
            inner.cache.changed(&[beside]);
            assert!(!by_copy(verify()));
            assert!(by_copy(verify()));
            // What was revoked has a copy too, for whoever presents it again and again.
            let selector = issued.selector;
            engine.access().revoke(selector, None).wait().unwrap();
            assert!(!verify().unwrap().is_in());
            assert!(inner.cache.copied(selector).is_some());
        });
    }
}
