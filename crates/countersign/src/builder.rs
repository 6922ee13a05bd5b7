//! Everything about opening an engine that has a default.

use crate::cache::Cache;
use crate::clock::{Clock, SystemClock};
use crate::counters::Counters;
use crate::driver::Driver;
use crate::engine::Engine;
use crate::entropy::{self, Entropy, SystemEntropy};
use crate::error::Error;
use crate::inner::{Inner, InstalledPolicy, system_of};
use crate::keyfile;
use crate::maintenance::{self, Maintenance};
use crate::observer::{NullObserver, Observer};
use crate::refusals::RefusalGate;
use crate::sessions::{FilePlace, Kept, Renewed, Restart, snapshot_beside};
use crate::sweep::SweepState;
use crate::trust::Trust;
use crate::usage::{Redigests, WaitingUses};
use arc_swap::ArcSwap;
use countersign_core::access::Decoy;
use countersign_core::policy::Policy;
use countersign_core::{
    Deployment, EventKind, Key, KeyMaterial, Keyring, Record, ServerId, SystemRecord, TokenFormat,
};
use countersign_sessions::SessionTable;
use countersign_store::error::{CommitError, OpenError};
use countersign_store::place::SnapshotPlace;
use countersign_store::redb::{Adopt, Mode, RedbOptions, RedbStore};
use countersign_store::store::{Capabilities, Store};
use futures_util::lock::Mutex as AsyncMutex;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Whether a store may be made where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Create {
    /// Made if there is none.
    #[default]
    IfMissing,
    /// Only opened.
    Never,
    /// Only made.
    Always,
}

/// What becomes of the credentials in a copy of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// They stay valid: the copy takes the original's place.
    Keep,
    /// They all end: the original lives on, or revocations since the copy would be undone.
    EndAll,
}

/// Opens an engine. Made by [`Engine::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    keys: Keys,
    policy: Option<Policy>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
    maintenance: Maintenance,
    create: Create,
    word: Option<String>,
    server_id: Option<ServerId>,
    adoption: Option<Adoption>,
    redb: RedbOptions,
    snapshot: Option<Arc<dyn SnapshotPlace>>,
}

/// Where the keys come from.
#[derive(Clone, Debug)]
enum Keys {
    Beside,
    File(PathBuf),
    Given(Arc<KeyMaterial>),
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// All defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            keys: Keys::Beside,
            policy: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            observer: Arc::new(NullObserver),
            maintenance: Maintenance::default(),
            create: Create::default(),
            word: None,
            server_id: None,
            adoption: None,
            redb: RedbOptions::new(),
            snapshot: None,
        }
    }

    /// Takes the keys from this file instead of the one beside the store.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.keys = Keys::File(path.into());
        self
    }

    /// Takes keys that the host keeps; no key file is read or made.
    #[must_use]
    pub fn keys(mut self, keys: KeyMaterial) -> Self {
        self.keys = Keys::Given(Arc::new(keys));
        self
    }

    /// Uses this policy instead of the one in the store. It is not stored.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Takes the time from here.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes random bytes from here.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Tells of events and refusals.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// Who does the maintenance.
    #[must_use]
    pub const fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// Whether a store may be made where there is none.
    #[must_use]
    pub const fn create(mut self, create: Create) -> Self {
        self.create = create;
        self
    }

    /// The word in front of this deployment's tokens; counts when the store is made.
    #[must_use]
    pub fn word(mut self, word: impl Into<String>) -> Self {
        self.word = Some(word.into());
        self
    }

    /// The deployment's name in cookies and image tokens; counts when the store is made.
    #[must_use]
    pub fn server_id(mut self, server_id: ServerId) -> Self {
        self.server_id = Some(server_id);
        self
    }

    /// Takes a copy for the store itself (E15). Without this, a copy is refused.
    #[must_use]
    pub const fn adopt(mut self, adoption: Adoption) -> Self {
        self.adoption = Some(adoption);
        self
    }

    /// Who else may have the store open.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.redb = self.redb.mode(mode);
        self
    }

    /// How the redb file is opened, in full: this takes the place of what [`Builder::mode`] said.
    #[must_use]
    pub fn redb(mut self, options: RedbOptions) -> Self {
        self.redb = options;
        self
    }

    /// Carries sessions over a restart in the file at `path`.
    ///
    /// [`Builder::open`] needs it only for another place than beside the store, where
    /// `state.redb` has `state.sessions`; without it [`Builder::open_store`] carries none over.
    /// `binding` says what they belong to, such as a store's identity: a snapshot that was
    /// written under another one is not taken in.
    #[must_use]
    pub fn session_snapshot(mut self, path: impl Into<PathBuf>, binding: [u8; 16]) -> Self {
        let path = path.into();
        self.snapshot = Some(Arc::new(FilePlace { path, binding }));
        self
    }

    /// Carries sessions over a restart in a place that another node can reach, should this one not
    /// come back: it takes them over with [`Sessions::take_over`](crate::Sessions::take_over).
    #[must_use]
    pub fn session_snapshot_in(mut self, place: Arc<dyn SnapshotPlace>) -> Self {
        self.snapshot = Some(place);
        self
    }

    /// Opens the embedded store at `path`, or makes it.
    ///
    /// # Errors
    /// When the store or its keys cannot be opened or made.
    pub fn open(mut self, path: impl AsRef<Path>) -> Result<Engine, Error> {
        let path = path.as_ref();
        // A link that leads nowhere is something that must not be overwritten either.
        let exists = path.symlink_metadata().is_ok();
        match (exists, self.create) {
            (true, Create::Always) => return Err(OpenError::Exists(path.to_owned()).into()),
            (false, Create::Never) => return Err(OpenError::NotFound(path.to_owned()).into()),
            _ => {}
        }
        let (store, keyring) = match exists {
            true => self.open_existing(path)?,
            false => self.make(path)?,
        };
        let adopted = store.was_adopted();
        let binding = store.store_id();
        self.snapshot.get_or_insert_with(|| {
            let path = snapshot_beside(path);
            Arc::new(FilePlace { path, binding })
        });
        let engine = self.start(Arc::new(store), keyring)?;
        // Only what happened is told: asking for it is not enough.
        if adopted {
            engine.note(EventKind::Adopted).wait()?;
        }
        Ok(engine)
    }

    /// Runs on a store of another kind, which holds its system record already or takes one now.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn open_store(self, store: Arc<dyn Store>, keys: &KeyMaterial) -> Result<Engine, Error> {
        let keyring = Arc::new(Keyring::new(keys));
        let found = store
            .load(&[Key::SYSTEM])
            .wait()?
            .into_iter()
            .next()
            .flatten();
        if found.is_none() && self.create != Create::Never {
            let mut batch = countersign_core::Batch::grow();
            for (key, record) in self.initial()? {
                batch.put(key, countersign_core::Expect::Absent, record);
            }
            match store.commit(batch).wait() {
                // Another node was first.
                Ok(_) | Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.start(store, keyring)
    }

    fn open_existing(&self, path: &Path) -> Result<(RedbStore, Arc<Keyring>), Error> {
        let keyring = match &self.keys {
            Keys::Beside => Keyring::new(&keyfile::read(&keyfile::beside(path))?),
            Keys::File(file) => Keyring::new(&keyfile::read(file)?),
            Keys::Given(material) => Keyring::new(material),
        };
        let keyring = Arc::new(keyring);
        let adopt = self.adoption.map(|adoption| match adoption {
            Adoption::Keep => Adopt::Keep,
            Adoption::EndAll => Adopt::EndAll {
                now: self.clock.now(),
            },
        });
        let store = self
            .redb
            .clone()
            .adopt(adopt)
            .open(path, Arc::clone(&keyring))?;
        Ok((store, keyring))
    }

    /// Makes the key file first, since a store without its keys is lost, and then the store.
    fn make(&self, path: &Path) -> Result<(RedbStore, Arc<Keyring>), Error> {
        if self.redb.is_read_only() {
            return Err(OpenError::NotFound(path.to_owned()).into());
        }
        let initial = self.initial()?;
        let keyring = match &self.keys {
            Keys::Beside => Keyring::new(&self.key_file_for_new(&keyfile::beside(path))?),
            Keys::File(file) => Keyring::new(&self.key_file_for_new(file)?),
            Keys::Given(material) => Keyring::new(material),
        };
        let keyring = Arc::new(keyring);
        let store_id = entropy::bytes(&*self.entropy)?;
        let store = self
            .redb
            .create(path, Arc::clone(&keyring), store_id, initial)?;
        Ok((store, keyring))
    }

    /// A key file that is left from a creation that was cut short serves; it is not replaced.
    fn key_file_for_new(&self, path: &Path) -> Result<KeyMaterial, Error> {
        if path.symlink_metadata().is_err() {
            return keyfile::create(path, &*self.clock, &*self.entropy);
        }
        match self.create {
            Create::Always => Err(keyfile::KeyFileFault::Exists(path.to_owned()).into()),
            _ => Ok(keyfile::read(path)?),
        }
    }

    /// The records of a new store.
    fn initial(&self) -> Result<Vec<(Key, Record)>, Error> {
        TokenFormat::new(self.word.as_deref()).map_err(|_| Error::Setup(WORD_RULE))?;
        let server_id = match &self.server_id {
            Some(server_id) => server_id.clone(),
            None => self.random_server_id()?,
        };
        let created_at = self.clock.now();
        let deployment = Deployment {
            word: self.word.clone(),
            server_id,
            created_at,
        };
        Ok(vec![(
            Key::SYSTEM,
            Record::System(SystemRecord::new(deployment)),
        )])
    }

    /// Four groups of four capitals and digits, as the product that it mirrors has them.
    fn random_server_id(&self) -> Result<ServerId, Error> {
        const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let random: [u8; 16] = entropy::bytes(&*self.entropy)?;
        let letter = |byte: u8| LETTERS.get(usize::from(byte % 32)).copied().unwrap_or(b'A');
        let (groups, _) = random.as_chunks::<4>();
        let group = |four: &[u8; 4]| four.map(letter).map(char::from).iter().collect::<String>();
        let text = groups.iter().map(group).collect::<Vec<_>>().join("-");
        Ok(ServerId::new(&text)?)
    }

    fn start(self, store: Arc<dyn Store>, keyring: Arc<Keyring>) -> Result<Engine, Error> {
        let mut found = store.load(&[Key::SYSTEM, Key::POLICY]).wait()?.into_iter();
        let system = system_of(found.next().flatten())?;
        let stored = found.next().flatten();
        let text = stored.and_then(|found| match found.record {
            Record::Policy(text) => Some(text),
            _ => None,
        });
        let pinned = self.policy.is_some();
        let policy = match (self.policy, &text) {
            (Some(policy), _) => policy,
            (None, Some(text)) => Policy::from_toml(text)?,
            (None, None) => Policy::default(),
        };
        let word = system.record.deployment.word.as_deref();
        let format = TokenFormat::new(word).map_err(|_| Error::Setup(WORD_RULE))?;

        let Capabilities {
            writable, watched, ..
        } = store.capabilities();
        let cache = match watched {
            true => Cache::new(policy.cache()),
            // Its writer is another process, whose changes nobody tells us of.
            false => Cache::empty_handed(),
        };
        let cache = Arc::new(cache.noting_uses(writable));
        cache.set_policy(&policy);
        let read_under = cache.policy_ticket();
        store.watch(Arc::clone(&cache) as _);
        let now = self.clock.now();
        let sessions = SessionTable::new(policy.sessions(), &keyring);
        let trust = Trust::new(store.lease());
        let inner = Arc::new(Inner {
            trust,
            store,
            keyring,
            format,
            server_id: system.record.deployment.server_id.clone(),
            policy: ArcSwap::from_pointee(policy),
            clock: self.clock,
            entropy: self.entropy,
            observer: self.observer,
            cache,
            decoy: Decoy::new()?,
            no_device: countersign_core::remember::Decoy::new()?,
            device_uses: WaitingUses::new(writable),
            token_uses: WaitingUses::new(writable),
            sessions,
            kept: Kept::default(),
            renewed: Renewed::default(),
            restart: Restart::new(self.snapshot, writable, now),
            anonymous_ends: RefusalGate::default(),
            counters: Counters::default(),
            refusals: RefusalGate::default(),
            redigests: Redigests::default(),
            sweep: SweepState::default(),
            driver: Driver::start().map_err(Error::Io)?,
            pinned: AtomicBool::new(pinned),
            installed_policy: Mutex::new(InstalledPolicy { text, read_under }),
            retrying: AsyncMutex::new(()),
            changing: AsyncMutex::new(()),
            flushed_at: AtomicU64::new(now.as_millis()),
            closed: AtomicBool::new(false),
        });
        inner.go_by(&inner.policy.load());
        inner.restore_sessions()?;
        let background = self.maintenance == Maintenance::Background && writable;
        let worker = match background {
            true => Some(maintenance::start(Arc::clone(&inner)).map_err(Error::Io)?),
            false => None,
        };
        Ok(Engine::from(Engine::from_parts(inner, worker)))
    }
}

const WORD_RULE: &str = "a prefix word has 1 to 16 lower-case letters, digits or underscores, \
                         begins with a letter and does not end with an underscore";
