//! Listing devices, a bounded page at a time.

use super::recall::series_of;
use crate::error::Error;
use crate::inner::{Inner, usage_of};
use crate::listing::{CHUNK, EXAMINED_MAX, Principals, behind};
use countersign_core::remember::{SeriesState, end_of, is_usable, state_of};
use countersign_core::{
    CredentialKind, Key, Label, Principal, PrincipalRecord, Selector, SeriesEnd, SeriesRecord,
    Setting, Table, Timestamp, Usage,
};

/// Which devices are asked for, and how many; what is not set is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceQuery {
    /// Of this principal.
    pub principal: Option<Principal>,
    /// In this state.
    pub state: Option<SeriesState>,
    /// Ending before this instant, and not forgotten yet.
    pub expires_before: Option<Timestamp>,
    /// Never used, or not since this instant; a device that is younger is not asked for.
    pub unused_since: Option<Timestamp>,
    /// Go on behind this one.
    pub after: Option<Selector>,
    /// At most this many.
    pub limit: usize,
}

impl Default for DeviceQuery {
    fn default() -> Self {
        Self {
            principal: None,
            state: None,
            expires_before: None,
            unused_since: None,
            after: None,
            limit: 100,
        }
    }
}

impl DeviceQuery {
    /// Every device of one principal.
    #[must_use]
    pub fn of(principal: Principal) -> Self {
        Self {
            principal: Some(principal),
            ..Self::default()
        }
    }

    fn takes(&self, device: &DeviceInfo) -> bool {
        let used_at = device.usage.as_ref().map(|usage| usage.last_used_at);
        let idle = |since| used_at < Some(since) && device.created_at < since;
        let ends_soon = |before| device.state == SeriesState::Live && device.ends_at < before;
        self.principal
            .as_ref()
            .is_none_or(|wanted| *wanted == device.principal)
            && self.state.is_none_or(|wanted| wanted == device.state)
            && self.expires_before.is_none_or(ends_soon)
            && self.unused_since.is_none_or(idle)
    }
}

/// A remembered device as it is listed: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The public half of its token, which stays when the secret is replaced.
    pub selector: Selector,
    /// Whose it is.
    pub principal: Principal,
    /// What its owner calls it.
    pub label: Label,
    /// Where it is in its life.
    pub state: SeriesState,
    /// Whether it would be let in now: live, and neither remember-me nor its principal stopped.
    pub usable: bool,
    /// When its owner had it remembered.
    pub created_at: Timestamp,
    /// When it was to be forgotten, as promised at its start.
    pub expires_at: Timestamp,
    /// When it ends or ended, by whatever comes first under the policy.
    pub ends_at: Timestamp,
    /// How many times its secret was replaced.
    pub generation: u32,
    /// When the current secret was last handed out.
    pub rotated_at: Timestamp,
    /// What ended it, if something has.
    pub end: Option<SeriesEnd>,
    /// When and from where it was used, if it was.
    pub usage: Option<Usage>,
}

/// Some of the devices that a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePage {
    /// The devices, oldest first.
    pub devices: Vec<DeviceInfo>,
    /// Devices whose records do not read back whole; they are not let in.
    pub damaged: Vec<Selector>,
    /// Where to go on, if there may be more.
    pub next: Option<Selector>,
}

impl DevicePage {
    fn note_damaged(&mut self, damaged: &[Key]) {
        let damaged = damaged.iter().map(|key| Selector::from_bytes(key.id));
        self.damaged.extend(damaged.flatten());
    }
}

impl Inner {
    pub(crate) async fn device_info(
        &self,
        selector: Selector,
    ) -> Result<Option<DeviceInfo>, Error> {
        self.open()?;
        let loaded = match self.load_one_series(selector).await {
            Ok(loaded) => loaded,
            Err(Error::Refused(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let policy = self.policy_now().await?;
        let setting = self.setting(self.now(), &policy, &loaded.system);
        let usage = self.device_usages(&[selector]).await?.into_iter().next();
        let principal = loaded.principal.as_ref().map(|found| &found.record);
        let info = info(
            &setting,
            selector,
            loaded.series.record,
            principal,
            usage.flatten(),
        );
        Ok(Some(info))
    }

    pub(crate) async fn list_devices(&self, query: &DeviceQuery) -> Result<DevicePage, Error> {
        self.open()?;
        let policy = self.policy_now().await?;
        let system = self.load_system().await?;
        let setting = self.setting(self.now(), &policy, &system);
        let mut page = DevicePage::default();
        match &query.principal {
            Some(principal) => {
                self.list_devices_of(&setting, query, principal, &mut page)
                    .await?;
            }
            None => self.list_all_devices(&setting, query, &mut page).await?,
        }
        Ok(page)
    }

    /// By the principal's own list.
    async fn list_devices_of(
        &self,
        setting: &Setting<'_>,
        query: &DeviceQuery,
        principal: &Principal,
        page: &mut DevicePage,
    ) -> Result<(), Error> {
        let (_, found) = self.load_principal(principal).await?;
        let Some(found) = found else { return Ok(()) };
        let listed = found.record.of_kind(CredentialKind::Remember);
        let listed = listed.map(|entry| entry.selector);
        let mut selectors: Vec<Selector> = listed
            .filter(|selector| query.after.is_none_or(|after| *selector > after))
            .collect();
        selectors.sort_unstable();
        let mut principals = Principals::new();
        for chunk in selectors.chunks(CHUNK) {
            let keys: Vec<Key> = chunk.iter().copied().map(Key::series).collect();
            let (found, damaged) = self.load_whole(&keys).await?;
            page.note_damaged(&damaged);
            let whole = chunk.iter().zip(found).filter_map(|(selector, found)| {
                Some((*selector, found.and_then(series_of)?.record))
            });
            let whole: Vec<_> = whole.collect();
            if !self
                .take_devices(setting, query, whole, &mut principals, page)
                .await?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    /// By a scan of the table.
    async fn list_all_devices(
        &self,
        setting: &Setting<'_>,
        query: &DeviceQuery,
        page: &mut DevicePage,
    ) -> Result<(), Error> {
        let Some(mut range) = behind(Table::Series, query.after) else {
            return Ok(());
        };
        let (mut principals, mut examined) = (Principals::new(), 0usize);
        while examined < EXAMINED_MAX {
            let scanned = self.store.scan(range, CHUNK).await?;
            page.note_damaged(&scanned.damaged);
            examined = examined
                .saturating_add(scanned.records.len())
                .saturating_add(1);
            // Whole or damaged: the next page begins behind it.
            let last = scanned.records.last().map(|(key, _)| *key);
            let last = last.max(scanned.damaged.last().copied());
            let whole = scanned.records.into_iter().filter_map(|(key, found)| {
                Some((Selector::from_bytes(key.id)?, series_of(found)?.record))
            });
            let whole: Vec<_> = whole.collect();
            if !self
                .take_devices(setting, query, whole, &mut principals, page)
                .await?
            {
                return Ok(());
            }
            let Some(rest) = scanned.rest else {
                page.next = None;
                return Ok(());
            };
            page.next = last.and_then(|key| Selector::from_bytes(key.id));
            range = rest;
        }
        Ok(())
    }

    /// Adds what is asked for; answers whether there was room for all of it.
    async fn take_devices(
        &self,
        setting: &Setting<'_>,
        query: &DeviceQuery,
        found: Vec<(Selector, SeriesRecord)>,
        principals: &mut Principals,
        page: &mut DevicePage,
    ) -> Result<bool, Error> {
        let selectors: Vec<Selector> = found.iter().map(|(selector, _)| *selector).collect();
        let usages = self.device_usages(&selectors).await?;
        for ((selector, series), usage) in found.into_iter().zip(usages) {
            let principal = self.principal_for(&series.principal, principals).await?;
            let device = info(setting, selector, series, principal, usage);
            if !query.takes(&device) {
                continue;
            }
            if page.devices.len() >= query.limit {
                // Full, and there is at least one more.
                page.next = page.devices.last().map(|device| device.selector);
                return Ok(false);
            }
            page.devices.push(device);
        }
        Ok(true)
    }

    /// The stored usage of some devices, with what has not been written yet.
    async fn device_usages(&self, selectors: &[Selector]) -> Result<Vec<Option<Usage>>, Error> {
        let keys: Vec<Key> = selectors.iter().copied().map(Key::usage).collect();
        let (stored, _) = self.load_whole(&keys).await?;
        let with_memory = selectors.iter().zip(stored).map(|(selector, found)| {
            let mut usage = found.and_then(usage_of);
            if let Some(recent) = self.device_uses.of(*selector) {
                usage.get_or_insert_default().merge(&recent);
            }
            usage
        });
        Ok(with_memory.collect())
    }
}

fn info(
    setting: &Setting<'_>,
    selector: Selector,
    series: SeriesRecord,
    principal: Option<&PrincipalRecord>,
    usage: Option<Usage>,
) -> DeviceInfo {
    DeviceInfo {
        selector,
        state: state_of(setting, &series, principal),
        usable: principal.is_some_and(|principal| is_usable(setting, &series, principal)),
        ends_at: end_of(setting.policy, &series),
        principal: series.principal,
        label: series.label,
        created_at: series.created_at,
        expires_at: series.expires_at,
        generation: series.generation,
        rotated_at: series.rotated_at,
        end: series.end,
        usage,
    }
}
