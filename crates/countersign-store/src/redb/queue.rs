//! What waits for the writer: commits, in their order, and the jobs between them.
//!
//! It is bounded in number and bytes. A reserve is kept for commits that shut somebody out, so
//! that a flood of issues cannot keep a revocation from being queued.

use super::group::{Prepared, Waiting};
use crate::error::{CommitError, StoreError};
use crate::pending::Answer;
use crate::store::Revision;
use crate::sync::{Condvar, Mutex};
use core::time::Duration;
use countersign_core::{KeyId, Keyring, Purpose};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most commits of one group.
const GROUP_MAX: usize = 1024;
/// The most bytes of one group, unless a single commit has more.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most bytes of all that waits.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The bytes on top of that for commits that shut somebody out.
const RESERVE_BYTES: usize = 16 * 1024 * 1024;
/// The most jobs that wait.
const JOBS_MAX: usize = 64;

/// Something else than a commit that the writer does, after the commits before it.
pub(super) enum Job {
    Close(Answer<Result<(), StoreError>>),
    RenewKeyring(Arc<Keyring>, Answer<Result<(), StoreError>>),
    RetirePepper(KeyId, Answer<Result<(), StoreError>>),
}

enum Item {
    Commit(Waiting),
    Job(Job),
}

/// What the writer is to do next.
pub(super) enum Taken {
    /// Nothing: it was woken, or its time was up.
    Nothing,
    Commits(Vec<Waiting>),
    Job(Job),
}

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when what waits has become as much as the writer wants.
    filled: Condvar,
    depth: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    commits: usize,
    jobs: usize,
    bytes: usize,
    /// How many commits the writer sleeps for; 0 while it is awake.
    wanted: usize,
    woken: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(depth: usize) -> Self {
        Self {
            state: Mutex::new(State::default()),
            filled: Condvar::new(),
            depth: depth.max(1),
        }
    }

    /// Queues a commit.
    pub(super) fn push(
        &self,
        prepared: Prepared,
        answer: Answer<Result<Revision, CommitError>>,
    ) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let (depth, bytes) = match prepared.purpose {
            Purpose::Grow => (self.depth, QUEUE_BYTES_MAX),
            Purpose::Deny => {
                let reserve = self.depth.div_ceil(4);
                let bytes = QUEUE_BYTES_MAX.saturating_add(RESERVE_BYTES);
                (self.depth.saturating_add(reserve), bytes)
            }
        };
        if state.commits >= depth || state.bytes.saturating_add(prepared.bytes) > bytes {
            return Err(StoreError::Busy);
        }
        state.commits = state.commits.saturating_add(1);
        state.bytes = state.bytes.saturating_add(prepared.bytes);
        state
            .items
            .push_back(Item::Commit(Waiting { prepared, answer }));
        if state.wanted > 0 && state.commits >= state.wanted {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Queues a job.
    pub(super) fn push_job(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        // Closing is always let in: it ends everything that waits.
        if state.jobs >= JOBS_MAX && !matches!(job, Job::Close(_)) {
            return Err(StoreError::Busy);
        }
        state.jobs = state.jobs.saturating_add(1);
        state.items.push_back(Item::Job(job));
        self.filled.notify_one();
        Ok(())
    }

    /// Makes the writer look around.
    pub(super) fn wake(&self) {
        self.state.lock().woken = true;
        self.filled.notify_one();
    }

    /// Lets nothing in any more, and answers what waits.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let items = core::mem::take(&mut state.items);
        drop(state);
        for item in items {
            match item {
                Item::Commit(waiting) => {
                    waiting
                        .answer
                        .send(Err(CommitError::NotApplied(StoreError::Closed)));
                }
                // It has been done.
                Item::Job(Job::Close(answer)) => answer.send(Ok(())),
                Item::Job(Job::RenewKeyring(_, answer) | Job::RetirePepper(_, answer)) => {
                    answer.send(Err(StoreError::Closed));
                }
            }
        }
    }

    /// Waits until there is something to do, at most for `patience`, and takes it.
    ///
    /// Where `gather` commits can be expected, because so many came at once the last time, it
    /// waits for them a little: threads that were just answered need a moment to come back, and
    /// without that, full groups and groups of one would take turns.
    pub(super) fn take(&self, gather: usize, patience: Option<Duration>) -> Taken {
        let mut state = self.state.lock();
        state.wanted = 1;
        let idle = |state: &mut State| state.is_idle();
        match patience {
            None => self.filled.wait_while(&mut state, idle),
            Some(patience) => {
                self.filled.wait_while_for(&mut state, idle, patience);
            }
        }
        if gather > 1 {
            let gather = gather.min(GROUP_MAX);
            state.wanted = gather;
            let few = |state: &mut State| state.has_less_than(gather);
            self.filled
                .wait_while_for(&mut state, few, gathering_time(gather));
        }
        state.wanted = 0;
        if core::mem::take(&mut state.woken) {
            return Taken::Nothing;
        }
        state.take_next()
    }

    /// Waits for `time`, or until a job comes, and takes everything.
    pub(super) fn wait_and_drain(&self, time: Duration) -> (Vec<Waiting>, Vec<Job>) {
        let mut state = self.state.lock();
        self.filled
            .wait_while_for(&mut state, |state| state.jobs == 0, time);
        state.woken = false;
        let (mut commits, mut jobs) = (Vec::new(), Vec::new());
        while let Some(item) = state.pop() {
            match item {
                Item::Commit(waiting) => commits.push(waiting),
                Item::Job(job) => jobs.push(job),
            }
        }
        (commits, jobs)
    }
}

impl State {
    /// Whether there is nothing to do.
    fn is_idle(&self) -> bool {
        self.items.is_empty() && !self.woken
    }

    /// Whether there are fewer commits than so many, and nothing that is not to wait for more.
    const fn has_less_than(&self, commits: usize) -> bool {
        self.commits < commits && self.jobs == 0 && !self.woken
    }

    fn take_next(&mut self) -> Taken {
        let mut group = Vec::new();
        let mut bytes = 0usize;
        while let Some(Item::Commit(next)) = self.items.front() {
            bytes = bytes.saturating_add(next.prepared.bytes);
            if group.len() >= GROUP_MAX || (bytes > GROUP_BYTES_MAX && !group.is_empty()) {
                break;
            }
            if let Some(Item::Commit(waiting)) = self.pop() {
                group.push(waiting);
            }
        }
        if !group.is_empty() {
            return Taken::Commits(group);
        }
        match self.pop() {
            Some(Item::Job(job)) => Taken::Job(job),
            Some(Item::Commit(waiting)) => Taken::Commits(vec![waiting]),
            None => Taken::Nothing,
        }
    }

    fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front();
        match &item {
            Some(Item::Commit(waiting)) => {
                self.commits = self.commits.saturating_sub(1);
                self.bytes = self.bytes.saturating_sub(waiting.prepared.bytes);
            }
            Some(Item::Job(_)) => self.jobs = self.jobs.saturating_sub(1),
            None => {}
        }
        item
    }
}

/// How long to wait for a group: some microseconds for each of its threads to wake up.
fn gathering_time(gather: usize) -> Duration {
    let each = Duration::from_micros(20);
    each.saturating_mul(u32::try_from(gather).unwrap_or(u32::MAX))
        .min(Duration::from_millis(1))
}

#[cfg(test)]
mod tests;
