//! Presenting a device's secret: who comes in, what they are handed, and what that proves.
//!
//! | presented | the current secret was | outcome |
//! |---|---|---|
//! | current | handed out lately, or first seen within `grace` | in |
//! | current | handed out `rotate_after` ago, no grace running or to come | in, and replaced |
//! | previous | never seen, or first seen within `grace` | in, with the same successor again |
//! | previous | first seen before that | the series ends: proven reuse |
//! | older | | the series ends: proven reuse |
//! | anything else | | refused, and nothing changes (E3) |
//!
//! A miss looks like a hit (E4): the same hashes and comparisons are made and every condition is
//! evaluated before a reason is picked. The reason is for the audit log.

use super::admit::Desk;
use super::life::fate;
use super::proof::{Place, prove};
use crate::decision::{Decision, Refusal};
use crate::digest::Digest;
use crate::epoch::EpochStamp;
use crate::keys::{KeyId, Keyring};
use crate::policy::Policy;
use crate::principal::{Principal, PrincipalRecord, PrincipalState};
use crate::record::{Batch, Versioned};
use crate::secret::Fresh;
use crate::series::{KeyedDigest, Label, SeriesRecord};
use crate::system::{Deployment, Subsystem, SystemRecord};
use crate::text::{ServerId, TextError};
use crate::time::Timestamp;
use crate::token::SplitToken;
use crate::verdict::Rejection;

/// A presented token with the records that were found for it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The token.
    pub token: &'a SplitToken,
    /// The series under its selector, if there is one.
    pub series: Option<&'a Versioned<SeriesRecord>>,
    /// The series' principal, if that record is there.
    pub principal: Option<&'a Versioned<PrincipalRecord>>,
    /// The system record, if it is there.
    pub system: Option<&'a Versioned<SystemRecord>>,
}

/// Whom a remembered device belongs to, and what it is to be given.
#[derive(Debug)]
pub struct Admitted {
    /// The principal.
    pub principal: Principal,
    /// What the device is to be given.
    pub handed: Handed,
    /// When the device is forgotten: a cookie need not live longer.
    pub expires_at: Timestamp,
}

/// What a device is given for the secret that it presented.
#[derive(Debug)]
pub enum Handed {
    /// Nothing: what it has is current.
    Nothing,
    /// A new secret, which replaces the presented one once the batch is committed.
    Successor(Box<SplitToken>),
    /// The current secret again, since the presented one was replaced a moment ago, or its
    /// successor never arrived.
    Again(Box<SplitToken>),
}

/// Records that match nothing: they stand in for those that are not there, so that a miss is
/// judged with the same work as a hit.
#[derive(Debug)]
pub struct Decoy {
    series: SeriesRecord,
    principal: PrincipalRecord,
    system: SystemRecord,
}

impl Decoy {
    /// Makes the stand-ins, once for an engine.
    ///
    /// # Errors
    /// Never in practice: the names in it are fixed and within their bounds.
    pub fn new() -> Result<Self, TextError> {
        let principal = Principal::new("nobody")?;
        let deployment = Deployment {
            word: None,
            server_id: ServerId::new("decoy")?,
            created_at: Timestamp::ZERO,
        };
        Ok(Self {
            series: SeriesRecord {
                principal: principal.clone(),
                label: Label::new("decoy")?,
                created_at: Timestamp::ZERO,
                expires_at: Timestamp::MAX,
                stamp: EpochStamp::default(),
                generation: 0,
                salt: [0; 16],
                current: KeyedDigest {
                    key_id: KeyId::FIRST,
                    digest: Digest::from_bytes([0; 32]),
                },
                older: Vec::new(),
                rotated_at: Timestamp::ZERO,
                successor_seen_at: None,
                end: None,
            },
            principal: PrincipalRecord::new(principal),
            system: SystemRecord::new(deployment),
        })
    }

    /// Whose record is looked up where there is no series: a miss asks the store for as much as a
    /// hit, and what is found there is not looked at.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal.principal
    }
}

/// Whether a presented token opens a session, and for whom.
///
/// The batch may hold writes also where the answer is a refusal: a proven reuse ends the series,
/// and an expiry that is noticed is noted. With an empty batch there is nothing to commit, which
/// is the usual case (E5). What is answered holds once the batch is committed; on a conflict the
/// records are loaded and the same token is decided upon again, which hands out the same
/// successor.
///
/// # Errors
/// Only when randomness runs out.
pub fn present(
    now: Timestamp,
    keyring: &Keyring,
    policy: &Policy,
    decoy: &Decoy,
    fresh: &mut Fresh,
    presented: Presented<'_>,
) -> Result<Decision<Result<Admitted, Rejection>>, Refusal> {
    let salt = fresh.take().ok_or(Refusal::NotEnoughRandomness)?;
    let series = presented
        .series
        .map_or(&decoy.series, |found| &found.record);
    let principal = presented
        .principal
        .map_or(&decoy.principal, |found| &found.record);
    let system = presented
        .system
        .map_or(&decoy.system, |found| &found.record);

    // Everything is hashed, compared and evaluated before any of it is looked at.
    let proof = prove(keyring, presented.token, series, &salt);
    let fate = fate(now, policy, system, series, principal);
    let refused = first_of([
        principal.principal != series.principal,
        proof.place == Place::Nowhere,
        !system.is_on(Subsystem::RememberMe),
        principal.state == PrincipalState::Disabled,
        fate.revoked,
        fate.reused,
        fate.expired,
    ]);

    // Presence grants and absence denies, whatever the stand-ins came to.
    let (Some(series), Some(principal), Some(system)) =
        (presented.series, presented.principal, presented.system)
    else {
        return Ok(only(Rejection::Unknown));
    };
    if let Some(reason @ (Rejection::Unknown | Rejection::Mismatch)) = refused {
        return Ok(only(reason));
    }
    // Possession is proven from here on. What it proves counts for a disabled principal, too.
    let desk = Desk {
        now,
        keyring,
        policy,
        selector: presented.token.selector(),
        series,
        principal,
        system,
    };
    match (desk.end_to_note(&proof, fate), refused) {
        (Some(end), refused) => desk.end(fresh, end, refused),
        (None, Some(reason)) => Ok(only(reason)),
        (None, None) => desk.admit(fresh, proof, salt),
    }
}

/// The reasons, in the order in which they take precedence.
const PRECEDENCE: [Rejection; 7] = [
    Rejection::Unknown,
    Rejection::Mismatch,
    Rejection::SwitchedOff,
    Rejection::Disabled,
    Rejection::Revoked,
    Rejection::Reused,
    Rejection::Expired,
];

/// The reason of the first condition that failed, found with the same steps whichever it is.
fn first_of(failed: [bool; PRECEDENCE.len()]) -> Option<Rejection> {
    let mut set = 0u8;
    for (place, fails) in failed.into_iter().enumerate() {
        set |= u8::from(fails) << place;
    }
    // With nothing failed this counts to eight, where no reason stands.
    PRECEDENCE.get(set.trailing_zeros() as usize).copied()
}

/// A refusal that changes nothing.
pub(super) fn only(reason: Rejection) -> Decision<Result<Admitted, Rejection>> {
    Decision {
        outcome: Err(reason),
        batch: Batch::default(),
    }
}
