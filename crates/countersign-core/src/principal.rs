//! Principals: who is authenticated, as the host knows them, and the record that can stop them.
//!
//! The record's presence grants and its absence denies: a credential whose principal has no
//! record is refused. It also lists the principal's credentials, which bounds them and spares a
//! scattered index.

use crate::epoch::Epoch;
use crate::kind::CredentialKind;
use crate::selector::Selector;
use crate::text::bounded_text;
use crate::time::Timestamp;
use core::fmt;
use std::sync::Arc;

use crate::text::{TextError, check};

bounded_text!(
    /// The name of who is authenticated, as the host knows it: a login, a numeric id, a UUID.
    Principal,
    "the principal",
    255
);

impl Principal {
    /// Takes the text of a principal that was kept elsewhere, without looking at it again: not for
    /// what comes from outside.
    #[must_use]
    pub fn from_kept(text: &str) -> Self {
        Self(text.into())
    }
}

/// Where a principal's record is filed: a keyed hash of the name, so that a store's keys tell no
/// names and do not match those of another installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalKey([u8; 16]);

impl PrincipalKey {
    /// Takes 16 bytes that a keyring made, or that a store kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The first two bytes: the bucket in which changes of such records are counted.
    #[must_use]
    pub const fn bucket(self) -> u16 {
        let [high, low, ..] = self.0;
        u16::from_be_bytes([high, low])
    }
}

/// Whether a principal may come in at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrincipalState {
    /// The usual.
    #[default]
    Enabled,
    /// No credential of theirs is accepted, and none is issued.
    Disabled,
}

/// One credential of a principal, as the principal's record lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialRef {
    /// What it is.
    pub kind: CredentialKind,
    /// Which it is, and by its time when it was made.
    pub selector: Selector,
    /// When it ends or ended, by expiry, revocation or rotation; `MAX` for never.
    pub ends_at: Timestamp,
}

/// What is stored for a principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRecord {
    /// The name, which must be the one that was asked for: keys are hashes.
    pub principal: Principal,
    /// Enabled or disabled.
    pub state: PrincipalState,
    /// What was issued under an earlier number is dead: access tokens and image tokens.
    pub epoch: Epoch,
    /// What a log-in opened under an earlier number is dead: sessions and remembered devices.
    /// It moves on with the other, and by itself when the principal's credentials change.
    pub logins: Epoch,
    /// Their credentials, oldest first, until pruned.
    pub credentials: Vec<CredentialRef>,
}

impl PrincipalRecord {
    /// A record in the first epoch, for stand-ins and for records built by hand.
    ///
    /// For a principal without a record take [`PrincipalRecord::begun`].
    #[must_use]
    pub const fn new(principal: Principal) -> Self {
        Self {
            principal,
            state: PrincipalState::Enabled,
            epoch: Epoch::FIRST,
            logins: Epoch::FIRST,
            credentials: Vec::new(),
        }
    }

    /// The record of a principal that has none, because it is new or because it got lost.
    ///
    /// It begins in an epoch of its own, so that no credential of a lost record stands again.
    #[must_use]
    pub fn begun(principal: Principal, now: Timestamp, random: [u8; 4]) -> Self {
        let epoch = Epoch::begun(now, random);
        Self {
            epoch,
            logins: epoch,
            ..Self::new(principal)
        }
    }

    /// The credentials of one kind, oldest first.
    pub fn of_kind(&self, kind: CredentialKind) -> impl Iterator<Item = &CredentialRef> {
        self.credentials
            .iter()
            .filter(move |entry| entry.kind == kind)
    }

    /// Notes that a credential ends at `at`, if that is sooner than it was to end.
    pub fn note_end(&mut self, selector: Selector, at: Timestamp) {
        if let Some(entry) = self
            .credentials
            .iter_mut()
            .find(|entry| entry.selector == selector)
        {
            entry.ends_at = entry.ends_at.min(at);
        }
    }

    /// Takes a credential off the list.
    pub fn forget(&mut self, selector: Selector) {
        self.credentials.retain(|entry| entry.selector != selector);
    }
}
