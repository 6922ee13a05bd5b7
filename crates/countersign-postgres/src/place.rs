//! A place in the database for the snapshot of a node's sessions, so that another node can take
//! them over when that one is gone.
//!
//! A place is one node's at a time. Whoever claims it from another strikes that one off the list of
//! nodes, so that it can renew its lease no more, and then waits for as long as that lease may
//! last: how long that is stays with the place until somebody has waited for it. No clock of a
//! server decides anything but whether a node was heard of lately.

mod deeds;

use self::deeds::{Claim, Claimed, Deed, Filing, LetGo, Put, Read, SetAside, Waited};
use crate::error::Fault;
use crate::hub::Lane;
use crate::line::Line;
use crate::shared::Shared;
use core::fmt;
use core::time::Duration;
use countersign_store::{SnapshotPlace, Steady, Unread};
use std::io;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

pub(crate) use self::deeds::SILENT;

/// The most bytes of a place's name.
pub(crate) const NAME_BYTES_MAX: usize = 255;
/// The pauses between two tries, and between two looks whether a place is free.
const PAUSE: Duration = Duration::from_millis(100);

/// The place of one node's sessions: this one's own, made by
/// [`PostgresStore::session_place`](crate::PostgresStore::session_place), or that of a node that
/// is gone, found by [`PostgresStore::silent_places`](crate::PostgresStore::silent_places).
pub struct PostgresPlace(Arc<Place>);

/// By what right a place is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// It has this node's name: whoever had it before was this node.
    Name,
    /// Its node was not heard of for so long.
    Silence(Duration),
}

struct Place {
    shared: Arc<Shared>,
    threads: Handle,
    name: String,
    binding: [u8; 16],
    right: Right,
    lane: Lane<Filing>,
    /// One thing at a time on the connection.
    turn: Mutex<()>,
}

impl PostgresPlace {
    pub(crate) fn new(
        shared: Arc<Shared>,
        threads: Handle,
        store_id: Uuid,
        name: String,
        right: Right,
    ) -> Self {
        let mut binding =
            blake3::Hasher::new_derive_key("countersign 2026-11-29 place of sessions");
        binding.update(store_id.as_bytes());
        binding.update(name.as_bytes());
        let mut bytes = [0; 16];
        binding.finalize_xof().fill(&mut bytes);
        Self(Arc::new(Place {
            shared,
            threads,
            name,
            binding: bytes,
            right,
            lane: Lane::new(),
            turn: Mutex::new(()),
        }))
    }

    /// Has something done on the store's threads, and waits for it.
    fn wait<T, F>(&self, work: impl FnOnce(Arc<Place>) -> F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let (told, done) = std::sync::mpsc::sync_channel(1);
        let working = work(Arc::clone(&self.0));
        self.0.threads.spawn(async move {
            let _ = told.send(working.await);
        });
        let closed = |_| Err(Fault::Refused("the store is closed".to_owned()));
        done.recv().unwrap_or_else(closed)
    }
}

impl PostgresPlace {
    /// Does something in a transaction of its own.
    fn deed<D: Deed + 'static>(&self, deed: D) -> Result<D::Done, Fault> {
        self.wait(|place| async move { place.transaction(&deed).await })
    }
}

impl Place {
    /// Does something in one transaction, acknowledged as every other write is; tried again until
    /// it is known that it was done.
    async fn transaction<D: Deed>(&self, deed: &D) -> Result<D::Done, Fault> {
        let _turn = self.turn.lock().await;
        let patience = self.shared.hub.options.commit_within;
        let began = Steady::now();
        loop {
            let left = patience.saturating_sub(Steady::now().since(began));
            let trying = timeout(left, self.attempt(deed)).await;
            let late = || Err(Fault::Lost("the database does not answer".to_owned()));
            match trying.unwrap_or_else(|_| late()) {
                Err(Fault::Again(_) | Fault::Away(_) | Fault::Lost(_))
                    if Steady::now().since(began) < patience && !self.shared.is_closed() =>
                {
                    sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn attempt<D: Deed>(&self, deed: &D) -> Result<D::Done, Fault> {
        let filing = self.lane.get(&self.shared.hub).await?;
        let line = &filing.line;
        let mut open = Open(Some(line));
        line.take_doubt();
        line.client.batch_execute("BEGIN").await?;
        let done = deed.on(self, &filing).await?;
        line.client.batch_execute("COMMIT").await?;
        open.0 = None;
        match line.take_doubt() {
            false => Ok(done),
            true => Err(Fault::Lost(
                "the server warned that a write may not be on the standbys".to_owned(),
            )),
        }
    }

    async fn claim(&self) -> Result<(), Fault> {
        let began = Steady::now();
        loop {
            match self.transaction(&Claim).await? {
                Claimed::After(wait) if wait.is_zero() => return Ok(()),
                Claimed::After(wait) => {
                    // It may let somebody in for as long as its lease lasts.
                    sleep(wait).await;
                    return self.transaction(&Waited).await;
                }
                Claimed::BeingTaken => {}
            }
            if Steady::now().since(began) >= self.shared.hub.options.commit_within {
                return Err(Fault::Refused(
                    "another node is taking its sessions over: try again".to_owned(),
                ));
            }
            sleep(PAUSE).await;
        }
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

fn io_error(fault: Fault) -> io::Error {
    io::Error::other(fault.told().to_string())
}

impl SnapshotPlace for PostgresPlace {
    fn name(&self) -> String {
        format!("sessions of {} in the database", self.0.name)
    }

    fn binding(&self) -> [u8; 16] {
        self.0.binding
    }

    fn claim(&self) -> io::Result<()> {
        self.wait(|place| async move { place.claim().await })
            .map_err(io_error)
    }

    fn read(&self, max: u64) -> Result<Option<Vec<u8>>, Unread> {
        match self.deed(Read(max)) {
            Ok(Some(read)) => Ok(read),
            Ok(None) => Err(Unread::Unusable(io::Error::other(
                "it is larger than all sessions that there may be",
            ))),
            Err(fault) => Err(Unread::Unreachable(io_error(fault))),
        }
    }

    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        self.deed(Put(bytes.to_vec())).map_err(io_error)
    }

    fn clear(&self) -> io::Result<()> {
        self.deed(Put(Vec::new())).map_err(io_error)
    }

    fn release(&self) -> io::Result<()> {
        self.deed(LetGo { empties: false }).map_err(io_error)
    }

    fn vacate(&self) -> io::Result<()> {
        self.deed(LetGo { empties: true }).map_err(io_error)
    }

    fn set_aside(&self) -> Option<String> {
        let aside = self.deed(SetAside).ok()?;
        Some(format!("sessions of {aside} in the database"))
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
