//! What every handler needs: the engine, the files, the passwords and the pages.

use crate::board::Board;
use crate::counts::Counts;
use crate::error::TrackerError;
use crate::json_file::JsonFile;
use crate::outbox::Outbox;
use crate::passwords::Passwords;
use crate::users::{Users, new_name};
use countersign::{Engine, Entropy};
use minijinja::Environment;
use parking_lot::RwLock;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A tracker's parts.
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) users: Arc<JsonFile<Users>>,
    pub(crate) board: Arc<JsonFile<Board>>,
    pub(crate) passwords: Passwords,
    pub(crate) templates: Environment<'static>,
    pub(crate) counts: Arc<Counts>,
    /// Where attachments are.
    pub(crate) attachments: PathBuf,
    pub(crate) outbox: Arc<Outbox>,
    /// How browsers reach it; known once it listens.
    pub(crate) base_url: RwLock<String>,
    /// Where salts and names of files come from.
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl App {
    /// 32 random digits.
    pub(crate) fn random_name(&self) -> Result<String, TrackerError> {
        let mut random = [0_u8; 16];
        self.entropy
            .fill(&mut random)
            .map_err(TrackerError::Entropy)?;
        Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Takes a user in.
    pub(crate) async fn add_user(
        &self,
        name: &str,
        password: &str,
        administrator: bool,
    ) -> Result<(), TrackerError> {
        let name = new_name(name)?.to_string();
        let hash = self.passwords.hash(password.to_owned()).await?;
        let now = self.engine.now();
        let change = move |users: &mut Users| users.add(&name, hash, administrator, now);
        self.users.change(change).await
    }

    /// The hash of a user's password, if that is the password.
    ///
    /// Comparing takes its time, and the password may be another one when it is over: whoever goes
    /// by the answer holds on to the hash, and looks whether it is still the user's
    /// ([`Users::has_hash`]).
    pub(crate) async fn hash_that_fits(
        &self,
        name: &str,
        password: String,
    ) -> Result<Option<String>, TrackerError> {
        let users = self.users.read();
        let hash = users.find(name).map(|user| user.hash.clone());
        drop(users);
        let fits = self.passwords.fits(password, hash.clone()).await?;
        Ok(hash.filter(|_| fits))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}
