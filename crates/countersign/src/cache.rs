//! Records in memory, coherent with commits. Records are cached, verdicts are not (E6).
//!
//! The store tells this cache of every change before the change is acknowledged. Three hazards
//! are closed here:
//! - *A fill racing an invalidation*: a record read before a change must not enter after it. Each
//!   shard counts its invalidations; a fill takes the count before it reads and enters only if it
//!   still stands.
//! - *A record linked from elsewhere*: a token's entry points at its principal's entry, which
//!   carries a `stale` flag. It is raised when that entry is invalidated, and under the shard's
//!   lock when it makes way for another, since no later invalidation would find it.
//! - *Growth*: each shard has its share of the policy's bound and makes room before it takes more.
//!
//! Nothing here is a verdict: digest, expiry, epochs and switches are judged on every call.

mod hot;
mod principal;
mod seqlock;
mod shard;
mod terms;
mod uses;

use crate::denials::Denials;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use arc_swap::ArcSwapOption;
use countersign_core::image::{AttachmentKey, AttachmentRecord};
use countersign_core::policy::{CachePolicy, Policy};
use countersign_core::{
    Grant, Key, PrincipalKey, Selector, Sighting, SystemRecord, Table, Timestamp, Usage, Versioned,
};
use countersign_store::store::Watcher;
use crossbeam_utils::CachePadded;
pub(crate) use hot::Found as Copied;
use hot::Hot;
use hot::image::key_of;
pub(crate) use hot::image::{Image, Texts};
pub(crate) use principal::CachedPrincipal;
pub(crate) use shard::{Place, Ticket};
use shard::{SHARDS, Shards};
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;
use std::sync::Arc;
pub(crate) use terms::Terms;
use terms::TermsLock;

/// A token's record in memory, with what its use has gathered since it was last written.
#[derive(Debug)]
pub(crate) struct CachedGrant {
    pub(crate) selector: Selector,
    pub(crate) grant: Grant,
    /// The principal's entry as it was found when this one was made; once that is stale, this
    /// entry makes way for one that points at the present one.
    ///
    /// No `ArcSwap`, which would spare the new entry: dropping one looks at what every thread that
    /// there ever was might owe it, tens of microseconds after a few hundred threads.
    principal: Arc<CachedPrincipal>,
    /// Second of the last use since the entry was made; zero for none.
    last_used_s: AtomicU64,
    /// The latest addresses since the entry was made. A lock that a use takes only when its
    /// address or second differs from the last one noted.
    seen: Mutex<Usage>,
    /// Whether the cache has ever held it.
    held: AtomicBool,
    /// Whether the entry is on the list of those to be written.
    dirty: AtomicBool,
    /// Whether there is no copy of it because it does not fit, or nothing near its place is free.
    has_no_room: AtomicBool,
}

/// The most tokens whose use waits to be written; the uses of more are not noted meanwhile.
const DIRTY_MAX: usize = if cfg!(test) { 64 } else { 1 << 17 };

/// Buckets in which changes of principals' records are counted; few where a model explores races.
const CHANGES: usize = if cfg!(test) { 2 } else { 4096 };

/// Everything that verification wants in memory.
#[derive(Debug)]
pub(crate) struct Cache {
    grants: Shards<CachedGrant>,
    /// Copies of what is in `grants`, read without its locks and written under them.
    hot: Hot,
    principals: Shards<CachedPrincipal>,
    /// Nothing links to an attachment's record, so none of them needs a flag.
    attachments: Shards<AttachmentRecord>,
    /// The system record and the count of its invalidations.
    system: ArcSwapOption<Versioned<SystemRecord>>,
    system_generation: AtomicU64,
    /// What verification wants of the policy and the system record; written under the gate.
    terms: TermsLock,
    /// Serialises filling and invalidating the system record.
    system_gate: Mutex<()>,
    /// How often records of principals have changed, by the first bits of their keys: what was
    /// copied of a record elsewhere is good as long as the count stands.
    principal_changes: Box<[AtomicU64]>,
    /// Whether records are held at all: only where the store tells of every change, and in time.
    holds: AtomicBool,
    /// Whether the store tells of changes.
    watched: bool,
    /// Whether uses are noted at all: a store that cannot be written would never take them, and
    /// they would only pile up.
    notes_uses: bool,
    /// The count of the policy's invalidations, and whether the one in force was read since the
    /// last of them.
    policy_generation: AtomicU64,
    policy_current: AtomicBool,
    /// Entries whose use is to be written, one for each token, at most [`DIRTY_MAX`].
    ///
    /// On lines of its own: what verification reads lies beside it.
    dirty: CachePadded<Mutex<HashMap<Selector, Arc<CachedGrant>>>>,
    /// Whether there is no room on that list.
    dirty_is_full: AtomicBool,
    /// Denials that the disk has not acknowledged yet.
    pub(crate) denials: Denials,
}

impl Cache {
    pub(crate) fn new(bounds: &CachePolicy) -> Self {
        Self::bounded(
            bounds.max_tokens,
            bounds.max_principals,
            bounds.max_attachments,
        )
    }

    fn bounded(max_tokens: u64, max_principals: u64, max_attachments: u64) -> Self {
        Self {
            grants: Shards::new(max_tokens),
            hot: Hot::new(SHARDS),
            principals: Shards::new(max_principals),
            attachments: Shards::new(max_attachments),
            system: ArcSwapOption::empty(),
            system_generation: AtomicU64::new(0),
            terms: TermsLock::new(),
            system_gate: Mutex::new(()),
            principal_changes: (0..CHANGES).map(|_| AtomicU64::new(0)).collect(),
            holds: AtomicBool::new(true),
            watched: true,
            notes_uses: true,
            policy_generation: AtomicU64::new(0),
            policy_current: AtomicBool::new(false),
            dirty: CachePadded::new(Mutex::new(HashMap::new())),
            dirty_is_full: AtomicBool::new(false),
            denials: Denials::default(),
        }
    }

    /// A cache that holds nothing, for a store that others write to unseen.
    pub(crate) fn empty_handed() -> Self {
        Self {
            holds: AtomicBool::new(false),
            watched: false,
            ..Self::bounded(0, 0, 0)
        }
    }

    /// The same, noting uses only if it is said so.
    pub(crate) const fn noting_uses(mut self, notes_uses: bool) -> Self {
        self.notes_uses = notes_uses;
        self
    }

    /// Whether records are held from now on. If not, what is held or being read is let go.
    pub(crate) fn hold(&self, holds: bool) {
        let holds = holds && self.watched;
        if self.holds.swap(holds, Ordering::AcqRel) != holds {
            self.reset();
        }
    }

    fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    pub(crate) fn grant(&self, selector: Selector) -> Option<Arc<CachedGrant>> {
        self.grants.find(&selector.to_bytes())
    }

    pub(crate) fn principal(&self, key: PrincipalKey) -> Option<Arc<CachedPrincipal>> {
        self.principals.find(&key.to_bytes())
    }

    pub(crate) fn attachment(&self, key: AttachmentKey) -> Option<Arc<AttachmentRecord>> {
        self.attachments.find(&key.to_bytes())
    }

    /// How often a record in this bucket, the first two bytes of its key, has changed: to be asked
    /// before the record is read. `None` where nobody would tell of a change.
    ///
    /// The lower half of the count: nobody sleeps through just four billion changes.
    pub(crate) fn principal_changes(&self, bucket: u16) -> Option<u32> {
        let count = self.principal_changes.get(usize::from(bucket) % CHANGES)?;
        let [_, _, _, _, low @ ..] = count.load(Ordering::Acquire).to_be_bytes();
        self.holds().then_some(u32::from_be_bytes(low))
    }

    /// Where a token lies, with the load of its copy begun: to be asked before its secret is
    /// hashed.
    #[inline]
    pub(crate) fn place(&self, selector: Selector) -> Place {
        let place = self.grants.place(&selector.to_bytes());
        self.hot.start_loading(place);
        place
    }

    /// The copy of a token's records, if it has one and no record of its principal's bucket has
    /// changed since it was made.
    #[inline]
    pub(crate) fn copied(&self, selector: Selector) -> Option<Copied<'_>> {
        self.copied_at(self.grants.place(&selector.to_bytes()), selector)
    }

    /// The same at its place.
    #[inline(always)]
    pub(crate) fn copied_at(&self, place: Place, selector: Selector) -> Option<Copied<'_>> {
        let found = self.hot.find(place, key_of(selector))?;
        let (bucket, changes) = found.image.note();
        (self.principal_changes(bucket) == Some(changes)).then_some(found)
    }

    /// Makes a copy of what was found under `ticket`, for the calls that follow.
    ///
    /// `changes` were counted in the principal's bucket before it was known that the principal's
    /// entry was good.
    pub(crate) fn copy(
        &self,
        ticket: Ticket,
        entry: &CachedGrant,
        principal: &CachedPrincipal,
        changes: Option<u32>,
    ) {
        if entry.has_no_room.load(Ordering::Relaxed) {
            return;
        }
        if let Some(image) = changes.and_then(|changes| Image::of(entry, principal, changes)) {
            let key = entry.selector.to_bytes();
            self.grants
                .beside(ticket, &key, |place| self.put(place, entry, &image));
        } else {
            entry.has_no_room.store(true, Ordering::Relaxed);
        }
    }

    /// Under the lock of the grant's shard.
    fn put(&self, place: Place, entry: &CachedGrant, image: &Image) {
        let rehash = |key| self.grants.hash_of(key);
        let put = self.hot.put(place, image, &rehash);
        entry.has_no_room.store(!put, Ordering::Relaxed);
    }

    /// Under the lock of the grant's shard, which is about to lose this entry.
    fn put_away(&self, place: Place, entry: &CachedGrant) {
        let second = self.hot.clear(place, key_of(entry.selector));
        entry.last_used_s.fetch_max(second, Ordering::Relaxed);
    }

    /// The system record without touching its count of owners, which all threads share.
    pub(crate) fn system_guard(&self) -> arc_swap::Guard<Option<Arc<Versioned<SystemRecord>>>> {
        self.system.load()
    }

    pub(crate) fn system(&self) -> Option<Arc<Versioned<SystemRecord>>> {
        self.system.load_full()
    }

    /// To be taken before a grant is read from the store.
    pub(crate) fn grant_ticket(&self, selector: Selector) -> Ticket {
        self.grants.ticket(&selector.to_bytes())
    }

    /// To be taken before a principal is read from the store.
    pub(crate) fn principal_ticket(&self, key: PrincipalKey) -> Ticket {
        self.principals.ticket(&key.to_bytes())
    }

    /// To be taken before an attachment is read from the store.
    pub(crate) fn attachment_ticket(&self, key: AttachmentKey) -> Ticket {
        self.attachments.ticket(&key.to_bytes())
    }

    /// To be taken before the system record is read from the store.
    pub(crate) fn system_ticket(&self) -> Ticket {
        Ticket(self.system_generation.load(Ordering::Acquire))
    }

    /// Takes a grant that was read under `ticket`; without effect if it may have changed since.
    ///
    /// `changes` were counted in the bucket of its principal before the principal's entry was
    /// looked for.
    pub(crate) fn fill_grant(
        &self,
        ticket: Ticket,
        entry: &Arc<CachedGrant>,
        changes: Option<u32>,
    ) {
        if !self.holds() {
            return;
        }
        let key = entry.selector.to_bytes();
        let image = changes.and_then(|changes| Image::of(entry, &entry.principal, changes));
        let displaced = |place, old: &CachedGrant| self.put_away(place, old);
        self.grants
            .fill(ticket, key, Arc::clone(entry), displaced, |place| {
                entry.held.store(true, Ordering::Relaxed);
                match &image {
                    Some(image) => self.put(place, entry, image),
                    None => entry.has_no_room.store(true, Ordering::Relaxed),
                }
            });
    }

    /// Takes a principal that was read under `ticket`; without effect if it may have changed.
    pub(crate) fn fill_principal(&self, ticket: Ticket, entry: &Arc<CachedPrincipal>) {
        let key = entry.key.to_bytes();
        let displaced = |_, old: &CachedPrincipal| old.raise();
        let filled = Arc::clone(entry);
        let taken = self.holds() && self.principals.fill(ticket, key, filled, displaced, |_| ());
        if !taken {
            // Nobody will ever tell it of a change: it is good for one use.
            entry.raise();
        }
    }

    /// Takes an attachment that was read under `ticket`; without effect if it may have changed.
    pub(crate) fn fill_attachment(
        &self,
        ticket: Ticket,
        key: AttachmentKey,
        record: &Arc<AttachmentRecord>,
    ) {
        if !self.holds() {
            return;
        }
        let record = Arc::clone(record);
        self.attachments
            .fill(ticket, key.to_bytes(), record, |_, _| (), |_| ());
    }

    /// Takes the system record that was read under `ticket`, unless it may have changed since.
    pub(crate) fn fill_system(&self, ticket: Ticket, record: &Arc<Versioned<SystemRecord>>) {
        let _gate = self.system_gate.lock();
        if self.holds() && self.system_generation.load(Ordering::Acquire) == ticket.0 {
            self.system.store(Some(Arc::clone(record)));
            self.terms.set_system(Some(&record.record));
        }
    }

    /// What a verification goes by, if all of it is in memory: whoever asks has seen that the
    /// policy in force is the one to go by.
    #[inline]
    pub(crate) fn terms(&self) -> Option<Terms> {
        self.terms.read()
    }

    /// Says which policy is in force from now on.
    pub(crate) fn set_policy(&self, policy: &Policy) {
        let _gate = self.system_gate.lock();
        self.terms.set_policy(policy);
    }

    /// Whether the policy in force is the stored one.
    pub(crate) fn policy_is_current(&self) -> bool {
        self.policy_current.load(Ordering::Acquire)
    }

    /// To be taken before the policy is read from the store.
    pub(crate) fn policy_ticket(&self) -> Ticket {
        Ticket(self.policy_generation.load(Ordering::Acquire))
    }

    /// The policy that was read under `ticket` is in force, unless it may have changed since.
    pub(crate) fn policy_was_read(&self, ticket: Ticket) {
        let _gate = self.system_gate.lock();
        if self.holds() && self.policy_generation.load(Ordering::Acquire) == ticket.0 {
            self.policy_current.store(true, Ordering::Release);
        }
    }

    /// How many grants, principals and attachments are held.
    pub(crate) fn len(&self) -> (usize, usize, usize) {
        (
            self.grants.len(),
            self.principals.len(),
            self.attachments.len(),
        )
    }

    /// Notes that a token was used. Costs one load when this second and address were noted.
    pub(crate) fn note_use(&self, entry: &Arc<CachedGrant>, now: Timestamp, from: Option<IpAddr>) {
        let second = now.as_secs();
        let known = entry.last_used_s.load(Ordering::Relaxed);
        if !self.notes_uses || (from.is_none() && known >= second) {
            return;
        }
        if known < second {
            entry.last_used_s.fetch_max(second, Ordering::Relaxed);
        }
        if let Some(address) = from {
            let mut seen = entry.seen.lock();
            let newest = seen.addresses.first();
            if newest.is_some_and(|old| old.address == address && old.at.as_secs() >= second) {
                return;
            }
            seen.see(Sighting { address, at: now });
        }
        self.enlist(entry);
    }

    /// Puts an entry on the list of those to be written, and answers whether it is there.
    fn enlist(&self, entry: &Arc<CachedGrant>) -> bool {
        if !entry.dirty.swap(true, Ordering::AcqRel) {
            let mut dirty = self.dirty.lock();
            Self::list(&mut dirty, entry);
            self.dirty_is_full
                .store(dirty.len() >= DIRTY_MAX, Ordering::Relaxed);
        }
        entry.dirty.load(Ordering::Acquire)
    }

    /// Puts an entry on the list of those to be written, together with what an older entry of the
    /// same token has gathered.
    fn list(dirty: &mut HashMap<Selector, Arc<CachedGrant>>, entry: &Arc<CachedGrant>) {
        let full = dirty.len() >= DIRTY_MAX;
        match dirty.entry(entry.selector) {
            Slot::Occupied(mut older) => {
                if !Arc::ptr_eq(older.get(), entry) {
                    entry.absorb(&older.get().usage());
                    older.insert(Arc::clone(entry));
                }
            }
            // Not noted now; its next use tries again.
            Slot::Vacant(_) if full => entry.dirty.store(false, Ordering::Release),
            Slot::Vacant(place) => drop(place.insert(Arc::clone(entry))),
        }
    }

    /// The entries whose use was noted since this was last asked.
    pub(crate) fn take_dirty(&self) -> Vec<Arc<CachedGrant>> {
        let taken = {
            let mut dirty = self.dirty.lock();
            self.dirty_is_full.store(false, Ordering::Relaxed);
            std::mem::take(&mut *dirty)
        };
        let taken: Vec<_> = taken.into_values().collect();
        for entry in &taken {
            entry.dirty.store(false, Ordering::Release);
            self.fold(entry, true);
        }
        taken
    }

    /// Puts entries back whose use could not be written.
    pub(crate) fn put_back(&self, entries: Vec<Arc<CachedGrant>>) {
        let mut dirty = self.dirty.lock();
        for entry in entries {
            if !entry.dirty.swap(true, Ordering::AcqRel) {
                Self::list(&mut dirty, &entry);
            }
        }
    }

    fn drop_policy(&self) {
        let _gate = self.system_gate.lock();
        self.policy_generation.fetch_add(1, Ordering::AcqRel);
        self.policy_current.store(false, Ordering::Release);
    }

    fn drop_system(&self) {
        let _gate = self.system_gate.lock();
        self.system_generation.fetch_add(1, Ordering::AcqRel);
        self.system.store(None);
        self.terms.set_system(None);
    }
}

impl Watcher for Cache {
    fn changed(&self, keys: &[Key]) {
        for key in keys {
            match key.table {
                Table::Grants => {
                    let gone = |place, old: &CachedGrant| self.put_away(place, old);
                    drop(self.grants.invalidate(&key.id, gone));
                }
                Table::Principals => {
                    if let Some(old) = self.principals.invalidate(&key.id, |_, _| ()) {
                        old.raise();
                    }
                    // Last: whoever sees the new count must not find the old record any more.
                    let bucket = usize::from(PrincipalKey::from_bytes(key.id).bucket());
                    if let Some(count) = self.principal_changes.get(bucket % CHANGES) {
                        count.fetch_add(1, Ordering::AcqRel);
                    }
                }
                Table::Attachments => drop(self.attachments.invalidate(&key.id, |_, _| ())),
                Table::System if *key == Key::SYSTEM => self.drop_system(),
                Table::System if *key == Key::POLICY => self.drop_policy(),
                _ => {}
            }
        }
    }

    fn reset(&self) {
        self.drop_policy();
        self.drop_system();
        for old in self.principals.invalidate_all(|_, _| ()) {
            old.raise();
        }
        for count in &self.principal_changes {
            count.fetch_add(1, Ordering::AcqRel);
        }
        self.grants
            .invalidate_all(|place, old| self.put_away(place, old));
        self.attachments.invalidate_all(|_, _| ());
    }
}

impl CachedGrant {
    pub(crate) fn new(selector: Selector, grant: Grant, principal: Arc<CachedPrincipal>) -> Self {
        Self {
            selector,
            grant,
            principal,
            last_used_s: AtomicU64::new(0),
            seen: Mutex::new(Usage::default()),
            held: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            has_no_room: AtomicBool::new(false),
        }
    }

    /// Whether the cache has ever held it, so that another use may find it.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    /// Where changes of its principal's record are counted.
    pub(crate) fn linked_bucket(&self) -> u16 {
        self.principal.bucket()
    }

    /// The principal's entry, unless it may have changed.
    pub(crate) fn principal(&self) -> Option<&Arc<CachedPrincipal>> {
        Some(&self.principal).filter(|linked| !linked.is_stale())
    }

    /// The same grant, pointing at its principal's present entry.
    pub(crate) fn linked(&self, principal: Arc<CachedPrincipal>) -> Arc<Self> {
        let linked = Self::new(self.selector, self.grant.clone(), principal);
        // What this one has noted need not be noted again; it is on the list, if it has to be.
        linked.absorb(&self.usage());
        Arc::new(linked)
    }

    /// Adds what another entry of the same token has gathered.
    fn absorb(&self, older: &Usage) {
        let second = older.last_used_at.as_secs();
        self.last_used_s.fetch_max(second, Ordering::Relaxed);
        self.seen.lock().merge(older);
    }

    /// What its use has gathered.
    pub(crate) fn usage(&self) -> Usage {
        let mut usage = self.seen.lock().clone();
        let second = self.last_used_s.load(Ordering::Relaxed);
        let at = Timestamp::from_millis(second.saturating_mul(1000));
        usage.last_used_at = usage.last_used_at.max(at);
        usage
    }
}

#[cfg(test)]
mod tests;
