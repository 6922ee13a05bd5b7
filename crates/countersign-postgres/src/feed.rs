//! What the other nodes have changed, and for how long this node may trust what it has heard.
//!
//! Every commit is in the log, numbered without a gap by a counter that it holds locked. This
//! task remembers where it is in each counter, and with which entry: a counter that went back, an
//! entry that is another one now, or a gap means that history is not what it was, after a failover
//! that lost commits or a restored backup. Then everything in memory is dropped.
//!
//! The lease is renewed by a write that is acknowledged only where every other write would be,
//! sent after the counters were read on the same connection: an old primary that lives on beside
//! a promoted standby answers reads, but its standbys no longer acknowledge.

use crate::error::Fault;
use crate::follow::{CATCH_UP_MAX, COALESCE, Cursor, Entry, Follower, Heard, Pace};
use crate::hub::{Role, Silence};
use crate::line::{Line, channel};
use crate::place::whole_millis;
use crate::schema;
use crate::shared::{Counted, Shared};
use core::time::Duration;
use countersign_store::{Health, Revision, Steady, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// How long a renewal may take before it is looked whether another server has been promoted.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// The pauses between tries to reach a server.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// How long it may take to find the primary among all hosts, and to set up a connection.
const FIND_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether the database still keeps what it acknowledges.
const JUDGE_EVERY: Duration = Duration::from_secs(10);

/// The connection that the feed is read by.
pub(crate) struct Listening {
    line: Line,
    heads: Statement,
    log: Statement,
    beat: Statement,
}

impl Role for Listening {
    const WRITES: bool = true;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        Ok(Self {
            heads: client.prepare(schema::HEADS).await?,
            log: client.prepare(schema::LOG).await?,
            beat: client.prepare(schema::BEAT).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// Who waits for the next renewal that begins.
pub(crate) type Asker = oneshot::Sender<Result<Revision, StoreError>>;

pub(crate) struct Feed {
    shared: Arc<Shared>,
    follower: Follower,
    askers: Arc<Mutex<Vec<Asker>>>,
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, askers: Arc<Mutex<Vec<Asker>>>) -> Self {
        Self {
            shared,
            follower: Follower::default(),
            askers,
        }
    }

    /// Begins where the counters are: nothing is in memory yet that could be stale.
    pub(crate) async fn begin(&mut self, line: Line) -> Result<Listening, Fault> {
        let listening = self.listen(line).await?;
        let rows = listening.line.client.query(&listening.heads, &[]).await?;
        self.follower.begin(&heads(&rows)?, &self.shared.history);
        Ok(listening)
    }

    /// Until the store is closed.
    pub(crate) async fn run(mut self, first: Listening) {
        let mut listening = Some(first);
        let mut pause = FIRST_PAUSE;
        while !self.shared.is_closed() {
            let now = match listening.take() {
                Some(listening) => Ok(listening),
                None => self.connect().await,
            };
            let fault = match now {
                Ok(now) => {
                    pause = FIRST_PAUSE;
                    self.follow(&now).await
                }
                Err(fault) => fault,
            };
            self.shared.renewed(false);
            if self.shared.is_closed() {
                break;
            }
            if let Fault::NotDurable(error) = &fault {
                // Nothing is written there either, until it is found to keep what it acknowledges.
                self.shared.hub.forget(&error.to_string());
                self.shared.history.lease.moved();
            }
            self.shared.trouble(&fault);
            self.answer(&Err(self.shared.unavailable()));
            if self.shared.is_fenced() {
                // For good: whoever asks from now on is told so at once.
                return;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.shared.closing.notified() => {}
            }
            pause = pause.saturating_mul(2).min(LAST_PAUSE);
        }
        self.shared.history.lease.end();
        self.answer(&Err(StoreError::Closed));
    }

    async fn connect(&mut self) -> Result<Listening, Fault> {
        let connecting = async {
            let line = self.shared.hub.find().await?;
            self.shared.history.lease.moved();
            self.listen(line).await
        };
        match timeout(FIND_WITHIN, connecting).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Lost("no primary was found in time".to_owned())),
        }
    }

    async fn listen(&self, line: Line) -> Result<Listening, Fault> {
        let listening = Listening::prepare(line).await?;
        if self.shared.hub.options.listens && listening.line.server.stock {
            let channel = format!("LISTEN {}", channel(&self.shared.hub.options));
            listening.line.client.batch_execute(&channel).await?;
        }
        Ok(listening)
    }

    /// Gives up what a server that stands still would never answer.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        match timeout(self.shared.hub.options.answer_within, work).await {
            Ok(result) => result,
            Err(_) => Err(Fault::Lost("the database does not answer".to_owned())),
        }
    }

    /// Follows the log on one connection, until that comes to an end.
    async fn follow(&mut self, listening: &Listening) -> Fault {
        let poll = self.shared.hub.options.poll;
        let mut pace = Pace::default();
        let mut judged_at = Steady::now();
        loop {
            if Steady::now().since(judged_at) >= JUDGE_EVERY {
                judged_at = Steady::now();
                let judging = listening.line.check(&self.shared.hub.options);
                if let Err(fault) = self.in_time(judging).await {
                    return fault;
                }
            }
            let bound = self.shared.history.lease.bound();
            let askers = std::mem::take(&mut *self.askers.lock());
            let result = match pace.renews(Steady::now(), bound, !askers.is_empty()) {
                true => self.renew(listening, askers).await,
                false => self.tail(listening).await,
            };
            if let Err(fault) = result {
                return fault;
            }
            tokio::select! {
                () = sleep(Pace::rest(poll, bound)) => {}
                () = self.shared.asked.notified() => {}
                () = self.shared.closing.notified() => {
                    return Fault::Lost("the store is closed".to_owned());
                }
                // Wakes that come close together are one.
                () = listening.line.rung() => sleep(COALESCE).await,
            }
            if !listening.line.is_alive() {
                return Fault::Lost("the connection to the database ended".to_owned());
            }
        }
    }

    /// Reads what has changed, and proves that the server is the primary still.
    async fn renew(&mut self, listening: &Listening, askers: Vec<Asker>) -> Result<(), Fault> {
        let result = self.prove(listening).await;
        let told = match &result {
            Ok(()) => Ok(self.shared.history.newest()),
            Err(fault) => {
                self.shared.trouble(fault);
                Err(self.shared.unavailable())
            }
        };
        for asker in askers {
            let _ = asker.send(told.clone());
        }
        result
    }

    async fn prove(&mut self, listening: &Listening) -> Result<(), Fault> {
        // Before anything is sent: whatever takes time from here on shortens the lease.
        let from = Steady::now();
        listening.line.take_doubt();
        let applied = self.follower.applied();
        let node = self.shared.history.node.id;
        let bound = self.shared.history.lease.bound();
        let bound_ms = whole_millis(bound);
        let beat: [&(dyn ToSql + Sync); 3] = [&node, &applied, &bound_ms];
        let client = &listening.line.client;
        let proving = async {
            futures_util::join!(
                client.query(&listening.heads, &[]),
                client.execute(&listening.beat, &beat)
            )
        };
        let (read, beaten) = self.patiently(&listening.line, proving).await?;
        let heads = heads(&read?)?;
        let beaten = beaten?;
        if beaten == 0 {
            // A write that changes nothing waits for no standby, so it says nothing of a primary.
            self.witness(listening).await?;
        }
        if listening.line.take_doubt() {
            return Err(Fault::Lost(
                "the server warned that a write may not be on the standbys".to_owned(),
            ));
        }
        if beaten == 0 {
            self.shared.fence();
            return Err(Fault::Refused("this node is fenced off".to_owned()));
        }
        self.catch_up(listening, &heads).await?;
        self.shared.history.lease.renew_for(from, bound);
        self.shared.renewed(true);
        Counted::add(&self.shared.counted.renewed, 1);
        self.shared.settle(Health::Healthy, "");
        Ok(())
    }

    /// A write that is acknowledged only where every other write would be, whoever this node is.
    async fn witness(&self, listening: &Listening) -> Result<(), Fault> {
        let node = self.shared.history.node.id;
        let turn: [&(dyn ToSql + Sync); 3] = [&"witness", &node, &0i64];
        let client = &listening.line.client;
        let writing = client.execute(schema::TAKE_TURN, &turn);
        self.patiently(&listening.line, writing).await??;
        Ok(())
    }

    /// Waits for a write for as long as it waits for the standbys: such a one is not given up, for
    /// each that is sent anew would wait behind it.
    async fn patiently<T>(
        &self,
        line: &Line,
        proving: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let mut proving = core::pin::pin!(proving);
        let mut stuck = 0u32;
        loop {
            if let Ok(proved) = timeout(LOOK_AFTER, &mut proving).await {
                return Ok(proved);
            }
            let fault = Fault::Lost(
                "the database does not acknowledge: its standbys are away, or another server is \
                 the primary now"
                    .to_owned(),
            );
            self.shared.trouble(&fault);
            self.answer(&Err(self.shared.unavailable()));
            if self.shared.is_closed() {
                return Err(fault);
            }
            match self.shared.hub.why_silent(line).await {
                Silence::Superseded => {
                    self.shared.hub.forget("another server was promoted");
                    self.shared.history.lease.moved();
                    return Err(fault);
                }
                Silence::Waits => stuck = 0,
                // Seen twice, since it may have answered just then.
                Silence::Stuck if stuck > 0 => return Err(fault),
                Silence::Stuck => stuck = stuck.saturating_add(1),
            }
        }
    }

    async fn tail(&mut self, listening: &Listening) -> Result<(), Fault> {
        let client = &listening.line.client;
        let reading = async { Ok(client.query(&listening.heads, &[]).await?) };
        let rows: Vec<Row> = self.in_time(reading).await?;
        self.catch_up(listening, &heads(&rows)?).await
    }

    /// Reads the entries up to where the counters were, and tells of them.
    async fn catch_up(
        &mut self,
        listening: &Listening,
        heads: &[(usize, Cursor)],
    ) -> Result<(), Fault> {
        let moved = self.follower.moved(heads);
        if moved.is_empty() {
            return Ok(());
        }
        let limit = CATCH_UP_MAX;
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&moved.shards, &moved.since, &moved.upto, &limit];
        let client = &listening.line.client;
        let reading = async { Ok(client.query(&listening.log, &parameters).await?) };
        let rows: Vec<Row> = self.in_time(reading).await?;
        let entries: Result<Vec<Entry>, Fault> = rows.iter().map(entry).collect();
        let shared = &self.shared;
        match self.follower.hear(moved, &entries?, &shared.history) {
            Heard::Keys(keys) => Counted::add(&shared.counted.heard, keys.len()),
            Heard::Anything(why) => {
                tracing::warn!(target: "countersign", why, "everything in memory is dropped");
                Counted::add(&shared.counted.rewritten, 1);
            }
        }
        Ok(())
    }

    /// Tells all who wait for a renewal.
    fn answer(&self, told: &Result<Revision, StoreError>) {
        for asker in std::mem::take(&mut *self.askers.lock()) {
            let _ = asker.send(told.clone());
        }
    }
}

fn entry(row: &Row) -> Result<Entry, Fault> {
    Ok(Entry {
        shard: usize::try_from(row.try_get::<_, i16>(0)?).unwrap_or(usize::MAX),
        rev: row.try_get(1)?,
        version: row.try_get(2)?,
        node: row.try_get(3)?,
        keys: row.try_get(4)?,
    })
}

fn heads(rows: &[Row]) -> Result<Vec<(usize, Cursor)>, Fault> {
    rows.iter().map(head).collect()
}

fn head(row: &Row) -> Result<(usize, Cursor), Fault> {
    let shard: i16 = row.try_get(0)?;
    let cursor = Cursor {
        rev: row.try_get(1)?,
        version: row.try_get(2)?,
    };
    Ok((usize::try_from(shard).unwrap_or(usize::MAX), cursor))
}
