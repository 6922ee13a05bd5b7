//! The keys of a deployment: one root key for good, and peppers that are rotated.
//!
//! Keys live outside the store. The root key tags records and hides names; a pepper keys the
//! digests of credentials. Records name their pepper by [`KeyId`], so an old pepper goes on
//! checking what was made under it after a new one has taken over.
//! Reading and writing the key file's text is in [`mod@file`]; reading the file is the host's.

pub mod file;

use crate::contexts;
use crate::digest::Digest;
use crate::image::{AttachmentId, AttachmentKey, ImageKey};
use crate::kind::CredentialKind;
use crate::principal::{Principal, PrincipalKey};
use crate::secret::{SecretKey, VERIFIER_BYTES, Verifier};
use crate::selector::{Selector, ShardTag};
use crate::system::Subsystem;
use crate::time::Timestamp;
use crate::token::SplitToken;
#[cfg(test)]
use crate::work;
use core::fmt;
use zeroize::Zeroize;

/// The most peppers that a keyring holds.
pub const PEPPERS_MAX: usize = 32;

/// Names a pepper; the highest one is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u16);

impl KeyId {
    /// The first pepper of a new keyring.
    pub const FIRST: Self = Self(1);

    /// The id with this number; zero is none.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pepper as it is kept outside the store.
#[derive(Debug)]
pub struct PepperMaterial {
    /// Its name.
    pub id: KeyId,
    /// Its 32 random bytes.
    pub key: SecretKey,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a key file holds: everything a keyring is made from.
#[derive(Debug)]
pub struct KeyMaterial {
    root: SecretKey,
    peppers: Vec<PepperMaterial>,
}

/// Key material that no keyring can be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyMaterialError {
    /// Without a pepper no digest can be made.
    #[error("a keyring has at least one pepper")]
    NoPepper,
    /// The bound on peppers.
    #[error("a keyring has at most {PEPPERS_MAX} peppers")]
    TooManyPeppers,
    /// Ids say which pepper is current, so they ascend.
    #[error("pepper ids ascend, each higher than the one before")]
    Unordered,
    /// The number of ids is used up.
    #[error("no pepper id above {0} is left")]
    IdsExhausted(KeyId),
}

impl KeyMaterial {
    /// Takes a root key and peppers in ascending order of their ids.
    ///
    /// # Errors
    /// When there is no pepper, more than [`PEPPERS_MAX`], or they do not ascend.
    pub fn new(root: SecretKey, peppers: Vec<PepperMaterial>) -> Result<Self, KeyMaterialError> {
        if peppers.is_empty() {
            return Err(KeyMaterialError::NoPepper);
        }
        if peppers.len() > PEPPERS_MAX {
            return Err(KeyMaterialError::TooManyPeppers);
        }
        if !peppers.is_sorted_by(|a, b| a.id < b.id) {
            return Err(KeyMaterialError::Unordered);
        }
        Ok(Self { root, peppers })
    }

    /// New material with one pepper.
    #[must_use]
    pub fn generate(now: Timestamp, root: [u8; 32], pepper: [u8; 32]) -> Self {
        let key = SecretKey::from_bytes(pepper);
        let pepper = PepperMaterial {
            id: KeyId::FIRST,
            key,
            created_at: now,
        };
        Self {
            root: SecretKey::from_bytes(root),
            peppers: vec![pepper],
        }
    }

    /// The same with one more pepper, which becomes current.
    ///
    /// # Errors
    /// When the keyring is full or ids are used up.
    pub fn rotated(mut self, now: Timestamp, pepper: [u8; 32]) -> Result<Self, KeyMaterialError> {
        let last = self.peppers.last().ok_or(KeyMaterialError::NoPepper)?.id;
        let next = last
            .0
            .checked_add(1)
            .map(KeyId)
            .ok_or(KeyMaterialError::IdsExhausted(last))?;
        let key = SecretKey::from_bytes(pepper);
        self.peppers.push(PepperMaterial {
            id: next,
            key,
            created_at: now,
        });
        Self::new(self.root, self.peppers)
    }

    /// The same without the peppers for which `dropped` answers yes; the current one stays.
    #[must_use]
    pub fn without(mut self, dropped: impl Fn(KeyId) -> bool) -> Self {
        let current = self.peppers.last().map(|pepper| pepper.id);
        self.peppers
            .retain(|pepper| Some(pepper.id) == current || !dropped(pepper.id));
        self
    }

    /// The peppers' ids and when each was made, ascending.
    pub fn peppers(&self) -> impl Iterator<Item = (KeyId, Timestamp)> {
        self.peppers
            .iter()
            .map(|pepper| (pepper.id, pepper.created_at))
    }
}

/// One pepper, ready for use.
struct Pepper {
    id: KeyId,
    digest_key: SecretKey,
    image_key: ImageKey,
    check: KeyCheck,
}

/// Everything that is keyed, ready for use: made once when a store is opened.
pub struct Keyring {
    tag_key: SecretKey,
    index_key: SecretKey,
    attachment_key: SecretKey,
    shard_key: SecretKey,
    export_key: SecretKey,
    csrf_key: SecretKey,
    snapshot_key: SecretKey,
    successor_key: SecretKey,
    session_veil: [u8; 16],
    bare_key: SecretKey,
    root_check: KeyCheck,
    /// Ascending by id and never empty; the last one is current.
    peppers: Vec<Pepper>,
    /// A copy of the last pepper's key and id, so that taking it cannot fail.
    current: Pepper,
}

/// What a store keeps of a key, to tell whether it was given the right one.
pub type KeyCheck = [u8; 16];

impl Keyring {
    /// Derives every key from `material`.
    #[must_use]
    pub fn new(material: &KeyMaterial) -> Self {
        let root = &material.root;
        let peppers: Vec<Pepper> = material.peppers.iter().map(Pepper::new).collect();
        let current = material.peppers.last().map_or_else(
            // `KeyMaterial` is never without a pepper; the root would do as one.
            || Pepper {
                id: KeyId::FIRST,
                digest_key: derive(contexts::DIGEST, root),
                image_key: ImageKey::new(KeyId::FIRST, &derive(contexts::IMAGE_TOKEN, root)),
                check: check_of(root),
            },
            Pepper::new,
        );
        Self {
            tag_key: derive(contexts::RECORD_TAG, root),
            index_key: derive(contexts::NAME_INDEX, root),
            attachment_key: derive(contexts::ATTACHMENT_INDEX, root),
            shard_key: derive(contexts::SHARD_TAG, root),
            export_key: derive(contexts::EXPORT_TAG, root),
            csrf_key: derive(contexts::CSRF_SECRET, root),
            snapshot_key: derive(contexts::SNAPSHOT_TAG, root),
            successor_key: derive(contexts::SUCCESSOR, root),
            session_veil: short_hash(&derive(contexts::SESSION_VEIL, root), b""),
            bare_key: derive(contexts::BARE_ID, root),
            root_check: check_of(root),
            peppers,
            current,
        }
    }

    /// The pepper that new digests are made under.
    #[must_use]
    pub const fn current(&self) -> KeyId {
        self.current.id
    }

    /// Whether a digest made under `id` can be checked.
    #[must_use]
    pub fn holds(&self, id: KeyId) -> bool {
        self.find(id).is_some()
    }

    /// The pepper, if there is one alone: then no record can name another that is held.
    #[must_use]
    #[inline]
    pub const fn only(&self) -> Option<KeyId> {
        match self.peppers.len() {
            1 => Some(self.current.id),
            _ => None,
        }
    }

    /// Hashes a secret under pepper `id`.
    ///
    /// Under a pepper that this keyring lacks, or for no record at all, the current one serves:
    /// the work is the same, and the answer matches nothing.
    #[must_use]
    #[inline]
    pub fn digest(
        &self,
        id: Option<KeyId>,
        kind: CredentialKind,
        selector: Selector,
        verifier: &Verifier,
    ) -> Digest {
        let pepper = id.and_then(|id| self.find(id)).unwrap_or(&self.current);
        Digest::compute(&pepper.digest_key, kind, selector, verifier)
    }

    /// The digest of a token that was just made, under the current pepper.
    #[must_use]
    pub fn digest_new(&self, token: &SplitToken) -> Digest {
        let id = Some(self.current());
        self.digest(id, token.kind(), token.selector(), token.verifier())
    }

    /// The secret that follows `verifier` in a remember-me series.
    ///
    /// Whoever presents the same secret gets the same successor, and without this keyring's root
    /// key an old secret yields nothing.
    #[must_use]
    pub fn successor(
        &self,
        series: Selector,
        generation: u32,
        salt: &[u8; 16],
        verifier: &Verifier,
    ) -> Verifier {
        let mut hasher = blake3::Hasher::new_keyed(self.successor_key.expose());
        hasher
            .update(&series.to_bytes())
            .update(&generation.to_be_bytes())
            .update(salt)
            .update(verifier.expose());
        let mut derived = [0; VERIFIER_BYTES];
        hasher.finalize_xof().fill(&mut derived);
        hasher.zeroize();
        #[cfg(test)]
        work::hashed();
        let successor = Verifier::from_bytes(derived);
        derived.zeroize();
        successor
    }

    /// The key under which a principal's record is filed.
    #[must_use]
    pub fn principal_key(&self, principal: &Principal) -> PrincipalKey {
        self.principal_key_of(principal.as_str())
    }

    /// The same for a principal's name that is kept as a bare text, such as a session's owner.
    #[must_use]
    pub fn principal_key_of(&self, name: &str) -> PrincipalKey {
        PrincipalKey::from_bytes(short_hash(&self.index_key, name.as_bytes()))
    }

    /// The key under which an attachment's record is filed.
    #[must_use]
    pub fn attachment_key(&self, attachment: &AttachmentId) -> AttachmentKey {
        let name = attachment.as_str().as_bytes();
        AttachmentKey::from_bytes(short_hash(&self.attachment_key, name))
    }

    /// The key that new image tokens are signed with.
    pub(crate) const fn image_key(&self) -> &ImageKey {
        &self.current.image_key
    }

    /// The key that an image token with this header was signed with, if it is still held.
    pub(crate) fn image_key_of(&self, header: &[u8]) -> Option<&ImageKey> {
        let mut keys = self.peppers.iter().map(|pepper| &pepper.image_key);
        keys.find(|key| key.header().as_bytes() == header)
    }

    /// The shard tag of a principal's selectors.
    #[must_use]
    pub fn shard_tag(&self, principal: &Principal) -> ShardTag {
        let [high, low, ..] = short_hash(&self.shard_key, principal.as_str().as_bytes());
        ShardTag::from_bits(u16::from_be_bytes([high, low]))
    }

    /// The 16-byte tag over a stored record's table, key, version and bytes.
    #[must_use]
    pub fn record_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        keyed_over(&self.tag_key, parts)
    }

    /// The 16-byte tag over an exported line.
    #[must_use]
    pub fn export_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        keyed_over(&self.export_key, parts)
    }

    /// What the number of a subsystem's epoch is made of that began at an instant because an import
    /// did, and of no other epoch.
    #[must_use]
    pub fn import_mark(&self, subsystem: Subsystem, since: Timestamp) -> [u8; 4] {
        let context = contexts::IMPORT_MARK.as_bytes();
        let since = since.as_millis().to_be_bytes();
        let [a, b, c, d, ..] = self.export_tag(&[context, &[subsystem.code()], &since]);
        [a, b, c, d]
    }

    /// The secret under which a session's form tokens are made.
    ///
    /// It is derived, not kept: from the session's selector and the number of times that its
    /// privilege has changed, so each log-in and each change of privilege has a new one, a
    /// snapshot needs none, and the secret of an ended session can still prove a stale form token.
    #[must_use]
    pub fn csrf_secret(&self, session: Selector, generation: u32) -> SecretKey {
        let mut input = [0; 16 + 4];
        let (name, count) = input.split_at_mut(16);
        name.copy_from_slice(&session.to_bytes());
        count.copy_from_slice(&generation.to_le_bytes());
        let hash = blake3::keyed_hash(self.csrf_key.expose(), &input);
        SecretKey::from_bytes(*hash.as_bytes())
    }

    /// The 16-byte tag over a part of a session snapshot.
    #[must_use]
    pub fn snapshot_tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        keyed_over(&self.snapshot_key, parts)
    }

    /// What veils the number of a session's row in its selector, the same after every restart.
    #[must_use]
    pub const fn session_veil(&self) -> [u8; 16] {
        self.session_veil
    }

    pub(crate) const fn bare_key(&self) -> &SecretKey {
        &self.bare_key
    }

    /// The check value of the root key.
    #[must_use]
    pub const fn root_check(&self) -> KeyCheck {
        self.root_check
    }

    /// Every pepper's id and check value, ascending.
    pub fn pepper_checks(&self) -> impl Iterator<Item = (KeyId, KeyCheck)> {
        self.peppers.iter().map(|pepper| (pepper.id, pepper.check))
    }

    fn find(&self, id: KeyId) -> Option<&Pepper> {
        // Nearly always the current one, and a handful at most.
        if id == self.current.id {
            return Some(&self.current);
        }
        self.peppers.iter().find(|pepper| pepper.id == id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current.id)
            .finish_non_exhaustive()
    }
}

impl Pepper {
    fn new(material: &PepperMaterial) -> Self {
        Self {
            id: material.id,
            digest_key: derive(contexts::DIGEST, &material.key),
            image_key: ImageKey::new(material.id, &derive(contexts::IMAGE_TOKEN, &material.key)),
            check: check_of(&material.key),
        }
    }
}

fn derive(context: &'static str, key: &SecretKey) -> SecretKey {
    SecretKey::from_bytes(blake3::derive_key(context, key.expose()))
}

fn check_of(key: &SecretKey) -> KeyCheck {
    short_hash(&derive(contexts::KEY_CHECK, key), b"")
}

fn short_hash(key: &SecretKey, input: &[u8]) -> [u8; 16] {
    first_16(blake3::keyed_hash(key.expose(), input).as_bytes())
}

/// A keyed hash of parts, each preceded by its length so that no two lists of parts collide.
fn keyed_over(key: &SecretKey, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key.expose());
    for part in parts {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part);
    }
    first_16(hasher.finalize().as_bytes())
}

fn first_16(hash: &[u8; 32]) -> [u8; 16] {
    let [a, _] = hash.as_chunks::<16>().0 else {
        // 32 bytes are two chunks of 16: there is no other case.
        return [0; 16];
    };
    *a
}

#[cfg(test)]
mod tests;
