//! Hazard: strangers have more passwords hashed at once than there is memory for.

use super::*;
use countersign::SystemEntropy;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// A door that work waits at.
#[derive(Clone, Default)]
struct Door(Arc<AtomicBool>);

impl Door {
    fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn work(&self) -> impl FnOnce() + Send + 'static {
        let open = Arc::clone(&self.0);
        move || {
            while !open.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

impl Drop for Door {
    /// A test that fails leaves no thread behind that its runtime would wait for.
    fn drop(&mut self) {
        self.open();
    }
}

fn passwords() -> Passwords {
    Passwords::new(PasswordCost::for_tests(), Arc::new(SystemEntropy)).unwrap()
}

/// Gets something as far as it goes by itself.
async fn begin<F: Future + Unpin>(asked: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *asked).poll(context))).await
}

#[tokio::test]
async fn whoever_goes_away_makes_no_room_while_their_password_is_hashed() {
    let (passwords, door) = (passwords(), Door::default());
    for _ in 0..AT_ONCE {
        let mut asked = Box::pin(passwords.in_turn(door.work()));
        assert!(begin(&mut asked).await.is_pending());
    }
    // Both have gone away, and what they asked for goes on.
    let mut next = Box::pin(passwords.in_turn(|| "done"));
    let waited = timeout(Duration::from_millis(100), &mut next).await;
    assert!(waited.is_err(), "a third is hashed beside the two");
    door.open();
    assert_eq!(next.await, Ok("done"));
}

#[tokio::test]
async fn only_so_many_wait() {
    let (passwords, door) = (passwords(), Door::default());
    let mut asked = Vec::new();
    for _ in 0..AT_ONCE + WAITING_MAX {
        let mut one = Box::pin(passwords.in_turn(door.work()));
        assert!(begin(&mut one).await.is_pending());
        asked.push(one);
    }
    assert_eq!(passwords.in_turn(|| ()).await, Err(TrackerError::Busy));
    // Whoever waits and goes away makes room for another.
    asked.pop();
    let mut next = Box::pin(passwords.in_turn(|| ()));
    assert!(begin(&mut next).await.is_pending());
    drop(asked);
    door.open();
    assert_eq!(next.await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever() {
    let (passwords, door) = (passwords(), Door::default());
    let mut asked = Vec::new();
    for _ in 0..=AT_ONCE {
        let mut one = Box::pin(passwords.in_turn(door.work()));
        assert!(begin(&mut one).await.is_pending());
        asked.push(one);
    }
    tokio::time::advance(WAIT_MAX).await;
    assert_eq!(asked.pop().unwrap().await, Err(TrackerError::Busy));
}

#[tokio::test]
async fn a_panic_gives_its_turn_back() {
    let passwords = passwords();
    for _ in 0..=AT_ONCE {
        let broken = passwords.in_turn(|| -> () { panic!("planted") }).await;
        assert!(matches!(broken, Err(TrackerError::Stopped(_))));
    }
}
