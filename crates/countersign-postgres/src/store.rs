//! The `Store` trait on a database: what is called here is done by the store's own tasks.

use crate::aside::Aside;
use crate::error::{Fault, PostgresError};
use crate::feed::{Asker, Feed};
use crate::group::{Prepared, Waiting};
use crate::hub::Hub;
use crate::keeper::Keeper;
use crate::migrate;
use crate::options::PostgresOptions;
use crate::place::{self, PostgresPlace, Right};
use crate::reader::Readers;
use crate::shared::Shared;
use crate::writer::Writer;
use core::fmt;
use core::sync::atomic::Ordering;
use core::time::Duration;
use countersign_core::{Batch, Key, Keyring};
use countersign_store::codec::Sealer;
use countersign_store::{
    Capabilities, Changes, CommitError, Health, KeyRange, Lease, Loaded, Page, Pending, Revision,
    Store, StoreError, Watcher,
};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Records in a database that several nodes share.
///
/// It has threads of its own and needs no runtime of the host's. Dropped without being closed, it
/// lets go of its connections; what was being committed may then be done or not.
pub struct PostgresStore {
    shared: Arc<Shared>,
    readers: Arc<Readers>,
    aside: Arc<Aside>,
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    askers: Arc<Mutex<Vec<Asker>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    runtime: Option<Runtime>,
    store_id: Uuid,
}

/// What a store has done and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresStatus {
    /// Which of the hosts is the primary, as far as is known: its place in the connection string.
    pub host: Option<usize>,
    /// The number of this opening of the store.
    pub node: i64,
    /// Transactions that were committed, and batches in them.
    pub transactions: u64,
    /// See [`PostgresStatus::transactions`].
    pub batches: u64,
    /// Transactions that the server rolled back and that were sent again.
    pub retried: u64,
    /// Transactions whose answer did not come.
    pub unanswered: u64,
    /// Renewals of the lease.
    pub renewals: u64,
    /// Records that other nodes have changed, as this one heard.
    pub heard: u64,
    /// How often everything in memory was dropped because history was another one.
    pub resets: u64,
}

/// How long it may take to take leave of the database.
const GOODBYE: Duration = Duration::from_secs(1);

const CAPABILITIES: Capabilities = {
    let mut capabilities = Capabilities::EMBEDDED;
    capabilities.shared = true;
    capabilities
};

impl PostgresStore {
    pub(crate) fn start(
        options: PostgresOptions,
        keyring: Arc<Keyring>,
    ) -> Result<Self, PostgresError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("countersign-postgres")
            .enable_all()
            .build()
            .map_err(|error| PostgresError::Threads(error.to_string()))?;
        let queue_depth = options.queue;
        let hub = Hub::new(options);
        // Opened on its own threads: the caller's may belong to a runtime, which must not be
        // blocked on twice.
        let (told, opened) = std::sync::mpsc::sync_channel(1);
        let sealer = Sealer::new(Arc::clone(&keyring));
        runtime.spawn(async move {
            let patience = hub.options.commit_within;
            let connecting = Self::connect(hub, &keyring, sealer);
            let connected = tokio::time::timeout(patience, connecting).await;
            let _ = told.send(connected.unwrap_or_else(|_| {
                let late = "the database did not acknowledge in time that it was opened";
                Err(PostgresError::Unreachable(late.to_owned()))
            }));
        });
        let opened = opened.recv();
        let ended = || Err(PostgresError::Threads("they ended".to_owned()));
        let opened = match opened.unwrap_or_else(|_| ended()) {
            Ok(opened) => opened,
            Err(error) => {
                // Without waiting: this thread may be one of the host's runtime.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (sender, receiver) = mpsc::channel(queue_depth);
        let aside = Arc::new(Aside::new(Arc::clone(&opened.shared)));
        let writer = Writer::new(Arc::clone(&opened.shared));
        let writer = runtime.spawn(writer.run(receiver));
        runtime.spawn(opened.feed.run(opened.listening));
        let keeper = Keeper::new(Arc::clone(&opened.shared), Arc::clone(&aside));
        runtime.spawn(keeper.run());
        Ok(Self {
            readers: Arc::new(Readers::new(Arc::clone(&opened.shared))),
            aside,
            shared: opened.shared,
            queue: Mutex::new(Some(sender)),
            askers: opened.askers,
            writer: Mutex::new(Some(writer)),
            runtime: Some(runtime),
            store_id: opened.store_id,
        })
    }

    async fn connect(hub: Hub, keyring: &Keyring, sealer: Sealer) -> Result<Begun, PostgresError> {
        let line = hub.find().await?;
        let opened = migrate::open(&hub, &line, keyring).await?;
        let shared = Arc::new(Shared::new(hub, sealer, opened.node, opened.newest));
        let askers = Arc::new(Mutex::new(Vec::new()));
        let mut feed = Feed::new(Arc::clone(&shared), Arc::clone(&askers));
        let listening = feed.begin(line).await?;
        Ok(Begun {
            shared,
            feed,
            listening,
            askers,
            store_id: opened.store_id,
        })
    }

    /// What this store is, for what belongs to it, such as a snapshot of sessions in a file:
    /// random, and the same for all nodes.
    #[must_use]
    pub const fn store_id(&self) -> [u8; 16] {
        self.store_id.into_bytes()
    }

    /// What it has done and how it is.
    #[must_use]
    pub fn status(&self) -> PostgresStatus {
        let counted = &self.shared.counted;
        PostgresStatus {
            host: self.shared.hub.present().server.map(|server| server.place),
            node: self.shared.history.node.number,
            transactions: counted.groups.load(Ordering::Relaxed),
            batches: counted.batches.load(Ordering::Relaxed),
            retried: counted.again.load(Ordering::Relaxed),
            unanswered: counted.unknown.load(Ordering::Relaxed),
            renewals: counted.renewed.load(Ordering::Relaxed),
            heard: counted.heard.load(Ordering::Relaxed),
            resets: counted.rewritten.load(Ordering::Relaxed),
        }
    }

    /// The place of a node's sessions, by a name that stays the same when the node is started
    /// anew: for `Builder::session_snapshot_in`, and for who takes the sessions over.
    ///
    /// # Errors
    /// [`PostgresError::Option`] when the name is empty or has more than 255 bytes, and
    /// [`PostgresError::Closed`] when the store is.
    pub fn session_place(&self, name: &str) -> Result<PostgresPlace, PostgresError> {
        if !place::is_name(name) {
            return Err(PostgresError::Option {
                field: "name of a place",
                detail: format!("it has {} bytes; 1 to 255 are allowed", name.len()),
            });
        }
        let runtime = self.runtime.as_ref().filter(|_| !self.shared.is_closed());
        let threads = runtime.ok_or(PostgresError::Closed)?.handle().clone();
        let shared = Arc::clone(&self.shared);
        let (id, name) = (self.store_id, name.to_owned());
        Ok(PostgresPlace::new(shared, threads, id, name, Right::Name))
    }

    /// The places with sessions in them whose node has closed, or was not heard of, for so long.
    ///
    /// None where this node itself was cut off from the database meanwhile: others were, too.
    /// Whoever of these comes back before its sessions are taken over keeps them.
    pub fn silent_places(
        &self,
        silent: Duration,
    ) -> Pending<Result<Vec<PostgresPlace>, StoreError>> {
        let aside = Arc::clone(&self.aside);
        let (shared, id) = (Arc::clone(&self.shared), self.store_id);
        let right = Right::Silence(silent);
        self.run(async move {
            let names = aside.silent_places(silent).await.map_err(Fault::told)?;
            let threads = tokio::runtime::Handle::current();
            let place =
                |name| PostgresPlace::new(Arc::clone(&shared), threads.clone(), id, name, right);
            Ok(names.into_iter().map(place).collect())
        })
    }

    /// Runs something on the store's threads.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Pending<Result<T, StoreError>> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.shared.is_closed()) else {
            return Pending::ready(Err(StoreError::Closed));
        };
        let (answer, pending) = Pending::waiting(|| Err(StoreError::Closed));
        let shared = Arc::clone(&self.shared);
        runtime.spawn(async move {
            let result = work.await;
            // What was answered while it closed is not to be trusted any more.
            answer.send(match shared.is_closed() {
                true => Err(StoreError::Closed),
                false => result,
            });
        });
        pending
    }

    /// Asks the feed for a renewal that begins after this call.
    fn ask(&self) -> impl Future<Output = Result<Revision, StoreError>> + Send + 'static {
        let (asker, asked) = oneshot::channel();
        self.askers.lock().push(asker);
        self.shared.asked.notify_one();
        let shared = Arc::clone(&self.shared);
        let patience = shared.hub.options.answer_within;
        async move {
            if shared.is_fenced() {
                return Err(shared.unavailable());
            }
            match tokio::time::timeout(patience, asked).await {
                Ok(Ok(told)) => told,
                Ok(Err(_)) => Err(StoreError::Closed),
                Err(_) => Err(StoreError::Unavailable(
                    "the database did not acknowledge in time".to_owned(),
                )),
            }
        }
    }
}

struct Begun {
    shared: Arc<Shared>,
    feed: Feed,
    listening: crate::feed::Listening,
    askers: Arc<Mutex<Vec<Asker>>>,
    store_id: Uuid,
}

impl Store for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn load(&self, keys: &[Key]) -> Pending<Result<Loaded, StoreError>> {
        let (readers, keys) = (Arc::clone(&self.readers), keys.to_vec());
        self.run(async move { readers.load(keys).await })
    }

    fn commit(&self, batch: Batch) -> Pending<Result<Revision, CommitError>> {
        let not_applied = |error| Pending::ready(Err(CommitError::NotApplied(error)));
        if self.shared.is_closed() {
            return not_applied(StoreError::Closed);
        }
        if self.shared.is_fenced() {
            return not_applied(self.shared.unavailable());
        }
        let prepared = match Prepared::new(&self.shared.sealer, &batch, CAPABILITIES) {
            Ok(prepared) => prepared,
            Err(error) => return not_applied(error),
        };
        drop(batch);
        if prepared.is_nothing() {
            return Pending::ready(Ok(self.shared.history.newest()));
        }
        let lost = || Err(CommitError::Unknown("the store's threads ended".to_owned()));
        let (answer, pending) = Pending::waiting(lost);
        let queue = self.queue.lock();
        let Some(queue) = &*queue else {
            return not_applied(StoreError::Closed);
        };
        match queue.try_send(prepared.waiting(answer)) {
            Ok(()) => pending,
            Err(mpsc::error::TrySendError::Full(_)) => not_applied(StoreError::Busy),
            Err(mpsc::error::TrySendError::Closed(_)) => not_applied(StoreError::Closed),
        }
    }

    fn scan(&self, range: KeyRange, limit: usize) -> Pending<Result<Page, StoreError>> {
        let readers = Arc::clone(&self.readers);
        self.run(async move { readers.page(range, limit).await })
    }

    fn changes(&self, since: Revision) -> Pending<Result<Changes, StoreError>> {
        let (asked, shared) = (self.ask(), Arc::clone(&self.shared));
        self.run(async move {
            asked.await?;
            Ok(shared.history.changes(since))
        })
    }

    fn attest(&self) -> Pending<Result<Revision, StoreError>> {
        let asked = self.ask();
        self.run(asked)
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn lease(&self) -> Option<Arc<Lease>> {
        Some(Arc::clone(&self.shared.history.lease))
    }

    fn turn(&self, chore: &'static str, time: Duration) -> Pending<Result<bool, StoreError>> {
        if self.shared.is_fenced() {
            return Pending::ready(Ok(false));
        }
        let aside = Arc::clone(&self.aside);
        self.run(async move { aside.take_turn(chore, time).await.map_err(Fault::told) })
    }

    fn watch(&self, watcher: Arc<dyn Watcher>) {
        if !self.shared.is_closed() {
            self.shared.history.watchers.add(&watcher);
        }
    }

    fn close(&self) -> Pending<Result<(), StoreError>> {
        // Nothing more is taken; what waits is committed.
        let queue = self.queue.lock().take();
        let writer = self.writer.lock().take();
        drop(queue);
        let (Some(writer), Some(runtime)) = (writer, &self.runtime) else {
            return Pending::ready(Ok(()));
        };
        let (answer, pending) = Pending::waiting(|| Ok(()));
        let shared = Arc::clone(&self.shared);
        let aside = Arc::clone(&self.aside);
        runtime.spawn(async move {
            let _ = writer.await;
            shared.close();
            shared.history.lease.end();
            shared.closing.notify_waiters();
            shared.closing.notify_one();
            // So that nobody waits for it; without a database it is forgotten after a while.
            let _ = tokio::time::timeout(GOODBYE, aside.leave()).await;
            shared.history.watchers.let_go();
            answer.send(Ok(()));
        });
        pending
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shared.close();
        self.shared.history.lease.end();
        self.shared.history.watchers.let_go();
        if let Some(runtime) = self.runtime.take() {
            // Without waiting: the host may drop it on a thread of its own runtime.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
