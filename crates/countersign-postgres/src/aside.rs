//! What is said to the database on the side: nobody waits for it to be kept, and nothing that
//! decides who may come in depends on it.

use crate::error::Fault;
use crate::hub::{Lane, Role};
use crate::line::{Line, channel};
use crate::place;
use crate::schema;
use crate::shared::Shared;
use core::time::Duration;
use std::sync::Arc;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

/// The connection for it.
struct Speaking {
    line: Line,
    take_turn: Statement,
    prune: Statement,
    leave: Statement,
    forget_nodes: Statement,
    silent: Statement,
}

impl Role for Speaking {
    const WRITES: bool = false;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        client
            .batch_execute("SET synchronous_commit TO off")
            .await?;
        Ok(Self {
            take_turn: client.prepare(schema::TAKE_TURN).await?,
            prune: client.prepare(schema::PRUNE).await?,
            leave: client.prepare(schema::LEAVE).await?,
            forget_nodes: client.prepare(schema::FORGET_NODES).await?,
            silent: client.prepare(place::SILENT).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

pub(crate) struct Aside {
    shared: Arc<Shared>,
    lane: Lane<Speaking>,
}

impl Aside {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lane: Lane::new(),
        }
    }

    /// Does something on the connection, which is of no use any more where it does not answer.
    async fn on<T>(
        &self,
        work: impl AsyncFnOnce(&Speaking) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let hub = &self.shared.hub;
        let speaking = self.lane.get(hub).await?;
        let patience = hub.options.answer_within;
        if let Ok(done) = tokio::time::timeout(patience, work(&speaking)).await {
            return done;
        }
        speaking.line.end();
        Err(Fault::Lost("a connection does not answer".to_owned()))
    }

    /// Tells the other nodes that something has changed: a hint, and never the truth.
    pub(crate) async fn notify(&self) -> Result<(), Fault> {
        self.on(async |speaking| {
            if speaking.line.server.stock {
                let text = format!("NOTIFY {}", channel(&self.shared.hub.options));
                speaking.line.client.batch_execute(&text).await?;
            }
            Ok(())
        })
        .await
    }

    /// Whether a chore is this node's from now on for so long.
    pub(crate) async fn take_turn(&self, chore: &str, time: Duration) -> Result<bool, Fault> {
        let held = place::whole_millis(time);
        let parameters: [&(dyn ToSql + Sync); 3] = [&chore, &self.shared.history.node.id, &held];
        self.on(async |speaking| {
            let client = &speaking.line.client;
            Ok(client.execute(&speaking.take_turn, &parameters).await? > 0)
        })
        .await
    }

    /// Forgets some of the oldest entries of a counter; answers how many.
    pub(crate) async fn prune(&self, shard: i16) -> Result<u64, Fault> {
        let kept = self.shared.hub.options.log_kept.as_secs();
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 2] = [&shard, &kept];
        self.on(async |speaking| {
            let client = &speaking.line.client;
            Ok(client.execute(&speaking.prune, &parameters).await?)
        })
        .await
    }

    /// Strikes this node off the list of nodes.
    pub(crate) async fn leave(&self) -> Result<(), Fault> {
        self.on(async |speaking| {
            let client = &speaking.line.client;
            client
                .execute(&speaking.leave, &[&self.shared.history.node.id])
                .await?;
            Ok(())
        })
        .await
    }

    /// Strikes off nodes that were not heard of for so long.
    pub(crate) async fn forget_nodes(&self, silent: Duration) -> Result<(), Fault> {
        let silent = place::whole_millis(silent);
        self.on(async |speaking| {
            let client = &speaking.line.client;
            client.execute(&speaking.forget_nodes, &[&silent]).await?;
            Ok(())
        })
        .await
    }

    /// The names of the places of sessions whose node was not heard of for so long.
    pub(crate) async fn silent_places(&self, silent: Duration) -> Result<Vec<String>, Fault> {
        if self.shared.heard_since() < silent {
            // After an outage of all, everybody is to be heard of first.
            return Ok(Vec::new());
        }
        let silent = place::whole_millis(silent);
        self.on(async |speaking| {
            let client = &speaking.line.client;
            let rows = client.query(&speaking.silent, &[&silent]).await?;
            let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
            Ok(names?)
        })
        .await
    }
}
