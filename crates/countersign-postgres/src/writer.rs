//! Commits: one task takes what waits, and sends it as one transaction in one round trip.
//!
//! A transaction is a handful of statements sent without waiting for one another: records are
//! held, expectations checked and those batches entered in the log that go through, and then what
//! they change is written. Where the connection ends before the answer comes, the log tells the
//! outcome: nothing is told as failed that was done, and nothing is done twice.

use crate::error::Fault;
use crate::group::{Group, Places, Replaced, Rows, Sent, System, Waiting};
use crate::hub::{Lane, Role};
use crate::line::{Line, Process, Server};
use crate::schema;
use crate::shared::{Counted, Shared};
use core::sync::atomic::Ordering;
use core::time::Duration;
use countersign_core::{Key, Version};
use countersign_store::{CommitError, Steady, StoreError};
use futures_util::future::OptionFuture;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

/// How often a group that the server rolls back is sent again at once.
const TRIES: u32 = 40;
/// The first pause before a group is sent again, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(250);
/// How long a group is waited for at least, however long it has waited to be sent.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// The connection that is written by.
pub(crate) struct Writing {
    line: Line,
    reserve: Statement,
    hold: Statement,
    share: Statement,
    enter: Statement,
    make: Statement,
    set: Statement,
    remove: Statement,
    release: Statement,
    wait: Statement,
    wait_for_all: Statement,
    outcome: Statement,
    witness: Statement,
}

impl Role for Writing {
    const WRITES: bool = true;

    async fn prepare(line: Line) -> Result<Self, Fault> {
        let (make, set, remove) = (schema::make(), schema::set(), schema::remove());
        let client = &line.client;
        Ok(Self {
            reserve: client.prepare(schema::RESERVE).await?,
            hold: client.prepare(schema::HOLD).await?,
            share: client.prepare(schema::SHARE).await?,
            enter: client.prepare(schema::ENTER).await?,
            make: client.prepare(&make).await?,
            set: client.prepare(&set).await?,
            remove: client.prepare(&remove).await?,
            release: client.prepare(schema::RELEASE).await?,
            wait: client.prepare(schema::WAIT_FOR_COUNTER).await?,
            wait_for_all: client.prepare(schema::WAIT_FOR_ALL).await?,
            outcome: client.prepare(schema::OUTCOME).await?,
            witness: client.prepare(schema::WITNESS).await?,
            line,
        })
    }

    fn line(&self) -> &Line {
        &self.line
    }
}

/// What became of a group.
struct Outcome {
    /// Whether it was found in the log, after its own answer was lost.
    is_found: bool,
    entered: HashSet<i64>,
    /// The first broken expectation of each batch that has one, by the batch's number.
    broken: HashMap<i32, usize>,
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    lane: Lane<Writing>,
    /// What the last group put where.
    replaced: Replaced,
    /// Where the last group was sent.
    sent_by: Mutex<Option<(Server, Process)>>,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lane: Lane::new(),
            replaced: Replaced::new(),
            sent_by: Mutex::new(None),
        }
    }

    /// Until the queue ends.
    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match queue.recv().await {
                    Some(batch) => waiting.push_back(batch),
                    None => return,
                }
            }
            // The rest stays where it has a bound, and is told so.
            while waiting.len() < self.shared.hub.options.queue
                && let Ok(batch) = queue.try_recv()
            {
                waiting.push_back(batch);
            }
            self.turn_away(&mut waiting);
            let shared = Arc::clone(&self.shared);
            let version = || shared.history.next_version();
            let mut group = Group::take(&mut waiting, &self.replaced, &self.shared.sealer, version);
            self.replaced.clear();
            if !group.members.is_empty() {
                self.carry(&mut group).await;
            }
        }
    }

    /// Answers those that have waited for too long behind others, and were sent nowhere.
    fn turn_away(&self, waiting: &mut VecDeque<Waiting>) {
        let patience = self.shared.hub.options.commit_within;
        let now = Steady::now();
        // In the order in which they came.
        while let Some(late) = waiting.pop_front_if(|first| now.since(first.since) >= patience) {
            let error = self.shared.unavailable();
            late.answer.send(Err(CommitError::NotApplied(error)));
        }
    }

    /// Sees a group through, and answers for all of it.
    async fn carry(&mut self, group: &mut Group) {
        let patience = self.shared.hub.options.commit_within;
        let waited = group.since.map(|since| Steady::now().since(since));
        let patience = patience.saturating_sub(waited.unwrap_or_default());
        let patience = patience.max(LEAST_PATIENCE);
        let mut doubtful = false;
        let through = {
            let trying = self.try_until_known(group, &mut doubtful);
            tokio::time::timeout(patience, trying).await
        };
        match through {
            Ok(Ok(outcome)) => self.conclude(group, &outcome),
            Ok(Err(error)) => self.give_up(group, &error),
            Err(_) => {
                // Whoever comes next is not to wait for the same connection.
                self.lane.leave().await;
                match doubtful {
                    true => self.leave_open(group),
                    false => self.give_up(group, &self.shared.unavailable()),
                }
            }
        }
    }

    /// Answers that nothing was written.
    fn give_up(&self, group: &mut Group, error: &StoreError) {
        for member in &group.members {
            self.shared.history.sent.remove(member.version);
        }
        group.answer_rest(|| CommitError::NotApplied(error.clone()));
    }

    /// Sends a group until the server has said what became of it.
    ///
    /// `doubtful` is set for as long as it may have been done without an answer.
    async fn try_until_known(
        &self,
        group: &Group,
        doubtful: &mut bool,
    ) -> Result<Outcome, StoreError> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 0u32;
        loop {
            let fault = match self.attempt(group, doubtful).await {
                Ok(outcome) => return Ok(outcome),
                Err(fault) => fault,
            };
            match fault {
                Fault::Again(_) if tries < TRIES => {
                    Counted::add(&self.shared.counted.again, 1);
                    tries = tries.saturating_add(1);
                }
                Fault::Again(_) | Fault::Refused(_) | Fault::NoRoom(_) if !*doubtful => {
                    return Err(fault.told());
                }
                fault => self.shared.trouble(&fault),
            }
            tokio::time::sleep(self.jittered(pause)).await;
            pause = pause.saturating_mul(2).min(LAST_PAUSE);
        }
    }

    /// One try: asks what became of an earlier one first.
    async fn attempt(&self, group: &Group, doubtful: &mut bool) -> Result<Outcome, Fault> {
        let mut present = self.shared.hub.watch();
        let writing = self.lane.get(&self.shared.hub).await?;
        let generation = writing.line.generation;
        let turned = async {
            // Another server has become the primary: nothing will come of this connection.
            let _ = present
                .wait_for(|present| present.generation != generation)
                .await;
        };
        let working = async {
            if *doubtful && let Some(entered) = self.ask(&writing, group).await? {
                return Ok(entered);
            }
            *doubtful = true;
            let line = &writing.line;
            *self.sent_by.lock() = Some((line.server.clone(), line.process.clone()));
            let sent = self.send(&writing, group).await;
            // What the server has refused or rolled back is not done.
            if matches!(
                sent,
                Ok(_)
                    | Err(Fault::Again(_) | Fault::Refused(_) | Fault::NoRoom(_) | Fault::Away(_))
            ) {
                *doubtful = false;
            }
            sent
        };
        let fault = tokio::select! {
            result = working => match result {
                Ok(outcome) => return Ok(outcome),
                Err(fault) => fault,
            },
            () = turned => Fault::Lost("another server has become the primary".to_owned()),
        };
        if fault.ends_line() {
            writing.line.end();
            self.shared.asked.notify_one();
        }
        if matches!(fault, Fault::Lost(_)) {
            Counted::add(&self.shared.counted.unknown, 1);
        }
        Err(fault)
    }

    /// Sends a group as one transaction, all of it before any answer is waited for.
    async fn send(&self, writing: &Writing, group: &Group) -> Result<Outcome, Fault> {
        let client = &writing.line.client;
        let sent = &group.sent;
        let begin = match group.deferred {
            true => "BEGIN; SET LOCAL synchronous_commit TO off",
            false => "BEGIN",
        };
        // What was warned of before this is not about it.
        writing.line.take_doubt();
        let places = |statement, places: &Places| {
            let parameters =
                (!places.is_empty()).then(|| (places.kinds.clone(), places.ids.clone()));
            OptionFuture::from(parameters.map(|(kinds, ids)| async move {
                let parameters: [&(dyn ToSql + Sync); 2] = [&kinds, &ids];
                client.query(statement, &parameters).await
            }))
        };
        let enter = OptionFuture::from(sent.needs_entering().then(|| self.enter(writing, sent)));
        let put = |statement, rows| OptionFuture::from(self.put(writing, statement, rows, sent));
        // Polled in this order, so sent in this order.
        let (begun, looked, entered, changed, released, committed) = futures_util::join!(
            client.batch_execute(begin),
            async {
                futures_util::join!(
                    places(&writing.reserve, &sent.reserved),
                    places(&writing.hold, &sent.held),
                    places(&writing.share, &sent.shared),
                    // Behind the records, always: whoever has a counter waits for none of them.
                    self.count(writing, sent.system),
                )
            },
            enter,
            async {
                futures_util::join!(
                    put(&writing.make, &sent.made),
                    put(&writing.set, &sent.set),
                    OptionFuture::from(self.remove(writing, sent)),
                )
            },
            places(&writing.release, &sent.reserved),
            client.batch_execute("COMMIT"),
        );
        // The first that failed is the cause, and the others fail after it.
        begun?;
        for rows in <[_; 4]>::from(looked) {
            rows.transpose()?;
        }
        let entered = entered.transpose()?.unwrap_or_default();
        for count in <[_; 3]>::from(changed) {
            count.transpose()?;
        }
        released.transpose()?;
        committed?;
        if writing.line.take_doubt() && !group.deferred {
            return Err(Fault::Lost(
                "the server warned that the commit may not be on the standbys".to_owned(),
            ));
        }
        Outcome::of(&entered)
    }

    /// Holds the counters that say what is done about the system's record: before expectations are
    /// looked at, so that what they are compared with is what was there when these were had.
    async fn count(
        &self,
        writing: &Writing,
        system: System,
    ) -> Option<Result<Vec<Row>, tokio_postgres::Error>> {
        let client = &writing.line.client;
        let own: [&(dyn ToSql + Sync); 1] = [&self.shared.history.node.shard];
        Some(match system {
            System::Nothing => return None,
            System::Keeps => client.query(&writing.wait, &own).await,
            System::Changes => client.query(&writing.wait_for_all, &[]).await,
        })
    }

    async fn enter(
        &self,
        writing: &Writing,
        sent: &Sent,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        let (wanted, entries) = (&sent.wanted, &sent.entries);
        let parameters: [&(dyn ToSql + Sync); 9] = [
            &wanted.batches,
            &wanted.places.kinds,
            &wanted.places.ids,
            &wanted.versions,
            &entries.batches,
            &entries.versions,
            &entries.keys,
            &self.shared.history.node.shard,
            &self.shared.history.node.id,
        ];
        writing.line.client.query(&writing.enter, &parameters).await
    }

    fn put<'a>(
        &'a self,
        writing: &'a Writing,
        statement: &'a Statement,
        rows: &'a Rows,
        sent: &'a Sent,
    ) -> Option<impl Future<Output = Result<u64, tokio_postgres::Error>> + 'a> {
        let entries = sent.entry_count();
        (!rows.places.is_empty()).then_some(async move {
            let parameters: [&(dyn ToSql + Sync); 12] = [
                &self.shared.history.node.shard,
                &entries,
                &rows.places.kinds,
                &rows.places.ids,
                &rows.versions,
                &rows.envelopes,
                &rows.principals,
                &rows.names,
                &rows.created,
                &rows.expires,
                &rows.ended,
                &rows.used,
            ];
            writing.line.client.execute(statement, &parameters).await
        })
    }

    fn remove<'a>(
        &'a self,
        writing: &'a Writing,
        sent: &'a Sent,
    ) -> Option<impl Future<Output = Result<u64, tokio_postgres::Error>> + 'a> {
        let (rows, entries) = (&sent.removed, sent.entry_count());
        (!rows.places.is_empty()).then_some(async move {
            let parameters: [&(dyn ToSql + Sync); 5] = [
                &self.shared.history.node.shard,
                &entries,
                &rows.places.kinds,
                &rows.places.ids,
                &rows.versions,
            ];
            writing
                .line
                .client
                .execute(&writing.remove, &parameters)
                .await
        })
    }

    /// Asks what became of a group whose answer did not come; nothing where it was not done.
    ///
    /// The counter is waited for, which a commit under way would hold, and the answer is believed
    /// only with a write of its own behind it: what that waited for has what was found.
    async fn ask(&self, writing: &Writing, group: &Group) -> Result<Option<Outcome>, Fault> {
        let client = &writing.line.client;
        let node = self.shared.history.node;
        let versions = &group.sent.entries.versions;
        if versions.is_empty() {
            return Ok(None);
        }
        self.end_earlier(writing).await?;
        writing.line.take_doubt();
        let parameters: [&(dyn ToSql + Sync); 3] = [&node.shard, &node.id, versions];
        let wait: [&(dyn ToSql + Sync); 1] = [&node.shard];
        let witness: [&(dyn ToSql + Sync); 1] = [&node.id];
        let (begun, waited, found, witnessed, committed) = futures_util::join!(
            client.batch_execute("BEGIN"),
            client.query(&writing.wait, &wait),
            client.query(&writing.outcome, &parameters),
            client.execute(&writing.witness, &witness),
            client.batch_execute("COMMIT"),
        );
        begun?;
        waited?;
        let found = found?;
        let witnessed = witnessed?;
        committed?;
        if writing.line.take_doubt() {
            return Err(Fault::Lost(
                "the server warned that the commit may not be on the standbys".to_owned(),
            ));
        }
        if witnessed == 0 {
            return Err(Fault::Lost(
                "this node is not known to the database any more".to_owned(),
            ));
        }
        let entered: Result<HashSet<i64>, _> = found.iter().map(|row| row.try_get(0)).collect();
        let entered = entered?;
        // All or nothing was done: of those that are missing, an expectation did not hold.
        Ok((!entered.is_empty()).then(|| Outcome {
            is_found: true,
            entered,
            broken: HashMap::new(),
        }))
    }

    /// Ends the server's process that a group was sent to, and waits until it is gone: it may not
    /// know that nobody listens any more, and do later what is about to be found undone.
    async fn end_earlier(&self, writing: &Writing) -> Result<(), Fault> {
        let Some((server, process)) = self.sent_by.lock().clone() else {
            return Ok(());
        };
        let line = &writing.line;
        if server != line.server || !server.stock || process == line.process {
            return Ok(());
        }
        let text = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE pid = $1 AND backend_start::text = $2";
        let which: [&(dyn ToSql + Sync); 2] = [&process.number, &process.began];
        loop {
            let found = line.client.query_one(text, &which).await?;
            if found.try_get::<_, i64>(0)? == 0 {
                return Ok(());
            }
            tokio::time::sleep(FIRST_PAUSE).await;
        }
    }

    fn conclude(&mut self, group: &mut Group, outcome: &Outcome) {
        let counted = &self.shared.counted;
        Counted::add(&counted.groups, 1);
        Counted::add(&counted.batches, group.members.len());
        let wanted = &group.sent.wanted.keys;
        let mut told = false;
        for (member, number) in group.members.iter_mut().zip(0i32..) {
            let Some(answer) = member.answer.take() else {
                continue;
            };
            let version = Version::new(member.version);
            if member.keys.is_empty() {
                // It only kept, of which there is no entry.
                self.shared.history.sent.remove(member.version);
                let broken = outcome.broken.get(&number).and_then(|at| wanted.get(*at));
                answer.send(match broken {
                    Some(key) => Err(CommitError::Conflict(*key)),
                    None if outcome.is_found => {
                        let lost = "the answer was lost on the way".to_owned();
                        Err(CommitError::NotApplied(StoreError::Unavailable(lost)))
                    }
                    None => Ok(self.shared.history.newest()),
                });
            } else if outcome.entered.contains(&crate::row::number(version)) {
                let revision = self.shared.history.committed(member.version, &member.keys);
                let left = |key: &Key| (*key, (!member.removed.contains(key)).then_some(version));
                self.replaced.extend(member.keys.iter().map(left));
                told = true;
                answer.send(Ok(revision));
            } else {
                self.shared.history.sent.remove(member.version);
                let first = outcome.broken.get(&number).and_then(|at| wanted.get(*at));
                // After an answer that was lost, which one it was is not known any more.
                let first = first.or_else(|| group.sent.wanted.first_of(number));
                answer.send(Err(match first {
                    Some(key) => CommitError::Conflict(*key),
                    None => CommitError::Unknown("its entry is not in the log".to_owned()),
                }));
            }
        }
        if told {
            self.shared.dirty.notify_one();
        }
    }

    /// Gives up waiting: it may be done or not, now or later.
    fn leave_open(&self, group: &mut Group) {
        let mut keys = Vec::new();
        for member in &group.members {
            // The feed tells of it, should it come by.
            self.shared.history.sent.remove(member.version);
            keys.extend_from_slice(&member.keys);
        }
        self.shared.history.changed(&keys);
        group
            .answer_rest(|| CommitError::Unknown("the database did not answer in time".to_owned()));
    }

    /// A pause that differs from node to node, and from try to try.
    fn jittered(&self, pause: Duration) -> Duration {
        let node = u32::try_from(self.shared.history.node.number).unwrap_or(0);
        let tries = self.shared.counted.again.load(Ordering::Relaxed);
        let tries = u32::try_from(tries).unwrap_or(0);
        let mixed = node.wrapping_add(tries).wrapping_mul(0x9e37_79b9) >> 24;
        pause.saturating_add(
            pause
                .saturating_mul(mixed)
                .checked_div(256)
                .unwrap_or_default(),
        )
    }
}

impl Outcome {
    fn of(rows: &[Row]) -> Result<Self, Fault> {
        let mut outcome = Self {
            is_found: false,
            entered: HashSet::new(),
            broken: HashMap::new(),
        };
        for row in rows {
            let (batch, place, version): (Option<i32>, Option<i64>, Option<i64>) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            if let Some(version) = version {
                outcome.entered.insert(version);
            } else if let (Some(batch), Some(place)) = (batch, place) {
                // Rows are counted from one.
                let place = usize::try_from(place).unwrap_or(0).saturating_sub(1);
                let first = outcome.broken.entry(batch).or_insert(place);
                *first = (*first).min(place);
            }
        }
        Ok(outcome)
    }
}
