//! The sweep: notes expiries and removes what has been dead for long, a bounded piece at a time.

use crate::error::Error;
use crate::inner::{Inner, principal_of};
use countersign_core::access::{self, FiledGrant};
use countersign_core::remember::{self, FiledSeries};
use countersign_core::{
    Batch, Decision, Expect, Grant, Key, Principal, PrincipalRecord, Record, Selector,
    SeriesRecord, ShardTag, Table, Timestamp, Versioned,
};
use countersign_store::error::CommitError;
use countersign_store::store::{KeyRange, Page};
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Records that are read at once.
const CHUNK: usize = 256;

/// What a sweep has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Records that were looked at.
    pub examined: usize,
    /// Tokens and devices whose expiry was noted.
    pub expired: usize,
    /// Tokens and devices that were removed.
    pub removed: usize,
    /// Audit events that were removed.
    pub events_removed: usize,
    /// Sessions that were ended because their time was over.
    pub sessions_ended: usize,
    /// Whether it came round to the beginning again, or is another node's chore at present.
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

/// What became of a token or a device.
#[derive(Clone, Copy)]
enum Pruned {
    /// That its time is over was noted.
    Expired,
    /// It was removed.
    Removed,
}

/// The tables that are swept in turns.
const SWEPT: [Table; 2] = [Table::Grants, Table::Series];

/// What is left of each table in this round, the next piece first: they take turns, so that many
/// tokens never keep the devices waiting, nor the other way round.
#[derive(Debug)]
pub(crate) struct SweepState(Mutex<VecDeque<KeyRange>>);

impl Default for SweepState {
    fn default() -> Self {
        Self(Mutex::new(SWEPT.map(KeyRange::all).into()))
    }
}

impl SweepState {
    fn next(&self) -> Option<KeyRange> {
        self.0.lock().front().copied()
    }

    /// Notes what is left of a piece once it is swept; answers whether the round is complete, and
    /// begins another one then. What somebody else swept meanwhile is not noted again.
    fn swept(&self, piece: KeyRange, rest: Option<KeyRange>) -> bool {
        let mut left = self.0.lock();
        if let Some(at) = left.iter().position(|range| *range == piece) {
            left.remove(at);
            left.extend(rest);
        }
        let complete = left.is_empty();
        if complete {
            left.extend(SWEPT.map(KeyRange::all));
        }
        complete
    }
}

impl Inner {
    /// Looks at no more than `budget` records, going on where the last sweep stopped.
    pub(crate) async fn sweep(&self, budget: usize) -> Result<SweepReport, Error> {
        self.open()?;
        let policy = self.policy_now().await?;
        let mut report = SweepReport {
            sessions_ended: self.sweep_sessions(&policy, budget),
            ..SweepReport::default()
        };
        // Events get half of it at most, so that many of them never keep the others waiting.
        self.sweep_events(budget.div_ceil(2), &mut report).await?;
        while report.examined < budget {
            self.open()?;
            let Some(piece) = self.sweep.next() else {
                break;
            };
            let left = budget.saturating_sub(report.examined).min(CHUNK);
            let scanned = self.store.scan(piece, left).await?;
            report.looked_at(&scanned);
            self.sweep_chunk(scanned.records, &mut report).await?;
            if self.sweep.swept(piece, scanned.rest) {
                report.complete = true;
                break;
            }
        }
        Ok(report)
    }

    /// All that a chunk needs, committed together; what met with a change in between, of a
    /// principal with several grants in it above all, is done anew one by one.
    async fn sweep_chunk(
        &self,
        records: Vec<(Key, Versioned)>,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let mut due = Vec::new();
        for (key, found) in records {
            if let Some(decision) = self.due(key, found).await? {
                due.push((key, decision));
            }
        }
        let committed = join_all(due.into_iter().map(|(key, decision)| async move {
            (key, decision.outcome, self.commit(decision.batch).await)
        }));
        for (key, outcome, committed) in committed.await {
            match committed {
                Ok(()) => report.count(outcome),
                Err(CommitError::Conflict(_)) => self.sweep_again(key, report).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn sweep_again(&self, key: Key, report: &mut SweepReport) -> Result<(), Error> {
        let (found, _) = self.load_whole(&[key]).await?;
        let Some(found) = found.into_iter().next().flatten() else {
            return Ok(());
        };
        let Some(decision) = self.due(key, found).await? else {
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

    /// What is to be done with one record, if anything.
    async fn due(&self, key: Key, found: Versioned) -> Result<Option<Decision<Pruned>>, Error> {
        let Some(selector) = Selector::from_bytes(key.id) else {
            return Ok(None);
        };
        let version = found.version;
        match found.record {
            Record::Grant(record) => {
                let grant = Versioned { version, record };
                self.grant_due(selector, &grant).await
            }
            Record::Series(record) => {
                let series = Versioned { version, record };
                self.series_due(selector, &series).await
            }
            _ => Ok(None),
        }
    }

    async fn grant_due(
        &self,
        selector: Selector,
        grant: &Versioned<Grant>,
    ) -> Result<Option<Decision<Pruned>>, Error> {
        let system = self.system().await?;
        let principal = self.whole_principal(&grant.record.principal).await?;
        let policy = self.policy_now().await?;
        let setting = self.setting(self.now(), &policy, &system);
        let filed = FiledGrant {
            selector,
            version: grant.version,
            grant: &grant.record,
        };
        let mut fresh = self.fresh()?;
        let due = access::prune(&setting, &mut fresh, filed, principal.as_ref())?;
        Ok(due.map(|Decision { outcome, batch }| Decision {
            outcome: match outcome {
                access::Pruned::Expired => Pruned::Expired,
                access::Pruned::Removed => Pruned::Removed,
            },
            batch,
        }))
    }

    async fn series_due(
        &self,
        selector: Selector,
        series: &Versioned<SeriesRecord>,
    ) -> Result<Option<Decision<Pruned>>, Error> {
        let system = self.system().await?;
        let principal = self.whole_principal(&series.record.principal).await?;
        let policy = self.policy_now().await?;
        let setting = self.setting(self.now(), &policy, &system);
        let filed = FiledSeries {
            selector,
            version: series.version,
            series: &series.record,
        };
        let mut fresh = self.fresh()?;
        let due = remember::prune(&setting, &mut fresh, filed, principal.as_ref())?;
        Ok(due.map(|Decision { outcome, batch }| Decision {
            outcome: match outcome {
                remember::Pruned::Expired => Pruned::Expired,
                remember::Pruned::Removed => Pruned::Removed,
            },
            batch,
        }))
    }

    /// A principal's record. One that is damaged is as good as none, and stops nothing.
    async fn whole_principal(
        &self,
        principal: &Principal,
    ) -> Result<Option<Versioned<PrincipalRecord>>, Error> {
        let (found, _) = self.load_whole(&[self.key_of(principal)]).await?;
        Ok(found.into_iter().next().flatten().and_then(principal_of))
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
