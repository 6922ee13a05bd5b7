//! The sweep: notes expiries and removes what has been dead for long, a bounded piece at a time.

use crate::error::Error;
use crate::inner::{Inner, grant_of, principal_of};
use countersign_core::access::{FiledGrant, Pruned, prune};
use countersign_core::{
    Batch, Decision, Expect, Grant, Key, Record, Selector, ShardTag, Table, Timestamp, Versioned,
};
use countersign_store::error::CommitError;
use countersign_store::store::{KeyRange, Page};
use futures_util::future::join_all;
use parking_lot::Mutex;

/// Records that are read at once.
const CHUNK: usize = 256;

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Records that were looked at.
    pub examined: usize,
    /// Tokens whose expiry was noted.
    pub expired: usize,
    /// Tokens that were removed.
    pub removed: usize,
    /// Audit events that were removed.
    pub events_removed: usize,
    /// Whether it came round to the beginning again.
    pub complete: bool,
}

impl SweepReport {
    fn count(&mut self, outcome: Pruned) {
        match outcome {
            Pruned::Expired => self.expired = self.expired.saturating_add(1),
            Pruned::Removed => self.removed = self.removed.saturating_add(1),
        }
    }

    fn looked_at(&mut self, page: &Page) {
        let records = page.records.len().saturating_add(page.damaged.len());
        self.examined = self.examined.saturating_add(records);
    }
}

/// Where the next sweep goes on.
#[derive(Debug)]
pub(crate) struct SweepState(Mutex<[u8; 16]>);

impl Default for SweepState {
    fn default() -> Self {
        Self(Mutex::new([0; 16]))
    }
}

impl Inner {
    /// Looks at no more than `budget` records, going on where the last sweep stopped.
    pub(crate) async fn sweep(&self, budget: usize) -> Result<SweepReport, Error> {
        self.open()?;
        let mut report = SweepReport::default();
        // Events get half of it at most, so that many of them never keep the grants waiting.
        self.sweep_events(budget.div_ceil(2), &mut report).await?;
        let mut range = KeyRange::all(Table::Grants);
        range.from = *self.sweep.0.lock();
        while report.examined < budget {
            self.open()?;
            let left = budget.saturating_sub(report.examined).min(CHUNK);
            let scanned = self.store.scan(range, left).await?;
            report.looked_at(&scanned);
            let grants = scanned
                .records
                .into_iter()
                .filter_map(|(key, found)| Some((Selector::from_bytes(key.id)?, grant_of(found)?)));
            self.sweep_chunk(grants.collect(), &mut report).await?;
            let Some(rest) = scanned.rest else {
                *self.sweep.0.lock() = [0; 16];
                report.complete = true;
                return Ok(report);
            };
            range = rest;
            *self.sweep.0.lock() = rest.from;
        }
        Ok(report)
    }

    /// All that a chunk needs, committed together; what met with a change in between, of a
    /// principal with several grants in it above all, is done anew one by one.
    async fn sweep_chunk(
        &self,
        grants: Vec<(Selector, Versioned<Grant>)>,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let mut due = Vec::new();
        for (selector, grant) in grants {
            if let Some(decision) = self.due(selector, grant).await? {
                due.push((selector, decision));
            }
        }
        let committed = join_all(due.into_iter().map(|(selector, decision)| async move {
            (
                selector,
                decision.outcome,
                self.commit(decision.batch).await,
            )
        }));
        for (selector, outcome, committed) in committed.await {
            match committed {
                Ok(()) => report.count(outcome),
                Err(CommitError::Conflict(_)) => self.sweep_again(selector, report).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn sweep_again(&self, selector: Selector, report: &mut SweepReport) -> Result<(), Error> {
        let (found, _) = self.load_whole(&[Key::grant(selector)]).await?;
        let Some(grant) = found.into_iter().next().flatten().and_then(grant_of) else {
            return Ok(());
        };
        let Some(decision) = self.due(selector, grant).await? else {
            return Ok(());
        };
        match self.commit(decision.batch).await {
            Ok(()) => report.count(decision.outcome),
            // Changed once more: the next sweep comes by again.
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// What is to be done with one grant, if anything.
    async fn due(
        &self,
        selector: Selector,
        grant: Versioned<Grant>,
    ) -> Result<Option<Decision<Pruned>>, Error> {
        let system = self.system().await?;
        let key = self.key_of(&grant.record.principal);
        // A principal whose record is damaged is as good as none, and stops nothing.
        let (found, _) = self.load_whole(&[key]).await?;
        let principal = found.into_iter().next().flatten().and_then(principal_of);
        let policy = self.policy_now().await?;
        let setting = self.setting(self.now(), &policy, &system);
        let filed = FiledGrant {
            selector,
            version: grant.version,
            grant: &grant.record,
        };
        let mut fresh = self.fresh()?;
        Ok(prune(&setting, &mut fresh, filed, principal.as_ref())?)
    }

    /// Removes audit events that are older than the policy keeps.
    async fn sweep_events(&self, budget: usize, report: &mut SweepReport) -> Result<(), Error> {
        let oldest = self.now().before(self.policy_now().await?.audit().keep);
        if oldest == Timestamp::ZERO {
            return Ok(());
        }
        let mut range = KeyRange::all(Table::Events);
        range.to = Selector::mint(oldest, ShardTag::NONE, [0; 8]).to_bytes();
        while report.examined < budget {
            let left = budget.saturating_sub(report.examined).min(CHUNK);
            let scanned = self.store.scan(range, left).await?;
            report.looked_at(&scanned);
            let mut batch = Batch::deny();
            // Their time is in their keys.
            for key in &scanned.damaged {
                batch.delete(*key, Expect::Any);
            }
            for (key, found) in &scanned.records {
                if matches!(&found.record, Record::Event(event) if event.at < oldest) {
                    batch.delete(*key, Expect::Any);
                }
            }
            let count = batch.writes.len();
            if count == 0 {
                return Ok(());
            }
            self.commit(batch).await?;
            report.events_removed = report.events_removed.saturating_add(count);
            let Some(rest) = scanned.rest else {
                return Ok(());
            };
            range = rest;
        }
        Ok(())
    }
}
