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
use crate::group::unpacked;
use crate::hub::{Role, Silence};
use crate::line::{Line, channel};
use crate::schema::{self, SHARDS};
use crate::shared::{Counted, Shared};
use core::time::Duration;
use countersign_core::{Key, Version};
use countersign_store::{Health, Revision, Steady, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

/// The most entries that are read to catch up; who is further behind begins with nothing.
const CATCH_UP_MAX: i64 = 20_000;
/// How long a renewal may take before it is looked whether another server has been promoted.
const LOOK_AFTER: Duration = Duration::from_millis(500);
/// The pauses between tries to reach a server.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// The shortest time between two renewals that nobody asked for.
const SHORTEST: Duration = Duration::from_millis(10);
/// How long it may take to find the primary among all hosts, and to set up a connection.
const FIND_WITHIN: Duration = Duration::from_secs(10);
/// How often it is asked whether the database still keeps what it acknowledges.
const JUDGE_EVERY: Duration = Duration::from_secs(10);
/// Wakes within this time are one.
const COALESCE: Duration = Duration::from_millis(2);

/// Where a node is in one counter: the last entry that it has heard of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    rev: i64,
    version: i64,
}

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
    cursors: Vec<Cursor>,
    askers: Arc<Mutex<Vec<Asker>>>,
}

/// What a look at the log has come to.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// These records were changed by others.
    Keys(Vec<Key>),
    /// History is another one, or too far ahead.
    Anything(&'static str),
}

impl Feed {
    pub(crate) fn new(shared: Arc<Shared>, askers: Arc<Mutex<Vec<Asker>>>) -> Self {
        Self {
            shared,
            cursors: vec![Cursor::default(); usize::from(SHARDS.unsigned_abs())],
            askers,
        }
    }

    /// Begins where the counters are: nothing is in memory yet that could be stale.
    pub(crate) async fn begin(&mut self, line: Line) -> Result<Listening, Fault> {
        let listening = self.listen(line).await?;
        let heads = listening.line.client.query(&listening.heads, &[]).await?;
        for row in &heads {
            let (shard, cursor) = head(row)?;
            if let Some(place) = self.cursors.get_mut(shard) {
                *place = cursor;
                self.shared.saw(version_of(cursor.version));
            }
        }
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
            if self.shared.is_closed() {
                break;
            }
            self.shared.trouble(&fault);
            self.answer(&Err(self.shared.unavailable()));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.shared.closing.notified() => {}
            }
            pause = pause.saturating_mul(2).min(LAST_PAUSE);
        }
        self.shared.lease.end();
        self.answer(&Err(StoreError::Closed));
    }

    async fn connect(&mut self) -> Result<Listening, Fault> {
        let connecting = async {
            let line = self.shared.hub.find().await?;
            self.shared.lease.moved();
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
        let mut renewed_at: Option<Steady> = None;
        let mut judged_at = Steady::now();
        loop {
            if Steady::now().since(judged_at) >= JUDGE_EVERY {
                judged_at = Steady::now();
                let judging = listening.line.check(&self.shared.hub.options);
                if let Err(fault) = self.in_time(judging).await {
                    return fault;
                }
            }
            let bound = self.shared.lease.bound();
            let every = bound.checked_div(4).unwrap_or(bound).max(SHORTEST);
            let due = renewed_at.is_none_or(|at| Steady::now().since(at) >= every);
            let askers = std::mem::take(&mut *self.askers.lock());
            let result = match due || !askers.is_empty() {
                true => {
                    renewed_at = Some(Steady::now());
                    self.renew(listening, askers).await
                }
                false => self.tail(listening).await,
            };
            if let Err(fault) = result {
                return fault;
            }
            let next = match bound.is_zero() {
                true => poll,
                false => poll.min(every),
            };
            tokio::select! {
                () = sleep(next) => {}
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
            Ok(()) => Ok(self.shared.newest()),
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
        let applied: Vec<i64> = self.cursors.iter().map(|cursor| cursor.rev).collect();
        let node = self.shared.node.id;
        let beat: [&(dyn ToSql + Sync); 2] = [&node, &applied];
        let client = &listening.line.client;
        let proving = async {
            futures_util::join!(
                client.query(&listening.heads, &[]),
                client.execute(&listening.beat, &beat)
            )
        };
        let (heads, beaten) = self.patiently(&listening.line, proving).await?;
        let heads = heads?;
        if beaten? == 0 {
            self.shared.strike();
            return Err(Fault::Lost(
                "this node is not known to the database any more: another one has taken its \
                 sessions over, or a backup was restored; it has to be opened anew"
                    .to_owned(),
            ));
        }
        if listening.line.take_doubt() {
            return Err(Fault::Lost(
                "the server warned that a write may not be on the standbys".to_owned(),
            ));
        }
        self.catch_up(listening, &heads).await?;
        self.shared.lease.renew(from);
        Counted::add(&self.shared.counted.renewed, 1);
        self.shared.settle(Health::Healthy, "");
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
                    self.shared.hub.forget();
                    self.shared.lease.moved();
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
        let heads = self.in_time(reading).await?;
        self.catch_up(listening, &heads).await
    }

    /// Reads the entries up to where the counters were, and tells of them.
    async fn catch_up(&mut self, listening: &Listening, heads: &[Row]) -> Result<(), Fault> {
        let mut moved = Moved::default();
        for row in heads {
            let (shard, now) = head(row)?;
            let Some(last) = self.cursors.get(shard) else {
                continue;
            };
            if *last != now {
                moved.push(shard, *last, now);
            }
        }
        if moved.is_empty() {
            return Ok(());
        }
        let limit = CATCH_UP_MAX;
        let parameters: [&(dyn ToSql + Sync); 4] =
            [&moved.shards, &moved.since, &moved.upto, &limit];
        let client = &listening.line.client;
        let reading = async { Ok(client.query(&listening.log, &parameters).await?) };
        let rows: Vec<Row> = self.in_time(reading).await?;
        let entries: Result<Vec<Entry>, Fault> = rows.iter().map(Entry::of).collect();
        let own = self.shared.node.id;
        let mut is_told = |entry: &Entry| {
            entry.node == own && self.shared.sent.remove(version_of(entry.version).number())
        };
        let heard = moved.hear(&entries?, &mut is_told);
        match heard {
            Heard::Keys(keys) => {
                Counted::add(&self.shared.counted.heard, keys.len());
                if !keys.is_empty() {
                    self.shared.changed(&keys);
                }
            }
            Heard::Anything(why) => {
                tracing::warn!(target: "countersign", why, "everything in memory is dropped");
                Counted::add(&self.shared.counted.rewritten, 1);
                self.shared.lease.end();
                self.shared.sent.clear();
                self.shared.reset();
            }
        }
        for (shard, now) in moved.to {
            if let Some(place) = self.cursors.get_mut(shard) {
                *place = now;
                self.shared.saw(version_of(now.version));
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

/// One entry of the log.
#[derive(Clone, Debug)]
struct Entry {
    shard: usize,
    rev: i64,
    version: i64,
    node: Uuid,
    keys: Vec<u8>,
}

impl Entry {
    fn of(row: &Row) -> Result<Self, Fault> {
        Ok(Self {
            shard: usize::try_from(row.try_get::<_, i16>(0)?).unwrap_or(usize::MAX),
            rev: row.try_get(1)?,
            version: row.try_get(2)?,
            node: row.try_get(3)?,
            keys: row.try_get(4)?,
        })
    }
}

/// The counters that have moved: from where, and to where.
#[derive(Debug, Default)]
struct Moved {
    shards: Vec<i16>,
    since: Vec<i64>,
    upto: Vec<i64>,
    from: Vec<(usize, Cursor)>,
    to: Vec<(usize, Cursor)>,
}

impl Moved {
    fn push(&mut self, shard: usize, from: Cursor, to: Cursor) {
        self.shards.push(i16::try_from(shard).unwrap_or(i16::MAX));
        self.since.push(from.rev);
        self.upto.push(to.rev);
        self.from.push((shard, from));
        self.to.push((shard, to));
    }

    const fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// What the entries between tell. `is_told` are those that this node tells of itself.
    fn hear(&self, entries: &[Entry], is_told: &mut dyn FnMut(&Entry) -> bool) -> Heard {
        let mut keys = Vec::new();
        let mut entries = entries.iter().peekable();
        for ((shard, from), (_, to)) in self.from.iter().zip(&self.to) {
            if to.rev <= from.rev {
                return Heard::Anything("a counter of commits went back or was overwritten");
            }
            // The last one that was heard of comes first, unless there was none.
            let mut next = from.rev;
            if from.rev == 0 {
                next = 1;
            }
            while let Some(entry) = entries.next_if(|entry| entry.shard == *shard) {
                if entry.rev != next {
                    return Heard::Anything("entries are missing in the log of changes");
                }
                if entry.rev == from.rev {
                    if entry.version != from.version {
                        return Heard::Anything("an entry of the log is another one than before");
                    }
                } else if !is_told(entry) {
                    match unpacked(&entry.keys) {
                        Some(changed) => keys.extend(changed),
                        None => return Heard::Anything("an entry names what is not known here"),
                    }
                }
                next = next.saturating_add(1);
            }
            if next.saturating_sub(1) != to.rev {
                return Heard::Anything("this node is too far behind the log of changes");
            }
        }
        Heard::Keys(keys)
    }
}

fn head(row: &Row) -> Result<(usize, Cursor), Fault> {
    let shard: i16 = row.try_get(0)?;
    let cursor = Cursor {
        rev: row.try_get(1)?,
        version: row.try_get(2)?,
    };
    Ok((usize::try_from(shard).unwrap_or(usize::MAX), cursor))
}

fn version_of(number: i64) -> Version {
    Version::new(u64::try_from(number).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_testkit::samples;

    fn entry(shard: usize, rev: i64, version: i64, number: u64) -> Entry {
        let key = Key::usage(samples::selector(number));
        let mut keys = vec![key.table.code()];
        keys.extend_from_slice(&key.id);
        Entry {
            shard,
            rev,
            version,
            node: Uuid::nil(),
            keys,
        }
    }

    fn cursor(rev: i64, version: i64) -> Cursor {
        Cursor { rev, version }
    }

    fn moved(steps: &[(usize, Cursor, Cursor)]) -> Moved {
        let mut moved = Moved::default();
        for (shard, from, to) in steps {
            moved.push(*shard, *from, *to);
        }
        moved
    }

    fn hear(moved: &Moved, entries: &[Entry]) -> Heard {
        moved.hear(entries, &mut |_| false)
    }

    fn keys(numbers: &[u64]) -> Heard {
        let key = |number: &u64| Key::usage(samples::selector(*number));
        Heard::Keys(numbers.iter().map(key).collect())
    }

    #[test]
    fn what_came_after_the_last_entry_is_told_and_nothing_before_it() {
        let two = moved(&[
            (3, cursor(0, 0), cursor(2, 12)),
            (5, cursor(7, 70), cursor(8, 80)),
        ]);
        let entries = [
            entry(3, 1, 11, 1),
            entry(3, 2, 12, 2),
            entry(5, 7, 70, 3),
            entry(5, 8, 80, 4),
        ];
        assert_eq!(hear(&two, &entries), keys(&[1, 2, 4]));
        let own = &mut |entry: &Entry| entry.version == 12;
        assert_eq!(two.hear(&entries, own), keys(&[1, 4]));
    }

    #[test]
    fn another_history_is_never_taken_for_the_old_one() {
        let one = moved(&[(5, cursor(7, 70), cursor(9, 90))]);
        let all = [entry(5, 7, 70, 1), entry(5, 8, 80, 2), entry(5, 9, 90, 3)];
        assert_eq!(hear(&one, &all), keys(&[2, 3]));
        // The last entry that was heard of is another one now.
        let mut other = all.clone();
        other[0].version = 71;
        // One is missing: the last that was heard of, one between, the newest.
        let missing = [0, 1, 2].map(|gone| {
            let mut rest = all.to_vec();
            rest.remove(gone);
            rest
        });
        for wrong in missing.iter().map(Vec::as_slice).chain([&other[..], &[]]) {
            assert!(matches!(hear(&one, wrong), Heard::Anything(_)), "{wrong:?}");
        }
        // The counter went back, or stands where it stood with another entry.
        for to in [cursor(6, 60), cursor(7, 71), cursor(0, 0)] {
            let back = moved(&[(5, cursor(7, 70), to)]);
            assert!(matches!(hear(&back, &all[..1]), Heard::Anything(_)));
        }
    }

    #[test]
    fn what_is_no_key_drops_everything() {
        let one = moved(&[(5, cursor(7, 70), cursor(8, 80))]);
        let mut entries = [entry(5, 7, 70, 1), entry(5, 8, 80, 2)];
        entries[1].keys.pop();
        assert!(matches!(hear(&one, &entries), Heard::Anything(_)));
    }
}
