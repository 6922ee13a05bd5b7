//! What every handle of the engine shares, and the loop that every change goes through.

use crate::cache::{Cache, CachedGrant, CachedPrincipal, Ticket};
use crate::clock::Clock;
use crate::counters::Counters;
use crate::driver::{Driver, on_wiped_stack};
use crate::entropy::{self, Entropy};
use crate::error::Error;
use crate::observer::Observer;
use crate::refusals::RefusalGate;
use crate::sessions::{Kept, Renewed, Restart};
use crate::sweep::SweepState;
use crate::trust::Trust;
use crate::usage::{Redigests, WaitingUses};
use arc_swap::ArcSwap;
use countersign_core::access::Decoy;
use countersign_core::image::AttachmentRecord;
use countersign_core::policy::Policy;
use countersign_core::remember;
use countersign_core::{
    Batch, Decision, Event, Fresh, Grant, Key, Keyring, Principal, PrincipalKey, PrincipalRecord,
    Record, Refusal, Selector, ServerId, Setting, SystemRecord, Timestamp, TokenFormat, Usage,
    Versioned,
};
use countersign_sessions::SessionTable;
use countersign_store::error::{CommitError, StoreError};
use countersign_store::pending::Pending;
use countersign_store::store::Store;
use futures_util::future::BoxFuture;
use futures_util::lock::Mutex as AsyncMutex;
use parking_lot::Mutex;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How often a change is decided anew because others changed the same records first.
///
/// A principal's record is written by each of their issues, so sixty-four at once need as many
/// rounds in the worst case.
pub(crate) const ATTEMPTS: u32 = 512;

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) format: TokenFormat,
    /// The deployment's name, as it was when the engine was opened: an import asks for another
    /// opening.
    pub(crate) server_id: ServerId,
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) trust: Trust,
    pub(crate) decoy: Decoy,
    /// The stand-ins for remembered devices.
    pub(crate) no_device: remember::Decoy,
    /// When and from where they were used, until it is written.
    pub(crate) device_uses: WaitingUses,
    /// Of tokens whose records the cache does not hold.
    pub(crate) token_uses: WaitingUses,
    /// Every session there is, in memory.
    pub(crate) sessions: SessionTable,
    /// Those of them from which credentials are being changed.
    pub(crate) kept: Kept,
    pub(crate) renewed: Renewed,
    /// How they outlive a restart.
    pub(crate) restart: Restart,
    /// How many ends of anonymous ones are told.
    pub(crate) anonymous_ends: RefusalGate,
    pub(crate) counters: Counters,
    pub(crate) refusals: RefusalGate,
    pub(crate) redigests: Redigests,
    pub(crate) sweep: SweepState,
    pub(crate) driver: Driver,
    /// Whether the host gave the policy, so that the stored one does not count.
    pub(crate) pinned: AtomicBool,
    /// The stored policy that was read last.
    pub(crate) installed_policy: Mutex<InstalledPolicy>,
    /// Held by whoever retries denials: two at once would act twice.
    pub(crate) retrying: AsyncMutex<()>,
    /// Held by whoever changes a principal's credentials and keeps a session.
    pub(crate) changing: AsyncMutex<()>,
    /// When last uses were last written, in milliseconds.
    pub(crate) flushed_at: AtomicU64,
    pub(crate) closed: AtomicBool,
}

/// The stored policy that is gone by: its text, and under which ticket that was read.
pub(crate) struct InstalledPolicy {
    pub(crate) text: Option<String>,
    pub(crate) read_under: Ticket,
}

/// What a decision loads and decides, once per attempt.
pub(crate) type Attempt<'a, T> = BoxFuture<'a, Result<Decision<T>, Error>>;

impl Inner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn fresh(&self) -> Result<Fresh, Error> {
        entropy::fresh(&*self.entropy)
    }

    /// Whether the engine takes anything new.
    pub(crate) fn open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) {
            Err(Error::Closed)
        } else {
            Ok(())
        }
    }

    /// The policy in force, read anew where the one in memory may not be the stored one any more.
    pub(crate) async fn policy_now(&self) -> Result<Arc<Policy>, Error> {
        if self.pinned.load(Ordering::Acquire) || self.cache.policy_is_current() {
            return Ok(self.policy.load_full());
        }
        let ticket = self.cache.policy_ticket();
        let found = self
            .load(&[Key::POLICY])
            .await?
            .into_iter()
            .next()
            .flatten();
        let stored = match found {
            Some(Versioned {
                record: Record::Policy(stored),
                ..
            }) => Some(stored),
            _ => None,
        };
        // Nobody else is held up while it is read; whoever read an older one goes by that himself,
        // and it takes the place of no newer one.
        let mut installed = self.installed_policy.lock();
        if installed.text == stored {
            self.cache.policy_was_read(ticket);
            return Ok(self.policy.load_full());
        }
        let policy = Arc::new(match &stored {
            Some(stored) => Policy::from_toml(stored)?,
            None => Policy::default(),
        });
        if ticket >= installed.read_under {
            self.cache.set_policy(&policy);
            self.go_by(&policy);
            self.policy.store(Arc::clone(&policy));
            *installed = InstalledPolicy {
                text: stored,
                read_under: ticket,
            };
            self.cache.policy_was_read(ticket);
        }
        Ok(policy)
    }

    /// Decides and commits, and decides again when somebody else was first.
    ///
    /// Answers once the batch is durable and the cache has dropped what it changed.
    pub(crate) async fn transact<'a, T>(
        &'a self,
        mut attempt: impl FnMut() -> Attempt<'a, T> + Send,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let term = self.trust.term();
            let done = match attempt().await {
                Ok(Decision { outcome, batch }) if batch.writes.is_empty() => Ok(outcome),
                Ok(Decision { outcome, batch }) => match self.commit(batch).await {
                    Ok(()) => return Ok(outcome),
                    Err(CommitError::Conflict(_)) => continue,
                    Err(error) => return Err(error.into()),
                },
                Err(error @ Error::Refused(Refusal::NotFound)) => Err(error),
                Err(error) => return Err(error),
            };
            // Nothing is written that a store would have to acknowledge. That nothing has to be, it
            // must be asked as well: one that was cut off says what was so long ago.
            if self.was_so(term).await? {
                return done;
            }
        }
        Err(Error::Contended { attempts: ATTEMPTS })
    }

    /// Commits a batch and tells the observer of its events.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let events: Vec<Event> = batch.events().cloned().collect();
        self.store.commit(batch).await?;
        for event in &events {
            self.tell(event);
        }
        Ok(())
    }

    pub(crate) fn tell(&self, event: &Event) {
        #[cfg(feature = "tracing")]
        crate::trace::event(event);
        watched(|| self.observer.event(event));
    }

    pub(crate) async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, Error> {
        Ok(self.store.load(keys).await?)
    }

    /// As `load`, but a record that does not read back whole is nothing, and is named: one that is
    /// damaged must not keep what is done with many others from being done.
    pub(crate) async fn load_whole(
        &self,
        keys: &[Key],
    ) -> Result<(Vec<Option<Versioned>>, Vec<Key>), Error> {
        match self.store.load(keys).await {
            Err(StoreError::Damaged { .. }) => {}
            loaded => return Ok((loaded?, Vec::new())),
        }
        let (mut found, mut damaged) = (Vec::with_capacity(keys.len()), Vec::new());
        for key in keys {
            found.push(match self.store.load(&[*key]).await {
                Err(StoreError::Damaged { .. }) => {
                    damaged.push(*key);
                    None
                }
                loaded => loaded?.into_iter().next().flatten(),
            });
        }
        Ok((found, damaged))
    }

    /// The system record and one principal's, from one snapshot.
    pub(crate) async fn load_principal(
        &self,
        principal: &Principal,
    ) -> Result<(Versioned<SystemRecord>, Option<Versioned<PrincipalRecord>>), Error> {
        let key = Key::principal(self.keyring.principal_key(principal));
        let mut found = self.load(&[Key::SYSTEM, key]).await?.into_iter();
        let system = system_of(found.next().flatten())?;
        let record = found.next().flatten().and_then(principal_of);
        // Keys are hashes of names: a record of another name would be a collision.
        Ok((
            system,
            record.filter(|found| found.record.principal == *principal),
        ))
    }

    pub(crate) async fn load_system(&self) -> Result<Versioned<SystemRecord>, Error> {
        system_of(
            self.load(&[Key::SYSTEM])
                .await?
                .into_iter()
                .next()
                .flatten(),
        )
    }

    /// The system record from memory, or read and kept.
    pub(crate) async fn system(&self) -> Result<Arc<Versioned<SystemRecord>>, Error> {
        if let Some(system) = self.cache.system() {
            return Ok(system);
        }
        let ticket = self.cache.system_ticket();
        let system = Arc::new(self.load_system().await?);
        self.cache.fill_system(ticket, &system);
        Ok(system)
    }

    pub(crate) fn setting<'a>(
        &'a self,
        now: Timestamp,
        policy: &'a Policy,
        system: &'a Versioned<SystemRecord>,
    ) -> Setting<'a> {
        Setting {
            now,
            keyring: &self.keyring,
            policy,
            system,
        }
    }

    /// A token's entry and its principal's, from memory or read and kept. `None` where either has
    /// no record.
    ///
    /// The principal's entry is the one that this call found, not the one that is linked by then:
    /// a slower call that began before a change may link what it had read before it.
    pub(crate) async fn entry(
        &self,
        selector: Selector,
    ) -> Result<Option<(Arc<CachedGrant>, Arc<CachedPrincipal>)>, Error> {
        let ticket = self.cache.grant_ticket(selector);
        if let Some(entry) = self.cache.grant(selector) {
            if let Some(principal) = entry.principal().map(Arc::clone) {
                return Ok(Some((entry, principal)));
            }
            let key = self.keyring.principal_key(&entry.grant.principal);
            // Before the principal's record is looked for: a change that comes between is counted.
            let changes = self.cache.principal_changes(key.bucket());
            let Some(principal) = self.principal_entry_of(key).await? else {
                return Ok(None);
            };
            let entry = entry.linked(Arc::clone(&principal));
            self.cache.fill_grant(ticket, &entry, changes);
            return Ok(Some((entry, principal)));
        }
        let found = self
            .load(&[Key::grant(selector)])
            .await?
            .into_iter()
            .next()
            .flatten();
        let Some(grant) = found.and_then(grant_of) else {
            return Ok(None);
        };
        let key = self.keyring.principal_key(&grant.record.principal);
        let changes = self.cache.principal_changes(key.bucket());
        let Some(principal) = self.principal_entry_of(key).await? else {
            return Ok(None);
        };
        let mut grant = grant.record;
        if grant.principal == principal.record.principal {
            // One copy of the name: two handles on one text compare without a look at it.
            grant.principal = principal.record.principal.clone();
        }
        let linked = Arc::clone(&principal);
        let entry = Arc::new(CachedGrant::new(selector, grant, linked));
        self.cache.fill_grant(ticket, &entry, changes);
        Ok(Some((entry, principal)))
    }

    /// A principal's entry, from memory or read and kept.
    pub(crate) async fn principal_entry(
        &self,
        principal: &Principal,
    ) -> Result<Option<Arc<CachedPrincipal>>, Error> {
        self.principal_entry_of(self.keyring.principal_key(principal))
            .await
    }

    /// The same by the key of the principal's record.
    pub(crate) async fn principal_entry_of(
        &self,
        key: PrincipalKey,
    ) -> Result<Option<Arc<CachedPrincipal>>, Error> {
        if let Some(entry) = self.cache.principal(key) {
            return Ok(Some(entry));
        }
        let ticket = self.cache.principal_ticket(key);
        let found = self
            .load(&[Key::principal(key)])
            .await?
            .into_iter()
            .next()
            .flatten();
        let Some(record) = found.and_then(principal_of) else {
            return Ok(None);
        };
        let entry = Arc::new(CachedPrincipal::new(key, record.record));
        self.cache.fill_principal(ticket, &entry);
        Ok(Some(entry))
    }

    /// Starts an operation and sees it through.
    pub(crate) fn run<T, F, Fut>(self: &Arc<Self>, operation: F) -> Pending<Result<T, Error>>
    where
        T: Send + 'static,
        F: FnOnce(Arc<Self>) -> Fut,
        Fut: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if let Err(closed) = self.open() {
            return Pending::ready(Err(closed));
        }
        // Told only of what had to wait and was cut off: its commit may be under way.
        let cut_off = || Err(Error::Unknown("the engine was closed meanwhile".to_owned()));
        on_wiped_stack(|| self.driver.run(cut_off, operation(Arc::clone(self))))
    }
}

pub(crate) fn system_of(found: Option<Versioned>) -> Result<Versioned<SystemRecord>, Error> {
    match found {
        Some(Versioned {
            version,
            record: Record::System(record),
        }) => Ok(Versioned { version, record }),
        _ => Err(Error::NoSystemRecord),
    }
}

pub(crate) fn principal_of(found: Versioned) -> Option<Versioned<PrincipalRecord>> {
    match found.record {
        Record::Principal(record) => Some(Versioned {
            version: found.version,
            record,
        }),
        _ => None,
    }
}

pub(crate) fn attachment_of(found: Versioned) -> Option<Versioned<AttachmentRecord>> {
    match found.record {
        Record::Attachment(record) => Some(Versioned {
            version: found.version,
            record,
        }),
        _ => None,
    }
}

pub(crate) fn grant_of(found: Versioned) -> Option<Versioned<Grant>> {
    match found.record {
        Record::Grant(record) => Some(Versioned {
            version: found.version,
            record,
        }),
        _ => None,
    }
}

pub(crate) fn usage_of(found: Versioned) -> Option<Usage> {
    match found.record {
        Record::Usage(record) => Some(record),
        _ => None,
    }
}

/// Calls the host's observer, whose panic must not end what is being carried through.
pub(crate) fn watched(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("keyring", &self.keyring)
            .finish_non_exhaustive()
    }
}
