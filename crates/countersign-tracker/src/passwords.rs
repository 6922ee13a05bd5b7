//! Passwords: argon2id, off the runtime's threads, and only a few at once.
//!
//! The engine knows no passwords. What it is told is that somebody was authenticated.

use crate::error::TrackerError;
use crate::options::PasswordCost;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Argon2, Params};
use countersign::Entropy;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The shortest password that is taken, in bytes.
const MIN_BYTES: usize = 8;
/// The longest that is looked at, in bytes.
const MAX_BYTES: usize = 1024;
/// How many are hashed at the same time: each takes its memory.
const AT_ONCE: usize = 2;
/// How many may wait for their turn. Hashing them all takes a second or two.
const WAITING_MAX: usize = 32;
/// How long one waits.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Hashes passwords and compares them.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    /// Compared with where there is no such user, so that both take as long.
    decoy: Arc<str>,
    /// Whose work is under way.
    turns: Arc<Semaphore>,
    /// Who waits for a turn.
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(cost: PasswordCost, entropy: Arc<dyn Entropy>) -> Result<Self, TrackerError> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(hashing)?;
        let argon = Argon2::from(params);
        let decoy = hash_with(&argon, &*entropy, "nobody's password")?.into();
        Ok(Self {
            argon,
            entropy,
            decoy,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
        })
    }

    /// The hash of a new password, as a PHC string.
    pub(crate) async fn hash(&self, password: String) -> Result<String, TrackerError> {
        if !(MIN_BYTES..=MAX_BYTES).contains(&password.len()) {
            let rule = format!("a password has {MIN_BYTES} to {MAX_BYTES} bytes");
            return Err(TrackerError::Rule(rule));
        }
        let me = self.clone();
        self.in_turn(move || hash_with(&me.argon, &*me.entropy, &password))
            .await?
    }

    /// Whether a password is the one of a hash; as slow where there is none.
    pub(crate) async fn fits(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, TrackerError> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let (argon, decoy) = (self.argon.clone(), Arc::clone(&self.decoy));
        self.in_turn(move || {
            let wanted = hash.as_deref().unwrap_or(&decoy);
            let fits = argon.verify_password(password.as_bytes(), wanted).is_ok();
            fits && hash.is_some()
        })
        .await
    }

    /// Does some work when it is its turn.
    ///
    /// The place in the line is given up with the request, and the turn with the work: a thread
    /// goes on though nobody waits for it any more, so whoever asks and goes away again would
    /// otherwise have as many hashed at once as there are threads.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TrackerError> {
        let place = self.places.try_acquire().map_err(|_| TrackerError::Busy)?;
        let turn = timeout(WAIT_MAX, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| TrackerError::Busy)?.map_err(hashing)?;
        drop(place);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        work.await.map_err(|error| TrackerError::stopped(&error))
    }
}

#[cfg(test)]
impl Passwords {
    /// Nothing is hashed as long as this is held.
    pub(crate) async fn hold_all_turns(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = u32::try_from(AT_ONCE).unwrap();
        Arc::clone(&self.turns)
            .acquire_many_owned(all)
            .await
            .unwrap()
    }
}

fn hash_with(
    argon: &Argon2<'_>,
    entropy: &dyn Entropy,
    password: &str,
) -> Result<String, TrackerError> {
    let mut salt = [0_u8; 16];
    entropy.fill(&mut salt).map_err(TrackerError::Entropy)?;
    let hash = argon.hash_password_with_salt(password.as_bytes(), &salt);
    Ok(hash.map_err(hashing)?.to_string())
}

fn hashing(error: impl fmt::Display) -> TrackerError {
    TrackerError::Hash(error.to_string())
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
