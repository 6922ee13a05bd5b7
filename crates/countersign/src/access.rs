//! Access tokens as a host uses them: issue, verify, rotate, revoke, list, forecast.

use crate::admin::unwritten;
use crate::denials::{Asked, InForce, Intent, Target};
use crate::entropy;
use crate::error::Error;
use crate::inner::{Inner, grant_of, principal_of, system_of};
use crate::listing::{TokenInfo, TokenPage, TokenQuery};
use crate::verify::{Conditions, Verdict};
use countersign_core::access::{
    self, FiledGrant, Issued, NewToken, Revoked, Rotation, keys_to_issue,
};
use countersign_core::policy::Policy;
use countersign_core::switches::SwitchAction;
use countersign_core::{
    CredentialKind, Grant, Key, Principal, PrincipalRecord, Reason, Refusal, Rejection, SecretText,
    Selector, Subsystem, SystemRecord, Versioned,
};
use countersign_store::pending::Pending;
use std::sync::Arc;
use std::time::Duration;

/// Access tokens. Made by [`Engine::access`](crate::Engine::access).
#[derive(Clone, Copy, Debug)]
pub struct AccessTokens<'a>(pub(crate) &'a Arc<Inner>);

/// A token that was issued. Its text is shown to its owner now or never.
#[derive(Debug)]
pub struct IssuedToken {
    /// The token, for its owner alone.
    pub token: SecretText,
    /// Its public half, by which it is listed and revoked.
    pub selector: Selector,
    /// The record behind it.
    pub grant: Grant,
}

/// How a revocation went. It is in force in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whether it is on the medium. If not, it is in force in this process and is written as soon
    /// as the store takes it.
    pub durable: bool,
    /// Whether nothing had to be changed.
    pub already: bool,
}

impl AccessTokens<'_> {
    /// Issues a token, if switch, principal, limit and policy allow it.
    ///
    /// Resolves once it is durable.
    pub fn issue(&self, request: NewToken) -> Pending<Result<IssuedToken, Error>> {
        self.0
            .run(|inner| async move { inner.issue(&request).await })
    }

    /// Checks a presented token: the bytes after `Bearer `, and nothing around them.
    pub fn verify(&self, presented: impl AsRef<[u8]>) -> Pending<Result<Verdict, Error>> {
        self.0.verify(presented.as_ref(), Conditions::default())
    }

    /// Checks a presented token that must cover a scope, or whose address is to be noted.
    pub fn verify_with(
        &self,
        presented: impl AsRef<[u8]>,
        conditions: Conditions<'_>,
    ) -> Pending<Result<Verdict, Error>> {
        self.0.verify(presented.as_ref(), conditions)
    }

    /// Replaces a live token by a new one with the same name and scopes.
    pub fn rotate(
        &self,
        selector: Selector,
        rotation: Rotation,
    ) -> Pending<Result<IssuedToken, Error>> {
        self.0
            .run(|inner| async move { inner.rotate(selector, rotation).await })
    }

    /// Ends a token. In force before this returns, whatever the disk does.
    pub fn revoke(
        &self,
        selector: Selector,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Token(selector);
        match self.0.deny(target, Intent::Revoke(reason.clone())) {
            Ok(number) => self.0.run(|inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner.revoke(selector, reason.as_ref()).await;
                settle(force, outcome.map(|revoked| revoked.already))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    /// Ends every credential of a principal, of whatever kind, as
    /// [`Engine::revoke_everything`](crate::Engine::revoke_everything) does: one row, however many
    /// there are.
    pub fn revoke_all_of(
        &self,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.0.revoke_principal(principal, reason)
    }

    /// Ends every access token of everybody, and every image token with them (S11): one row.
    pub fn revoke_all(&self, reason: Option<Reason>) -> Pending<Result<Revocation, Error>> {
        self.0
            .switch(Subsystem::AccessTokens, SwitchAction::RevokeAll, reason)
    }

    /// One token as it is listed.
    pub fn show(&self, selector: Selector) -> Pending<Result<Option<TokenInfo>, Error>> {
        self.0
            .run(|inner| async move { inner.token_info(selector).await })
    }

    /// One page of the tokens that a query asks for, oldest first.
    ///
    /// The work of one call is bounded: a page may be short or empty and still name where to go
    /// on.
    pub fn list(&self, query: TokenQuery) -> Pending<Result<TokenPage, Error>> {
        self.0
            .run(|inner| async move { inner.list(&query, None).await })
    }

    /// One page of the tokens that would end within a time, judged by another policy where one is
    /// given: what would die under it, before it is put in force (E16).
    pub fn forecast(
        &self,
        within: Duration,
        under: Option<Policy>,
        query: TokenQuery,
    ) -> Pending<Result<TokenPage, Error>> {
        self.0.run(|inner| async move {
            let mut query = query;
            query.filter.expires_before = Some(inner.now().after(within));
            inner.list(&query, under.map(Arc::new)).await
        })
    }

    /// One page of the tokens that end within the policy's `expiry_warning`.
    pub fn expiring(&self, query: TokenQuery) -> Pending<Result<TokenPage, Error>> {
        let within = self.0.policy.load().access_tokens().expiry_warning;
        self.forecast(within, None, query)
    }
}

/// What the records say about one token.
pub(crate) struct Loaded {
    pub(crate) system: Versioned<SystemRecord>,
    pub(crate) grant: Versioned<Grant>,
    pub(crate) principal: Option<Versioned<PrincipalRecord>>,
}

impl Inner {
    async fn issue(&self, request: &NewToken) -> Result<IssuedToken, Error> {
        let issued = self
            .transact(|| {
                Box::pin(async {
                    let (now, policy) = (self.now(), self.policy_now().await?);
                    let (system, principal) = self.load_principal(&request.principal).await?;
                    let setting = self.setting(now, &policy, &system);
                    self.none_denied(None, &request.principal)?;
                    let displaced = match &principal {
                        Some(found) => keys_to_issue(&setting, &found.record),
                        None => Vec::new(),
                    };
                    let grants: Vec<_> = match displaced.is_empty() {
                        true => Vec::new(),
                        false => {
                            let found = self.load(&displaced).await?;
                            found
                                .into_iter()
                                .map(|found| found.and_then(grant_of))
                                .collect()
                        }
                    };
                    let mut fresh = entropy::fresh(&*self.entropy)?;
                    let principal = principal.as_ref();
                    Ok(access::issue(
                        &setting, &mut fresh, principal, &grants, request,
                    )?)
                })
            })
            .await?;
        self.shown(issued)
    }

    async fn rotate(&self, selector: Selector, rotation: Rotation) -> Result<IssuedToken, Error> {
        let issued = self
            .transact(|| {
                Box::pin(async move {
                    let loaded = self.load_token(selector).await?;
                    let (now, policy) = (self.now(), self.policy_now().await?);
                    let setting = self.setting(now, &policy, &loaded.system);
                    let mut fresh = entropy::fresh(&*self.entropy)?;
                    let (old, principal) = (loaded.filed(selector), loaded.principal.as_ref());
                    // A denial that waits for the disk holds against a successor too.
                    self.none_denied(Some(selector), &loaded.grant.record.principal)?;
                    Ok(access::rotate(
                        &setting, &mut fresh, old, principal, rotation,
                    )?)
                })
            })
            .await?;
        self.shown(issued)
    }

    pub(crate) async fn revoke(
        &self,
        selector: Selector,
        reason: Option<&Reason>,
    ) -> Result<Revoked, Error> {
        self.transact(|| {
            Box::pin(async move {
                let loaded = self.load_token(selector).await?;
                let (now, policy) = (self.now(), self.policy_now().await?);
                let setting = self.setting(now, &policy, &loaded.system);
                let mut fresh = entropy::fresh(&*self.entropy)?;
                let (filed, principal) = (loaded.filed(selector), loaded.principal.as_ref());
                Ok(access::revoke(
                    &setting, &mut fresh, filed, principal, reason,
                )?)
            })
        })
        .await
    }

    /// The records of one token. They need not be of one snapshot: the commit holds each to the
    /// version that was read.
    pub(crate) async fn load_token(&self, selector: Selector) -> Result<Loaded, Error> {
        let mut found = self
            .load(&[Key::SYSTEM, Key::grant(selector)])
            .await?
            .into_iter();
        let system = system_of(found.next().flatten())?;
        let grant = found
            .next()
            .flatten()
            .and_then(grant_of)
            .ok_or(Refusal::NotFound)?;
        let key = Key::principal(self.keyring.principal_key(&grant.record.principal));
        let found = self.load(&[key]).await?.into_iter().next().flatten();
        Ok(Loaded {
            system,
            grant,
            principal: found.and_then(principal_of),
        })
    }

    fn shown(&self, issued: Issued) -> Result<IssuedToken, Error> {
        let Issued { token, grant } = issued;
        let text = self
            .format
            .text(&token)
            .ok_or(Error::Setup("this kind has no text"))?;
        Ok(IssuedToken {
            token: text,
            selector: token.selector(),
            grant,
        })
    }

    /// Nothing is issued over a denial that the disk does not have yet: written later, it would
    /// end what was acknowledged, or fail to.
    fn none_denied(&self, token: Option<Selector>, principal: &Principal) -> Result<(), Error> {
        let key = self.keyring.principal_key(principal);
        let kind = CredentialKind::Access;
        let denied = self.cache.denials.deny(match token {
            Some(token) => Asked::credential(kind, token, Some(key)),
            None => Asked::any_of(kind, key),
        });
        match (denied, token) {
            (None, _) => Ok(()),
            (Some(Rejection::Disabled), _) => Err(Refusal::Disabled.into()),
            (Some(Rejection::SwitchedOff), _) => {
                Err(Refusal::SwitchedOff(Subsystem::AccessTokens).into())
            }
            (Some(_), Some(_)) => Err(Refusal::NotLive(access::GrantState::Revoked).into()),
            (Some(_), None) => Err(unwritten()),
        }
    }

    /// Puts a denial in force, before anything else is tried.
    pub(crate) fn deny(&self, target: Target, intent: Intent) -> Result<u64, Error> {
        self.open()?;
        if !self.store.capabilities().writable {
            return Err(countersign_store::error::StoreError::ReadOnly.into());
        }
        let entered = self.cache.denials.enter(target, intent);
        entered.map_err(|waiting| Error::DenialsFull { waiting })
    }
}

impl Loaded {
    pub(crate) const fn filed(&self, selector: Selector) -> FiledGrant<'_> {
        FiledGrant {
            selector,
            version: self.grant.version,
            grant: &self.grant.record,
        }
    }
}

/// What a denial's caller is told, and whether it stays in force for maintenance to write.
pub(crate) fn settle(
    force: InForce<'_>,
    outcome: Result<bool, Error>,
) -> Result<Revocation, Error> {
    match outcome {
        Ok(already) => {
            force.settled();
            Ok(Revocation {
                durable: true,
                already,
            })
        }
        // There is nothing to deny.
        Err(Error::Refused(Refusal::NotFound)) => {
            force.settled();
            Err(Refusal::NotFound.into())
        }
        // The store may take it later: until then it stays in force from memory.
        Err(error) if error.is_retryable() || matches!(error, Error::Unknown(_)) => {
            Ok(Revocation {
                durable: false,
                already: false,
            })
        }
        // What keeps it from being written, such as a damaged record, must not lift it either.
        Err(error) => Err(error),
    }
}
