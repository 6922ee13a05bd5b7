//! What waits is bounded, is taken in bounded groups, and nothing is waited for that has come.

use super::*;
use crate::codec::Sealer;
use crate::pending::Pending;
use core::time::Duration;
use countersign_core::{Batch, KeyMaterial, Timestamp};
use std::time::Instant;

/// A commit that says it has so many bytes.
fn commit(batch: &Batch, bytes: usize) -> Prepared {
    let keys = KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]);
    let sealer = Sealer::new(Arc::new(Keyring::new(&keys)));
    let mut prepared = Prepared::new(&sealer, batch).unwrap();
    prepared.bytes = bytes;
    prepared
}

fn push(queue: &Queue, batch: &Batch, bytes: usize) -> Result<(), StoreError> {
    let lost = || Err(CommitError::Unknown("lost".to_owned()));
    let (answer, _) = Pending::waiting(lost);
    queue.push(commit(batch, bytes), answer)
}

fn push_job(queue: &Queue, job: impl FnOnce(Answer<Result<(), StoreError>>) -> Job) -> bool {
    let (answer, _) = Pending::waiting(|| Err(StoreError::Closed));
    queue.push_job(job(answer)).is_ok()
}

fn retire(answer: Answer<Result<(), StoreError>>) -> Job {
    Job::RetirePepper(KeyId::FIRST, answer)
}

/// How many commits the next group has.
fn group(queue: &Queue) -> usize {
    match queue.take(0, Some(Duration::ZERO)) {
        Taken::Commits(group) => group.len(),
        Taken::Nothing => 0,
        Taken::Job(_) => panic!("a job"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests measure how long the queue waits"
)]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn bytes_that_wait_are_bounded_and_some_are_kept_for_what_shuts_somebody_out() {
    let queue = Queue::new(100);
    let busy = Err(StoreError::Busy);
    assert_eq!(push(&queue, &Batch::grow(), QUEUE_BYTES_MAX + 1), busy);
    assert_eq!(push(&queue, &Batch::grow(), QUEUE_BYTES_MAX - 1), Ok(()));
    assert_eq!(push(&queue, &Batch::grow(), 2), busy);
    assert_eq!(push(&queue, &Batch::grow(), 1), Ok(()));
    assert_eq!(push(&queue, &Batch::grow(), 1), busy);
    assert_eq!(push(&queue, &Batch::deny(), RESERVE_BYTES + 1), busy);
    assert_eq!(push(&queue, &Batch::deny(), RESERVE_BYTES), Ok(()));
    assert_eq!(push(&queue, &Batch::deny(), 1), busy);
    // What was taken has made room.
    assert_eq!(group(&queue), 1);
    assert_eq!(push(&queue, &Batch::deny(), 1), Ok(()));
}

#[test]
fn jobs_that_wait_are_bounded_and_closing_is_always_let_in() {
    let queue = Queue::new(1);
    for _ in 0..JOBS_MAX {
        assert!(push_job(&queue, retire));
    }
    assert!(!push_job(&queue, retire));
    assert!(push_job(&queue, Job::Close));
    assert!(matches!(queue.take(0, None), Taken::Job(_)));
    let (commits, jobs) = queue.wait_and_drain(Duration::ZERO);
    assert_eq!((commits.len(), jobs.len()), (0, JOBS_MAX));
    assert!(push_job(&queue, retire));
}

#[test]
fn a_group_has_at_most_so_many_commits() {
    let queue = Queue::new(2 * GROUP_MAX);
    for _ in 0..=GROUP_MAX {
        push(&queue, &Batch::grow(), 1).unwrap();
    }
    assert_eq!([(); 3].map(|()| group(&queue)), [GROUP_MAX, 1, 0]);
}

#[test]
fn a_group_has_at_most_so_many_bytes_unless_one_commit_alone_has_more() {
    let queue = Queue::new(100);
    let half = GROUP_BYTES_MAX / 2;
    for bytes in [half, half, 1, GROUP_BYTES_MAX + 1, 1, half, half] {
        push(&queue, &Batch::grow(), bytes).unwrap();
    }
    assert_eq!([(); 5].map(|()| group(&queue)), [2, 1, 1, 2, 1]);
}

#[test]
fn it_is_idle_until_there_is_something_to_do() {
    let queue = Queue::new(100);
    assert!(queue.state.lock().is_idle());
    queue.wake();
    assert!(!queue.state.lock().is_idle());
    assert!(matches!(queue.take(0, None), Taken::Nothing));
    assert!(queue.state.lock().is_idle());
    push(&queue, &Batch::grow(), 1).unwrap();
    assert!(!queue.state.lock().is_idle());
}

#[test]
fn more_is_waited_for_only_while_it_is_missing_and_nothing_else_is_to_be_done() {
    let queue = Queue::new(100);
    let is_short = |of: usize| queue.state.lock().has_less_than(of);
    push(&queue, &Batch::grow(), 1).unwrap();
    assert!(is_short(2) && is_short(3));
    push(&queue, &Batch::grow(), 1).unwrap();
    assert!(!is_short(1) && !is_short(2) && is_short(3));
    queue.wake();
    assert!(!is_short(3), "somebody wants it to look around");
    assert!(matches!(queue.take(0, None), Taken::Nothing));
    assert!(is_short(3));
    assert!(push_job(&queue, retire));
    assert!(!is_short(3), "a job does not wait for commits");
}

#[test]
fn as_many_as_came_the_last_time_are_waited_for_a_little() {
    let queue = Queue::new(100);
    push(&queue, &Batch::grow(), 1).unwrap();
    let start = now();
    assert!(matches!(queue.take(GROUP_MAX, None), Taken::Commits(_)));
    assert!(start.elapsed() >= Duration::from_millis(1));
}

#[test]
fn a_store_that_is_down_pauses_unless_a_job_comes() {
    let queue = Queue::new(100);
    push(&queue, &Batch::grow(), 1).unwrap();
    let pause = Duration::from_millis(20);
    let start = now();
    let (commits, jobs) = queue.wait_and_drain(pause);
    assert!(start.elapsed() >= pause);
    assert_eq!((commits.len(), jobs.len()), (1, 0));
    assert!(push_job(&queue, retire));
    let long = Duration::from_secs(20);
    let start = now();
    assert_eq!(queue.wait_and_drain(long).1.len(), 1);
    assert!(start.elapsed() < long);
}
