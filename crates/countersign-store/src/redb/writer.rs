//! The thread that writes: it commits what waits in groups, and brings a failed store back.
//!
//! ```text
//!            a fault                first try, then with growing pauses
//! healthy ------------> degraded -----------------------------> reopening
//!    ^                     ^                                        |
//!    |                     +-------------- still broken ------------+
//!    +------------------------- checked and in order ---------------+
//! ```

mod full;
mod jobs;

use super::contain::Fault;
use super::group::{Failure, Outcome, Pen, Waiting};
use super::handle::Handle;
use super::identity::Identity;
use super::meta::Meta;
use super::open::{Opened, open};
use super::options::{Mode, RedbOptions};
use super::queue::Taken;
use super::room::Room;
use super::shared::Shared;
use super::tables::Snapshot;
use crate::error::{CommitError, OpenError, StoreError};
use crate::pending::Answer;
use crate::store::{Health, Revision};
use core::ops::ControlFlow;
use core::time::Duration;
use countersign_core::{Key, Keyring, Purpose};
use redb::ReadableDatabase;
use std::path::PathBuf;
use std::sync::Arc;

/// How often to look for room while there is none.
const LOOK_FOR_ROOM: Duration = Duration::from_millis(250);
/// How many groups may wait in memory, one after the other, before one is made durable.
const DEFERRED_MAX: u32 = 64;

/// The writer's own state.
pub(super) struct Writer {
    path: PathBuf,
    options: RedbOptions,
    keyring: Arc<Keyring>,
    shared: Arc<Shared>,
    /// The open file; nothing between a fault and the next opening.
    handle: Option<Handle>,
    meta: Meta,
    /// The identity of the file that was opened first. Another file in its place is not this store.
    identity: Identity,
    generation: u64,
    /// The highest revision that was ever given out: none is given out twice, even after a failure
    /// has taken the store back behind a commit that was deferred.
    newest: Revision,
    /// The revision that is known to be on the medium, and below which the file never goes again.
    durable: Revision,
    /// How many groups in a row wait in memory.
    deferred: u32,
    /// How many commits the last group had.
    last_group: usize,
    room: Room,
}

impl Writer {
    /// A writer for a store that was just opened, and what it shares.
    pub(super) fn new(
        path: PathBuf,
        options: RedbOptions,
        keyring: Arc<Keyring>,
        shared: Arc<Shared>,
        (handle, meta): (Handle, Meta),
        room: Room,
    ) -> Self {
        Self {
            identity: handle.identity(),
            generation: 1,
            newest: meta.revision,
            durable: meta.revision,
            deferred: 0,
            last_group: 0,
            handle: Some(handle),
            path,
            options,
            keyring,
            shared,
            meta,
            room,
        }
    }

    /// Works until the store is closed.
    pub(super) fn run(mut self) {
        // Whatever ends this thread, nobody may wait for it or read on as if it were there.
        let _last_words = LastWords(Arc::clone(&self.shared));
        self.show_health();
        loop {
            let flow = if self.is_in_order() {
                self.serve()
            } else {
                self.recover()
            };
            if flow.is_break() {
                return;
            }
        }
    }

    fn is_in_order(&self) -> bool {
        self.handle.is_some() && matches!(self.shared.health(), Health::Healthy | Health::NoRoom)
    }

    fn serve(&mut self) -> ControlFlow<()> {
        let patience = self.room.full().map(|_| LOOK_FOR_ROOM);
        match self.shared.queue.take(self.last_group, patience) {
            Taken::Commits(group) => {
                self.last_group = group.len();
                self.commit(group);
            }
            Taken::Job(job) => return self.run_job(job),
            Taken::Nothing => {
                self.room.look_again();
                self.show_health();
            }
        }
        ControlFlow::Continue(())
    }

    fn commit(&mut self, group: Vec<Waiting>) {
        let mut group = self.turn_away_for_room(group);
        if group.is_empty() {
            return;
        }
        match self.write(&mut group) {
            Ok(outcome) => self.acknowledge(group, outcome),
            Err(Failure::Before(Fault::NoRoom(full, _))) => self.out_of_room(group, full, None),
            Err(Failure::During(Fault::NoRoom(full, _), outcome)) => {
                self.out_of_room(group, full, Some(outcome));
            }
            Err(Failure::Before(fault)) => {
                let detail = fault.detail();
                self.fail(&detail);
                answer_all(group, |_| {
                    not_applied(StoreError::Unavailable(detail.clone()))
                });
            }
            Err(Failure::During(fault, outcome)) => {
                let detail = fault.detail();
                self.newest = outcome.newest;
                self.fail(&detail);
                answer_all(group, |_| CommitError::Unknown(detail.clone()));
            }
        }
    }

    fn write(&self, group: &mut [Waiting]) -> Result<Outcome, Failure> {
        let Some(handle) = &self.handle else {
            return Err(Failure::Before(Fault::Io("it is not open".to_owned())));
        };
        let pen = Pen {
            handle,
            sealer: &self.shared.sealer,
            keyring: &self.keyring,
            newest: self.newest,
            may_defer: self.options.mode == Mode::Exclusive && self.deferred < DEFERRED_MAX,
            deferred: self.deferred > 0,
        };
        pen.write(group)
    }

    /// Publishes what a group has written and answers everybody in it.
    fn acknowledge(&mut self, group: Vec<Waiting>, outcome: Outcome) {
        self.newest = outcome.newest;
        if outcome.durable {
            self.durable = outcome.newest;
        }
        self.deferred = if outcome.deferred {
            self.deferred.saturating_add(1)
        } else {
            0
        };
        if group
            .iter()
            .any(|waiting| waiting.prepared.purpose == Purpose::Deny)
        {
            self.room.note_removal();
        }
        if !outcome.changed.is_empty() {
            self.publish(outcome.newest, &outcome.changed);
        }
        self.show_health();
        answer_each(group, outcome.results);
    }

    fn publish(&mut self, newest: Revision, changed: &[(Revision, Key)]) {
        match self.snapshot(newest) {
            Ok(snapshot) => self.shared.publish(snapshot, changed),
            // It is committed, and so acknowledged; but it cannot be read before a reopening, and
            // nobody may go on with what it has made stale.
            Err(fault) => {
                self.fail(&fault.detail());
                self.shared.tell(changed);
            }
        }
    }

    fn snapshot(&self, revision: Revision) -> Result<Snapshot, Fault> {
        let Some(handle) = &self.handle else {
            return Err(Fault::Io("it is not open".to_owned()));
        };
        handle.with(|db| Snapshot::take(&db.begin_read()?, revision, self.generation))
    }

    /// Lets go of the file after a fault; the next round opens it again.
    fn fail(&mut self, detail: &str) {
        self.shared
            .withdraw(Health::Degraded, Some(detail.to_owned()));
        self.abandon();
    }

    fn abandon(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.abandon();
        }
    }

    /// Opens the file again and again, until it is in order or the store is closed.
    fn recover(&mut self) -> ControlFlow<()> {
        self.abandon();
        let mut pause = self.options.backoff_min;
        loop {
            self.shared
                .withdraw(Health::Reopening, self.shared.trouble());
            let detail = match self.reopen() {
                Ok(()) => return ControlFlow::Continue(()),
                Err(error) => error.to_string(),
            };
            self.shared.withdraw(Health::Degraded, Some(detail.clone()));
            let (commits, jobs) = self.shared.queue.wait_and_drain(pause);
            answer_all(commits, |_| {
                not_applied(StoreError::Unavailable(detail.clone()))
            });
            for job in jobs {
                self.refuse_job(job, &detail)?;
            }
            pause = pause.saturating_mul(2).min(self.options.backoff_max);
        }
    }

    /// Opens the file once, with all checks, and goes on with it.
    fn reopen(&mut self) -> Result<(), OpenError> {
        self.abandon();
        let generation = self.generation.saturating_add(1);
        // What was adopted once is not adopted again: this is the very same file, or none.
        let options = self.options.clone().adopt(None);
        let Opened {
            handle,
            meta,
            snapshot,
            ..
        } = open(&self.path, &options, &self.keyring, generation)?;
        if let Some(detail) = self.is_another(handle.identity(), &meta) {
            handle.abandon();
            return Err(OpenError::NotAStore {
                path: self.path.clone(),
                detail,
            });
        }
        self.generation = generation;
        self.newest = self.newest.max(meta.revision);
        // From here on it is read, and what was read once is not taken back.
        self.durable = meta.revision;
        self.shared.note_peppers(meta.peppers.clone());
        self.meta = meta;
        self.deferred = 0;
        self.last_group = 0;
        self.handle = Some(handle);
        let (health, trouble) = self.healthy();
        self.shared.reopen(snapshot, health, trouble);
        Ok(())
    }

    /// Why a file is not the one that this store has written to, if it is not.
    fn is_another(&self, identity: Identity, meta: &Meta) -> Option<String> {
        if !self.identity.fits(identity) || meta.store_id != self.meta.store_id {
            return Some("another file has taken its place".to_owned());
        }
        let (found, durable) = (meta.revision.0, self.durable.0);
        // A commit may be lost that was not acknowledged as durable, but none that was.
        (found < durable).then(|| {
            format!(
                "an older file was put in its place: its revision is {found}, and {durable} is \
                 acknowledged"
            )
        })
    }

    /// How a store with an open file is.
    fn healthy(&self) -> (Health, Option<String>) {
        match self.room.full() {
            Some(_) => (Health::NoRoom, Some("there is no room".to_owned())),
            None => (Health::Healthy, None),
        }
    }

    fn show_health(&self) {
        let (health, trouble) = self.healthy();
        self.shared.settle(health, trouble);
    }
}

/// Answers each commit of a group with what became of it.
fn answer_each(group: Vec<Waiting>, results: Vec<Result<Revision, CommitError>>) {
    // What was written is let go only after everybody has been answered: it takes a while.
    let mut written = Vec::with_capacity(group.len());
    for (Waiting { prepared, answer }, result) in group.into_iter().zip(results) {
        answer.send(result);
        written.push(prepared);
    }
}

/// Answers every commit of a group alike.
fn answer_all(group: Vec<Waiting>, error: impl Fn(&Waiting) -> CommitError) {
    for waiting in group {
        let error = error(&waiting);
        waiting.answer.send(Err(error));
    }
}

const fn not_applied(error: StoreError) -> CommitError {
    CommitError::NotApplied(error)
}

/// Says that the store is closed, however its thread ends.
struct LastWords(Arc<Shared>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.close(self.0.trouble());
        self.0.queue.close();
    }
}
