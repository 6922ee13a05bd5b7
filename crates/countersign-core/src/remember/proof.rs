//! Which of a series' secrets was presented, found with the same work whatever was presented.
//!
//! Each call makes as many hashes and comparisons as a record with every place taken needs, under
//! whichever peppers: places that are empty are filled with stand-ins (E4).

use crate::digest::Digest;
use crate::keys::Keyring;
use crate::kind::CredentialKind;
use crate::secret::Verifier;
use crate::series::{KeyedDigest, OLDER_MAX, SeriesRecord};
use crate::token::SplitToken;

/// Digests that a presented secret is held against.
const PLACES: usize = 1 + OLDER_MAX;

/// Which of a series' secrets was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The current one.
    Current,
    /// The one that the current one replaced.
    Previous,
    /// One before that.
    Older,
    /// None of them.
    Nowhere,
}

/// What presenting a secret proves, and the successor that it gives.
#[derive(Debug)]
pub(super) struct Proof {
    /// Which secret it was.
    pub(super) place: Place,
    /// For the current secret the one that would replace it, for the previous one the current one.
    pub(super) successor: Verifier,
    /// The successor's digest.
    pub(super) digest: KeyedDigest,
    /// Whether the successor is the current secret: for the previous one it must be.
    pub(super) leads_to_current: bool,
}

/// Holds a presented secret against all that a series knows. `salt` is for a new successor.
pub(super) fn prove(
    keyring: &Keyring,
    token: &SplitToken,
    series: &SeriesRecord,
    salt: &[u8; 16],
) -> Proof {
    let place = place(keyring, token, series);
    let (generation, salt, key_id) = match place {
        Place::Current => (series.generation, salt, keyring.current()),
        _ => (
            series.generation.wrapping_sub(1),
            &series.salt,
            series.current.key_id,
        ),
    };
    let successor = keyring.successor(token.selector(), generation, salt, token.verifier());
    let digest = KeyedDigest {
        key_id,
        digest: digest(keyring, key_id, token, &successor),
    };
    let leads_to_current =
        (digest.digest == series.current.digest) & keyring.holds(series.current.key_id);
    Proof {
        place,
        successor,
        digest,
        leads_to_current,
    }
}

fn place(keyring: &Keyring, token: &SplitToken, series: &SeriesRecord) -> Place {
    let mut found = 0u8;
    for at in 0..PLACES {
        let kept = match at.checked_sub(1) {
            None => Some(&series.current),
            Some(older) => series.older.get(older),
        };
        found |= u8::from(fits(keyring, token, kept)) << at;
    }
    match found.trailing_zeros() {
        0 => Place::Current,
        1 => Place::Previous,
        at if at < u8::BITS => Place::Older,
        _ => Place::Nowhere,
    }
}

/// Hashes what was presented under the pepper of a digest that is kept, and compares the two.
fn fits(keyring: &Keyring, token: &SplitToken, kept: Option<&KeyedDigest>) -> bool {
    let stand_in = KeyedDigest {
        key_id: keyring.current(),
        digest: Digest::from_bytes([0; 32]),
    };
    let against = kept.unwrap_or(&stand_in);
    let presented = digest(keyring, against.key_id, token, token.verifier());
    // Where the pepper is gone, the current one stood in for it above, and must not match.
    (presented == against.digest)
        & kept.is_some()
        & keyring.holds(against.key_id)
        & (token.kind() == CredentialKind::Remember)
}

fn digest(
    keyring: &Keyring,
    id: crate::keys::KeyId,
    token: &SplitToken,
    verifier: &Verifier,
) -> Digest {
    let kind = CredentialKind::Remember;
    keyring.digest(Some(id), kind, token.selector(), verifier)
}
