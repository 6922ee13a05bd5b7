//! Which server everything goes to: found by the feed, followed by all other connections.
//!
//! One task decides, so that what is read, what is written and what is proved concern the same
//! server. Of the servers that can be written to, the one that was promoted last is the primary:
//! an old one that lives on answers reads happily, and is left as soon as another is seen.

use crate::error::Fault;
use crate::line::{CONNECT_WITHIN, Line, Server};
use crate::options::PostgresOptions;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;
use tokio_postgres::types::ToSql;

/// The server of the present, and how often it has changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Present {
    pub(crate) generation: u64,
    /// Nothing while none is known.
    pub(crate) server: Option<Server>,
    /// Why none is, where that was found out.
    why: String,
}

/// Why nothing is heard on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Its write waits for the standbys, or behind one that does.
    Waits,
    /// Another server is the primary now.
    Superseded,
    /// It waits for nothing: the connection is of no use.
    Stuck,
}

pub(crate) struct Hub {
    pub(crate) options: PostgresOptions,
    present: watch::Sender<Present>,
    /// The newest timeline of a primary that was ever followed: none before it is gone back to.
    newest: AtomicU32,
}

/// How long one that was asked later may still answer once a primary has.
const OTHERS_WITHIN: Duration = Duration::from_millis(300);
/// How long a connection may take until its statements are prepared.
const JOIN_WITHIN: Duration = CONNECT_WITHIN.saturating_mul(2);

impl Hub {
    pub(crate) fn new(options: PostgresOptions) -> Self {
        let present = watch::Sender::new(Present::default());
        Self {
            options,
            present,
            newest: AtomicU32::new(0),
        }
    }

    pub(crate) fn present(&self) -> Present {
        self.present.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Present> {
        self.present.subscribe()
    }

    /// Connects to the primary, and says from now on which server that is.
    pub(crate) async fn find(&self) -> Result<Line, Fault> {
        let generation = self.present().generation;
        let (mut best, fault) = self.look(generation).await;
        let Some(line) = &mut best else {
            return Err(fault);
        };
        line.check(&self.options).await?;
        self.newest
            .fetch_max(line.server.timeline, Ordering::AcqRel);
        self.present.send_if_modified(|present| {
            let same = present.server.as_ref() == Some(&line.server);
            if !same {
                present.generation = present.generation.saturating_add(1);
                present.server = Some(line.server.clone());
            }
            line.generation = present.generation;
            !same
        });
        best.ok_or(fault)
    }

    /// What keeps a connection from answering, as far as can be seen from another one.
    pub(crate) async fn why_silent(&self, line: &Line) -> Silence {
        let (best, _) = self.look(line.generation).await;
        let Some(best) = best else {
            return Silence::Waits;
        };
        if best.server != line.server {
            let later = best.server.timeline > line.server.timeline;
            let same_place = best.server.place == line.server.place;
            return match later || same_place {
                true => Silence::Superseded,
                false => Silence::Waits,
            };
        }
        // Of another engine than PostgreSQL itself it is not known.
        let text = "SELECT wait_event_type = 'Lock' OR wait_event = 'SyncRep'
            FROM pg_stat_activity WHERE pid = $1";
        let process: [&(dyn ToSql + Sync); 1] = [&line.process.number];
        let asking = best.client.query_opt(text, &process);
        let Ok(Ok(found)) = timeout(CONNECT_WITHIN, asking).await else {
            return Silence::Waits;
        };
        match found.and_then(|row| row.try_get::<_, Option<bool>>(0).ok().flatten()) {
            Some(true) => Silence::Waits,
            Some(false) | None => Silence::Stuck,
        }
    }

    /// The server that was promoted last of those that can be written to, or why there is none.
    ///
    /// A primary that answers is not held up by hosts that do not: should one of them be newer, the
    /// next renewal tells, for the old one's standbys acknowledge no more.
    async fn look(&self, generation: u64) -> (Option<Line>, Fault) {
        let places = 0..self.options.config.get_hosts().len();
        let connecting = places.map(|place| Line::connect(&self.options, place, generation));
        let mut connecting: FuturesUnordered<_> = connecting.collect();
        let newest = self.newest.load(Ordering::Acquire);
        let mut fault = Fault::Lost("no host is named".to_owned());
        let mut best: Option<Line> = None;
        loop {
            let next = match best.is_some() {
                true => timeout(OTHERS_WITHIN, connecting.next())
                    .await
                    .ok()
                    .flatten(),
                false => connecting.next().await,
            };
            let Some(connected) = next else {
                break;
            };
            match connected {
                Ok(line) if !line.server.writable => {
                    fault = Fault::Away(format!("host {} is a standby", line.server.place));
                }
                // It has none of what was acknowledged since, and answers reads all the same.
                Ok(line) if line.server.stock && line.server.timeline < newest => {
                    fault = Fault::Away(format!(
                        "host {} is an old primary: its timeline is {}, and {newest} was seen; \
                         after a backup is restored, nodes are opened anew",
                        line.server.place, line.server.timeline
                    ));
                }
                Ok(line) => {
                    let behind = |best: &Line| best.server.timeline >= line.server.timeline;
                    if !best.as_ref().is_some_and(behind) {
                        best = Some(line);
                    }
                }
                Err(found) => fault = found,
            }
        }
        (best, fault)
    }

    /// Connects to the server of the present.
    async fn join(&self) -> Result<Line, Fault> {
        let present = self.present();
        let Some(server) = present.server else {
            return Err(Fault::Away(format!("no primary is known{}", present.why)));
        };
        let line = Line::connect(&self.options, server.place, present.generation).await?;
        if line.server != server {
            return Err(Fault::Away(
                "the server has changed and is looked for".to_owned(),
            ));
        }
        Ok(line)
    }

    /// Nothing is known any more of which server is the primary, for this reason.
    pub(crate) fn forget(&self, why: &str) {
        self.present.send_if_modified(|present| {
            let known = present.server.take().is_some();
            present.why = format!(": {why}");
            if known {
                present.generation = present.generation.saturating_add(1);
            }
            known
        });
    }
}

/// What a connection is used for: its statements, prepared once.
pub(crate) trait Role: Sized + Send + Sync + 'static {
    /// Whether what it writes has to be kept.
    const WRITES: bool;

    fn prepare(line: Line) -> impl Future<Output = Result<Self, Fault>> + Send;

    fn line(&self) -> &Line;
}

/// A connection to the server of the present, made again when it has to be.
pub(crate) struct Lane<R> {
    held: Mutex<Option<Arc<R>>>,
}

impl<R: Role> Lane<R> {
    pub(crate) fn new() -> Self {
        Self {
            held: Mutex::new(None),
        }
    }

    /// The connection, made if there is none or it is of another server.
    pub(crate) async fn get(&self, hub: &Hub) -> Result<Arc<R>, Fault> {
        let mut held = self.held.lock().await;
        let generation = hub.present().generation;
        if let Some(role) = &*held
            && role.line().is_alive()
            && role.line().generation == generation
        {
            return Ok(Arc::clone(role));
        }
        *held = None;
        let joining = async {
            let line = hub.join().await?;
            if R::WRITES {
                line.check(&hub.options).await?;
            }
            R::prepare(line).await
        };
        // A server that stands still must not be waited for: others wait behind this one.
        let joined = timeout(JOIN_WITHIN, joining).await;
        let late = || Err(Fault::Lost("the database does not answer".to_owned()));
        let role = Arc::new(joined.unwrap_or_else(|_| late())?);
        *held = Some(Arc::clone(&role));
        Ok(role)
    }

    /// Gives up the connection, if there is one: the next use makes another.
    pub(crate) async fn leave(&self) {
        if let Some(role) = self.held.lock().await.take() {
            role.line().end();
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("present", &self.present())
            .finish_non_exhaustive()
    }
}
