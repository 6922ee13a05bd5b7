//! A place in the database for the snapshot of a node's sessions, so that another node can take
//! them over when that one is gone.
//!
//! A place is one node's at a time. Whoever claims it strikes the node that had it off the list of
//! nodes: that one can renew its lease no more, so it lets nobody in by what it holds, should it
//! live on. Only then are the sessions the claimant's.

use crate::error::Fault;
use crate::hub::{Lane, Role};
use crate::line::Line;
use crate::shared::Shared;
use core::fmt;
use core::time::Duration;
use countersign_store::SnapshotPlace;
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The bytes of one part of a snapshot.
const PART_BYTES: usize = 1 << 20;
/// The most bytes of a place's name.
pub(crate) const NAME_BYTES_MAX: usize = 255;

const ENTER: &str = "INSERT INTO session_place (name, owner) VALUES ($1, $2)
    ON CONFLICT (name) DO NOTHING";
const HOLD: &str = "SELECT owner FROM session_place WHERE name = $1 FOR UPDATE";
const STRIKE: &str = "DELETE FROM node WHERE id = $1
    RETURNING seen_at > now() - $2::bigint * interval '1 millisecond'";
const OWN: &str = "UPDATE session_place SET owner = $2 WHERE name = $1";
const SIZE: &str =
    "SELECT coalesce(sum(length(bytes)), 0)::bigint FROM session_part WHERE place = $1";
const READ: &str = "SELECT bytes FROM session_part WHERE place = $1 ORDER BY part";
const CLEAR: &str = "DELETE FROM session_part WHERE place = $1";
const PUT: &str = "INSERT INTO session_part (place, part, bytes) VALUES ($1, $2, $3)";
const WRITTEN: &str = "UPDATE session_place SET written_at = now() WHERE name = $1";
/// Places with something in them whose node has not been heard of for so long.
pub(crate) const SILENT: &str = "SELECT p.name FROM session_place p
    LEFT JOIN node n ON n.id = p.owner
    WHERE coalesce(n.seen_at < now() - $1::bigint * interval '1 millisecond', true)
        AND EXISTS (SELECT 1 FROM session_part s WHERE s.place = p.name)
    ORDER BY p.name";

/// The connection for places.
struct Filing {
    line: Line,
    enter: Statement,
    hold: Statement,
    strike: Statement,
    own: Statement,
    size: Statement,
    read: Statement,
    clear: Statement,
    put: Statement,
    written: Statement,
}

impl Role for Filing {
    const WRITES: bool = true;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let client = &line.client;
        Ok(Self {
            enter: client.prepare(ENTER).await?,
            hold: client.prepare(HOLD).await?,
            strike: client.prepare(STRIKE).await?,
            own: client.prepare(OWN).await?,
            size: client.prepare(SIZE).await?,
            read: client.prepare(READ).await?,
            clear: client.prepare(CLEAR).await?,
            put: client.prepare(PUT).await?,
            written: client.prepare(WRITTEN).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// The place of one node's sessions. Made by
/// [`PostgresStore::session_place`](crate::PostgresStore::session_place).
pub struct PostgresPlace(Arc<Place>);

struct Place {
    shared: Arc<Shared>,
    threads: Handle,
    name: String,
    lane: Lane<Filing>,
    /// One thing at a time on the connection.
    turn: Mutex<()>,
}

impl PostgresPlace {
    pub(crate) fn new(shared: Arc<Shared>, threads: Handle, name: String) -> Self {
        Self(Arc::new(Place {
            shared,
            threads,
            name,
            lane: Lane::new(),
            turn: Mutex::new(()),
        }))
    }

    /// Has something done on the store's threads, and waits for it.
    fn wait<T, F>(&self, work: impl FnOnce(Arc<Place>) -> F) -> io::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let (told, done) = std::sync::mpsc::sync_channel(1);
        let patience = self.0.shared.hub.options.commit_within;
        let working = work(Arc::clone(&self.0));
        self.0.threads.spawn(async move {
            let late = || Err(Fault::Lost("the database does not answer".to_owned()));
            let result = tokio::time::timeout(patience, working).await;
            let _ = told.send(result.unwrap_or_else(|_| late()));
        });
        let done = done
            .recv()
            .map_err(|_| io::Error::other("the store is closed"))?;
        done.map_err(|fault| io::Error::other(fault.told().to_string()))
    }
}

impl Place {
    /// One transaction, acknowledged as every other write is.
    async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&Filing) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let _turn = self.turn.lock().await;
        let filing = self.lane.get(&self.shared.hub).await?;
        let line = &filing.line;
        let working = async {
            line.take_doubt();
            line.client.batch_execute("BEGIN").await?;
            let done = work(&filing).await?;
            line.client.batch_execute("COMMIT").await?;
            match line.take_doubt() {
                false => Ok(done),
                true => Err(Fault::Lost(
                    "the server warned that a write may not be on the standbys".to_owned(),
                )),
            }
        };
        let mut open = Open(Some(line));
        let done = working.await?;
        open.0 = None;
        Ok(done)
    }

    async fn claim(self: Arc<Self>) -> Result<(), Fault> {
        let own = self.shared.history.node.id;
        let bound = self.shared.history.lease.bound();
        let recent = whole_millis(bound);
        let lived = self
            .transaction(async |filing| {
                let client = &filing.line.client;
                client.execute(&filing.enter, &[&self.name, &own]).await?;
                let owner = owner(filing, &self.name).await?;
                if owner == own {
                    return Ok(false);
                }
                let strike: [&(dyn ToSql + Sync); 2] = [&owner, &recent];
                let struck = client.query_opt(&filing.strike, &strike).await?;
                client.execute(&filing.own, &[&self.name, &own]).await?;
                match struck {
                    Some(row) => Ok(row.try_get(0)?),
                    None => Ok(false),
                }
            })
            .await?;
        if lived {
            // It may let somebody in for as long as its lease lasts.
            tokio::time::sleep(bound).await;
        }
        Ok(())
    }

    async fn read(self: Arc<Self>, max: u64) -> Result<Option<Vec<u8>>, Fault> {
        self.transaction(async |filing| {
            let client = &filing.line.client;
            let name: [&(dyn ToSql + Sync); 1] = [&self.name];
            let size: i64 = client.query_one(&filing.size, &name).await?.try_get(0)?;
            if u64::try_from(size).is_ok_and(|size| size > max) {
                return Err(Fault::Refused(
                    "it is larger than all sessions that there may be".to_owned(),
                ));
            }
            let rows = client.query(&filing.read, &name).await?;
            let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            for row in &rows {
                bytes.extend_from_slice(row.try_get::<_, &[u8]>(0)?);
            }
            Ok((!rows.is_empty()).then_some(bytes))
        })
        .await
    }

    /// Puts bytes in the place of what is there, or nothing.
    async fn put(self: Arc<Self>, bytes: Vec<u8>) -> Result<(), Fault> {
        let own = self.shared.history.node.id;
        self.transaction(async |filing| {
            let client = &filing.line.client;
            if owner(filing, &self.name).await? != own {
                return Err(Fault::Refused(
                    "another node has taken the sessions over".to_owned(),
                ));
            }
            client.execute(&filing.clear, &[&self.name]).await?;
            for (part, number) in bytes.chunks(PART_BYTES).zip(0i32..) {
                let part: [&(dyn ToSql + Sync); 3] = [&self.name, &number, &part];
                client.execute(&filing.put, &part).await?;
            }
            client.execute(&filing.written, &[&self.name]).await?;
            Ok(())
        })
        .await
    }
}

/// A connection on which a transaction is open, and that is of no use if it stays so.
struct Open<'a>(Option<&'a Line>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.0 {
            line.end();
        }
    }
}

/// Who has a place, which is held until the transaction is over.
async fn owner(filing: &Filing, name: &String) -> Result<Uuid, Fault> {
    let row = filing.line.client.query_opt(&filing.hold, &[name]).await?;
    match row {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(Fault::Refused(
            "nobody has claimed this place of sessions".to_owned(),
        )),
    }
}

impl SnapshotPlace for PostgresPlace {
    fn name(&self) -> String {
        format!("sessions of {} in the database", self.0.name)
    }

    fn claim(&self) -> io::Result<()> {
        self.wait(Place::claim)
    }

    fn read(&self, max: u64) -> io::Result<Option<Vec<u8>>> {
        self.wait(|place| place.read(max))
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.wait(|place| place.put(bytes))
    }

    fn clear(&self) -> io::Result<()> {
        self.wait(|place| place.put(Vec::new()))
    }

    fn set_aside(&self) -> Option<String> {
        // The next snapshot takes its place.
        None
    }
}

impl fmt::Debug for PostgresPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresPlace")
            .field("name", &self.0.name)
            .finish_non_exhaustive()
    }
}

/// How long a name may be that a host gives to a place.
pub(crate) const fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX
}

/// Milliseconds, as a statement takes them.
pub(crate) fn whole_millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
