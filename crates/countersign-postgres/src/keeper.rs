//! What is done on the side: telling other nodes that something has changed, and forgetting the
//! old part of the log.

use crate::aside::Aside;
use crate::error::Fault;
use crate::follow::COALESCE;
use crate::schema;
use crate::shared::Shared;
use core::time::Duration;
use std::sync::Arc;
use tokio::time::{interval, sleep};

/// How often the log is looked through, and for how long that chore is this node's.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// How long a node stays on the list that was not heard of. One that comes back later has to be
/// opened anew.
const NODE_KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The chore of forgetting the old part of the log.
const PRUNE: &str = "log";

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    aside: Arc<Aside>,
}

impl Keeper {
    pub(crate) const fn new(shared: Arc<Shared>, aside: Arc<Aside>) -> Self {
        Self { shared, aside }
    }

    /// Until the store is closed.
    pub(crate) async fn run(self) {
        futures_util::join!(self.tell(), self.forget());
    }

    /// Tells the other nodes of commits.
    async fn tell(&self) {
        while !self.shared.is_closed() {
            tokio::select! {
                () = self.shared.dirty.notified() => {
                    if self.shared.hub.options.listens {
                        // Who misses it asks by itself.
                        let _ = self.aside.notify().await;
                        // At most one notification in this time.
                        sleep(COALESCE).await;
                    }
                }
                () = self.shared.closing.notified() => {}
            }
        }
    }

    /// Forgets the old part of the log from time to time.
    async fn forget(&self) {
        let mut pruning = interval(PRUNE_EVERY);
        while !self.shared.is_closed() {
            tokio::select! {
                _ = pruning.tick() => {
                    let _ = self.prune().await;
                }
                () = self.shared.closing.notified() => {}
            }
        }
    }

    /// Forgets entries of the log that are older than they have to be, one node at a time.
    async fn prune(&self) -> Result<(), Fault> {
        // Longer than the pause, so that it stays with one node for as long as that is there.
        let held = PRUNE_EVERY.saturating_mul(2);
        if !self.aside.take_turn(PRUNE, held).await? {
            return Ok(());
        }
        self.aside.forget_nodes(NODE_KEPT).await?;
        for shard in 0..schema::SHARDS {
            while !self.shared.is_closed() && self.aside.prune(shard).await? > 0 {
                sleep(COALESCE).await;
            }
        }
        Ok(())
    }
}
