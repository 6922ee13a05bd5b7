//! What a slot holds of a token, packed into words.
//!
//! A copy of parts of two records, the grant's and its principal's, and the count of changes
//! under which the latter was read. What does not fit has no image.

use super::super::terms::Terms;
use super::super::{CachedGrant, CachedPrincipal};
use countersign_core::access::{Facts, NotedEnd};
use countersign_core::{
    Digest, EpochStamp, Expiry, Granted, KeyId, PrincipalState, ScopeSet, Selector, Timestamp,
};

/// Words of an image.
pub(crate) const WORDS: usize = 14;
/// Bytes for the principal's name and the scopes, one behind the other.
const TEXT: usize = 32;

/// A token's words: selector 2, digest 4, expiry, stamp, note, the rest in one, and texts.
#[derive(Clone, Copy)]
pub(crate) struct Image(pub(super) [u64; WORDS]);

/// The token does not expire by itself.
const NEVER: u8 = 1;
/// The principal is disabled.
const DISABLED: u8 = 2;
/// The token has ended, whatever the clock and the policy say.
const ENDED: u8 = 4;

/// The halves of a selector; never both zero, since a selector has bits of its version set.
#[inline]
pub(crate) fn key_of(selector: Selector) -> [u64; 2] {
    halves(&selector.to_bytes())
}

#[inline]
pub(crate) fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    [
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes(rest),
    ]
}

#[inline]
const fn pair(high: u32, low: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (high.to_be_bytes(), low.to_be_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[inline]
const fn apart(word: u64) -> (u32, u32) {
    let [a, b, c, d, low @ ..] = word.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(low))
}

impl Image {
    /// The image of a token whose principal's record was read after `changes` were counted.
    ///
    /// What is refused for good, or until its principal is enabled, has one as well, so that it is
    /// refused with the work of a hit (E4). `None` where the grant was replaced or its time is
    /// noted to be over, where the record is another's, or where it does not fit.
    pub(crate) fn of(
        entry: &CachedGrant,
        principal: &CachedPrincipal,
        changes: u32,
    ) -> Option<Self> {
        let (grant, record) = (&entry.grant, &principal.record);
        let fits =
            record.principal == grant.principal && entry.selector.minted_at() == grant.created_at;
        let mut flags = match (fits, NotedEnd::once_for_all(grant)) {
            (true, Some(NotedEnd::None)) => 0,
            (true, Some(NotedEnd::Final)) => ENDED,
            _ => return None,
        };
        if record.state == PrincipalState::Disabled {
            flags |= DISABLED;
        }
        let name = grant.principal.as_str();
        let scopes = grant.scopes.joined();
        let mut text = [0u8; TEXT];
        text.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        let end = name.len().checked_add(scopes.len())?;
        text.get_mut(name.len()..end)?
            .copy_from_slice(scopes.as_bytes());

        let [high, low] = key_of(entry.selector);
        let [d0, d1, d2, d3] = words(grant.digest.expose());
        let [t0, t1, t2, t3] = words(&text);
        let stamp = pair(grant.stamp.subsystem, grant.stamp.principal);
        let note = pair(changes, record.epoch.number());
        let [k0, k1] = grant.key_id.number().to_be_bytes();
        let [b0, b1] = principal.bucket().to_be_bytes();
        if grant.expiry == Expiry::Never {
            flags |= NEVER;
        }
        let lens = [u8::try_from(name.len()), u8::try_from(scopes.len())];
        let [Ok(name), Ok(scopes)] = lens else {
            return None;
        };
        let rest = u64::from_be_bytes([k0, k1, b0, b1, flags, name, scopes, 0]);
        let expiry = grant.expiry.instant().as_millis();
        Some(Self([
            high, low, d0, d1, d2, d3, expiry, stamp, note, rest, t0, t1, t2, t3,
        ]))
    }

    #[inline]
    pub(super) const fn key(&self) -> [u64; 2] {
        let [high, low, ..] = self.0;
        [high, low]
    }

    /// Whose it is. `None` does not happen: it was a selector's.
    pub(crate) fn selector(&self) -> Option<Selector> {
        let [high, low] = self.key();
        let mut both = [0; 16];
        let (front, back) = both.split_at_mut(8);
        front.copy_from_slice(&high.to_le_bytes());
        back.copy_from_slice(&low.to_le_bytes());
        Selector::from_bytes(both)
    }

    const fn rest(&self) -> [u8; 8] {
        let [_, _, _, _, _, _, _, _, _, rest, ..] = self.0;
        rest.to_be_bytes()
    }

    /// The bucket of the principal's record, and its count of changes when the record was read.
    #[inline]
    pub(crate) const fn note(&self) -> (u16, u32) {
        let [_, _, _, _, _, _, _, _, note, ..] = self.0;
        let [_, _, b0, b1, ..] = self.rest();
        (u16::from_be_bytes([b0, b1]), apart(note).0)
    }

    #[inline]
    const fn has(&self, flag: u8) -> bool {
        let [_, _, _, _, flags, ..] = self.rest();
        flags & flag != 0
    }

    #[inline]
    pub(crate) const fn expiry(&self) -> Expiry {
        let [_, _, _, _, _, _, expiry, ..] = self.0;
        match self.has(NEVER) {
            false => Expiry::At(Timestamp::from_millis(expiry)),
            true => Expiry::Never,
        }
    }

    /// The pepper of the digest. `None` does not happen: it was a key's id.
    #[inline]
    pub(crate) const fn key_id(&self) -> Option<KeyId> {
        let [k0, k1, ..] = self.rest();
        KeyId::new(u16::from_be_bytes([k0, k1]))
    }

    /// What the models look at: the digest's first word, the stamp's first half and the
    /// principal's epoch.
    #[cfg(test)]
    pub(crate) const fn versions(&self) -> (u64, u32, u32) {
        let [_, _, digest, _, _, _, _, stamp, note, ..] = self.0;
        (digest, apart(stamp).0, apart(note).1)
    }

    /// The bytes of the texts.
    pub(crate) fn texts(&self) -> Texts {
        let [.., t0, t1, t2, t3] = self.0;
        let [_, _, _, _, _, name, scopes, _] = self.rest();
        let bytes = [t0, t1, t2, t3].map(u64::to_le_bytes);
        Texts {
            bytes,
            name,
            scopes,
        }
    }

    /// The facts as they stand here and in the terms.
    #[inline]
    pub(crate) fn facts<'a>(
        &self,
        selector: Selector,
        texts: &'a Texts,
        terms: &Terms,
    ) -> Option<Facts<'a>> {
        let [_, _, d0, d1, d2, d3, _, stamp, note, ..] = self.0;
        let (subsystem, principal) = apart(stamp);
        Some(Facts {
            known: true,
            digest: Digest::from_bytes(bytes([d0, d1, d2, d3])),
            key_id: self.key_id()?,
            ends_at: terms.lifetimes.end_of(selector.minted_at(), self.expiry()),
            stamp: EpochStamp {
                subsystem,
                principal,
            },
            end: match self.has(ENDED) {
                false => NotedEnd::None,
                true => NotedEnd::Final,
            },
            scopes: Granted::Joined(texts.scopes()),
            foreign: false,
            disabled: self.has(DISABLED),
            switched_off: terms.switched_off,
            in_force: EpochStamp {
                subsystem: terms.epoch,
                principal: apart(note).1,
            },
        })
    }
}

/// A principal's name and a token's scopes, in place.
#[derive(Clone, Copy)]
pub(crate) struct Texts {
    bytes: [[u8; 8]; 4],
    name: u8,
    scopes: u8,
}

impl Texts {
    /// The principal's name.
    pub(crate) fn name(&self) -> &str {
        let name = self.bytes.as_flattened().get(..usize::from(self.name));
        // It was copied from a text, whole.
        core::str::from_utf8(name.unwrap_or_default()).unwrap_or_default()
    }

    /// The scopes as they were joined.
    #[inline]
    pub(crate) fn scopes(&self) -> &[u8] {
        let rest = self.bytes.as_flattened().get(usize::from(self.name)..);
        rest.and_then(|rest| rest.get(..usize::from(self.scopes)))
            .unwrap_or_default()
    }

    /// The set that they were joined from; without one, nothing is allowed.
    pub(crate) fn scope_set(&self) -> ScopeSet {
        let joined = core::str::from_utf8(self.scopes()).unwrap_or_default();
        ScopeSet::from_joined(joined).unwrap_or_default()
    }
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

#[inline]
fn bytes(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (chunks, _) = bytes.as_chunks_mut::<8>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    bytes
}
