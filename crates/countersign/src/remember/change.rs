//! Starting, revoking and forgetting: what is done to series by whoever may.

use super::Remembered;
use super::recall::series_of;
use crate::admin::unwritten;
use crate::denials::Asked;
use crate::error::Error;
use crate::inner::{Inner, principal_of, system_of};
use countersign_core::remember::{
    self, FiledSeries, NewSeries, Revoked, Started, keys_to_forget, keys_to_start,
};
use countersign_core::{
    Batch, Change, CredentialKind, Expect, Key, Principal, PrincipalRecord, Reason, Refusal,
    Rejection, Selector, SeriesRecord, Subsystem, SystemRecord, Versioned,
};

/// What the records say about one series.
pub(super) struct Loaded {
    pub(super) system: Versioned<SystemRecord>,
    pub(super) series: Versioned<SeriesRecord>,
    pub(super) principal: Option<Versioned<PrincipalRecord>>,
}

impl Inner {
    pub(crate) async fn start_series(&self, request: &NewSeries) -> Result<Remembered, Error> {
        let Started { token, series } = self
            .transact(|| {
                Box::pin(async {
                    let (now, policy) = (self.now(), self.policy_now().await?);
                    let (system, principal) = self.load_principal(&request.principal).await?;
                    let setting = self.setting(now, &policy, &system);
                    self.may_remember(&request.principal)?;
                    let displaced = match &principal {
                        Some(found) => keys_to_start(&setting, &found.record),
                        None => Vec::new(),
                    };
                    let (displaced, damaged) = self.load_series(&displaced).await?;
                    let (mut fresh, owner) = (self.fresh()?, principal.as_ref());
                    let mut decision =
                        remember::start(&setting, &mut fresh, owner, &displaced, request)?;
                    end_damaged(&mut decision.batch, &damaged);
                    Ok(decision)
                })
            })
            .await?;
        Ok(Remembered {
            selector: token.selector(),
            token: self.device_text(&token)?,
            series,
        })
    }

    pub(crate) async fn revoke_series(
        &self,
        selector: Selector,
        reason: Option<&Reason>,
    ) -> Result<Revoked, Error> {
        self.transact(|| {
            Box::pin(async move {
                let loaded = self.load_one_series(selector).await?;
                let (now, policy) = (self.now(), self.policy_now().await?);
                let setting = self.setting(now, &policy, &loaded.system);
                let (filed, owner) = (loaded.filed(selector), loaded.principal.as_ref());
                let mut fresh = self.fresh()?;
                Ok(remember::revoke(
                    &setting, &mut fresh, filed, owner, reason,
                )?)
            })
        })
        .await
    }

    /// Ends every series of a principal but `kept`; answers how many there were to end.
    pub(crate) async fn forget_devices(
        &self,
        principal: &Principal,
        kept: Option<Selector>,
        reason: Option<&Reason>,
    ) -> Result<usize, Error> {
        self.transact(|| {
            Box::pin(async move {
                let (now, policy) = (self.now(), self.policy_now().await?);
                let (system, owner) = self.load_principal(principal).await?;
                let setting = self.setting(now, &policy, &system);
                let Some(owner) = owner else {
                    let batch = Batch::default();
                    return Ok(countersign_core::Decision { outcome: 0, batch });
                };
                let keys = keys_to_forget(&owner.record, kept);
                let (found, damaged) = self.load_series(&keys).await?;
                let mut fresh = self.fresh()?;
                let mut decision =
                    remember::forget(&setting, &mut fresh, &owner, kept, &found, reason)?;
                end_damaged(&mut decision.batch, &damaged);
                Ok(decision)
            })
        })
        .await
    }

    /// The records of one series. They need not be of one snapshot: the commit holds each to the
    /// version that was read.
    pub(super) async fn load_one_series(&self, selector: Selector) -> Result<Loaded, Error> {
        let keys = [Key::SYSTEM, Key::series(selector)];
        let mut found = self.load(&keys).await?.into_iter();
        let system = system_of(found.next().flatten())?;
        let series = found.next().flatten().and_then(series_of);
        let series = series.ok_or(Refusal::NotFound)?;
        let owner = self.key_of(&series.record.principal);
        let found = self.load(&[owner]).await?.into_iter().next().flatten();
        Ok(Loaded {
            system,
            series,
            principal: found.and_then(principal_of),
        })
    }

    /// Series under their keys, in that order, and which of them do not read back whole.
    async fn load_series(
        &self,
        keys: &[Key],
    ) -> Result<(Vec<Option<Versioned<SeriesRecord>>>, Vec<Key>), Error> {
        let (found, damaged) = match keys {
            [] => (Vec::new(), Vec::new()),
            keys => self.load_whole(keys).await?,
        };
        let series = found.into_iter().map(|found| found.and_then(series_of));
        Ok((series.collect(), damaged))
    }

    /// Nothing is started over a denial that the disk does not have yet: written later, it would
    /// end what was acknowledged, or fail to.
    fn may_remember(&self, principal: &Principal) -> Result<(), Error> {
        let key = self.keyring.principal_key(principal);
        let asked = Asked::any_of(CredentialKind::Remember, key);
        match self.cache.denials.deny(asked) {
            None => Ok(()),
            Some(Rejection::Disabled) => Err(Refusal::Disabled.into()),
            Some(Rejection::SwitchedOff) => Err(Refusal::SwitchedOff(Subsystem::RememberMe).into()),
            Some(_) => Err(unwritten()),
        }
    }
}

impl Loaded {
    pub(super) const fn filed(&self, selector: Selector) -> FiledSeries<'_> {
        FiledSeries {
            selector,
            version: self.series.version,
            series: &self.series.record,
        }
    }
}

/// A series that does not read back whole cannot be marked as ended, and must not come back to
/// life should it read again one day, nor keep the others from being ended: it is removed.
fn end_damaged(batch: &mut Batch, damaged: &[Key]) {
    let writes = batch.writes.iter_mut();
    for write in writes.filter(|write| damaged.contains(&write.key)) {
        (write.expect, write.change) = (Expect::Any, Change::Delete);
    }
}
