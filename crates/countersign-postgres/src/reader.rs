//! Reads: each one statement, so of one moment, on a few connections that carry many at once.

use crate::error::Fault;
use crate::gather::{Gathered, Turn, Waiting};
use crate::hub::{Lane, Role};
use crate::line::Line;
use crate::row;
use crate::schema;
use crate::shared::Shared;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use countersign_core::{Key, Versioned};
use countersign_store::{Capabilities, KeyRange, Loaded, Page, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

/// A connection that is read by.
pub(crate) struct Reading {
    line: Line,
    one: Statement,
    many: Statement,
    page: Statement,
}

impl Role for Reading {
    const WRITES: bool = false;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        Ok(Self {
            one: client.prepare(schema::LOAD_ONE).await?,
            many: client.prepare(schema::LOAD_MANY).await?,
            page: client.prepare(schema::PAGE).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// The connections that are read by, taken in turn.
pub(crate) struct Readers {
    shared: Arc<Shared>,
    lanes: Vec<Lane<Reading>>,
    next: AtomicUsize,
    gathered: Gathered,
}

/// What one statement has found.
type Found = HashMap<Key, Result<Versioned, StoreError>>;

/// How many statements are under way on each connection before others wait to go together: while
/// one is answered, the next is there already.
const UNDER_WAY: usize = 2;

/// What is read.
enum Question {
    One(i16, Uuid),
    Many(Vec<i16>, Vec<Uuid>),
    Page {
        kind: i16,
        from: Uuid,
        to: Uuid,
        most: i64,
    },
}

impl Reading {
    async fn ask(&self, question: &Question) -> Result<Vec<Row>, tokio_postgres::Error> {
        let client = &self.line.client;
        match question {
            Question::One(kind, id) => client.query(&self.one, &[kind, id]).await,
            Question::Many(kinds, ids) => client.query(&self.many, &[kinds, ids]).await,
            Question::Page {
                kind,
                from,
                to,
                most,
            } => client.query(&self.page, &[kind, from, to, most]).await,
        }
    }
}

/// The pauses before a read is tried again, where a connection has ended or its server is the
/// primary no longer.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(100);

impl Readers {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let count = shared.hub.options.readers.max(1);
        let most = count.saturating_mul(UNDER_WAY);
        let gathered = Gathered::new(most, shared.hub.options.queue);
        Self {
            shared,
            lanes: (0..count).map(|_| Lane::new()).collect(),
            next: AtomicUsize::new(0),
            gathered,
        }
    }

    /// Records with their versions, in the order of `keys`.
    pub(crate) async fn load(self: Arc<Self>, keys: Vec<Key>) -> Result<Loaded, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        match self.gathered.ask(&keys) {
            Turn::Now => {
                let loaded = match keys[..] {
                    [key] => self.load_one(key).await,
                    _ => self
                        .load_many(&keys)
                        .await
                        .and_then(|found| picked(&found, &keys)),
                };
                let next = self.gathered.through();
                if !next.is_empty() {
                    tokio::spawn(self.carry(next));
                }
                loaded
            }
            Turn::Later(answer) => {
                let patience = self.shared.hub.options.answer_within;
                match tokio::time::timeout(patience, answer).await {
                    Ok(Ok(loaded)) => loaded,
                    Ok(Err(_)) => Err(StoreError::Closed),
                    Err(_) => Err(silent(patience)),
                }
            }
            Turn::Never => Err(StoreError::Busy),
        }
    }

    async fn load_one(&self, key: Key) -> Result<Loaded, StoreError> {
        let question = Question::One(row::kind(key.table), row::id(key));
        let rows = self.read(&question).await?;
        let found = rows.first().map(|found| self.believe(key, found, 0));
        Ok(vec![found.transpose()?])
    }

    /// What was found in these places, and whether it is to be believed.
    async fn load_many(&self, keys: &[Key]) -> Result<Found, StoreError> {
        let kinds = keys.iter().map(|key| row::kind(key.table)).collect();
        let ids = keys.iter().map(|key| row::id(*key)).collect();
        let rows = self.read(&Question::Many(kinds, ids)).await?;
        let mut found = Found::with_capacity(rows.len());
        for one in &rows {
            let (kind, id) = (column::<i16>(one, 0)?, column::<Uuid>(one, 1)?);
            if let Some(table) = row::table(kind) {
                let key = Key {
                    table,
                    id: id.into_bytes(),
                };
                found.insert(key, self.believe(key, one, 2));
            }
        }
        Ok(found)
    }

    /// Reads for those who wait, until nobody does.
    async fn carry(self: Arc<Self>, mut next: Vec<Waiting>) {
        while !next.is_empty() {
            let all: HashSet<Key> = next.iter().flat_map(|one| &one.keys).copied().collect();
            let all: Vec<Key> = all.into_iter().collect();
            let found = self.load_many(&all).await;
            for Waiting { keys, answer } in next {
                let loaded = match &found {
                    Ok(found) => picked(found, &keys),
                    Err(error) => Err(error.clone()),
                };
                // Who has gone away needs none.
                let _ = answer.send(loaded);
            }
            next = self.gathered.through();
        }
    }

    /// At most `limit` records of a range, and where to go on.
    pub(crate) async fn page(&self, range: KeyRange, limit: usize) -> Result<Page, StoreError> {
        let mut page = Page::default();
        if range.from > range.to {
            return Ok(page);
        }
        let limit = limit.clamp(1, Capabilities::EMBEDDED.max_page);
        let rows = self
            .read(&Question::Page {
                kind: row::kind(range.table),
                from: Uuid::from_bytes(range.from),
                to: Uuid::from_bytes(range.to),
                // One more than is asked for tells whether there is a rest.
                most: i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX),
            })
            .await?;
        for (one, count) in rows.iter().zip(0usize..) {
            let key = Key {
                table: range.table,
                id: column::<Uuid>(one, 0)?.into_bytes(),
            };
            if count == limit {
                page.rest = Some(KeyRange {
                    from: key.id,
                    ..range
                });
                break;
            }
            match self.believe(key, one, 1) {
                Ok(versioned) => page.records.push((key, versioned)),
                Err(StoreError::Damaged { key, .. }) => page.damaged.push(key),
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    /// A row from its version on, if its envelope is to be believed.
    fn believe(&self, key: Key, found: &Row, at: usize) -> Result<Versioned, StoreError> {
        let version: i64 = column(found, at)?;
        let envelope: &[u8] = column(found, at.saturating_add(1))?;
        let opened = row::open(&self.shared.sealer, key, version, envelope)?;
        self.shared.history.saw(opened.version);
        Ok(opened)
    }

    /// Reads on a connection to the server of the present: what was read is of the primary, as
    /// far as this node knows.
    async fn read(&self, question: &Question) -> Result<Vec<Row>, StoreError> {
        let patience = self.shared.hub.options.answer_within;
        let reading = async {
            let mut pause = FIRST_PAUSE;
            loop {
                match self.read_once(question).await {
                    // A primary is being looked for.
                    Err(fault) if fault.ends_line() => self.shared.trouble(&fault),
                    result => return result.map_err(Fault::told),
                }
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(LAST_PAUSE);
            }
        };
        match tokio::time::timeout(patience, reading).await {
            Ok(result) => result,
            Err(_) => Err(silent(patience)),
        }
    }

    async fn read_once(&self, question: &Question) -> Result<Vec<Row>, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = turn.checked_rem(self.lanes.len()).unwrap_or(0);
        let lane = self.lanes.get(turn).ok_or_else(none)?;
        let hub = &self.shared.hub;
        let reading = lane.get(hub).await?;
        // Half of the time, so that the other half is left for another connection.
        let patience = hub.options.answer_within.checked_div(2).unwrap_or_default();
        let Ok(asked) = tokio::time::timeout(patience, reading.ask(question)).await else {
            reading.line.end();
            return Err(Fault::Lost("a connection does not answer".to_owned()));
        };
        match asked {
            Ok(rows) if reading.line.generation == hub.present().generation => Ok(rows),
            Ok(_) => Err(Fault::Lost(
                "another server has become the primary".to_owned(),
            )),
            Err(error) => {
                let fault = Fault::of(&error);
                if fault.ends_line() {
                    reading.line.end();
                    self.shared.asked.notify_one();
                }
                Err(fault)
            }
        }
    }
}

/// Records in the order of their keys; one that is not to be believed concerns nobody else.
fn picked(found: &Found, keys: &[Key]) -> Result<Loaded, StoreError> {
    let one = |key: &Key| found.get(key).cloned().transpose();
    keys.iter().map(one).collect()
}

fn silent(patience: Duration) -> StoreError {
    StoreError::Unavailable(format!(
        "the database did not answer a read within {} ms",
        patience.as_millis()
    ))
}

fn none() -> Fault {
    Fault::Lost("there is no connection to read by".to_owned())
}

fn column<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    at: usize,
) -> Result<T, StoreError> {
    row.try_get(at)
        .map_err(|error| StoreError::Unavailable(crate::error::describe(&error)))
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("count", &self.lanes.len())
            .finish_non_exhaustive()
    }
}
