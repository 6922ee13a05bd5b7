//! The sweep: notes expiries and removes what has been dead for long, a bounded piece at a time.

use crate::error::Error;
use crate::inner::{Inner, grant_of, principal_of};
use countersign_core::access::{FiledGrant, Pruned, prune};
use countersign_core::{
    Batch, Expect, Grant, Record, Selector, ShardTag, Table, Timestamp, Versioned,
};
use countersign_store::error::CommitError;
use countersign_store::store::{KeyRange, Page};
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
        self.sweep_events(budget, &mut report).await?;
        let mut range = KeyRange::all(Table::Grants);
        range.from = *self.sweep.0.lock();
        while report.examined < budget {
            let left = budget.saturating_sub(report.examined).min(CHUNK);
            let scanned = self.store.scan(range, left).await?;
            report.looked_at(&scanned);
            for (key, found) in scanned.records {
                if let (Some(selector), Some(grant)) =
                    (Selector::from_bytes(key.id), grant_of(found))
                {
                    self.sweep_one(selector, grant, &mut report).await?;
                }
            }
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

    async fn sweep_one(
        &self,
        selector: Selector,
        grant: Versioned<Grant>,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let system = self.system().await?;
        let key = self.key_of(&grant.record.principal);
        // A principal whose record is damaged is as good as none, and stops nothing.
        let (found, _) = self.load_whole(&[key]).await?;
        let principal = found.into_iter().next().flatten().and_then(principal_of);
        let policy = self.policy.load_full();
        let setting = self.setting(self.now(), &policy, &system);
        let filed = FiledGrant {
            selector,
            version: grant.version,
            grant: &grant.record,
        };
        let mut fresh = self.fresh()?;
        let Some(decision) = prune(&setting, &mut fresh, filed, principal.as_ref())? else {
            return Ok(());
        };
        match self.commit(decision.batch).await {
            Ok(()) => match decision.outcome {
                Pruned::Expired => report.expired = report.expired.saturating_add(1),
                Pruned::Removed => report.removed = report.removed.saturating_add(1),
            },
            // Changed meanwhile: the next sweep comes by again.
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Removes audit events that are older than the policy keeps.
    async fn sweep_events(&self, budget: usize, report: &mut SweepReport) -> Result<(), Error> {
        let oldest = self.now().before(self.policy.load().audit().keep);
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
