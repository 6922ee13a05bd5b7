//! Last uses and new digests: gathered in memory, written in batches (E5).
//!
//! Verification writes nothing. What it gathers goes out every `last_used_interval`, when the
//! engine is closed, and when the host asks; a crash loses at most that much of it, and nothing
//! that decides who may come in.

mod waiting;

use crate::cache::CachedGrant;
use crate::error::Error;
use crate::inner::{Inner, grant_of, usage_of};
use countersign_core::{
    Batch, CredentialKind, Digest, Durability, Expect, Key, KeyId, Keyring, Record, Selector,
    SplitToken, Usage,
};
use countersign_store::error::CommitError;
use futures_util::future::join_all;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
pub(crate) use waiting::WaitingUses;

/// Tokens, or devices, whose use goes out in one batch.
const CHUNK: usize = 512;
/// The most digests that wait to be renewed; more are renewed at a later use.
const REDIGESTS_MAX: usize = 4096;
/// How often uses are merged anew before they are left for the next time.
const MERGES: u32 = 8;

/// Digests made anew under the current pepper by a successful check under an old one.
#[derive(Debug, Default)]
pub(crate) struct Redigests(Mutex<HashMap<Selector, (KeyId, Digest)>>);

impl Redigests {
    #[cold]
    pub(crate) fn note(&self, keyring: &Keyring, token: &SplitToken) {
        let mut waiting = self.0.lock();
        let (selector, verifier) = (token.selector(), token.verifier());
        if waiting.len() >= REDIGESTS_MAX || waiting.contains_key(&selector) {
            return;
        }
        let id = keyring.current();
        let digest = keyring.digest(Some(id), CredentialKind::Access, selector, verifier);
        waiting.insert(selector, (id, digest));
    }

    fn take(&self) -> Vec<(Selector, (KeyId, Digest))> {
        self.0.lock().drain().collect()
    }
}

impl Inner {
    /// Writes what use has gathered; answers for how many tokens and devices.
    pub(crate) async fn flush(&self) -> Result<usize, Error> {
        self.flushed_at
            .store(self.now().as_millis(), std::sync::atomic::Ordering::Relaxed);
        let mut written = self.renew_digests().await?;
        let mut waiting = self.cache.take_dirty();
        while !waiting.is_empty() {
            let rest = waiting.split_off(waiting.len().min(CHUNK));
            match self.flush_chunk(&waiting).await {
                Ok(count) => written = written.saturating_add(count),
                Err(error) => {
                    self.cache.put_back(waiting);
                    self.cache.put_back(rest);
                    return Err(error);
                }
            }
            waiting = rest;
        }
        let others = [
            (&self.token_uses, Key::grant as fn(_) -> _),
            (&self.device_uses, Key::series),
        ];
        for (uses, of) in others {
            written = written.saturating_add(self.flush_waiting(uses, of).await?);
        }
        Ok(written)
    }

    /// Writes what has gathered of records that are not held; `of` names these.
    async fn flush_waiting(
        &self,
        uses: &WaitingUses,
        of: fn(Selector) -> Key,
    ) -> Result<usize, Error> {
        let (mut written, mut waiting) = (0usize, uses.take());
        while !waiting.is_empty() {
            let rest = match waiting.keys().nth(CHUNK).copied() {
                Some(next) => waiting.split_off(&next),
                None => BTreeMap::new(),
            };
            match self.write_uses(&waiting, of).await {
                Ok(count) => written = written.saturating_add(count),
                Err(error) => {
                    uses.put_back(waiting);
                    uses.put_back(rest);
                    return Err(error);
                }
            }
            waiting = rest;
        }
        Ok(written)
    }

    async fn flush_chunk(&self, entries: &[Arc<CachedGrant>]) -> Result<usize, Error> {
        // A token whose record was read anew since its last use has more than one entry.
        let mut used: BTreeMap<Selector, Usage> = BTreeMap::new();
        for entry in entries {
            used.entry(entry.selector)
                .or_default()
                .merge(&entry.usage());
        }
        self.write_uses(&used, Key::grant).await
    }

    /// Writes uses in one batch; `of` names the record that has to be there for each. Merged anew
    /// with what another node has written meanwhile.
    async fn write_uses(
        &self,
        used: &BTreeMap<Selector, Usage>,
        of: fn(Selector) -> Key,
    ) -> Result<usize, Error> {
        let mut tries = 0u32;
        loop {
            let batch = self.merged_uses(used, of).await?;
            let count = batch.writes.len();
            if count == 0 {
                return Ok(0);
            }
            match self.commit(batch).await {
                Ok(()) => return Ok(count),
                Err(CommitError::Conflict(_)) if tries < MERGES => {
                    tries = tries.saturating_add(1);
                }
                Err(CommitError::Conflict(_)) => {
                    let attempts = tries.saturating_add(1);
                    return Err(Error::Contended { attempts });
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The batch that merges uses into what is stored of them.
    async fn merged_uses(
        &self,
        used: &BTreeMap<Selector, Usage>,
        of: fn(Selector) -> Key,
    ) -> Result<Batch, Error> {
        let keys = used.keys().copied().map(Key::usage);
        let keys: Vec<Key> = keys.chain(used.keys().copied().map(of)).collect();
        let (mut found, damaged) = self.load_whole(&keys).await?;
        let records = found.split_off(used.len().min(found.len()));

        let mut batch = Batch {
            durability: Durability::Deferred,
            ..Batch::default()
        };
        for (((selector, recent), stored), record) in used.iter().zip(found).zip(records) {
            // What was pruned meanwhile leaves no usage behind.
            if record.is_none() {
                continue;
            }
            let key = Key::usage(*selector);
            let expect = match &stored {
                Some(stored) => Expect::Version(stored.version),
                // One that is damaged is written anew.
                None if damaged.contains(&key) => Expect::Any,
                None => Expect::Absent,
            };
            let mut usage = stored.and_then(usage_of).unwrap_or_default();
            let before = usage.clone();
            usage.merge(recent);
            if usage != before {
                batch.put(key, expect, Record::Usage(usage));
            }
        }
        Ok(batch)
    }

    /// Files new digests, committed together, where the grant is still the one that was checked.
    async fn renew_digests(&self) -> Result<usize, Error> {
        let mut renewed = 0usize;
        for chunk in self.redigests.take().chunks(CHUNK) {
            let keys: Vec<Key> = chunk
                .iter()
                .map(|(selector, _)| Key::grant(*selector))
                .collect();
            let (found, _) = self.load_whole(&keys).await?;
            let found = found.into_iter().map(|found| found.and_then(grant_of));
            let renewals = chunk
                .iter()
                .zip(found)
                .filter_map(|((selector, new), found)| {
                    let mut grant = found?;
                    (grant.record.key_id, grant.record.digest) = *new;
                    let mut batch = Batch::grow();
                    let expect = Expect::Version(grant.version);
                    batch.put(Key::grant(*selector), expect, Record::Grant(grant.record));
                    Some(self.commit(batch))
                });
            for committed in join_all(renewals).await {
                match committed {
                    Ok(()) => renewed = renewed.saturating_add(1),
                    // Changed meanwhile: its next use will queue it again.
                    Err(CommitError::Conflict(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(renewed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_core::{KeyMaterial, ShardTag, Timestamp, Verifier};

    #[test]
    fn no_more_than_so_many_digests_wait_and_each_token_s_once() {
        let keyring = Keyring::new(&KeyMaterial::generate(Timestamp::ZERO, [1; 32], [2; 32]));
        let redigests = Redigests::default();
        let token = |number: u64| {
            let selector = Selector::mint(Timestamp::ZERO, ShardTag::NONE, number.to_be_bytes());
            SplitToken::new(
                CredentialKind::Access,
                selector,
                Verifier::from_bytes([3; 28]),
            )
        };
        let most = u64::try_from(REDIGESTS_MAX).unwrap();
        for number in 0..most + 2 {
            redigests.note(&keyring, &token(number));
            redigests.note(&keyring, &token(number));
        }
        let waiting = redigests.take();
        assert_eq!(waiting.len(), REDIGESTS_MAX);
        let late = token(most + 1).selector();
        assert!(waiting.iter().all(|(selector, _)| *selector != late));
        redigests.note(&keyring, &token(most + 1));
        assert_eq!(redigests.take().len(), 1, "there is room again");
    }
}
