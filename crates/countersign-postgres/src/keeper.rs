//! What is done on the side: telling other nodes that something has changed, and forgetting the
//! old part of the log.

use crate::error::Fault;
use crate::hub::{Lane, Role};
use crate::line::{Line, channel};
use crate::schema;
use crate::shared::Shared;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{interval, sleep, timeout};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

/// At most one notification in this time.
const COALESCE: Duration = Duration::from_millis(2);
/// How often the log is looked through, and for how long that chore is this node's.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const PATIENCE: Duration = Duration::from_secs(30);

/// The chore of forgetting the old part of the log.
const PRUNE: &str = "log";

/// The connection for what may be lost.
struct Aside {
    line: Line,
    take_turn: Statement,
    prune: Statement,
}

impl Role for Aside {
    const WRITES: bool = false;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        // Nobody waits for it, and nothing depends on it.
        client
            .batch_execute("SET synchronous_commit TO off")
            .await?;
        Ok(Self {
            take_turn: client.prepare(schema::TAKE_TURN).await?,
            prune: client.prepare(schema::PRUNE).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    lane: Lane<Aside>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lane: Lane::new(),
        }
    }

    pub(crate) async fn run(self) {
        let mut pruning = interval(PRUNE_EVERY);
        while !self.shared.is_closed() {
            tokio::select! {
                () = self.shared.dirty.notified() => {
                    if self.shared.hub.options.listens {
                        // A hint, and never the truth: who misses it asks by itself.
                        let _ = timeout(PATIENCE, self.notify()).await;
                        sleep(COALESCE).await;
                    }
                }
                _ = pruning.tick() => {
                    let _ = timeout(PATIENCE, self.prune()).await;
                }
                () = self.shared.closing.notified() => {}
            }
        }
    }

    async fn notify(&self) -> Result<(), Fault> {
        let aside = self.lane.get(&self.shared.hub).await?;
        if aside.line.server.stock {
            let text = format!("NOTIFY {}", channel(&self.shared.hub.options));
            aside.line.client.batch_execute(&text).await?;
        }
        Ok(())
    }

    /// Forgets entries of the log that are older than they have to be, one node at a time.
    async fn prune(&self) -> Result<(), Fault> {
        let aside = self.lane.get(&self.shared.hub).await?;
        let client = &aside.line.client;
        let held = i64::try_from(PRUNE_EVERY.as_millis()).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 3] = [&PRUNE, &self.shared.node.id, &held];
        if client.execute(&aside.take_turn, &parameters).await? == 0 {
            return Ok(());
        }
        let kept = self.shared.hub.options.log_kept.as_secs();
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        for shard in 0..schema::SHARDS {
            let parameters: [&(dyn ToSql + Sync); 2] = [&shard, &kept];
            while client.execute(&aside.prune, &parameters).await? > 0 {
                sleep(COALESCE).await;
            }
        }
        Ok(())
    }
}
