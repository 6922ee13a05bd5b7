//! Principals and switches: what stops many credentials at once.

use crate::access::{Revocation, settle};
use crate::denials::{InForce, Intent, Target, Waiting};
use crate::entropy;
use crate::error::Error;
use crate::inner::{Inner, principal_of};
use countersign_core::principals::{self, PrincipalAction};
use countersign_core::switches::{self, SwitchAction};
use countersign_core::{
    Key, Principal, PrincipalKey, PrincipalRecord, Reason, Subsystem, SystemRecord, Table,
};
use countersign_sessions::EndedBy;
use countersign_store::error::StoreError;
use countersign_store::pending::Pending;
use countersign_store::store::KeyRange;
use std::sync::Arc;

/// Principals. Made by [`Engine::principals`](crate::Engine::principals).
#[derive(Clone, Copy, Debug)]
pub struct Principals<'a>(pub(crate) &'a Arc<Inner>);

/// Switches. Made by [`Engine::switches`](crate::Engine::switches).
#[derive(Clone, Copy, Debug)]
pub struct Switches<'a>(pub(crate) &'a Arc<Inner>);

/// Some principals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalPage {
    /// Their records, in no order that means anything: keys are hashes.
    pub principals: Vec<PrincipalRecord>,
    /// Where to go on, if there may be more.
    pub next: Option<PrincipalKey>,
}

impl Principals<'_> {
    /// One principal's record, if they have one.
    pub fn show(&self, principal: Principal) -> Pending<Result<Option<PrincipalRecord>, Error>> {
        self.0.run(|inner| async move {
            inner.open()?;
            Ok(inner
                .load_principal(&principal)
                .await?
                .1
                .map(|found| found.record))
        })
    }

    /// At most `limit` principals, behind `after`.
    pub fn list(
        &self,
        after: Option<PrincipalKey>,
        limit: usize,
    ) -> Pending<Result<PrincipalPage, Error>> {
        self.0
            .run(|inner| async move { inner.list_principals(after, limit).await })
    }

    /// Accepts no credential of theirs and issues none. In force before this returns.
    pub fn disable(
        &self,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.0
            .deny_principal(principal, PrincipalAction::Disable, reason)
    }

    /// Lets them in again with what they had.
    pub fn enable(
        &self,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<PrincipalRecord, Error>> {
        self.0.run(|inner| async move {
            let key = inner.keyring.principal_key(&principal);
            inner.settle_earlier(Target::Principal(key)).await?;
            inner
                .act_on_principal(&principal, PrincipalAction::Enable, reason.as_ref())
                .await
        })
    }

    /// Ends everything that was issued to them. In force before this returns.
    pub fn revoke_everything(
        &self,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.0.revoke_principal(principal, reason)
    }
}

impl Switches<'_> {
    /// The system record with all switches.
    pub fn list(&self) -> Pending<Result<SystemRecord, Error>> {
        self.0.run(|inner| async move {
            inner.open()?;
            Ok(inner.load_system().await?.record)
        })
    }

    /// Accepts and issues nothing of a subsystem; what it issued is dead for good. In force before
    /// this returns.
    pub fn off(
        &self,
        subsystem: Subsystem,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.0.switch(subsystem, SwitchAction::Off, reason)
    }

    /// Accepts and issues again.
    pub fn on(
        &self,
        subsystem: Subsystem,
        reason: Option<Reason>,
    ) -> Pending<Result<SystemRecord, Error>> {
        self.0.run(|inner| async move {
            inner.settle_earlier(Target::Subsystem(subsystem)).await?;
            inner
                .act_on_switch(subsystem, SwitchAction::On, reason.as_ref())
                .await
        })
    }
}

impl Inner {
    pub(crate) fn revoke_principal(
        self: &Arc<Self>,
        principal: Principal,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        self.deny_principal(principal, PrincipalAction::Revoke, reason)
    }

    fn deny_principal(
        self: &Arc<Self>,
        principal: Principal,
        action: PrincipalAction,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Principal(self.keyring.principal_key(&principal));
        let intent = Intent::Principal(principal.clone(), action, reason.clone());
        let denied = self.deny(target, intent);
        if denied.is_ok() && action == PrincipalAction::Revoke {
            // With the denial in force nobody opens another one: whatever the disk does.
            self.end_sessions_of(&principal, None, EndedBy::Operator);
        }
        match denied {
            Ok(number) => self.run(|inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner
                    .act_on_principal(&principal, action, reason.as_ref())
                    .await;
                settle(force, outcome.map(|_| false))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    pub(crate) fn switch(
        self: &Arc<Self>,
        subsystem: Subsystem,
        action: SwitchAction,
        reason: Option<Reason>,
    ) -> Pending<Result<Revocation, Error>> {
        let target = Target::Subsystem(subsystem);
        let denied = self.deny(target, Intent::Switch(action, reason.clone()));
        if denied.is_ok() && action.denies() {
            match subsystem {
                Subsystem::Sessions => {
                    self.end_every_session(EndedBy::Operator);
                }
                Subsystem::RememberMe => self.end_sessions_of_every_device(),
                _ => {}
            }
        }
        match denied {
            Ok(number) => self.run(|inner| async move {
                let force = InForce::new(&inner.cache.denials, target, number);
                let outcome = inner
                    .act_on_switch(subsystem, action, reason.as_ref())
                    .await;
                settle(force, outcome.map(|_| false))
            }),
            Err(error) => Pending::ready(Err(error)),
        }
    }

    pub(crate) async fn act_on_principal(
        &self,
        principal: &Principal,
        action: PrincipalAction,
        reason: Option<&Reason>,
    ) -> Result<PrincipalRecord, Error> {
        self.transact(|| {
            Box::pin(async move {
                let (system, found) = self.load_principal(principal).await?;
                let (now, policy) = (self.now(), self.policy_now().await?);
                let setting = self.setting(now, &policy, &system);
                let mut fresh = entropy::fresh(&*self.entropy)?;
                let found = found.as_ref();
                Ok(principals::act(
                    &setting, &mut fresh, principal, found, action, reason,
                )?)
            })
        })
        .await
    }

    pub(crate) async fn act_on_switch(
        &self,
        subsystem: Subsystem,
        action: SwitchAction,
        reason: Option<&Reason>,
    ) -> Result<SystemRecord, Error> {
        self.transact(|| {
            Box::pin(async move {
                let system = self.load_system().await?;
                let (now, policy) = (self.now(), self.policy_now().await?);
                let setting = self.setting(now, &policy, &system);
                let mut fresh = entropy::fresh(&*self.entropy)?;
                Ok(switches::act(
                    &setting, &mut fresh, subsystem, action, reason,
                )?)
            })
        })
        .await
    }

    /// Before somebody is let in again, a denial of theirs that was given up by its caller is
    /// written, or a later retry of it would undo what is being done now.
    async fn settle_earlier(&self, target: Target) -> Result<(), Error> {
        self.retry_denials().await;
        if self.cache.denials.is_orphaned(target) {
            return Err(unwritten());
        }
        Ok(())
    }

    /// Tries to write the denials whose callers have gone; answers how many it wrote.
    pub(crate) async fn retry_denials(&self) -> usize {
        // One at a time: of two that retry the same denial, the later would act on a principal
        // who may have been enabled meanwhile.
        let _turn = self.retrying.lock().await;
        let (mut written, mut from) = (0usize, 0u64);
        loop {
            let batch = self.cache.denials.orphans(from, 256);
            let Some(last) = batch.last() else {
                return written;
            };
            from = last.number.saturating_add(1);
            for waiting in batch {
                let force = InForce::new(&self.cache.denials, waiting.target, waiting.number);
                match settle(force, self.retry(&waiting).await) {
                    Ok(Revocation { durable: true, .. }) => written = written.saturating_add(1),
                    // It stays in force; with the store away the others would fail too.
                    Ok(_) => return written,
                    Err(_) => {}
                }
            }
        }
    }

    /// Tries to write one denial; answers whether nothing had to be changed.
    async fn retry(&self, waiting: &Waiting) -> Result<bool, Error> {
        match (waiting.target, &waiting.intent) {
            (Target::Token(selector), Intent::Revoke(reason)) => {
                Ok(self.revoke(selector, reason.as_ref()).await?.already)
            }
            (Target::Series(selector), Intent::Revoke(reason)) => {
                Ok(self.revoke_series(selector, reason.as_ref()).await?.already)
            }
            (Target::Devices(_), Intent::Forget(principal, kept, reason)) => {
                let ended = self.forget_devices(principal, *kept, reason.as_ref());
                Ok(ended.await? == 0)
            }
            (Target::Principal(_), Intent::Principal(principal, action, reason)) => {
                self.act_on_principal(principal, *action, reason.as_ref())
                    .await?;
                Ok(false)
            }
            (Target::Subsystem(subsystem), Intent::Switch(action, reason)) => {
                self.act_on_switch(subsystem, *action, reason.as_ref())
                    .await?;
                Ok(false)
            }
            (Target::Attachment(_), Intent::Attachment(attachment, reason)) => {
                self.revoke_attachment(attachment, reason.as_ref()).await?;
                Ok(false)
            }
            // No other pair is ever entered.
            _ => Ok(true),
        }
    }

    async fn list_principals(
        &self,
        after: Option<PrincipalKey>,
        limit: usize,
    ) -> Result<PrincipalPage, Error> {
        self.open()?;
        let mut range = KeyRange::all(Table::Principals);
        if let Some(after) = after {
            let Some(from) = u128::from_be_bytes(after.to_bytes()).checked_add(1) else {
                return Ok(PrincipalPage::default());
            };
            range.from = from.to_be_bytes();
        }
        let scanned = self.store.scan(range, limit.clamp(1, 4096)).await?;
        let last = scanned
            .records
            .last()
            .map(|(key, _)| PrincipalKey::from_bytes(key.id));
        let found = scanned
            .records
            .into_iter()
            .filter_map(|(_, found)| principal_of(found));
        let principals = found.map(|found| found.record).collect();
        Ok(PrincipalPage {
            principals,
            next: scanned.rest.and(last),
        })
    }

    /// The key under which a principal's record is found.
    pub(crate) fn key_of(&self, principal: &Principal) -> Key {
        Key::principal(self.keyring.principal_key(principal))
    }
}

/// Nothing is granted over a denial that the disk does not have yet.
pub(crate) fn unwritten() -> Error {
    StoreError::Unavailable("an earlier denial has not been written yet".to_owned()).into()
}
